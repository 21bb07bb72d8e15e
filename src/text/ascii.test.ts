import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ascii from './ascii.ts';

test('white space is trimmed as in C, and a no-break space is not white', () => {
  assert.equal(ascii.trimWhite(' \t\r\n\v\fa b\xa0 \n'), 'a b\xa0');
  assert.equal(ascii.trimLeft('\xa0 x'), '\xa0 x');
  assert.equal(ascii.trimWhite(' \n'), '');
});

test('only A-Z have lower case', () => {
  assert.equal(ascii.lowerAscii('ABCxyz\xc0\xde[Z'), 'abcxyz\xc0\xde[z');
  assert.equal(ascii.upperAscii('az\xe0'), 'AZ\xe0');
  assert.equal(ascii.sameIgnoringCase('Foo', 'fOO'), true);
  assert.equal(ascii.sameIgnoringCase('\xc0', '\xe0'), false);
  assert.equal(ascii.startsIgnoringCase('OWNER-x', 'owner-'), true);
});

for (const [text, utf8, want] of [
  ['plain ~', false, 'plain ~'],
  ['a\x00b\x1f\x7f\x80\xff', false, 'a?b????'],
  ['\xc3\xa9', false, '??'],
  ['\xc3\xa9', true, '\xc3\xa9'],
  ['\xe2\x82\xacx\xe2\x82', true, '\xe2\x82\xacx??'],
  ['\xc0\x80', true, '??'],
  ['\xed\xa0\x80', true, '???'],
] as const) {
  test(`printable ${JSON.stringify(text)}${utf8 ? ', UTF-8 kept' : ''}`, () => assert.equal(ascii.printable(text, '?', utf8), want));
}

for (const [text, want] of [
  ['a, b,,c\td\r\ne', ['a', 'b', 'c', 'd', 'e']],
  [' , ', []],
  ['a\x0bb\xa0c', ['a\x0bb\xa0c']],
] as const) {
  test(`list ${JSON.stringify(text)}`, () => assert.deepEqual(ascii.splitList(text), want));
}

for (const [text, want] of [
  ['a {b c, {d e}} f', ['a', '{b c, {d e}}', 'f']],
  ['inline:{ {a b} }x, y', ['inline:{ {a b} }x', 'y']],
  ['a} b', ['a}', 'b']],
  ['a {b c', ['a', '{b c']],
  ['', []],
] as const) {
  test(`list with groups ${JSON.stringify(text)}`, () => assert.deepEqual(ascii.splitListGroups(text), want));
}

test('digits, printables, words, hex', () => {
  assert.deepEqual(['0', '123', '', '1x', '\xb2'].map(ascii.allDigits), [true, true, false, false, false]);
  assert.equal(ascii.allPrintableOrTab('a\tb'), true);
  assert.equal(ascii.allPrintable('a\tb'), false);
  assert.deepEqual(ascii.splitWhite(' a,b  c\n'), ['a,b', 'c']);
  assert.equal(ascii.hex('\x00\xffa'), '00FF61');
});
