/**
 * sendmail(1)'s command line: decades of options, of which most mean nothing any more. Pure.
 *
 * `scan` takes the words apart; `read` gives them their meaning and says, through `Speaker`, what is odd or impossible (`fatal` ends
 * the command). Options end at the first word that is none, as with Postfix, and at `--`.
 */
import { parseDsnNotify, parseDsnRet } from '../message/dsn.ts';
import { bodyEncoding, rewriteContext, sendOption, traceFlag } from '../message/envelope-names.ts';
import { isPrintable, lowerAscii, sameIgnoringCase } from '../text/ascii.ts';

export interface Speaker {
  warning(text: string): void;
  fatal(text: string): never;
}

export type Mode = 'deliver' | 'aliases' | 'list' | 'daemon' | 'talk' | 'flush' | 'nothing';

export interface CommandLine {
  mode: Mode;
  verbose: number;
  /** -C */
  directory: string | undefined;
  /** -f, -r, as given */
  sender: string | undefined;
  /** -F */
  fullName: string | undefined;
  encoding: string | undefined;
  rewriteContext: string;
  /** A dot alone on a line ends the message. */
  endsAtDot: boolean;
  /** -t */
  fromHeaders: boolean;
  /** trace_flags: -v, -bv */
  trace: number;
  notify: number;
  ret: number;
  envid: string | undefined;
  /** VERP delimiters; '' is the configured ones. */
  verp: string | undefined;
  sendOptions: number;
  /** -oA */
  aliases: string | undefined;
  site: string | undefined;
  queueId: string | undefined;
  /** -q with a time, which asks for a daemon. */
  interval: boolean;
  readonly operands: readonly string[];
}

/** What main.cf has to say about options. */
export interface Rules {
  readonly verpDelimiterFilter: string;
  readonly requireTls: boolean;
  readonly smtputf8: boolean;
}

/** As for getopt(3). */
const letters = 'A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx';
const envidLimit = 100;

export type Option = readonly [letter: string, value: string];

export interface Words {
  readonly options: readonly Option[];
  readonly operands: readonly string[];
  /** What getopt(3) would say on standard error. */
  readonly trouble: string | undefined;
}

/** Forms that getopt(3) cannot express become the options 'q' and 'XV' with an empty value. */
export function scan(argv: readonly string[], warn: (text: string) => void = () => undefined): Words {
  const options: Option[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = modern(argv[at]!, argv[at + 1], warn);
    if (word === '--') return { options, operands: argv.slice(at + 1), trouble: undefined };
    if (word === '-q' || word === '-XV') {
      options.push(word === '-q' ? ['q', ''] : ['X', 'V']);
      continue;
    }
    if (!word.startsWith('-') || word === '-') return { options, operands: argv.slice(at), trouble: undefined };
    const trouble = letterOptions(word, () => argv[++at], options);
    if (trouble !== undefined) return { options, operands: [], trouble };
  }
  return { options, operands: [], trouble: undefined };
}

/** Before DSN came, -V was what -XV is now. */
function modern(word: string, next: string | undefined, warn: (text: string) => void): string {
  if (word === '-V' && next?.length === 2) {
    warn('option -V is deprecated with Postfix 2.3; specify -XV instead');
    return '-XV';
  }
  if (word.startsWith('-V') && word.length === 4) {
    warn(`option ${word} is deprecated with Postfix 2.3; specify -X${word.slice(1)} instead`);
    return `-X${word.slice(1)}`;
  }
  return word;
}

function letterOptions(word: string, next: () => string | undefined, options: Option[]): string | undefined {
  for (let index = 1; index < word.length; index++) {
    const letter = word[index]!;
    const place = letter === ':' ? -1 : letters.indexOf(letter);
    if (place < 0) return `invalid option -- '${letter}'`;
    if (letters[place + 1] !== ':') {
      options.push([letter, '']);
      continue;
    }
    const value = index + 1 < word.length ? word.slice(index + 1) : next();
    if (value === undefined) return `option requires an argument -- '${letter}'`;
    options.push([letter, value]);
    return undefined;
  }
  return undefined;
}

type Apply = (line: CommandLine, value: string, speaker: Speaker, rules: Rules) => void;

const modes: ReadonlyMap<string, Mode> = new Map([
  ['d', 'daemon'], ['l', 'daemon'], ['h', 'nothing'], ['H', 'nothing'], ['i', 'aliases'], ['m', 'deliver'], ['p', 'list'], ['s', 'talk'],
]);

const applyOptions: ReadonlyMap<string, Apply> = new Map<string, Apply>([
  ['n', (_line, _value, speaker) => speaker.fatal('-n option not supported')],
  ['B', (line, value, speaker) => { line.encoding = encodingOf(value) ?? speaker.fatal('-B option needs 8BITMIME or 7BIT'); }],
  ['C', () => undefined],
  ['F', (line, value) => { line.fullName = value; }],
  ['G', (line) => { line.rewriteContext = rewriteContext.remote; }],
  ['I', (line) => { line.mode = 'aliases'; }],
  ['N', notifyOption],
  ['O', longOption],
  ['R', (line, value, speaker) => { line.ret = parseDsnRet(value) ?? (speaker.warning('bad -R option value -- ignored'), 0); }],
  ['V', envidOption],
  ['X', verpOption],
  ['b', modeOption],
  ['f', (line, value) => { line.sender = value; }],
  ['r', (line, value) => { line.sender = value; }],
  ['i', (line) => { line.endsAtDot = false; }],
  ['o', oldOption],
  ['q', queueOption],
  ['t', (line) => { line.fromHeaders = true; }],
  ['v', (line) => { line.verbose++; }],
]);

export function read(words: Words, speaker: Speaker, rules: Rules, verbose = 0): CommandLine {
  const line: CommandLine = {
    mode: 'deliver', verbose, directory: directoryOf(words), sender: undefined, fullName: undefined, encoding: undefined,
    rewriteContext: rewriteContext.local, endsAtDot: true, fromHeaders: false, trace: 0, notify: 0, ret: 0, envid: undefined, verp: undefined,
    sendOptions: 0, aliases: undefined, site: undefined, queueId: undefined, interval: false, operands: words.operands,
  };
  for (const [letter, value] of words.options) applyOptions.get(letter)?.(line, value, speaker, rules);
  if (words.trouble !== undefined) speaker.fatal('usage: sendmail [options]');
  checkConflicts(line, speaker);
  // Once asks for a report of the delivery, more often for a talkative log.
  if (line.verbose === 1 && line.mode === 'deliver') {
    line.verbose = 0;
    line.trace |= traceFlag.record;
  }
  return line;
}

/** -C names a directory, or the main.cf in it. */
export function directoryOf({ options }: Words): string | undefined {
  const value = options.findLast(([letter]) => letter === 'C')?.[1];
  return value === undefined ? undefined : value.replace(/(?:^|\/)main\.cf$/, '') || (value.startsWith('/') ? '/' : '.');
}

function checkConflicts(line: CommandLine, { fatal }: Speaker): void {
  const delivers = line.mode === 'deliver';
  if (line.fromHeaders && !delivers) fatal('-t can be used only in delivery mode');
  if (line.site !== undefined && !delivers) fatal('-qR can be used only in delivery mode');
  if (line.queueId !== undefined && !delivers) fatal('-qI can be used only in delivery mode');
  if ((line.trace & traceFlag.userVerify) === 0) return;
  if (line.fromHeaders) fatal('-t option cannot be used with -bv');
  if (line.notify !== 0) fatal('-N option cannot be used with -bv');
  if (line.ret !== 0) fatal('-R option cannot be used with -bv');
  if (line.verbose === 1) fatal('-v option cannot be used with -bv');
}

function encodingOf(value: string): string | undefined {
  return value === '8BITMIME' ? bodyEncoding.eightBit : value === '7BIT' ? bodyEncoding.sevenBit : undefined;
}

const notifyWords: ReadonlySet<string> = new Set(['never', 'success', 'failure', 'delay']);

function notifyOption(line: CommandLine, value: string, speaker: Speaker): void {
  const unknown = value.split(/[, \t\r\n]+/).find((word) => word !== '' && !notifyWords.has(lowerAscii(word)));
  if (unknown !== undefined) speaker.warning(`unknown DSN NOTIFY command value "${unknown}" in "${value}"`);
  line.notify = unknown === undefined ? parseDsnNotify(value) ?? 0 : 0;
  if (line.notify === 0) speaker.warning(`bad -N option value: '${value}' -- ignored`);
}

function envidOption(line: CommandLine, value: string, speaker: Speaker): void {
  if (value.length > envidLimit) speaker.warning('too long -V option value -- ignored');
  else if (value === '' || ![...value].every((char) => char === '\t' || isPrintable(char.charCodeAt(0)))) speaker.warning('bad syntax in -V option value -- ignored');
  else line.envid = value;
}

function verpOption(line: CommandLine, value: string, speaker: Speaker, { verpDelimiterFilter: filter }: Rules): void {
  if (!value.startsWith('V')) speaker.fatal(`unsupported: -X${value.slice(0, 1)}`);
  line.verp = value.slice(1);
  if (line.verp !== '' && (line.verp.length !== 2 || ![...line.verp].every((char) => filter.includes(char))))
    speaker.fatal(`-V requires two characters from ${filter}`);
}

function modeOption(line: CommandLine, value: string, speaker: Speaker): void {
  const kind = value.slice(0, 1);
  if (kind === 'v') {
    line.trace |= traceFlag.userVerify;
    return;
  }
  const mode = modes.get(kind) ?? speaker.fatal(`unsupported: -b${kind}`);
  if (mode === 'daemon' && line.mode === 'flush') speaker.warning('ignoring -q option in daemon mode');
  line.mode = mode;
}

function oldOption(line: CommandLine, value: string, speaker: Speaker): void {
  if (value.startsWith('i')) line.endsAtDot = false;
  if (!value.startsWith('A')) return;
  line.aliases = value.slice(1);
  if (line.aliases === '') speaker.fatal('-oA requires pathname');
}

function queueOption(line: CommandLine, value: string, speaker: Speaker): void {
  if (value === '') {
    if (line.mode === 'daemon') speaker.warning('ignoring -q option in daemon mode');
    else line.mode = 'flush';
  } else if (/^[0-9]/.test(value)) line.interval = true;
  else if (value.startsWith('R')) line.site = value.slice(1) || speaker.fatal('specify: -qRsitename');
  else if (value.startsWith('I')) line.queueId = value.slice(1) || speaker.fatal('specify: -qIqueueid');
  else speaker.fatal(`-q${value[0]} is not implemented`);
}

interface LongOption { readonly bit: number; readonly isEnabled: (rules: Rules) => boolean; readonly disabled: (value: string) => string }

const longOptions: ReadonlyMap<string, LongOption> = new Map([
  ['requiretls', {
    bit: sendOption.requireTlsEsmtp, isEnabled: ({ requireTls }: Rules) => requireTls,
    disabled: (value: string) => `Ignoring option '-O ${value}, because the configuration is 'requiretls_enable = no'`,
  }],
  ['smtputf8', {
    bit: sendOption.smtputf8Requested, isEnabled: ({ smtputf8 }: Rules) => smtputf8,
    disabled: (value: string) => `'-O ${value}' was requested, but the configuration is 'smtputf8_enable = no'`,
  }],
]);

/** `-O name=value`: two names mean something. */
function longOption(line: CommandLine, value: string, speaker: Speaker, rules: Rules): void {
  const equals = value.indexOf('=');
  const option = equals < 0 ? undefined : longOptions.get(lowerAscii(value.slice(0, equals)));
  if (option === undefined) return;
  const wish = value.slice(equals + 1);
  if (!option.isEnabled(rules)) speaker.warning(option.disabled(value));
  else if (sameIgnoringCase(wish, 'yes')) line.sendOptions |= option.bit;
  else if (sameIgnoringCase(wish, 'no')) line.sendOptions &= ~option.bit;
  else speaker.warning(`bad -O option: '${value}' -- ignored`);
}
