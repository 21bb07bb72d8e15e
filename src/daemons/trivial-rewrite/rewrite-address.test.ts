import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quote822Local } from '../../message/address.ts';
import { internalize, scanAddress } from '../../message/address-tokens.ts';
import { rewriteAddress, type RewriteRules } from './rewrite-address.ts';

const rules: RewriteRules = { swapBangPath: true, percentHack: true, appendAtOrigin: true, appendDotDomain: true };
const context = { origin: 'origin.test', domain: 'domain.test' };

function rewritten(address: string, changes: Partial<RewriteRules> = {}, where = context): string {
  return quote822Local(internalize(rewriteAddress(scanAddress(address), where, { ...rules, ...changes })));
}

const cases: [address: string, want: string, changes?: Partial<RewriteRules>][] = [
  ['joe@example.org', 'joe@example.org'],
  ['joe', 'joe@origin.test'],
  ['joe', 'joe', { appendAtOrigin: false }],
  ['joe@host', 'joe@host.domain.test'],
  ['joe@host', 'joe@host', { appendDotDomain: false }],
  ['joe@host.', 'joe@host'],
  ['joe@example.org.', 'joe@example.org'],
  ['joe@example.org..', 'joe@example.org..'],
  ['joe@.', 'joe@.'],
  ['joe@', 'joe@'],
  ['@', '""'],
  ['""', '""'],
  ['joe%example.org', 'joe@example.org'],
  ['joe%a%b', 'joe%a@b.domain.test'],
  ['joe%example.org', 'joe%example.org@origin.test', { percentHack: false }],
  ['host!joe', 'joe@host.domain.test'],
  ['a!b!joe', 'b!joe@a.domain.test'],
  ['a!joe', 'a!joe@origin.test', { swapBangPath: false }],
  ['a!joe@example.org', 'a!joe@example.org'],
  ['@relay.test:joe@example.org', 'joe@example.org'],
  ['@a,@b:joe@example.org', 'joe@example.org'],
  ['joe@[192.0.2.1]', 'joe@[192.0.2.1]'],
  ['"joe smith"', '"joe smith"@origin.test'],
  ['"joe@else"', '"joe@else"@origin.test'],
];
for (const [address, want, changes] of cases)
  test(`${address} becomes ${want}${changes === undefined ? '' : ` with ${JSON.stringify(changes)}`}`, () => assert.equal(rewritten(address, changes), want));

test('without an origin and a domain nothing is appended', () => {
  assert.equal(rewritten('joe', {}, { origin: '', domain: '' }), 'joe');
  assert.equal(rewritten('joe@host', {}, { origin: '', domain: '' }), 'joe@host');
});
