/**
 * Network patterns: "192.0.2.0/24", "2001:db8::/32", "[::1]", "[::1]/128".
 *
 * A pattern is parsed once and matched against addresses in bytes. A bad pattern gives an error text (Postfix's wording); an
 * address that is none matches nothing. Nothing throws.
 */
import { allDigits } from './ascii.ts';

/** Bytes of an address in network order: 4 or 16. Undefined when the text is no address (strict: no leading zeros, no zone). */
export function parseIpAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

const DOT = 46;

function parseIpv4(text: string): Uint8Array | undefined {
  if (text.length > 15) return undefined;
  const bytes = new Uint8Array(4);
  let field = 0;
  let value = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (value < 0 || field === 3) return undefined;
      bytes[field++] = value;
      value = -1;
    } else {
      // A second digit behind a leading zero is none.
      if (code < 48 || code > 57 || value === 0) return undefined;
      value = (value < 0 ? 0 : value * 10) + code - 48;
      if (value > 255) return undefined;
    }
  }
  if (field !== 3 || value < 0) return undefined;
  bytes[3] = value;
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const front = fieldBytes(halves[0]!, halves.length === 1);
  const back = halves.length === 2 ? fieldBytes(halves[1]!, true) : [];
  if (!front || !back) return undefined;
  const missing = 16 - front.length - back.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return Uint8Array.from([...front, ...new Array<number>(missing).fill(0), ...back]);
}

function fieldBytes(half: string, last: boolean): number[] | undefined {
  if (half === '') return [];
  const fields = half.split(':');
  const bytes: number[] = [];
  for (const [index, field] of fields.entries()) {
    const dotted = last && index === fields.length - 1 && field.includes('.') ? parseIpv4(field) : undefined;
    if (dotted) bytes.push(...dotted);
    else if (/^[0-9a-fA-F]{1,4}$/.test(field)) bytes.push(parseInt(field, 16) >> 8, parseInt(field, 16) & 255);
    else return undefined;
  }
  return bytes;
}

/** The usual text of an address (RFC 5952, with inet_ntop's dotted forms). */
export function renderIpAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
  const { start, length } = longestZeros(words);
  const mapped = start === 0 && (length === 6 || (length === 7 && words[7] !== 1) || (length === 5 && words[5] === 0xffff));
  const fields = words.map((word) => word.toString(16));
  if (mapped) fields.splice(6, 2, bytes.slice(12).join('.'));
  if (length < 2) return fields.join(':');
  const end = Math.min(start + length, mapped ? 6 : 8);
  return `${fields.slice(0, start).join(':')}::${fields.slice(end).join(':')}`;
}

function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < words.length; start++) {
    let length = 0;
    while (words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}

export interface CidrPattern {
  /** host bits are zero */
  readonly network: Uint8Array;
  /** prefix length in bits */
  readonly bits: number;
}

export type CidrResult = { readonly pattern: CidrPattern } | { readonly error: string };

/** Parse "address", "network/prefix", and the same with the address or the whole in brackets. */
export function parseCidr(text: string): CidrResult {
  const parts = splitPattern(text);
  if ('error' in parts) return parts;
  const { address, prefix } = parts;
  const network = parseIpAddress(address);
  if (prefix === undefined) {
    return network ? { pattern: { network, bits: network.length * 8 } } : { error: `bad address pattern: "${address}"` };
  }
  const width = address.includes(':') ? 128 : 32;
  const wrong = !allDigits(prefix) ? 'bad mask value' : Number(prefix) > width ? 'bad mask length' : network ? undefined : 'bad network value';
  if (wrong !== undefined || !network) return { error: `${wrong} in "${address}/${prefix}"` };
  return withoutHostBits(network, Number(prefix), `${address}/${prefix}`);
}

function withoutHostBits(network: Uint8Array, bits: number, text: string): CidrResult {
  const masked = network.map((byte, index) => byte & maskByte(bits, index));
  if (masked.every((byte, index) => byte === network[index])) return { pattern: { network, bits } };
  const better = `${renderIpAddress(masked)}/${bits}`;
  return { error: `non-null host address bits in "${text}", perhaps you should use "${better}" instead` };
}

function maskByte(bits: number, index: number): number {
  const kept = Math.min(Math.max(bits - 8 * index, 0), 8);
  return (0xff00 >> kept) & 0xff;
}

function splitPattern(text: string): { readonly address: string; readonly prefix: string | undefined } | { readonly error: string } {
  let inner = text;
  let outer = '';
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return { error: `missing ']' character after "[${text.slice(1)}"` };
    inner = text.slice(1, close);
    outer = text.slice(close + 1);
    if (outer !== '' && !outer.startsWith('/')) return { error: `garbage after "[${inner}]"` };
    if (outer !== '') return { address: inner, prefix: outer.slice(1) };
  }
  const slash = inner.indexOf('/');
  return slash < 0 ? { address: inner, prefix: undefined } : { address: inner.slice(0, slash), prefix: inner.slice(slash + 1) };
}

/** Does the address lie in the network? An IPv4 address never lies in an IPv6 network. */
export function cidrMatches(pattern: CidrPattern, address: Uint8Array | string): boolean {
  const bytes = typeof address === 'string' ? parseIpAddress(address) : address;
  if (!bytes || bytes.length !== pattern.network.length) return false;
  for (let index = 0; index * 8 < pattern.bits; index++)
    if ((bytes[index]! & maskByte(pattern.bits, index)) !== pattern.network[index]) return false;
  return true;
}
