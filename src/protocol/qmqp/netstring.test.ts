import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetstringReader, netstring } from './netstring.ts';

test('netstrings are written', () => {
  for (const [parts, want] of [
    [[''], '0:,'], [['abc'], '3:abc,'], [['a', Buffer.from('bc')], '3:abc,'], [[netstring('x'), netstring('')], '7:1:x,0:,,'], [['\xe4'], '1:\xe4,'],
  ] as const) assert.equal(netstring(...parts).toString('latin1'), want);
});

test('netstrings are read, however they are cut', () => {
  for (const [text, want] of [
    ['3:KOk,', 'KOk'], ['0:,', ''], ['10:0123456789,', '0123456789'], ['3:a,b,', 'a,b'], ['3:abc,more', 'abc'], ['03:abc,', 'abc'],
    ['3:abcd', 'format'], ['x', 'format'], [':,', 'format'], ['3', 'unfinished'], ['3:abc', 'unfinished'], ['21:', 'size'], ['99999999999999999999', 'size'],
  ] as const) {
    for (const step of [1, 2, 100]) {
      const reader = new NetstringReader(20, true);
      let done = false;
      for (let at = 0; at < text.length && !done; at += step) done = reader.receive(Buffer.from(text.slice(at, at + step), 'latin1'));
      assert.equal(done ? reader.trouble ?? reader.content.toString('latin1') : 'unfinished', want, `${text} by ${step}`);
    }
  }
});

test('content that is not kept is counted only', () => {
  const reader = new NetstringReader(1000, false);
  assert.equal(reader.receive(Buffer.from('5:ab')), false);
  assert.equal(reader.receive(Buffer.from('cde')), false);
  assert.equal(reader.receive(Buffer.from(',')), true);
  assert.equal(reader.content.length, 0);
});
