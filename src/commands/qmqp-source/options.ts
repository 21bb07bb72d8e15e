/** The command line of qmqp-source(1). Pure; what makes no sense is a `fatal` with the usage line. */
import { getopt } from '../../text/getopt.ts';
import { hostnameOrLiteral, positive } from '../option-values.ts';

export interface QmqpSourceOptions {
  family: 0 | 4 | 6;
  count: boolean;
  connectCount: number;
  sender: string | undefined;
  /** Bytes of the message, headers included. */
  length: number;
  messages: number;
  hostname: string | undefined;
  recipients: number;
  /** Seconds. */
  randomDelay: number;
  fixedDelay: number;
  sessions: number;
  recipient: string | undefined;
  verbose: boolean;
  destination: string;
}

const usage = 'usage: qmqp-source -cv -s sess -l msglen -m msgs -C count -M myhostname -f from -t to -R delay -w delay host[:port]';

type Fatal = (text: string) => never;

const setters: { readonly [letter: string]: (options: QmqpSourceOptions, value: string, fatal: Fatal) => void } = {
  4: (options) => { options.family = 4; },
  6: (options) => { options.family = 6; },
  c: (options) => { options.count = true; },
  C: (options, value, fatal) => { options.connectCount = positive(value, usage, fatal); },
  f: (options, value) => { options.sender = value; },
  l: (options, value, fatal) => { options.length = positive(value, usage, fatal); },
  m: (options, value, fatal) => { options.messages = positive(value, usage, fatal); },
  M: (options, value, fatal) => { options.hostname = hostnameOrLiteral(value, fatal); },
  r: (options, value, fatal) => { options.recipients = positive(value, usage, fatal); },
  R: (options, value, fatal) => { options.randomDelay = options.fixedDelay > 0 ? fatal(usage) : positive(value, usage, fatal); },
  s: (options, value, fatal) => { options.sessions = positive(value, usage, fatal); },
  t: (options, value) => { options.recipient = value; },
  v: (options) => { options.verbose = true; },
  w: (options, value, fatal) => { options.fixedDelay = options.randomDelay > 0 ? fatal(usage) : positive(value, usage, fatal); },
};

export function parseQmqpSource(argv: readonly string[], complain: (text: string) => void, fatal: Fatal): QmqpSourceOptions {
  const { found, operands, trouble } = getopt(argv, '46cC:f:l:m:M:r:R:s:t:vw:');
  const options: QmqpSourceOptions = {
    family: 0, count: false, connectCount: 1, sender: undefined, length: 1024, messages: 1, hostname: undefined, recipients: 1, randomDelay: 0,
    fixedDelay: 0, sessions: 1, recipient: undefined, verbose: false, destination: operands[0] ?? '',
  };
  for (const [letter, value] of found) setters[letter]!(options, value, fatal);
  if (trouble !== undefined) complain(trouble);
  if (trouble !== undefined || operands.length !== 1) fatal(usage);
  return options;
}
