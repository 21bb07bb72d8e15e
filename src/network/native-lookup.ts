/**
 * Addresses of a host the way getaddrinfo(3) finds them with `hosts: files dns`: the hosts file first, then the name service.
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
  const listed = hosts.addresses(host);
  if (listed.length > 0) return { addresses: listed };
  const answers = await Promise.all([dns.lookup(host, 'A'), dns.lookup(host, 'AAAA')]);
  const addresses = answers.flatMap(({ records }) => records.map(({ data }) => data));
  if (addresses.length > 0) return { addresses };
  return { addresses, trouble: troubleOf(answers) };
}

function troubleOf(answers: readonly { status: DnsStatus; rcode: string }[]): NonNullable<NativeAnswer['trouble']> {
  const again = answers.some(({ status }) => status === 'retry');
  const kind = again ? 'again' : answers.every(({ rcode }) => rcode === 'NOERROR') ? 'no data' : 'no name';
  return { kind, text: words[kind] };
}
