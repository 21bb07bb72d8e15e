import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUxtext, decodeXtext, encodeUxtext, encodeXtext, isXtext } from './xtext.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1'));

test('xtext survives the way there and back, and is what RFC 3461 calls xtext', () => {
  fc.assert(fc.property(bytes, (text) => {
    const coded = encodeXtext(text, '=');
    assert.ok(isXtext(coded));
    assert.equal(decodeXtext(coded), text);
  }));
});

test('any bytes can be decoded or refused', () => {
  fc.assert(fc.property(bytes, (text) => {
    const decoded = decodeXtext(text);
    assert.equal(decoded === undefined, /\+(?![0-9a-fA-F]{2})/.test(text));
  }));
});

for (const [text, want] of [['a+b=c d', 'a+2Bb+3Dc+20d'], ['\x00\xff', '+00+FF'], ['plain', 'plain']] as const) {
  test(`encode ${JSON.stringify(text)}`, () => assert.equal(encodeXtext(text, '='), want));
}

for (const [coded, want] of [['a+2Bb', 'a+b'], ['+3d', '='], ['a=b', 'a=b'], ['+', undefined], ['a+4', undefined], ['+4G', undefined]] as const) {
  test(`decode ${coded}`, () => assert.equal(decodeXtext(coded), want));
}

for (const [text, want] of [['a+2Bb', true], ['', true], ['a=b', false], ['a b', false], ['+2b', false], ['\xe9', false]] as const) {
  test(`${JSON.stringify(text)} is ${want ? '' : 'not '}xtext`, () => assert.equal(isXtext(text), want));
}

test('Unicode addresses survive the way there and back', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => {
    const utf8 = Buffer.from(text, 'utf8').toString('latin1');
    const coded = encodeUxtext(utf8, '+=')!;
    assert.match(coded, /^[!-~]*$/);
    assert.equal(decodeUxtext(coded), utf8);
  }));
});

for (const [coded, want] of [
  ['\\x{20AC}', '\xe2\x82\xac'], ['a\\x{5C}b', 'a\\b'], ['\xc3\xa9', '\xc3\xa9'], ['\\x{', undefined], ['\\x{20', undefined], ['\\x{110000}', undefined], ['\\x{D800}', undefined], ['\\x{g}', undefined],
] as const) {
  test(`decode ${coded}`, () => assert.equal(decodeUxtext(coded), want));
}

test('what is not UTF-8 has no uxtext', () => assert.equal(encodeUxtext('\xff'), undefined));
