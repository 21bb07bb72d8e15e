/** The command line of smtp-sink(1). Pure; what makes no sense is a `fatal` in Postfix's words, or the usage line. */
import { allDigits, splitList } from '../../text/ascii.ts';
import { getopt } from '../../text/getopt.ts';
import { numberIn, positive } from '../option-values.ts';
import { CommandTable, type SinkCommand } from './commands.ts';

export interface SinkOptions {
  family: 0 | 4 | 6;
  readonly commands: CommandTable;
  /** Seconds; -1: messages are not aborted. */
  abortDelay: number;
  softReply: string;
  hardReply: string;
  count: boolean;
  single: string | undefined;
  shared: string | undefined;
  esmtp: boolean;
  pix: boolean;
  lmtp: boolean;
  readonly offers: { pipelining: boolean; eightBit: boolean; auth: boolean; xclient: boolean; xforward: boolean; status: boolean; dsn: boolean };
  hostname: string;
  dataReadDelay: number;
  clients: number;
  /** 0: no limit. */
  messageLimit: number;
  sessionLimit: number;
  root: string | undefined;
  startString: string;
  timeout: number;
  window: number;
  user: string | undefined;
  verbose: boolean;
  destination: string;
  backlog: number;
}

const usage = 'usage: smtp-sink [-468acCeEFLpPv] [-A abort_delay] [-b soft_bounce_reply] [-B hard_bounce_reply] [-d dump-template] [-D dump-template] '
  + '[-f commands] [-h hostname] [-m max_concurrency] [-M message_quit_count] [-n quit_count] [-q commands] [-r commands] [-R root-dir] [-s commands] '
  + '[-S start-string] [-u user_privs] [-w delay] [host]:port backlog';

export interface SinkVoice {
  readonly complain: (text: string) => void;
  readonly error: (text: string) => void;
  readonly fatal: (text: string) => never;
}

type Set = (options: SinkOptions, value: string, voice: SinkVoice) => void;

function known({ commands }: SinkOptions, name: string, voice: SinkVoice): SinkCommand {
  return commands.find(name) ?? voice.fatal(`unknown command: ${name}`);
}

function mark(options: SinkOptions, value: string, voice: SinkVoice, set: (command: SinkCommand) => void): void {
  for (const name of splitList(value)) set(known(options, name, voice));
}

function reply(value: string, first: string, kind: string, voice: SinkVoice): string {
  if (value.startsWith(first) && /^[0-9]{3}(?![0-9])/.test(value)) return value;
  voice.error(`bad ${kind} error reply: ${value}`);
  return voice.fatal(usage);
}

/** command:delay[:odds] */
function setDelay(options: SinkOptions, value: string, voice: SinkVoice): void {
  const [, name, delay, odds] = /^:*([^:]+):+([^:]+)(?::(.*))?$/.exec(value) ?? [];
  if (name === undefined || delay === undefined) voice.fatal(`invalid command delay argument: ${value}`);
  const command = known(options, name, voice);
  if (numberIn(delay) <= 0) voice.fatal(`non-positive '${name}' delay`);
  const chance = odds === undefined ? 0 : numberIn(odds);
  if (chance < 0 || chance > 99) voice.fatal(`delay odds for '${name}' out of range`);
  command.delay = numberIn(delay);
  command.odds = chance;
}

const setters: { readonly [letter: string]: Set } = {
  4: (options) => { options.family = 4; },
  6: (options) => { options.family = 6; },
  8: ({ offers }) => { offers.eightBit = false; },
  a: ({ offers }) => { offers.auth = false; },
  A: (options, value, voice) => { options.abortDelay = allDigits(value) ? numberIn(value) : voice.fatal(usage); },
  b: (options, value, voice) => { options.softReply = reply(value, '4', 'soft', voice); },
  B: (options, value, voice) => { options.hardReply = reply(value, '5', 'hard', voice); },
  c: (options) => { options.count = true; },
  C: ({ offers, commands }) => { offers.xclient = commands.get('xclient').enabled = false; },
  d: (options, value) => { options.single = value; },
  D: (options, value) => { options.shared = value; },
  e: (options) => { options.esmtp = false; },
  E: ({ offers }) => { offers.status = false; },
  f: (options, value, voice) => { mark(options, value, voice, (command) => { command.hard = true; }); options.offers.pipelining = false; },
  F: ({ offers, commands }) => { offers.xforward = commands.get('xforward').enabled = false; },
  h: (options, value) => { options.hostname = value; },
  H: (options, value, voice) => { options.dataReadDelay = positive(value, `bad data read delay: ${value}`, voice.fatal); },
  L: (options) => { options.lmtp = true; },
  m: (options, value, voice) => { options.clients = positive(value, `bad concurrency limit: ${value}`, voice.fatal); },
  M: (options, value, voice) => { options.messageLimit = positive(value, `bad message quit count: ${value}`, voice.fatal); },
  n: (options, value, voice) => { options.sessionLimit = positive(value, `bad quit count: ${value}`, voice.fatal); },
  N: ({ offers }) => { offers.dsn = false; },
  p: ({ offers }) => { offers.pipelining = false; },
  P: (options) => { options.pix = true; options.esmtp = false; },
  q: (options, value, voice) => mark(options, value, voice, (command) => { command.hangUp = true; }),
  Q: (options, value, voice) => mark(options, value, voice, (command) => { command.close = true; }),
  r: (options, value, voice) => { mark(options, value, voice, (command) => { command.soft = true; }); options.offers.pipelining = false; },
  R: (options, value) => { options.root = value; },
  s: (options, value, voice) => mark(options, value, voice, (command) => { command.logged = true; }),
  S: (options, value) => { options.startString = unescape(value); },
  t: (options, value, voice) => { options.timeout = positive(value, `bad timeout: ${value}`, voice.fatal); },
  T: (options, value, voice) => { options.window = positive(value, `bad TCP window size: ${value}`, voice.fatal); },
  u: (options, value) => { options.user = value; },
  v: (options) => { options.verbose = true; },
  w: (options, value, voice) => { options.commands.get('data').delay = positive(value, usage, voice.fatal); },
  W: setDelay,
};

export function parseSink(argv: readonly string[], voice: SinkVoice, isRoot: boolean): SinkOptions {
  const { found, operands, trouble } = getopt(argv, '468aA:b:B:cCd:D:eEf:Fh:H:Ln:m:M:NpPq:Q:r:R:s:S:t:T:u:vw:W:');
  const options: SinkOptions = {
    family: 0, commands: new CommandTable(), abortDelay: -1, softReply: '450 4.3.0 Error: command failed', hardReply: '500 5.3.0 Error: command failed',
    count: false, single: undefined, shared: undefined, esmtp: true, pix: false, lmtp: false,
    offers: { pipelining: true, eightBit: true, auth: true, xclient: true, xforward: true, status: true, dsn: true },
    hostname: 'smtp-sink', dataReadDelay: 0, clients: 256, messageLimit: 0, sessionLimit: 0, root: undefined, startString: '', timeout: 100, window: 0,
    user: undefined, verbose: false, destination: operands[0] ?? '', backlog: numberIn(operands[1] ?? ''),
  };
  for (const [letter, value] of found) setters[letter]!(options, value, voice);
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined || operands.length !== 2 || options.backlog <= 0) voice.fatal(usage);
  if (options.single !== undefined && options.shared !== undefined) voice.fatal('use only one of -d or -D, but not both');
  if (isRoot && options.user === undefined) voice.fatal('-u option is required if running as root');
  enableHello(options);
  return options;
}

function enableHello({ commands, lmtp, esmtp }: SinkOptions): void {
  if (lmtp) commands.get('lhlo').enabled = true;
  else commands.get('helo').enabled = true;
  if (!lmtp && esmtp) commands.get('ehlo').enabled = true;
}

const escapes: { readonly [letter: string]: string } = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** C's escape sequences; a backslash before anything else stands for that. */
export function unescape(text: string): string {
  return text.replace(/\\([0-7]{1,3}|[^])/g, (_, what: string) =>
    (/^[0-7]/.test(what) ? String.fromCharCode(Number.parseInt(what, 8) & 255) : escapes[what] ?? what));
}
