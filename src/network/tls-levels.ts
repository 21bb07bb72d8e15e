/** TLS security levels of a client, by name. Pure. A higher one asks for more. */
import { parseNameCode, renderNameCode, type NameTable } from '../text/name-mask.ts';

export const level = { none: 0, may: 1, encrypt: 2, fingerprint: 3, halfDane: 4, dane: 5, daneOnly: 6, verify: 7, secure: 8 } as const;

const names: NameTable = [
  ['none', level.none], ['may', level.may], ['encrypt', level.encrypt], ['fingerprint', level.fingerprint], ['halfdane', level.halfDane],
  ['dane', level.dane], ['dane-only', level.daneOnly], ['verify', level.verify], ['secure', level.secure],
];

/** Undefined: there is no such level, or none that one may choose. */
export function levelOf(name: string): number | undefined {
  const found = parseNameCode(names, name);
  return found === level.halfDane ? undefined : found;
}

export function levelName(value: number): string {
  return renderNameCode(names, value) ?? 'unknown';
}

/** The server's certificate must be the right one. */
export function mustMatch(value: number): boolean {
  return value > level.encrypt;
}

export function isDane(value: number): boolean {
  return value >= level.halfDane && value <= level.daneOnly;
}
