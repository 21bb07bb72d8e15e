/** The command line of posttls-finger(1). Pure; what makes no sense is a `fatal` in Postfix's words, or a usage text on standard error. */
import { splitList } from '../../text/ascii.ts';
import { getopt } from '../../text/getopt.ts';
import { parseNameMask } from '../../text/name-mask.ts';
import { numberIn } from '../option-values.ts';
import { level, levelName, levelOf } from '../../network/tls-levels.ts';
import { logNames } from './levels.ts';

export interface FingerOptions {
  family: 'ipv4' | 'ipv6' | 'any';
  trustAnchors: string[];
  chat: boolean;
  chain: boolean;
  digest: string | undefined;
  forceTlsa: boolean;
  caFile: string;
  grade: string;
  lookup: { dns: boolean; native: boolean };
  chainFiles: string[];
  certificate: string;
  key: string;
  level: number;
  log: number;
  reconnects: number;
  insecureMx: number;
  overrides: (readonly [name: string, value: string])[];
  protocols: string;
  caPath: string;
  /** Seconds; -1: sessions are not tried again. */
  reconnect: number;
  srv: boolean;
  sni: string;
  smtp: boolean;
  connectTimeout: number;
  timeout: number;
  verbose: number;
  wrapper: boolean;
  rawKeys: boolean;
  tlsproxy: boolean;
  destination: string;
  /** What the certificate is to match. */
  match: readonly string[];
}

export const usage = `usage: posttls-finger [-acCfRSvwx] [-t conn_tmout] [-T cmd_tmout] [-L logopts] \\
\t[-h host_lookup] [-l level] [-d mdalg] [-g grade] [-p protocols] \\
\t[-A tafile] [-F CAfile.pem] [-P CApath/] [-s servername] \\
\t[ [-H chainfiles] | [-k certfile [-K keyfile]] ] \\
\t[-m count] [-r delay] [-o name=value] destination [match ...]
`;

/** The command line cannot be understood: the usage text says what can. */
export class UsageError extends Error {}

export interface FingerVoice {
  warning(text: string): void;
  fatal(text: string): never;
}

type Set = (options: FingerOptions, value: string, voice: FingerVoice) => void;

const letters = 'a:ch:o:RSt:T:vA:Cd:fF:g:H:k:K:l:L:m:M:p:P:r:s:wxX';

const setters: { readonly [letter: string]: Set } = {
  a: (options, value, voice) => { options.family = value === 'ipv4' || value === 'ipv6' || value === 'any' ? value : voice.fatal(`bad '-a' option value: ${value}`); },
  A: (options, value) => void options.trustAnchors.push(value),
  c: (options) => { options.chat = false; },
  C: (options) => { options.chain = true; },
  d: (options, value) => { options.digest = value; },
  f: (options) => { options.forceTlsa = true; },
  F: (options, value) => { options.caFile = value; },
  g: (options, value) => { options.grade = value; },
  h: (options, value, voice) => { options.lookup = lookupOf(value, voice); },
  H: (options, value) => void options.chainFiles.push(...splitList(value)),
  k: (options, value) => { options.certificate = value; options.key ||= value; },
  K: (options, value) => { options.key = value; options.certificate ||= value; },
  l: (options, value, voice) => { options.level = levelOf(value) ?? voice.fatal(`Invalid TLS level "${value}"`); },
  L: (options, value, voice) => { options.log = logMask(value, voice); },
  m: (options, value) => { options.reconnects = numberIn(value); },
  M: (options, value, voice) => { options.insecureMx = insecureLevel(value) ?? voice.fatal(`bad '-M' option value: ${value}`); },
  o: (options, value) => void options.overrides.push(override(value)),
  p: (options, value) => { options.protocols = value; },
  P: (options, value) => { options.caPath = value; },
  r: (options, value) => { options.reconnect = numberIn(value); },
  R: (options) => { options.srv = true; },
  s: (options, value) => { options.sni = value; },
  S: (options) => { options.smtp = false; },
  t: (options, value) => { options.connectTimeout = numberIn(value); },
  T: (options, value) => { options.timeout = numberIn(value); },
  v: (options) => { options.verbose++; },
  w: (options) => { options.wrapper = true; },
  x: (options) => { options.rawKeys = true; },
  X: (options) => { options.tlsproxy = true; },
};

export function parseFinger(argv: readonly string[], voice: FingerVoice): FingerOptions {
  const { found, operands, trouble } = getopt(argv, letters);
  const options: FingerOptions = {
    family: 'any', trustAnchors: [], chat: true, chain: false, digest: undefined, forceTlsa: false, caFile: '', grade: 'medium',
    lookup: { dns: true, native: false }, chainFiles: [], certificate: '', key: '', level: level.dane, log: logMask('routine,certmatch', voice),
    reconnects: 5, insecureMx: level.dane, overrides: [], protocols: '>=TLSv1', caPath: '', reconnect: -1, srv: false, sni: '', smtp: true,
    connectTimeout: 30, timeout: 30, verbose: 0, wrapper: false, rawKeys: false, tlsproxy: false, destination: operands[0] ?? '', match: operands.slice(1),
  };
  for (const [letter, value] of found) setters[letter]!(options, value, voice);
  if (trouble !== undefined) throw new UsageError(`posttls-finger: ${trouble}\n`);
  if (options.tlsproxy && options.reconnect >= 0) voice.fatal('The -X and -r options are mutually exclusive');
  if (options.chainFiles.length > 0 && options.certificate !== '')
    voice.fatal("When the '-H' option is used, neither the '-k', nor the '-K' options may be used");
  if (options.level === level.none && options.wrapper) voice.fatal('SSL wrapper mode requires that TLS not be disabled');
  if (operands.length === 0) throw new UsageError('');
  options.match = matchOf(options, voice);
  return options;
}

function matchOf({ level: chosen, match }: FingerOptions, voice: FingerVoice): readonly string[] {
  if (chosen === level.fingerprint) return match;
  if (chosen === level.verify) return match.length > 0 ? match : ['hostname'];
  if (chosen > level.fingerprint) return match.length > 0 ? match : ['nexthop', 'dot-nexthop'];
  if (match.length > 0) voice.warning(`TLS level '${levelName(chosen)}' does not implement certificate matching`);
  return [];
}

function lookupOf(value: string, voice: FingerVoice): { dns: boolean; native: boolean } {
  const parsed = parseNameMask('-h option', [['dns', 1], ['native', 2]], value);
  if ('error' in parsed) return voice.fatal(parsed.error);
  return { dns: (parsed.mask & 1) !== 0, native: (parsed.mask & 2) !== 0 };
}

/** Words that mean nothing are warned of, and passed over. */
function logMask(value: string, voice: FingerVoice): number {
  let mask = 0;
  for (const word of splitList(value)) {
    const parsed = parseNameMask('-L option', logNames, word);
    if ('error' in parsed) voice.warning(`unknown -L option value "${word}" in "${value}"`);
    else mask |= parsed.mask;
  }
  return mask;
}

function insecureLevel(value: string): number | undefined {
  const found = levelOf(value);
  return found === level.may || found === level.encrypt || found === level.dane ? found : undefined;
}

function override(value: string): readonly [string, string] {
  const [, name, text] = /^[ \t]*([^ \t={}]+)[ \t]*=[ \t]*([^]*?)[ \t]*$/.exec(value) ?? [];
  if (name === undefined || text === undefined) throw new UsageError('');
  return [name, text];
}
