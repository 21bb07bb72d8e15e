import assert from 'node:assert/strict';
import test from 'node:test';
import type { Log } from '../log/log.ts';
import type { Maps } from './maps.ts';
import { TableTrouble } from './table.ts';
import { addressKeys, nameKeys, TlsLogLevels } from './tls-log-levels.ts';

for (const [name, parents, want] of [
  ['mx.example.org', false, ['mx.example.org', '.example.org', '.org']], ['mx.example.org', true, ['mx.example.org', 'example.org', 'org']], ['unknown', true, ['unknown']], ['', true, []],
] as const) test(`name keys of "${name}"`, () => assert.deepEqual(nameKeys(name, parents), want));

for (const [address, want] of [
  ['192.0.2.1', ['192.0.2.1', '192.0.2', '192.0', '192']], ['2001:db8::1', ['2001:db8::1', '2001:db8:', '2001:db8', '2001']], ['::1', ['::1', ':']], ['', []],
] as const) test(`address keys of "${address}"`, () => assert.deepEqual(addressKeys(address), want));

function levels(entries: Record<string, string>, warnings: string[] = []): TlsLogLevels {
  const find = (key: string): string | undefined => {
    if (entries[key] === 'trouble') throw new TableTrouble('test:x', 'out of reach');
    return entries[key];
  };
  return new TlsLogLevels({
    parameter: 'smtpd_tls_loglevel', usual: '1', parents: true, maps: { isEmpty: Object.keys(entries).length === 0, find } as unknown as Maps,
    log: { warning: (text: string) => void warnings.push(text) } as unknown as Log,
  });
}

const client = { name: 'mx.example.org', address: '192.0.2.1' };
for (const [title, entries, summary, verbose] of [
  ['no tables', {}, true, false], ['the domain', { 'example.org': '0' }, false, false], ['the network', { '192.0.2': '2' }, true, true],
  ['the name before the address', { org: '0', '192.0.2.1': '2' }, false, false], ['dunno', { 'mx.example.org': 'dunno', '192.0.2.1': '2' }, true, false],
  ['a table out of reach', { 'mx.example.org': 'trouble' }, true, false],
] as const) {
  test(`the level for a client: ${title}`, async () => {
    const mask = await levels(entries).of(client);
    assert.deepEqual([mask.summary, mask.verbose], [summary, verbose]);
  });
}

test('a word that means nothing is told once', async () => {
  const warnings: string[] = [];
  const found = levels({ org: 'loud' }, warnings);
  await found.of(client);
  await found.of(client);
  assert.deepEqual(warnings, ['unknown smtpd_tls_loglevel_maps value "loud" in "loud"']);
});
