import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, encodeUtf8, foldCase, isUtf8 } from './utf8.ts';

for (const [bytes, want] of [
  ['', true], ['abc', true], ['\xc3\xa9', true], ['\xe2\x82\xac', true], ['\xf0\x9f\x98\x80', true], ['\xf4\x8f\xbf\xbf', true],
  ['\x80', false], ['\xc3', false], ['\xc1\xbf', false], ['\xe0\x9f\xbf', false], ['\xed\xa0\x80', false],
  ['\xf0\x8f\xbf\xbf', false], ['\xf4\x90\x80\x80', false], ['\xf5\x80\x80\x80', false], ['\xe2\x82', false],
] as const) {
  test(`${JSON.stringify(bytes)} is ${want ? '' : 'not '}UTF-8`, () => assert.equal(isUtf8(bytes), want));
}

test('what is UTF-8 here is UTF-8 for the platform', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let good = true;
    try {
      strict.decode(bytes);
    } catch {
      good = false;
    }
    assert.equal(isUtf8(Buffer.from(bytes).toString('latin1')), good);
  }), { numRuns: 2000 });
});

test('text survives the way there and back', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(decodeUtf8(encodeUtf8(text)), text)));
});

for (const [text, want] of [
  ['ABC', 'abc'], ['\u00c4\u00d6', '\u00e4\u00f6'], ['Stra\u00dfe', 'strasse'], ['STRA\u1e9eE', 'strasse'], ['\u03a3\u03b1\u03c2', '\u03c3\u03b1\u03c3'], ['\u0131', '\u0131'], ['\uab70', '\u13a0'],
] as const) {
  test(`${text} folds to ${want}`, () => assert.equal(foldCase(encodeUtf8(text)), encodeUtf8(want)));
}

test('bytes that are not UTF-8 stay as they are', () => assert.equal(foldCase('AB\xc4C'), 'ab\xc4c'));
