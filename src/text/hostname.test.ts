import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as host from './hostname.ts';

const label = 'a'.repeat(63);

for (const [name, want] of [
  ['example.org', true], ['localhost', true], ['_dmarc.example.org', true], ['1.2.3.x', true], ['a-b', true], [`${label}.org`, true], [`${label}.${label}.${label}.${label}`, true],
  ['', false], ['.', false], ['a..b', false], ['.a', false], ['a.', false], ['-a', false], ['a-', false], ['a-.b', false], ['a b', false], ['1.2.3', false], ['12', false], [`${label}a`, false],
  [`${label}.${label}.${label}.${label}.a`, false], ['[1.2.3.4]', false], ['\xe9', false], ['*.example.org', false],
] as const) {
  test(`${JSON.stringify(name.slice(0, 40))} is ${want ? 'a' : 'no'} hostname`, () => assert.equal(host.validHostname(name), want));
}

for (const [name, want] of [['*.example.org', true], ['*', false], ['*.', false], ['a.*.b', false], ['**.a', false]] as const) {
  test(`${name} is ${want ? 'a' : 'no'} wildcard name`, () => assert.equal(host.validHostname(name, true), want));
}

for (const [address, want] of [
  ['192.0.2.1', true], ['0.0.0.0', true], ['255.255.255.255', true], ['0.1.2.3', false], ['1.2.3', false], ['1.2.3.4.5', false], ['256.1.1.1', false], ['1.2.3.', false], ['1..2.3', false], ['', false], ['a.b.c.d', false],
  ['::', true], ['::1', true], ['1::', true], ['2001:db8::1', true], ['1:2:3:4:5:6:7:8', true], ['::ffff:192.0.2.1', true], ['1:2:3:4:5:6:192.0.2.1', true],
  [':1', false], ['1:', false], ['1:2', false], ['1::2::3', false], [':::', false], ['1:2:3:4:5:6:7:8:9', false], ['12345::', false], ['g::', false], ['1:192.0.2.1', false], ['fe80::1%eth0', false],
] as const) {
  test(`${JSON.stringify(address)} is ${want ? 'an' : 'no'} address`, () => assert.equal(host.validHostaddr(address), want));
}

for (const [literal, want] of [
  ['[192.0.2.1]', '192.0.2.1'], ['[IPv6:2001:db8::1]', '2001:db8::1'], ['[ipv6:::1]', '::1'],
  ['[::1]', undefined], ['[IPv6:192.0.2.1]', undefined], ['192.0.2.1', undefined], ['[192.0.2.1', undefined], ['[192.0.2.1]x', undefined], ['[]', undefined],
] as const) {
  test(`${literal} is ${want ?? 'no address literal'}`, () => {
    assert.equal(host.mailhostLiteral(literal), want);
    assert.equal(host.validMailhostLiteral(literal), want !== undefined);
  });
}

test('ports and literal forms', () => {
  assert.deepEqual(['0', '25', '65535', '65536', '025', '', '2a', '-1'].map(host.validHostport), [true, true, true, false, false, false, false, false]);
  assert.equal(host.mailhostForm('::1'), 'IPv6:::1');
  assert.equal(host.mailhostForm('192.0.2.1'), '192.0.2.1');
});
