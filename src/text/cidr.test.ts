import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrMatches, parseCidr, parseIpAddress, renderIpAddress } from './cidr.ts';

for (const [pattern, address, want] of [
  ['192.0.2.0/24', '192.0.2.255', true], ['192.0.2.0/24', '192.0.3.0', false], ['192.0.2.1', '192.0.2.1', true], ['192.0.2.1', '192.0.2.2', false],
  ['0.0.0.0/0', '203.0.113.9', true], ['0.0.0.0/0', '::1', false], ['10.0.0.0/9', '10.127.0.1', true], ['10.0.0.0/9', '10.128.0.1', false],
  ['[2001:db8::]/32', '2001:db8:1::1', true], ['[2001:db8::/32]', '2001:db9::1', false], ['[::1]', '0:0:0:0:0:0:0:1', true], ['::/0', '2001:db8::', true],
  ['::ffff:192.0.2.0/120', '::ffff:192.0.2.7', true], ['192.0.2.1', 'no address', false],
] as const) {
  test(`${address} ${want ? 'lies' : 'does not lie'} in ${pattern}`, () => {
    const result = parseCidr(pattern);
    assert.ok('pattern' in result);
    assert.equal(cidrMatches(result.pattern, address), want);
  });
}

for (const [pattern, want] of [
  ['192.0.2.1/24', 'non-null host address bits in "192.0.2.1/24", perhaps you should use "192.0.2.0/24" instead'],
  ['2001:db8::1/32', 'non-null host address bits in "2001:db8::1/32", perhaps you should use "2001:db8::/32" instead'],
  ['192.0.2.0/33', 'bad mask length in "192.0.2.0/33"'],
  ['192.0.2.0/x', 'bad mask value in "192.0.2.0/x"'],
  ['192.0.2/24', 'bad network value in "192.0.2/24"'],
  ['192.0.2', 'bad address pattern: "192.0.2"'],
  ['[::1', 'missing \']\' character after "[::1"'],
  ['[::1]x', 'garbage after "[::1]"'],
] as const) {
  test(`${pattern} is a bad pattern`, () => assert.deepEqual(parseCidr(pattern), { error: want }));
}

for (const [text, want] of [
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'], ['0:0:0:0:0:0:0:0', '::'], ['1:0:0:2:0:0:0:3', '1:0:0:2::3'], ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'], ['::192.0.2.1', '::192.0.2.1'], ['::1', '::1'], ['fe80::', 'fe80::'], ['192.0.2.1', '192.0.2.1'],
] as const) {
  test(`${text} is written ${want}`, () => assert.equal(renderIpAddress(parseIpAddress(text)!), want));
}

test('addresses survive being written and read', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })), (bytes) => {
    assert.deepEqual(parseIpAddress(renderIpAddress(bytes)), bytes);
  }));
});

test('an address here is an address for the platform', () => {
  const char = fc.constantFrom(...'0123456789abcf.:%');
  fc.assert(fc.property(fc.oneof(fc.string({ unit: char, maxLength: 20 }), fc.ipV4(), fc.ipV6()), (text) => {
    assert.equal(parseIpAddress(text) !== undefined, isIP(text) !== 0 && !text.includes('%'));
  }), { numRuns: 2000 });
});
