import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeReply } from './deliver-frames.ts';
import { ShapeTrouble } from './shape.ts';

const noHop = '\0'.repeat(7);

for (const [text, want] of [
  ['0', 0], ['7', 7], ['007', 7], ['-1', -1], ['1.5', 1.5], ['1e3', 1000], ['1800000000.123456', 1_800_000_000.123456],
  ['123456789012345', 123_456_789_012_345], ['999999999999999', 999_999_999_999_999], ['9007199254740991', 9_007_199_254_740_991], ['12345678901234567890', 12_345_678_901_234_567_890],
] as const) test(`the number ${text}`, () => {
  assert.equal(decodeReply(`${text}\0${noHop}${text}\0`).status, want);
  assert.equal(decodeReply(`${text}\0${noHop}${text}\0`).logs, want);
});

for (const text of ['', 'x', '1x', '1 x', 'Infinity']) test(`no number: "${text}"`, () => {
  assert.throws(() => decodeReply(`${text}\0${noHop}0\0`), ShapeTrouble);
});

test('a text that ends inside of a number', () => {
  for (const text of ['', '1', '123456789012345', '1234567890123456']) assert.throws(() => decodeReply(text), /a value is missing/);
});
