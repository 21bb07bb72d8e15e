import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quote821Local, quote822Local, splitAddress, splitExtension, stripAddress, unquote822Local } from './address.ts';

for (const [address, want] of [
  ['joe@example.org', { local: 'joe', domain: 'example.org' }], ['a@b@c', { local: 'a@b', domain: 'c' }], ['joe', { local: 'joe', domain: undefined }], ['joe@', { local: 'joe', domain: '' }], ['@x', { local: '', domain: 'x' }], ['', { local: '', domain: undefined }],
] as const) {
  test(`split "${address}"`, () => assert.deepEqual(splitAddress(address), want));
}

for (const [internal, external] of [
  ['joe@example.org', 'joe@example.org'], ['joe smith@example.org', '"joe smith"@example.org'], ['a"b\\c@x', '"a\\"b\\\\c"@x'], ['.a@x', '".a"@x'], ['a.@x', '"a."@x'], ['a..b@x', '"a..b"@x'],
  ['a@b@x', '"a@b"@x'], ['\xe9@x', '\xe9@x'], ['', '""'], ['@x', '""@x'], ['a%b@x', 'a%b@x'], ['a!b@x', 'a!b@x'], ['a,b@x', '"a,b"@x'], ['a\tb@x', '"a\tb"@x'], ['joe', 'joe'],
] as const) {
  test(`"${internal}" is written ${external}`, () => {
    assert.equal(quote822Local(internal), external);
    assert.equal(quote821Local(internal), external);
  });
}

test('the two kinds of quoting differ in routes and line feeds', () => {
  assert.equal(quote822Local('@hop:a b@x'), '@hop:"a b"@x');
  assert.equal(quote821Local('a\nb@x'), '"a\\\nb"@x');
  assert.equal(quote822Local('a\nb@x'), '"a\nb"@x');
});

test('what is seen at one glance is what the long look says', () => {
  const word = fc.string({ unit: fc.constantFrom(...'aZ9-_+=..@@:"%\xe9 '.split('')), maxLength: 8 });
  fc.assert(fc.property(word, (address) => {
    assert.equal(quote822Local(address), quote822Local(address, {}));
    assert.equal(quote821Local(address), quote821Local(address, {}));
  }), { numRuns: 2000 });
});

test('options of quoting', () => {
  assert.equal(quote822Local('a@b@x', { exposeAt: true }), 'a@b@x');
  assert.equal(quote822Local('a@b', { bareLocalpart: true }), '"a@b"');
  assert.equal(quote822Local('\xe9@x', { eightBitClean: false }), '"\\\xe9"@x');
});

for (const [external, internal] of [
  ['"joe smith"@example.org', 'joe smith@example.org'], ['"a@b"@x', 'a@b@x'], ['a\\@b', 'a@b'], ['@hop:"a b"@x', '@hop:a b@x'], ['"a"@"x"', 'a@"x"'], ['a\\', 'a'], ['"', ''], ['joe', 'joe'],
] as const) {
  test(`${external} means "${internal}"`, () => assert.equal(unquote822Local(external), internal));
}

const local = fc.string({ unit: fc.constantFrom(...'ab."\\@ <>(),\t\xe9%!'.split('')), maxLength: 10 });
const domain = fc.constantFrom('x', 'example.org', '[192.0.2.1]');

test('an address survives quoting and unquoting', () => {
  fc.assert(fc.property(local, domain, (left, right) => {
    const address = `${left}@${right}`;
    fc.pre(!/^@[^:]*:/.test(address));
    assert.equal(unquote822Local(quote822Local(address)), address);
    assert.equal(unquote822Local(quote821Local(address)), address);
  }), { numRuns: 1000 });
});

for (const [name, delimiters, want] of [
  ['joe+list', '+', { base: 'joe', delimiter: '+', extension: 'list' }], ['joe-a+b', '+-', { base: 'joe', delimiter: '-', extension: 'a+b' }], ['joe+', '+', { base: 'joe', delimiter: '+', extension: '' }],
  ['joe', '+', undefined], ['+list', '+', undefined], ['joe+list', '', undefined], ['Postmaster', 't', undefined], ['MAILER-daemon', '-', undefined], ['double-bounce', '-', undefined],
  ['owner-foo', '-', undefined], ['foo-REQUEST', '-', undefined], ['-request', '-', undefined], ['owner-foo', '+', undefined], ['owner-foo+x', '+', { base: 'owner-foo', delimiter: '+', extension: 'x' }], ['xowner-foo', '-', { base: 'xowner', delimiter: '-', extension: 'foo' }],
] as const) {
  test(`extension of "${name}" with "${delimiters}"`, () => assert.deepEqual(splitExtension(name, delimiters), want));
}

test('owner- and -request are ordinary when the operator says so', () => {
  assert.deepEqual(splitExtension('owner-foo', '-', { ownerRequestSpecial: false }), { base: 'owner', delimiter: '-', extension: 'foo' });
  assert.equal(splitExtension('probe-1', '-', { doubleBounceSender: 'Probe-1' }), undefined);
});

for (const [address, want] of [
  ['joe+list@example.org', { address: 'joe@example.org', extension: '+list' }], ['joe@ex+ample', undefined], ['joe+x', { address: 'joe', extension: '+x' }], ['a@b+c@d', { address: 'a@b@d', extension: '+c' }],
] as const) {
  test(`strip "${address}"`, () => assert.deepEqual(stripAddress(address, '+'), want));
}
