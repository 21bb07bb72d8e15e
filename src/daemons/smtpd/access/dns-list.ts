/**
 * DNS lists of addresses (reject_rbl_client, permit_dnswl_client) and of domains (reject_rhsbl_*, permit_rhswl_client). RFC 5782,
 * postconf(5).
 *
 * A list that gives no answer refuses nobody; its absence turns a refusal into a deferral where it could have permitted. A list that
 * has what no list may have (127.0.0.1, the domain `invalid`) answers for everything, as dead lists do: it is not believed for a while,
 * and the log is told.
 */
import { ipv6Digits } from '../../../network/address.ts';
import type { Dns, DnsRecord } from '../../../network/dns.ts';
import { ListHealth } from '../../../network/list-health.ts';
import { parseAddressPattern, type AddressPattern } from '../../../text/address-pattern.ts';
import { allDigits } from '../../../text/ascii.ts';
import { validHostname } from '../../../text/hostname.ts';
import { asciiName, outside, remembered } from './names.ts';
import type { AccessSetup } from './setup.ts';
import type { AccessState } from './state.ts';

/** What a list has to say about a client or a domain. `later`: it cannot be asked now. */
export type Listing = { readonly kind: 'listed'; readonly text: string } | { readonly kind: 'not listed' | 'later' };

/** One `domain=pattern` of a restriction. */
export interface DnsList {
  /** As the operator wrote it. */
  readonly name: string;
  readonly domain: string;
  readonly pattern: AddressPattern | undefined;
  /** Begins the question, or joins one that is under way. */
  ask(state: AccessState, subject: string): Promise<Listing>;
}

type QueryName = (subject: string) => string | undefined;

/** Bytes taken of the list's reasons. */
const reasonLimit = 500;

const notListed: Listing = { kind: 'not listed' };

/** 192.0.2.1 is 1.2.0.192; an IPv6 address goes digit by digit. */
const reversed: QueryName = (address) => (address.includes(':') ? [...ipv6Digits(address)].reverse().join('.') : address.split('.').reverse().join('.'));

/** Literals and names that look like addresses have no place in a list of domains. */
const domainOf: QueryName = (subject) => {
  const domain = subject.slice(subject.lastIndexOf('@') + 1);
  if (domain === '' || domain.startsWith('[') || allDigits(domain.slice(domain.lastIndexOf('.') + 1))) return undefined;
  const name = asciiName(domain);
  return validHostname(name) ? name : undefined;
};

export function openDnsList(setup: AccessSetup, name: string, of: 'addresses' | 'domains'): DnsList {
  const at = name.indexOf('=');
  const domain = at < 0 ? name : name.slice(0, at);
  const pattern = at < 0 ? undefined : parseAddressPattern(name.slice(at + 1));
  const queryName = of === 'addresses' ? reversed : domainOf;
  const health = new ListHealth();
  const ask = async (state: AccessState, subject: string): Promise<Listing> => {
    const query = queryName(subject);
    if (query === undefined) return notListed;
    const answer = await remembered(state, `list ${query}.${domain}`, () => lookUp(setup, query, domain, health));
    if (answer.kind !== 'listed') return { kind: answer.kind };
    const isMeant = pattern === undefined || answer.records.some(({ data }) => pattern(data));
    return isMeant ? { kind: 'listed', text: answer.text } : notListed;
  };
  return { name, domain, pattern, ask };
}

type Answer = { readonly kind: 'listed'; readonly records: readonly DnsRecord[]; readonly text: string } | { readonly kind: 'not listed' | 'later' };

async function lookUp(setup: AccessSetup, query: string, domain: string, health: ListHealth): Promise<Answer> {
  const { dns, monotonic } = outside(setup);
  const answer = await dns.lookup(`${query}.${domain}`, 'A');
  if (answer.status === 'not-found') return { kind: 'not listed' };
  if (answer.status !== 'ok') {
    setup.tools.warn(`${query}.${domain}: RBL lookup error: ${answer.reason}`);
    return { kind: 'later' };
  }
  const [text, dead] = await Promise.all([reasonOf(setup, dns, `${query}.${domain}`), health.isDead(domain, query, { dns, monotonic, warn: (line) => setup.tools.warn(line) })]);
  return dead ? { kind: 'not listed' } : { kind: 'listed', records: answer.records, text };
}

async function reasonOf(setup: AccessSetup, dns: Dns, query: string): Promise<string> {
  const { status, records } = await dns.lookup(query, 'TXT');
  if (status === 'policy') setup.tools.warn(`${query}: TXT lookup error: DNS reply filter drops all results`);
  return records.map(({ data }) => data).join(' / ').slice(0, reasonLimit);
}
