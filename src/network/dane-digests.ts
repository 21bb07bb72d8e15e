/**
 * tls_dane_digests: which matching types of TLSA records count, and which is preferred (RFC 7671 section 9). Pure.
 *
 * An element that makes no sense is told in Postfix's words and passed over.
 */
import { createHash } from 'node:crypto';
import { sameIgnoringCase, splitList } from '../text/ascii.ts';

export interface DaneDigest {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The higher is preferred. */
  readonly rank: number;
}

/** By matching type. */
export type DaneDigests = ReadonlyMap<number, DaneDigest>;

const parameter = 'tls_dane_digests';
/** What IANA's list says of these numbers cannot be changed. */
const fixed: ReadonlyMap<number, string> = new Map([[1, 'sha256'], [2, 'sha512']]);
/** Ours, for fingerprints: never in a record of the name service. */
const privateUse = 255;

/** What stands for both, where nobody says otherwise. */
export const standardDigests: DaneDigests = new Map([[1, { name: 'sha256', size: 32, rank: 1 }], [2, { name: 'sha512', size: 64, rank: 2 }]]);

interface Element {
  readonly name: string;
  /** Undefined: none is said. */
  readonly type: number | undefined;
}

/** @param text `sha512 sha256`, `sha384=7`: names in the order of preference, with numbers where they are not known; `=2` turns a number off */
export function daneDigests(text: string, warn: (text: string) => void): DaneDigests {
  const seen = new Set<number>();
  const digests = new Map<number, DaneDigest>();
  for (const word of splitList(text)) {
    const element = elementOf(word, warn);
    if (element === undefined) continue;
    if (element.name === '') {
      if (element.type !== undefined) digests.delete(element.type);
      continue;
    }
    const type = typeOf(element, warn);
    if (type === undefined) continue;
    if (seen.has(type)) {
      warn(`${parameter}: matching type ${type} specified more than once`);
      continue;
    }
    seen.add(type);
    const size = sizeOf(element.name);
    if (size === undefined) warn(`${parameter}: digest algorithm "${fixed.get(type) ?? element.name}"(${type}) unknown`);
    else digests.set(type, { name: element.name, size, rank: privateUse - seen.size });
  }
  return digests;
}

function elementOf(word: string, warn: (text: string) => void): Element | undefined {
  const at = word.indexOf('=');
  const name = at < 0 ? word : word.slice(0, at);
  const number = at < 0 ? '' : word.slice(at + 1);
  if (number === '') return { name, type: undefined };
  const type = /^\+?[0-9]+$/.test(number) ? Number(number) : Infinity;
  if (type > 0 && type < privateUse) return { name, type };
  warn(`${type === 0 ? 'Reserved' : 'Invalid'} matching type number in ${parameter}: ${word}`);
  return undefined;
}

function typeOf({ name, type }: Element, warn: (text: string) => void): number | undefined {
  if (type === undefined) {
    for (const [number, known] of fixed) if (sameIgnoringCase(name, known)) return number;
    warn(`${parameter}: digest algorithm ${name} needs an explicit number`);
    return undefined;
  }
  const known = fixed.get(type);
  if (known === undefined || sameIgnoringCase(name, known)) return type;
  warn(`${parameter}: matching type ${type} can only be ${known}`);
  return undefined;
}

function sizeOf(name: string): number | undefined {
  try {
    return createHash(name).digest().length;
  } catch {
    return undefined; // OpenSSL has it not
  }
}
