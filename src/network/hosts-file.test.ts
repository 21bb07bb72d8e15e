import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Dns, DnsAnswer } from './dns.ts';
import { HostsFile, parseHosts } from './hosts-file.ts';
import { domainToAscii } from './idna.ts';
import { lookupNative } from './native-lookup.ts';
import { HandTicker } from './testing.ts';

for (const [name, text, want] of [
  ['names and aliases', '127.0.0.1 localhost Loop # comment\n', { localhost: ['127.0.0.1'], loop: ['127.0.0.1'] }],
  ['several addresses', '127.0.0.1 a\n::1 a\n127.0.0.1 a\n', { a: ['127.0.0.1', '::1'] }],
  ['no addresses', 'x y\n# 1.2.3.4 z\n1.2.3 w\n\n', {}],
] as const) test(`hosts: ${name}`, () => assert.deepEqual(Object.fromEntries(parseHosts(text)), want));

test('the file is read again when it changes, and kept when it is gone', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hosts-'));
  const ticker = new HandTicker();
  const path = join(directory, 'hosts');
  writeFileSync(path, '192.0.2.1 a\n');
  const hosts = new HostsFile(path, ticker);
  assert.deepEqual(hosts.addresses('A'), ['192.0.2.1']);
  writeFileSync(path, '192.0.2.2 a bb\n');
  assert.deepEqual(hosts.addresses('a'), ['192.0.2.1']);
  ticker.pass(5000);
  assert.deepEqual(hosts.addresses('a'), ['192.0.2.2']);
  rmSync(directory, { recursive: true });
  ticker.pass(5000);
  assert.deepEqual(hosts.addresses('bb'), ['192.0.2.2']);
});

const answer = (change: Partial<DnsAnswer>): DnsAnswer => ({ status: 'not-found', records: [], reason: '', rcode: 'NXDOMAIN', secure: false, ttl: 0, ...change });
for (const [name, answers, want] of [
  ['not known', {}, 'Name or service not known'],
  ['no address', { rcode: 'NOERROR' }, 'No address associated with hostname'],
  ['nobody answers', { status: 'retry', rcode: 'TIMEOUT' }, 'Temporary failure in name resolution'],
] as const) test(`native lookup: ${name}`, async () => {
  const dns: Dns = { lookup: () => answer(answers) };
  assert.equal((await lookupNative('x.example', new HostsFile('/nonexistent', new HandTicker()), dns)).trouble?.text, want);
});

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
for (const [domain, want] of [
  [utf8('bücher.example'), 'xn--bcher-kva.example'],
  [utf8('faß.example'), 'xn--fa-hia.example'],
  ['b\xfccher.example', 'malformed UTF-8'],
  [utf8('-ü.example'), 'invalid international domain name'],
  [utf8('ü ü.example'), 'malformed ASCII label(s)'],
] as const) test(`ASCII form of ${JSON.stringify(domain)}`, () => {
  const found = domainToAscii(domain);
  assert.ok('ascii' in found ? found.ascii === want : found.trouble.endsWith(`to ASCII form: ${want}`), JSON.stringify(found));
});
