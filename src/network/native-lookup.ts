/**
 * Addresses of a host the way getaddrinfo(3) finds them with `hosts: files dns`: what is a number is an address, in any of the forms of
 * inet_aton(3); else the hosts file is asked, then the name service.
 *
 * Never rejects; trouble has getaddrinfo's words.
 */
import type { Dns, DnsStatus } from './dns.ts';
import type { HostsFile } from './hosts-file.ts';

export interface NativeAnswer {
  readonly addresses: readonly string[];
  /** `again`: nobody answered. */
  readonly trouble?: { readonly kind: 'no name' | 'no data' | 'again'; readonly text: string };
}

const words = {
  'no name': 'Name or service not known',
  'no data': 'No address associated with hostname',
  again: 'Temporary failure in name resolution',
} as const;

export async function lookupNative(host: string, hosts: HostsFile, dns: Dns): Promise<NativeAnswer> {
  const number = numericAddress(host);
  if (number !== undefined) return { addresses: [number] };
  const listed = hosts.addresses(host);
  if (listed.length > 0) return { addresses: listed };
  const answers = await Promise.all([dns.lookup(host, 'A'), dns.lookup(host, 'AAAA')]);
  const addresses = answers.flatMap(({ records }) => records.map(({ data }) => data));
  if (addresses.length > 0) return { addresses };
  return { addresses, trouble: troubleOf(answers) };
}

/** Decimal, octal, hexadecimal; the last of one to four numbers fills what is left of four bytes. inet_aton(3) */
const numbers = /^(?:(?:0x[0-9a-f]+|[0-9]+)\.){0,3}(?:0x[0-9a-f]+|[0-9]+)$/i;

/** 10.1, 0x7f.1, 2130706433 as an address; undefined: this is a name. */
function numericAddress(host: string): string | undefined {
  if (!numbers.test(host)) return undefined;
  const parts = host.split('.').map((part) => (/^0[0-9]/.test(part) ? (/^[0-7]+$/.test(part) ? parseInt(part, 8) : NaN) : Number(part)));
  const last = parts.pop()!;
  if (parts.some((part) => !(part <= 255)) || !(last < 256 ** (4 - parts.length))) return undefined;
  const whole = parts.reduce((sum, part, at) => sum + part * 256 ** (3 - at), last);
  return [24, 16, 8, 0].map((bits) => Math.floor(whole / 2 ** bits) % 256).join('.');
}

function troubleOf(answers: readonly { status: DnsStatus; rcode: string }[]): NonNullable<NativeAnswer['trouble']> {
  const again = answers.some(({ status }) => status === 'retry');
  const kind = again ? 'again' : answers.every(({ rcode }) => rcode === 'NOERROR') ? 'no data' : 'no name';
  return { kind, text: words[kind] };
}
