import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attribute, decode, encode, ShapeTrouble } from './shape.ts';
import { deliveryRequestShape } from './deliver.ts';

const shape = { name: 'text', size: 'number', wanted: 'flag', inner: { a: 'text' }, list: [{ x: 'number', y: 'text' }] } as const;
const value = { name: 'joe', size: -3, wanted: true, inner: { a: '' }, list: [{ x: 1, y: 'one' }, { x: 2, y: '' }] };

test('what is encoded comes back', () => {
  const text = encode(shape, value);
  assert.deepEqual(decode(shape, text), { value, next: text.length });
});

test('the wire form is Postfix\'s: name NUL value NUL, an empty name at the end', () => {
  assert.equal(encode({ a: 'text', n: 'number' }, { a: 'x', n: 7 }, attribute('request', 'r')), 'request\0r\0a\0x\0n\x007\0\0');
});

test('a NUL in a text cannot make attributes', () => {
  assert.deepEqual(decode({ a: 'text' }, encode({ a: 'text' }, { a: 'x\0b\0y' }))?.value, { a: 'x?b?y' });
});

test('every beginning of a message is incomplete, never wrong', () => {
  const text = encode(shape, value);
  for (let end = 0; end < text.length; end++) assert.equal(decode(shape, text.slice(0, end)), undefined, `${end} bytes`);
});

for (const [name, text] of [
  ['another attribute', 'nome\0joe\0'],
  ['no number', 'name\0joe\0size\0x\0'],
  ['an empty number', 'name\0joe\0size\0\0'],
  ['a list without end', 'name\0j\0size\x001\0wanted\x001\0a\0\0list\x001e99\0'],
  ['an attribute too many', `${encode(shape, value).slice(0, -1)}more\0`],
] as const) test(`refused: ${name}`, () => assert.throws(() => decode(shape, text), ShapeTrouble));

test('random bytes are refused or incomplete, and nothing else', () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('\0', 'n', 'a', 'm', 'e', '1', '-', 'flags') }), (text) => {
    try {
      decode(deliveryRequestShape, text);
    } catch (error) {
      assert.ok(error instanceof ShapeTrouble);
    }
  }));
});
