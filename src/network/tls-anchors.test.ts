import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { anchorsIn, fingerprintRecords } from './tls-anchors.ts';

const place = mkdtempSync(`${tmpdir()}/tls-anchors-`);
after(() => rmSync(place, { recursive: true }));

for (const [text, selectors, keysOnly] of [['AA:bb', [1, 0], false], ['aabb', [1, 0], false], ['AA:BB', [1], true], ['AA:B', [], false], ['', [], false], ['zz', [], false], ['AA::BB', [], false], [`${'AA:'.repeat(64)}AA`, [], false]] as const) {
  test(`a fingerprint: ${text.slice(0, 20)}`, () => {
    const warnings: string[] = [];
    assert.deepEqual(fingerprintRecords(text, (warning) => warnings.push(warning), keysOnly), selectors.map((selector) => ({ usage: 3, selector, matchingType: 255, certificate: Buffer.from([0xaa, 0xbb]) })));
    assert.deepEqual(warnings.map((warning) => warning.slice(0, 40)), selectors.length > 0 ? [] : [`malformed fingerprint value: ${text.slice(0, 100)}`.slice(0, 40)]);
  });
}

test('anchors of a file', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const der = publicKey.export({ type: 'spki', format: 'der' });
  writeFileSync(`${place}/key`, `text before\n${publicKey.export({ type: 'spki', format: 'pem' }) as string}`);
  assert.deepEqual(anchorsIn(`${place}/key`, assert.fail), [3, 2].map((usage) => ({ usage, selector: 1, matchingType: 0, certificate: der })));
});

test('files that have none', () => {
  writeFileSync(`${place}/empty`, '');
  writeFileSync(`${place}/bad`, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  for (const [name, want] of [['empty', /^no trust anchor in file: /], ['bad', /^error reading: .*\/bad: malformed trust-anchor: /], ['nothing', /^error opening trust anchor file: .*\/nothing: No such file or directory$/]] as const) {
    const warnings: string[] = [];
    assert.equal(anchorsIn(`${place}/${name}`, (warning) => warnings.push(warning)), undefined);
    assert.match(warnings[0]!, want);
  }
});
