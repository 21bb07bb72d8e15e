import assert from 'node:assert/strict';
import test from 'node:test';
import { filteredDns } from './dns-filter.ts';
import type { DnsRecord } from './dns.ts';

const record = (type: DnsRecord['type'], data: string, preference = 0): DnsRecord => ({ type, name: 'a.test', ttl: 60, data, preference, weight: 0, port: 0 });
const records = [record('MX', 'one.test', 10), record('MX', 'two.test', 20)];

for (const [name, entries, want] of [
  ['nothing is ignored', {}, 'ok one.test two.test'],
  ['one is ignored', { 'a.test. 60 IN MX 10 one.test.': 'IGNORE' }, 'ok two.test'],
  ['all are ignored', { 'a.test. 60 IN MX 10 one.test.': 'ignore it', 'a.test. 60 IN MX 20 two.test.': 'IGNORE' }, 'policy'],
  ['an action that is none', { 'a.test. 60 IN MX 20 two.test.': 'DROP' }, 'retry'],
  ['a table that fails', undefined, 'retry'],
] as const) {
  test(`dns reply filter: ${name}`, async () => {
    const known = new Map<string, string>(Object.entries(entries ?? {}));
    const find = (text: string): string | undefined => {
      if (entries === undefined) throw new Error('out of order');
      return known.get(text);
    };
    const dns = { lookup: () => ({ status: 'ok', records, reason: '', rcode: 'NOERROR', secure: false, ttl: 60 }) as const };
    const answer = await filteredDns(dns, { title: 'smtpd_dns_reply_filter', find, info: () => undefined, warn: () => undefined }).lookup('a.test', 'MX');
    assert.equal([answer.status, ...answer.records.map(({ data }) => data)].join(' '), want);
  });
}
