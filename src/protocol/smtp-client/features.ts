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
type Take = (features: Mutable, words: readonly string[], warn: (text: string) => void) => void;

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
  ['AUTH', (features, words) => { features.auth = [...new Set([...features.auth ?? [], ...words])]; }],
  ['XFORWARD', (features, words) => {
    const offered = words.map(upperAscii).filter((word) => xforwardNames.includes(word));
    features.xforward = new Set(offered as XforwardName[]);
  }],
]);

// RFC 1870 section 4: no number, or zero, means no fixed limit.
function takeSize(features: Mutable, words: readonly string[], warn: (text: string) => void): void {
  features.size = true;
  const limit = words[0];
  if (limit === undefined) return;
  if (allDigits(limit)) features.sizeLimit = Number(limit);
  else warn(`bad EHLO SIZE limit "${limit}"`);
}

/** The features in the text of a reply; `ignore` holds upper-case keywords. */
export function parseFeatures(text: string, ignore: ReadonlySet<string>, warn: (text: string) => void): Features {
  const features: Mutable = { ...noFeatures, extended: true };
  for (const [number, line] of text.split('\n').entries()) {
    // `250-SIZE 1000`; some old servers write `250-SIZE=1000`.
    const words = line.slice(4).split(/[ \t=]+/).filter((word) => word !== '');
    const keyword = upperAscii(words[0] ?? '');
    if (keyword === '') continue;
    if (number === 0) features.host = words[0]!;
    else if (!ignore.has(keyword)) keywords.get(keyword)?.(features, words.slice(1), warn);
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

/** A list as in smtp_discard_ehlo_keywords; unknown words are left out, so that configurations can move between releases. */
export function discardList(list: string): Discarded {
  const words = new Set(splitList(list).map(upperAscii));
  const known = discardable.filter((word) => words.has(word));
  const silent = words.has('SILENT-DISCARD');
  return { keywords: new Set(known), log: silent || known.length === 0 ? '' : known.join(' ') };
}
