import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BareLineEndScanner, EndOfDataScanner, hasEightBit, indexOfBareCr, indexOfBareLf, indexOfCrlf } from './byte-search.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Feed a text in chunks of the given sizes; the overall place behind the end of data, or -1. */
function scanInChunks(text: string, sizes: readonly number[]): number {
  const scanner = new EndOfDataScanner();
  let at = 0;
  for (let step = 0; at < text.length; step++) {
    const chunk = bytes(text.slice(at, at + sizes[step % sizes.length]!));
    const found = scanner.scan(chunk);
    if (found >= 0) return at + found;
    at += chunk.length;
  }
  return -1;
}

for (const [text, want] of [
  ['.\r\n', 3], ['.\r\nrest', 3], ['a\r\n.\r\n', 6], ['a\r\n..\r\n.\r\nb', 10], ['a\n.\n', -1], ['a\r\n.\n', -1], ['a\n.\r\n', -1], ['\r\n.\r\n', 5], ['.\r', -1], ['', -1], ['.\r.\r\n', -1],
] as const) {
  test(`end of data in ${JSON.stringify(text)} is at ${want}, however it is cut`, () => {
    for (const size of [1, 2, 3, 4, 5, 100]) assert.equal(scanInChunks(text, [size]), want);
  });
}

test('the end of data does not depend on the chunks', () => {
  const text = fc.string({ unit: fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.\r\n'), maxLength: 30 });
  fc.assert(fc.property(text, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }), (content, sizes) => {
    const whole = `\r\n${content}`.indexOf('\r\n.\r\n');
    assert.equal(scanInChunks(content, sizes), whole < 0 ? -1 : whole + 3);
  }), { numRuns: 2000 });
});

test('bare line ends are found across chunks', () => {
  const text = fc.string({ unit: fc.constantFrom('\r', '\n', 'a', '\r\n'), maxLength: 12 });
  fc.assert(fc.property(text, fc.integer({ min: 1, max: 4 }), (content, size) => {
    const scanner = new BareLineEndScanner();
    for (let at = 0; at < content.length; at += size) scanner.scan(bytes(content.slice(at, at + size)));
    const { bareLf, bareCr } = scanner.finish();
    assert.deepEqual({ bareLf, bareCr }, { bareLf: /(?<!\r)\n/.test(content), bareCr: /\r(?!\n)/.test(content) });
  }), { numRuns: 2000 });
});

test('single searches', () => {
  assert.equal(indexOfCrlf(bytes('a\rb\r\n')), 3);
  assert.equal(indexOfCrlf(bytes('\r\n\r\n'), 1), 2);
  assert.equal(indexOfBareLf(bytes('a\r\nb\nc')), 4);
  assert.equal(indexOfBareLf(bytes('a\r\n')), -1);
  assert.equal(indexOfBareCr(bytes('a\r\n\rb')), 3);
  assert.equal(indexOfBareCr(bytes('a\r')), -1);
  assert.equal(hasEightBit(bytes('abc\x7f')), false);
  assert.equal(hasEightBit(bytes('ab\x80')), true);
});
