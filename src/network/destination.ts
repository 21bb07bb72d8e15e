/**
 * From a destination to the addresses to try, in order: MX and SRV records, addresses, ourselves among them, and the limits.
 *
 * RFC 5321 section 5.1 with Postfix's choices: equally preferred hosts in random order (their addresses too), a cut at our own
 * place in the list, IPv4 and IPv6 balanced. DNS, the hosts file and luck are handed in. Never rejects: no addresses comes with
 * a `why`. A temporary trouble with any host wins over permanent ones of others.
 */
import net from 'node:net';
import { isAscii, sameIgnoringCase } from '../text/ascii.ts';
import { validHostaddr } from '../text/hostname.ts';
import { addressKey } from './address.ts';
import type { Dns, DnsAnswer, DnsRecord } from './dns.ts';
import { domainToAscii } from './idna.ts';
import type { NativeAnswer } from './native-lookup.ts';

export interface HostAddress {
  /** The name as it was asked for. */
  readonly host: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly preference: number;
  /** From an SRV record; 0: the destination's own. */
  readonly port: number;
  /** What the name is an alias of, where it is one. */
  readonly canonical?: string;
  /** The name service vouches for the address, and for the alias. */
  readonly secure?: true;
}

/** The MX or SRV records that were followed. */
export interface ServiceRecords {
  readonly name: string;
  /** What the name is an alias of, or itself. */
  readonly canonical: string;
  /** The name service vouches for them. */
  readonly secure: boolean;
}

export interface Why {
  /** Enhanced status. */
  readonly status: string;
  readonly reason: string;
}

export interface Destinations {
  readonly addresses: readonly HostAddress[];
  /** When there are none. */
  readonly why?: Why | undefined;
  /** We are one of the MX hosts: what is less preferred than we are was left out. */
  readonly selfIsMx: boolean;
  readonly records?: ServiceRecords;
}

export interface DestinationSettings {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** smtp_host_lookup, after smtp_dns_support_level. */
  readonly lookup: { readonly dns: boolean; readonly native: boolean };
  readonly preference: 'ipv4' | 'ipv6' | 'any';
  readonly randomize: boolean;
  readonly balance: boolean;
  /** smtp_mx_address_limit; 0: none. */
  readonly addressLimit: number;
  readonly ignoreMxError: boolean;
  readonly ignoreSrvError: boolean;
  readonly allowSrvFallback: boolean;
  /** smtp_defer_if_no_mx_address_found */
  readonly deferNoMxAddress: boolean;
  readonly idnaTransitional: boolean;
}

export interface DestinationTools {
  readonly settings: DestinationSettings;
  readonly dns: Dns;
  readonly native: (host: string) => Promise<NativeAnswer>;
  /** addressKey() of every address that is us, or is passed on to us. */
  readonly own: ReadonlySet<string>;
  /** 0 up to but not including 1. */
  readonly random: () => number;
  readonly log: { info(text: string): void; warning(text: string): void };
}

/** Addresses found so far, and the trouble that matters most. */
interface Search {
  readonly addresses: HostAddress[];
  why: Why | undefined;
}

interface Host {
  readonly name: string;
  readonly preference: number;
  readonly port: number;
}

/** A host, with no MX or SRV lookup. */
export async function hostAddresses(host: string, detectLoop: boolean, tools: DestinationTools): Promise<Destinations> {
  const search: Search = { addresses: [], why: undefined };
  await addHost(search, { name: asAscii(host, tools), preference: 0, port: 0 }, tools);
  const { addresses } = search;
  if (detectLoop && addresses.some((each) => isSelf(each, tools)))
    return { addresses: [], why: { status: '5.4.6', reason: `mail for ${host} loops back to myself` }, selfIsMx: false };
  return { addresses: arrange(addresses, tools), why: addresses.length > 0 ? undefined : search.why, selfIsMx: false };
}

/** A mail domain. */
export async function domainAddresses(domain: string, detectLoop: boolean, tools: DestinationTools): Promise<Destinations> {
  const name = asAscii(domain, tools);
  const answer = await tools.dns.lookup(name, 'MX');
  if (answer.status === 'not-found') return hostAddresses(name, detectLoop, tools);
  if (answer.status !== 'ok') {
    const ignored = tools.settings.ignoreMxError && ignorable.has(answer.status);
    return ignored ? hostAddresses(name, detectLoop, tools) : nowhere(whyNot(answer));
  }
  const search = await addressesOf(answer.records.toSorted(byPreference), tools);
  if (search.addresses.length === 0) {
    tools.log.warning(`no MX host for ${domain} has a valid address record`);
    return nowhere(tools.settings.deferNoMxAddress ? softened(search.why) : search.why);
  }
  return { ...lessSelf(search.addresses, answer.records, domain, detectLoop, tools, (left) => arrange(left, tools)), records: recordsOf(name, answer) };
}

/** The hosts of a service of a domain: RFC 2782. `mx`: without SRV records, mail goes by MX. */
export async function serviceAddresses(domain: string, service: string, mx: boolean, detectLoop: boolean, tools: DestinationTools): Promise<Destinations> {
  const shown = `_${service}._tcp.${domain}`;
  const answer = await tools.dns.lookup(asAscii(shown, tools), 'SRV');
  let found = nowhere(answer.status === 'not-found' ? { status: '5.4.4', reason: answer.reason } : whyNot(answer));
  if (answer.status === 'ok') {
    const search = await addressesOf(orderServices(answer.records, tools.random), tools);
    if (search.addresses.length > 0) {
      const found = lessSelf(search.addresses, answer.records, shown, detectLoop, tools, (left) => balance(left, tools));
      if (found.addresses.length > 0) return { ...found, records: recordsOf(shown, answer) };
    } else tools.log.warning(`no SRV host for ${shown} has a valid address record`);
    found = nowhere(search.why);
  }
  const { allowSrvFallback, ignoreSrvError } = tools.settings;
  if (!allowSrvFallback && !(ignoreSrvError && ignorable.has(answer.status))) return found;
  tools.log.info(`skipping SRV lookup for ${shown}: ${found.why?.reason ?? ''}`);
  return mx ? domainAddresses(domain, detectLoop, tools) : hostAddresses(domain, detectLoop, tools);
}

const ignorable: ReadonlySet<DnsAnswer['status']> = new Set(['retry', 'invalid', 'fail']);

const statusOf: { readonly [S in DnsAnswer['status']]?: string } = {
  invalid: '5.4.4', 'null-mx': '5.1.0', 'null-srv': '5.1.0', policy: '4.7.0', fail: '5.4.3',
};

function whyNot({ status, reason }: DnsAnswer): Why {
  return { status: statusOf[status] ?? '4.4.3', reason };
}

function recordsOf(name: string, { records, secure }: DnsAnswer): ServiceRecords {
  return { name, canonical: records[0]?.name ?? name, secure };
}

function nowhere(why: Why | undefined): Destinations {
  return { addresses: [], why, selfIsMx: false };
}

function softened(why: Why | undefined): Why | undefined {
  return why && { ...why, status: `4${why.status.slice(1)}` };
}

function byPreference(one: DnsRecord, other: DnsRecord): number {
  return one.preference - other.preference;
}

function asAscii(name: string, { settings, log }: DestinationTools): string {
  if (isAscii(name)) return name;
  const answer = domainToAscii(name, settings.idnaTransitional);
  if ('ascii' in answer) return answer.ascii;
  log.warning(answer.trouble);
  return name;
}

async function addressesOf(records: readonly DnsRecord[], tools: DestinationTools): Promise<Search> {
  const search: Search = { addresses: [], why: undefined };
  // All at once: the resolver joins equal questions, so that those below find their answers under way.
  if (records.length > 1) for (const { data } of records.slice(0, aheadLimit)) askAhead(data, tools);
  for (const { data, preference, port } of records) await addHost(search, { name: data, preference, port }, tools);
  return search;
}

const aheadLimit = 10;

function askAhead(host: string, { dns, settings: { lookup, ipv4, ipv6 } }: DestinationTools): void {
  if (!lookup.dns || validHostaddr(host)) return;
  if (ipv4) void dns.lookup(host, 'A');
  if (ipv6) void dns.lookup(host, 'AAAA');
}

async function addHost(search: Search, host: Host, tools: DestinationTools): Promise<void> {
  const { settings: { lookup, ipv4, ipv6 } } = tools;
  const family = validHostaddr(host.name) ? net.isIP(host.name) : 0;
  if ((family === 4 && ipv4) || (family === 6 && ipv6)) return add(search, host, [host.name], tools);
  if (lookup.dns && (await addByDns(search, host, tools))) return;
  if (lookup.native) await addByNative(search, host, tools);
}

/** True: nothing further is to be asked about this host. */
async function addByDns(search: Search, host: Host, tools: DestinationTools): Promise<boolean> {
  const { dns, settings: { ipv4, ipv6 } } = tools;
  const asked = [...(ipv4 ? [dns.lookup(host.name, 'A')] : []), ...(ipv6 ? [dns.lookup(host.name, 'AAAA')] : [])];
  const answers = await Promise.all(asked);
  const verdict = answers.reduce(weightier);
  for (const { records, secure } of answers) for (const { data, name } of records) add(search, host, [data], tools, { name, secure });
  if (verdict.status === 'ok') return true;
  trouble(search, hostTrouble[verdict.status] ?? 'soft 4.4.3', verdict.reason);
  return verdict.status !== 'not-found';
}

const weight: readonly DnsAnswer['status'][] = ['not-found', 'null-srv', 'null-mx', 'fail', 'invalid', 'retry', 'policy', 'ok'];

function weightier(one: DnsAnswer, other: DnsAnswer): DnsAnswer {
  return weight.indexOf(other.status) >= weight.indexOf(one.status) ? other : one;
}

const hostTrouble: { readonly [S in DnsAnswer['status']]?: string } = {
  fail: '5.4.3', invalid: '5.4.4', 'not-found': '5.4.4', policy: 'soft 4.7.0', retry: 'soft 4.4.3',
};

// The text is that of the last host asked; that some trouble was temporary is not forgotten.
function trouble(search: Search, status: string, reason: string): void {
  const soft = search.why?.status.startsWith('4') ?? false;
  search.why = { status: status.startsWith('soft ') ? status.slice(5) : soft ? `4${status.slice(1)}` : status, reason };
}

/** "no data" is not among what the C library tells Postfix of a host that does not exist (EAI_NODATA is for those who ask for GNU names). */
const nativeTrouble: { readonly [Kind in NonNullable<NativeAnswer['trouble']>['kind']]: string } = { again: 'soft 4.4.4', 'no name': '5.4.4', 'no data': '5.3.0' };

async function addByNative(search: Search, host: Host, tools: DestinationTools): Promise<void> {
  const { addresses, trouble: why } = await tools.native(host.name);
  const before = search.addresses.length;
  add(search, { ...host, port: 0 }, addresses, tools);
  if (why) trouble(search, nativeTrouble[why.kind], `unable to look up host ${host.name}: ${why.text}`);
  else if (search.addresses.length === before) trouble(search, '5.4.4', `${host.name}: host not found`);
}

function add(search: Search, host: Host, addresses: readonly string[], { settings: { ipv4, ipv6 } }: DestinationTools, found = { name: host.name, secure: false }): void {
  const facts = { ...(sameIgnoringCase(found.name, host.name) ? {} : { canonical: found.name }), ...(found.secure ? { secure: true } as const : {}) };
  for (const address of addresses) {
    const family = net.isIP(address) === 6 ? 6 : 4;
    if (family === 4 ? ipv4 : ipv6) search.addresses.push({ host: host.name, address, family, preference: host.preference, port: host.port, ...facts });
  }
}

function isSelf({ address }: HostAddress, { own }: DestinationTools): boolean {
  return own.has(addressKey(address));
}

/** Without ourselves and whoever is not preferred to us (RFC 5321 section 5.1): they would send it back. */
function lessSelf(
  addresses: readonly HostAddress[], records: readonly DnsRecord[], name: string, detectLoop: boolean, tools: DestinationTools,
  order: (left: readonly HostAddress[]) => HostAddress[],
): Destinations {
  const self = detectLoop ? addresses.find((each) => isSelf(each, tools)) : undefined;
  if (!self) return { addresses: order(addresses), selfIsMx: false };
  const cut = addresses.findIndex(({ preference }) => preference === self.preference);
  const left = addresses.slice(0, cut);
  if (left.length > 0) return { addresses: order(left), selfIsMx: true };
  const best = Math.min(...records.map(({ preference }) => preference));
  const why = best !== addresses[0]!.preference
    ? { status: '4.4.4', reason: `unable to find primary relay for ${name}` }
    : { status: '5.4.6', reason: `mail for ${name} loops back to myself` };
  return { addresses: [], why, selfIsMx: true };
}

function arrange(addresses: readonly HostAddress[], tools: DestinationTools): HostAddress[] {
  if (addresses.length < 2) return [...addresses];
  const { randomize, preference } = tools.settings;
  const list = randomize ? shuffled(addresses, tools.random) : [...addresses];
  const first = preference === 'ipv6' ? 6 : 4;
  list.sort((one, other) => one.preference - other.preference
    || (preference === 'any' ? 0 : Number(other.family === first) - Number(one.family === first)));
  return balance(list, tools);
}

/** RFC 5321 section 5.1: spread the load over equals. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const mixed = [...list];
  for (let at = 0; at < mixed.length - 1; at++) {
    const other = at + Math.floor(random() * (mixed.length - at));
    [mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!];
  }
  return mixed;
}

/** Within the limit neither family may crowd out the other: a destination may be reachable over one of them only. */
export function balance(addresses: readonly HostAddress[], { settings: { addressLimit, balance: wanted } }: DestinationTools): HostAddress[] {
  const v4 = addresses.filter(({ family }) => family === 4).length;
  const v6 = addresses.length - v4;
  if (!wanted || addressLimit <= 0 || v4 === 0 || v6 === 0 || addresses.length <= addressLimit) return [...addresses];
  const half = addressLimit / 2;
  let keepV4 = Math.floor((addressLimit + (addresses[0]!.family === 4 ? 1 : 0)) / 2);
  if (v6 <= Math.floor(half)) keepV4 = addressLimit - v6;
  else if (v4 <= Math.floor(half)) keepV4 = v4;
  const room = { 4: keepV4, 6: addressLimit - keepV4 };
  return addresses.filter(({ family }) => room[family]-- > 0);
}

/** By priority; equals in random order, the heavier ones more likely first (RFC 2782, "Weight"). */
export function orderServices(records: readonly DnsRecord[], random: () => number): DnsRecord[] {
  const ordered: DnsRecord[] = [];
  const groups = Map.groupBy(shuffled(records, random), ({ preference }) => preference);
  for (const preference of [...groups.keys()].sort((one, other) => one - other)) {
    const left = groups.get(preference)!;
    while (left.length > 0) ordered.push(...left.splice(weighted(left, random), 1));
  }
  return ordered;
}

function weighted(records: readonly DnsRecord[], random: () => number): number {
  const total = records.reduce((sum, record) => sum + record.weight, 0);
  if (total === 0) return 0;
  const threshold = Math.floor(random() * (total + 1));
  let sum = 0;
  return records.findIndex((record) => (sum += record.weight) >= threshold);
}
