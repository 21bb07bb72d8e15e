/**
 * What a server offers in its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1), less what the operator wants ignored.
 *
 * Pure; a keyword that we do not know is no feature, and a SIZE that is no number is unlimited, with a warning.
 */
import { allDigits, splitList, upperAscii } from '../../text/ascii.ts';

export type XforwardName = 'NAME' | 'ADDR' | 'PORT' | 'PROTO' | 'HELO' | 'IDENT' | 'SOURCE';

export interface Features {
  /** EHLO (or LHLO) was accepted; without it nothing else is offered. */
  readonly extended: boolean;
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtputf8: boolean;
  readonly dsn: boolean;
  readonly startTls: boolean;
  readonly requireTls: boolean;
  readonly size: boolean;
  /** Largest message in bytes that the server takes; 0: not said. */
  readonly sizeLimit: number;
  readonly xforward: ReadonlySet<XforwardName>;
  /** Mechanisms behind AUTH, as they came; undefined: it is not offered, or of no use to us. */
  readonly auth?: readonly string[] | undefined;
  /** The name the server gave itself. */
  readonly host: string;
}

export const noFeatures: Features = {
  extended: false, pipelining: false, eightBitMime: false, smtputf8: false, dsn: false, startTls: false, requireTls: false,
  size: false, sizeLimit: 0, xforward: new Set(), host: '',
};

type Mutable = { -readonly [K in keyof Features]: Features[K] };
/** `rest`: what follows the keyword. */
type Take = (features: Mutable, rest: string, warn: (text: string) => void) => void;

const xforwardNames: readonly string[] = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'];

const keywords: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['PIPELINING', (features) => { features.pipelining = true; }],
  ['8BITMIME', (features) => { features.eightBitMime = true; }],
  ['SMTPUTF8', (features) => { features.smtputf8 = true; }],
  ['DSN', (features) => { features.dsn = true; }],
  ['STARTTLS', (features) => { features.startTls = true; }],
  ['REQUIRETLS', (features) => { features.requireTls = true; }],
  ['SIZE', takeSize],
  // RFC 4954 section 3; some servers say it a second time in an older form, with or without the same mechanisms.
  ['AUTH', (features, rest) => { features.auth = [...new Set([...features.auth ?? [], ...wordsOf(rest)])]; }],
  ['XFORWARD', (features, rest) => {
    const offered = wordsOf(rest).map(upperAscii).filter((word) => xforwardNames.includes(word));
    features.xforward = new Set(offered as XforwardName[]);
  }],
]);

// RFC 1870 section 4: no number, or zero, means no fixed limit.
function takeSize(features: Mutable, rest: string, warn: (text: string) => void): void {
  features.size = true;
  const [limit] = wordsOf(rest);
  if (limit === undefined) return;
  if (allDigits(limit)) features.sizeLimit = Number(limit);
  else warn(`bad EHLO SIZE limit "${limit}"`);
}

function wordsOf(text: string): string[] {
  return text.split(/[ \t=]+/).filter((word) => word !== '');
}

// `250-SIZE 1000`; some old servers write `250-SIZE=1000`.
function isBetween(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x3d;
}

/** Where the word, or (`isWord` false) what separates words, ends that is at `at`. */
function endOf(text: string, at: number, isWord: boolean): number {
  while (at < text.length && isBetween(text.charCodeAt(at)) !== isWord) at++;
  return at;
}

/** The features in the text of a reply; `ignore` holds upper-case keywords. */
export function parseFeatures(text: string, ignore: ReadonlySet<string>, warn: (text: string) => void): Features {
  const features: Mutable = { ...noFeatures, extended: true };
  let isFirst = true;
  for (const line of text.split('\n')) {
    const start = endOf(line, 4, false);
    const end = endOf(line, start, true);
    if (end > start && isFirst) features.host = line.slice(start, end);
    else if (end > start) {
      const keyword = upperAscii(line.slice(start, end));
      if (!ignore.has(keyword)) keywords.get(keyword)?.(features, line.slice(end), warn);
    }
    isFirst = false;
  }
  return features;
}

/** Keywords that smtp_discard_ehlo_keywords knows, in the order in which they are logged. */
const discardable = [
  '8BITMIME', 'AUTH', 'ETRN', 'PIPELINING', 'SIZE', 'VERP', 'VRFY', 'XCLIENT', 'XFORWARD', 'STARTTLS',
  'ENHANCEDSTATUSCODES', 'DSN', 'SMTPUTF8', 'CHUNKING', 'REQUIRETLS',
] as const;

export interface Discarded {
  /** Upper-case. */
  readonly keywords: ReadonlySet<string>;
  /** The words for the log, or '' when nothing is to be logged (nothing ignored, or `silent-discard`). */
  readonly log: string;
}

const nothingDiscarded: Discarded = { keywords: new Set(), log: '' };

/** A list as in smtp_discard_ehlo_keywords; unknown words are left out, so that configurations can move between releases. */
export function discardList(list: string): Discarded {
  if (list === '') return nothingDiscarded;
  const words = new Set(splitList(list).map(upperAscii));
  const known = discardable.filter((word) => words.has(word));
  const silent = words.has('SILENT-DISCARD');
  return { keywords: new Set(known), log: silent || known.length === 0 ? '' : known.join(' ') };
}
