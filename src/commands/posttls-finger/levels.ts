/** TLS security levels and TLS log options, by name. Pure. */
import { parseNameCode, renderNameCode, type NameTable } from '../../text/name-mask.ts';

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

export const logs = {
  none: 0, summary: 1, untrusted: 2, peercert: 4, certmatch: 8, verbose: 16, cache: 32, debug: 64, packets: 128, allPackets: 256, dane: 512, trace: 1024,
} as const;

const two = logs.summary | logs.verbose | logs.cache | logs.debug;
const three = two | logs.packets;
const four = three | logs.allPackets;

export const logNames: NameTable = [
  ['0', 0], ['none', 0], ['1', logs.summary], ['routine', logs.summary], ['2', two], ['debug', two], ['3', three], ['ssl-expert', three],
  ['4', four], ['ssl-developer', four], ['5', four], ['6', four], ['7', four], ['8', four], ['9', four], ['summary', logs.summary],
  ['untrusted', logs.untrusted], ['peercert', logs.peercert], ['certmatch', logs.certmatch], ['verbose', logs.verbose], ['cache', logs.cache],
  ['dane', logs.dane], ['ssl-debug', logs.debug], ['ssl-handshake-packet-dump', logs.packets],
  ['ssl-session-packet-dump', logs.packets | logs.allPackets], ['trace', logs.trace],
];
