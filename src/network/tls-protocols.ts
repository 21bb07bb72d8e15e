/**
 * What main.cf says about TLS protocols, groups and library options, in the words of node:tls. Pure. postconf(5).
 *
 * A list that cannot be understood gives undefined: the caller says so and goes without TLS.
 */
import { constants } from 'node:crypto';
import type { SecureVersion } from 'node:tls';
import { splitList, upperAscii } from '../text/ascii.ts';

export interface ProtocolRange {
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  /** SSL_OP bits that exclude protocols inside the range. */
  readonly excluded: number;
}

const versions: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const lowest = 0x0301;

/** What may be excluded or included by name. Protocols before TLSv1 are known here, and never spoken. */
const exclusions: ReadonlyMap<string, number> = new Map([
  ['SSLV2', 0], ['SSLV3', constants.SSL_OP_NO_SSLv3], ['TLSV1', constants.SSL_OP_NO_TLSv1], ['TLSV1.1', constants.SSL_OP_NO_TLSv1_1],
  ['TLSV1.2', constants.SSL_OP_NO_TLSv1_2], ['TLSV1.3', constants.SSL_OP_NO_TLSv1_3],
]);
const versionNumbers: ReadonlyMap<string, number> = new Map([
  ['SSLV3', 0x0300], ['TLSV1', lowest], ['TLSV1.1', 0x0302], ['TLSV1.2', 0x0303], ['TLSV1.3', 0x0304],
]);

function versionNumber(text: string): number | undefined {
  const known = versionNumbers.get(upperAscii(text));
  if (known !== undefined) return known;
  return /^(?:0x)?[0-9a-f]{1,7}$/i.test(text) ? parseInt(text, 16) : undefined;
}

/** `>=TLSv1.2`, `<=0304`, `!TLSv1`, or the names of all that may be spoken; undefined: not such a list. */
export function protocolRange(list: string): ProtocolRange | undefined {
  let floor: number | undefined = 0;
  let ceiling: number | undefined = 0;
  let excluded = 0;
  const included = new Set<number>();
  for (const word of list.split(/[ \t\r\n,:]+/).filter((part) => part !== '')) {
    if (word.startsWith('>=')) floor = versionNumber(word.slice(2));
    else if (word.startsWith('<=')) ceiling = versionNumber(word.slice(2));
    else {
      const bit = exclusions.get(upperAscii(word.replace(/^!/, '')));
      if (bit === undefined) return undefined;
      if (word.startsWith('!')) excluded |= bit;
      else included.add(bit);
    }
    if (floor === undefined || ceiling === undefined) return undefined;
  }
  if (included.size > 0) for (const bit of exclusions.values()) if (!included.has(bit)) excluded |= bit;
  return { minVersion: nearest(floor, 0), maxVersion: ceiling === 0 ? 'TLSv1.3' : nearest(ceiling, 0), excluded };
}

function nearest(version: number, least: number): SecureVersion {
  return versions[Math.min(Math.max(version - lowest, least), versions.length - 1)]!;
}

const sslOptions: ReadonlyMap<string, number> = new Map([
  ['ENABLE_MIDDLEBOX_COMPAT', 1 << 20], ['LEGACY_SERVER_CONNECT', constants.SSL_OP_LEGACY_SERVER_CONNECT], ['NO_TICKET', constants.SSL_OP_NO_TICKET],
  ['NO_COMPRESSION', constants.SSL_OP_NO_COMPRESSION], ['NO_RENEGOTIATION', constants.SSL_OP_NO_RENEGOTIATION],
  ['NO_SESSION_RESUMPTION_ON_RENEGOTIATION', constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION], ['PRIORITIZE_CHACHA', constants.SSL_OP_PRIORITIZE_CHACHA],
]);
const workarounds: ReadonlyMap<string, number> = new Map([
  ['CRYPTOPRO_TLSEXT_BUG', constants.SSL_OP_CRYPTOPRO_TLSEXT_BUG], ['DONT_INSERT_EMPTY_FRAGMENTS', constants.SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS],
  ['TLSEXT_PADDING', 1 << 4], ['SAFARI_ECDHE_ECDSA_BUG', 1 << 6],
]);

function bitsOf(parameter: string, list: string, known: ReadonlyMap<string, number>, warn: (text: string) => void): number {
  let bits = 0;
  for (const word of splitList(list)) {
    const bit = known.get(upperAscii(word)) ?? (/^0x[0-9a-f]{1,8}$/i.test(word) ? parseInt(word, 16) : undefined);
    if (bit === undefined) warn(`unknown ${parameter} value "${word}" in "${list}"`);
    else bits = (bits | bit) >>> 0;
  }
  return bits;
}

/** SSL_OP_IGNORE_UNEXPECTED_EOF: mail has ends of its own, so a missing close_notify cuts nothing off. */
const ignoreUnexpectedEnd = 1 << 7;

/** Library options for a server: tls_ssl_options, and the work-arounds without those of tls_disable_workarounds. */
export function libraryOptions(sslOptionList: string, disabled: string, warn: (text: string) => void): number {
  const kept = constants.SSL_OP_ALL & ~bitsOf('tls_disable_workarounds', disabled, workarounds, warn);
  const wanted = bitsOf('tls_ssl_options', sslOptionList, sslOptions, warn);
  return (kept | wanted | ignoreUnexpectedEnd | constants.SSL_OP_NO_RENEGOTIATION) >>> 0;
}

/** Groups for key exchange that the library knows, as it wants them listed; 'auto': its own choice. */
export function groupList(lists: readonly string[], isKnown: (name: string) => boolean): string {
  const names = lists.flatMap((list) => list.split(/[ \t\r\n,:]+/)).filter((name) => name !== '');
  const known = [...new Set(names)].filter(isKnown);
  return known.length === 0 ? 'auto' : known.join(':');
}
