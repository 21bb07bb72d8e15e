/**
 * The command line of smtp-source(1). Pure but for `-F`, whose file is read where the message is made.
 *
 * What makes no sense is a `fatal` in Postfix's words, or the usage line.
 */
import { getopt } from '../../text/getopt.ts';
import { hostnameOrLiteral, positive } from '../option-values.ts';

export interface SourceOptions {
  family: 0 | 4 | 6;
  allowReject: boolean;
  count: boolean;
  /** Attempts at a connection that is refused. */
  connectCount: number;
  disconnect: boolean;
  sender: string | undefined;
  file: string | undefined;
  length: number;
  lmtp: boolean;
  messages: number;
  hostname: string | undefined;
  numberRecipients: boolean;
  old: boolean;
  recipients: number;
  /** Seconds. */
  randomDelay: number;
  fixedDelay: number;
  sessions: number;
  subject: string | undefined;
  recipient: string | undefined;
  window: number;
  verbose: boolean;
  destination: string;
}

const usage = 'usage: smtp-source -cdLNov -s sess -l msglen -m msgs -C count -M myhostname -f from -t to -r rcptcount -R delay -w delay host[:port]';

type Fatal = (text: string) => never;
type Set = (options: SourceOptions, value: string, fatal: Fatal) => void;

const twoDelays = 'do not use -w and -R options at the same time';
const twoContents = '-l option cannot be used with -F';

const setters: { readonly [letter: string]: Set } = {
  4: (options) => { options.family = 4; },
  6: (options) => { options.family = 6; },
  A: (options) => { options.allowReject = true; },
  c: (options) => { options.count = true; },
  C: (options, value, fatal) => { options.connectCount = positive(value, `bad connection count: ${value}`, fatal); },
  d: (options) => { options.disconnect = false; },
  f: (options, value) => { options.sender = value; },
  F: (options, value, fatal) => { options.file = options.file === undefined && options.length > 0 ? fatal(twoContents) : value; },
  l: (options, value, fatal) => { options.length = options.file === undefined ? positive(value, `bad message length: ${value}`, fatal) : fatal(twoContents); },
  L: (options) => { options.lmtp = true; },
  m: (options, value, fatal) => { options.messages = positive(value, `bad message count: ${value}`, fatal); },
  M: (options, value, fatal) => { options.hostname = hostnameOrLiteral(value, fatal); },
  N: (options) => { options.numberRecipients = true; },
  o: (options) => { options.old = true; },
  r: (options, value, fatal) => { options.recipients = positive(value, `bad recipient count: ${value}`, fatal); options.numberRecipients = true; },
  R: (options, value, fatal) => { options.randomDelay = options.fixedDelay > 0 ? fatal(twoDelays) : positive(value, `bad random delay: ${value}`, fatal); },
  s: (options, value, fatal) => { options.sessions = positive(value, `bad session count: ${value}`, fatal); },
  S: (options, value) => { options.subject = value; },
  t: (options, value) => { options.recipient = value; },
  T: (options, value, fatal) => { options.window = positive(value, `bad TCP window size: ${value}`, fatal); },
  v: (options) => { options.verbose = true; },
  w: (options, value, fatal) => { options.fixedDelay = options.randomDelay > 0 ? fatal(twoDelays) : positive(value, `bad fixed delay: ${value}`, fatal); },
};

export function parseSource(argv: readonly string[], complain: (text: string) => void, fatal: Fatal): SourceOptions {
  const { found, operands, trouble } = getopt(argv, '46AcC:df:F:l:Lm:M:Nor:R:s:S:t:T:vw:');
  const options: SourceOptions = {
    family: 0, allowReject: false, count: false, connectCount: 1, disconnect: true, sender: undefined, file: undefined, length: 0, lmtp: false,
    messages: 1, hostname: undefined, numberRecipients: false, old: false, recipients: 1, randomDelay: 0, fixedDelay: 0, sessions: 1,
    subject: undefined, recipient: undefined, window: 0, verbose: false, destination: operands[0] ?? '',
  };
  for (const [letter, value] of found) setters[letter]!(options, value, fatal);
  if (trouble !== undefined) complain(trouble);
  if (trouble !== undefined || operands.length !== 1) fatal(usage);
  return options;
}
