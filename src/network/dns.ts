/** Questions to the name service and its answers, as the rest of the mail system sees them. */
import { ipv6Digits } from './address.ts';
import type { MaybePromise } from '../text/maybe.ts';

export type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR' | 'NS' | 'SRV' | 'TLSA' | 'CNAME' | 'SOA';

export interface TlsaData {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly certificate: Buffer;
}

export interface DnsRecord {
  readonly type: RecordType;
  /** The name that has the record: that of the question, or what it is an alias of. */
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
  /** A host name, an address, or text; '' for TLSA and SOA. */
  readonly data: string;
  /** MX preference or SRV priority. */
  readonly preference: number;
  /** SRV only. */
  readonly weight: number;
  readonly port: number;
  readonly tlsa?: TlsaData;
}

/**
 * `not-found`: there is none, says the name service. `retry`: it gave no answer. `fail`: it never will. `invalid`: there
 * are records, none of them usable. `null-mx`, `null-srv`: RFC 7505, RFC 2782: the service is not offered.
 */
export type DnsStatus = 'ok' | 'not-found' | 'retry' | 'fail' | 'invalid' | 'null-mx' | 'null-srv' | 'policy';

export interface DnsAnswer {
  readonly status: DnsStatus;
  /** Only with `ok`; never more than the record limit. */
  readonly records: readonly DnsRecord[];
  /** For the log and for bounces; '' with `ok`. */
  readonly reason: string;
  /** NOERROR, NXDOMAIN, SERVFAIL, ...; TIMEOUT when no server answered. */
  readonly rcode: string;
  /** A validating server that we trust vouches for the answer (AD), all aliases included. */
  readonly secure: boolean;
  /** How long the answer holds, in seconds; also of `not-found`. */
  readonly ttl: number;
}

export interface Dns {
  /** `name` is ASCII without a dot at its end ('.' for the root). Never rejects. */
  lookup(name: string, type: RecordType): MaybePromise<DnsAnswer>;
}

/** herror(3)'s words. */
const troubles = {
  none: 'Host not found',
  again: 'Host not found, try again',
  fail: 'Non-recoverable error',
  noData: 'Host found but no data record of requested type',
} as const;

export function serviceError(name: string, type: string, trouble: keyof typeof troubles): string {
  return `Host or domain name not found. Name service error for name=${name} type=${type}: ${troubles[trouble]}`;
}

/** `4.3.2.1.in-addr.arpa`; `address` must be one. */
export function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  return `${[...ipv6Digits(address)].reverse().join('.')}.ip6.arpa`;
}
