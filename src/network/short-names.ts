/**
 * smtp_dns_resolver_options: host names that are completed from the `search` and `domain` lines of resolv.conf(5), as res_search(3) does it.
 * Addresses only; MX and other records are asked for as they are. Never rejects.
 */
import { isPending, type MaybePromise } from '../text/maybe.ts';
import type { Dns, DnsAnswer } from './dns.ts';

export interface ShortNames {
  /** A name without a dot gets the local domain. */
  readonly defnames: boolean;
  /** Names are tried in each domain of the list. */
  readonly dnsrch: boolean;
  /** The list as it is now, the local domain first. */
  domains(): readonly string[];
}

export function completedDns(dns: Dns, names: ShortNames): Dns {
  if (!names.defnames && !names.dnsrch) return dns;
  return { lookup: (name, type) => (type === 'A' || type === 'AAAA' ? inTurn(dns, type, forms(name, names)) : dns.lookup(name, type)) };
}

/** The names to try, in order. */
function forms(name: string, { defnames, dnsrch, domains }: ShortNames): string[] {
  const dotted = name.includes('.');
  const list = dnsrch ? domains() : defnames && !dotted ? domains().slice(0, 1) : [];
  const completed = list.filter((domain) => domain !== '').map((domain) => `${name}.${domain}`);
  return dotted ? [name, ...completed] : [...completed, name];
}

/** The first that is there; that nobody knows about one of them is an answer too. The trouble is that of the name as it was asked for. */
function inTurn(dns: Dns, type: 'A' | 'AAAA', all: readonly string[], at = 0): MaybePromise<DnsAnswer> {
  const answer = dns.lookup(all[at]!, type);
  const next = (found: DnsAnswer): MaybePromise<DnsAnswer> =>
    (found.status === 'not-found' && at + 1 < all.length ? inTurn(dns, type, all, at + 1) : found);
  return isPending(answer) ? answer.then(next) : next(answer);
}
