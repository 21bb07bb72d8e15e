import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dns, DnsAnswer } from './dns.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { completedDns } from './short-names.ts';

function known(names: Readonly<Record<string, DnsAnswer['status']>>, asked: string[]): Dns {
  return {
    lookup: (name, type) => {
      asked.push(`${type} ${name}`);
      return { status: names[name] ?? 'not-found', records: [], reason: name, rcode: '', secure: false, ttl: 0 };
    },
  };
}

const names = { 'mail.one.test': 'ok', 'mail.two.test': 'ok', 'other.two.test': 'ok', 'a.b.two.test': 'ok', 'slow.one.test': 'retry', 'slow.two.test': 'ok' } as const;
for (const [options, name, type, want] of [
  ['', 'mail', 'A', ['A mail']],
  ['res_defnames', 'mail', 'A', ['A mail.one.test']],
  ['res_defnames', 'other', 'AAAA', ['AAAA other.one.test', 'AAAA other']],
  ['res_defnames', 'a.b', 'A', ['A a.b']],
  ['res_dnsrch', 'other', 'A', ['A other.one.test', 'A other.two.test']],
  ['res_dnsrch', 'a.b', 'A', ['A a.b', 'A a.b.one.test', 'A a.b.two.test']],
  ['res_dnsrch', 'slow', 'A', ['A slow.one.test']],
  ['res_dnsrch', 'mail', 'MX', ['MX mail']],
] as const) test(`with "${options}" ${type} ${name} is looked for as ${want.join(', ')}`, async () => {
  const asked: string[] = [];
  const dns = completedDns(known(names, asked), { defnames: options === 'res_defnames', dnsrch: options === 'res_dnsrch', domains: () => ['one.test', 'two.test'] });
  await dns.lookup(name, type);
  assert.deepEqual(asked, want);
});

test('the list comes from resolv.conf: the last of search and domain counts', () => {
  assert.deepEqual(parseResolvConf('domain a.test\nsearch b.test. c.test\n').search, ['b.test', 'c.test']);
  assert.deepEqual(parseResolvConf('search b.test c.test\ndomain a.test x.test\n').search, ['a.test']);
  assert.equal(parseResolvConf('nameserver 127.0.0.1\n').search, undefined);
});
