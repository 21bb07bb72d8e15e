/**
 * smtpd_dns_reply_filter and its sisters: what an operator's table says `IGNORE` to is as if the name service had never said it.
 *
 * Each record is looked up as a line of text, `name. ttl IN TYPE data`. Never rejects: a table that fails, or says something else, makes
 * the whole answer one to come again for. An answer of which nothing is left has the status `policy`.
 */
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import type { Dns, DnsAnswer, DnsRecord } from './dns.ts';

export interface DnsFilter {
  /** Of the parameter, for the log. */
  readonly title: string;
  /** What the table says; throws or rejects when it cannot be asked, after the log has been told. */
  find(record: string): MaybePromise<string | undefined>;
  info(text: string): void;
  warn(text: string): void;
}

export function filteredDns(dns: Dns, filter: DnsFilter): Dns {
  return { lookup: (name, type) => chain(dns.lookup(name, type), (answer) => (answer.status === 'ok' ? filtered(answer, name, filter) : answer)) };
}

type Fate = 'keep' | 'drop' | 'error';

async function filtered(answer: DnsAnswer, name: string, filter: DnsFilter): Promise<DnsAnswer> {
  const records: DnsRecord[] = [];
  for (const record of answer.records) {
    const fate = await fateOf(recordText(record), filter);
    if (fate === 'error') return empty(answer, name, 'retry', 'Invalid DNS reply filter syntax');
    if (fate === 'keep') records.push(record);
  }
  if (records.length === 0) return empty(answer, name, 'policy', 'DNS reply filter drops all results');
  return records.length === answer.records.length ? answer : { ...answer, records };
}

function empty(answer: DnsAnswer, name: string, status: 'retry' | 'policy', why: string): DnsAnswer {
  return { ...answer, status, records: [], reason: `Error looking up name=${name} type=${answer.records[0]?.type ?? ''}: ${why}` };
}

async function fateOf(text: string, { title, find, info, warn }: DnsFilter): Promise<Fate> {
  let action: string | undefined;
  try {
    const found = find(text);
    action = isPending(found) ? await found : found;
  } catch {
    return 'error';
  }
  if (action === undefined) return 'keep';
  if (/^ignore(?:[ \t]|$)/i.test(action)) {
    info(`ignoring DNS RR: ${text}`);
    return 'drop';
  }
  warn(`${title}: unknown DNS filter action: "${action}"`);
  return 'error';
}

/** A record as the table is asked for it. */
export function recordText({ name, ttl, type, data, preference, weight, port, tlsa }: DnsRecord): string {
  const start = `${name}. ${ttl} IN ${type} `;
  switch (type) {
    case 'A': case 'AAAA': case 'TXT': return start + data;
    case 'MX': return `${start}${preference} ${data}.`;
    case 'SRV': return `${start}${preference} ${weight} ${port} ${data}.`;
    case 'TLSA': return `${start}${tlsa?.usage ?? 0} ${tlsa?.selector ?? 0} ${tlsa?.matchingType ?? 0} ${tlsa?.certificate.toString('hex') ?? ''}`;
    default: return `${start}${data}.`;
  }
}
