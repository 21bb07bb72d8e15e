/**
 * What a name server's packet says about a question: records of the wanted type, or where to ask on, or why there is none.
 *
 * Names in records must be host names, or the record is left out with a warning; nothing a server sends can throw here.
 */
import { validHostaddr, validHostname } from '../text/hostname.ts';
import type { Packet, Record } from 'dns-packet';
import type { DnsRecord, RecordType, TlsaData } from './dns.ts';
import { sameName } from './dns-transport.ts';

export type Reading =
  | { readonly kind: 'records'; readonly records: DnsRecord[] }
  | { readonly kind: 'alias'; readonly name: string; readonly ttl: number }
  | { readonly kind: 'none' | 'malformed' | 'invalid' | 'null-mx' | 'null-srv' };

export interface ReadingOptions {
  readonly limit: number;
  readonly warn: (text: string) => void;
}

const aliasLimit = 10;
const empty = { data: '', preference: 0, weight: 0, port: 0 } as const;

type Parsed = Pick<DnsRecord, 'data' | 'preference' | 'weight' | 'port' | 'tlsa'>;
type Parse = (data: unknown) => Parsed | undefined;

const host = (name: unknown, more: Partial<Parsed> = {}): Parsed | undefined =>
  typeof name === 'string' ? { ...empty, ...more, data: name } : undefined;

const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

const parsers: { readonly [T in RecordType]: Parse } = {
  A: (data) => host(data),
  AAAA: (data) => host(data),
  NS: (data) => host(data),
  PTR: (data) => host(data),
  CNAME: (data) => host(data),
  MX: (data) => host((data as { exchange?: unknown } | null)?.exchange, { preference: number((data as { preference?: unknown } | null)?.preference) }),
  SRV: (data) => {
    const { target, priority, weight, port } = (data ?? {}) as { [name: string]: unknown };
    return host(target, { preference: number(priority), weight: number(weight), port: number(port) });
  },
  TXT: (data) => host(textOf(data)),
  SOA: () => ({ ...empty }),
  TLSA: (data) => (data ? { ...empty, tlsa: data as TlsaData } : undefined),
};

/** The strings of a TXT record as one; what is not printable becomes a space, as Postfix has it. */
function textOf(data: unknown): string {
  const parts = (Array.isArray(data) ? data : [data]) as (Buffer | string)[];
  const text = parts.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))).join('');
  return text.replace(/[^ -~]/g, ' ');
}

const namesHost: ReadonlySet<RecordType> = new Set(['MX', 'NS', 'PTR', 'SRV', 'CNAME']);

/** The answer section, followed through the aliases in it. */
export function readAnswers(packet: Packet, question: { name: string; type: RecordType }, options: ReadingOptions): Reading {
  let { name } = question;
  let ttl = Number.POSITIVE_INFINITY;
  const answers = packet.answers ?? [];
  for (let count = 0; count <= aliasLimit; count++) {
    const own = answers.filter((record) => sameName(record.name, name));
    const wanted = own.filter(({ type }) => type === question.type);
    if (wanted.length > 0) return readRecords(wanted, question, ttl, options);
    const alias = own.find(({ type }) => type === 'CNAME');
    if (!alias) break;
    if (typeof alias.data !== 'string' || !usable(alias.data, 'CNAME', question.name, options.warn)) return { kind: 'invalid' };
    name = alias.data;
    ttl = Math.min(ttl, alias.ttl ?? 0);
  }
  return sameName(name, question.name) ? { kind: answers.length > 0 ? 'malformed' : 'none' } : { kind: 'alias', name, ttl };
}

function readRecords(wanted: readonly Record[], question: { name: string; type: RecordType }, aliasTtl: number, options: ReadingOptions): Reading {
  const { type } = question;
  const records: DnsRecord[] = [];
  let bad: 'malformed' | 'invalid' = 'malformed';
  for (const record of wanted) {
    const parsed = parsers[type](record.data);
    if (!parsed) continue;
    if (type === 'MX' && isRoot(parsed.data)) return { kind: 'null-mx' };
    if (type === 'SRV' && isRoot(parsed.data)) return { kind: 'null-srv' };
    if (namesHost.has(type) && !usable(parsed.data, type, question.name, options.warn)) {
      bad = 'invalid';
      continue;
    }
    if (records.length === options.limit) {
      options.warn(`DNS record count limit (${options.limit}) exceeded -- dropping excess record(s) after qname=${question.name} qtype=${type}`);
      break;
    }
    records.push({ type, name: record.name, ttl: Math.min(record.ttl ?? 0, aliasTtl), ...parsed });
  }
  return records.length > 0 ? { kind: 'records', records } : { kind: bad };
}

function isRoot(name: string): boolean {
  return name === '' || name === '.';
}

// An address where a name should be "works" with other mailers, so it does here, with a complaint.
function usable(name: string, type: RecordType, asked: string, warn: (text: string) => void): boolean {
  const numeric = validHostaddr(name);
  if (!numeric && validHostname(name, true)) return true;
  warn(`${numeric ? 'numeric' : 'malformed'} domain name in resource data of ${type} record for ${asked}: ${name.slice(0, 100)}`);
  return numeric;
}

/** RFC 2308 section 5: how long "there is none" holds. */
export function negativeTtl(packet: Packet): number {
  const soa = packet.authorities?.find(({ type }) => type === 'SOA');
  if (!soa) return 0;
  return Math.min(soa.ttl ?? 0, number((soa.data as { minimum?: unknown } | null)?.minimum));
}
