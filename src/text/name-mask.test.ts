import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNameCode, parseNameMask, renderNameCode, renderNameMask } from './name-mask.ts';

const table = [['never', 1], ['SUCCESS', 2], ['failure', 4]] as const;

for (const [text, options, want] of [
  ['never, success', {}, { mask: 3 }],
  ['', {}, { mask: 0 }],
  ['failure|never', { separators: '|' }, { mask: 5 }],
  ['never 0x80000000', { hexadecimal: true }, { mask: 0x80000001 }],
  ['never nevr', {}, { word: 'nevr', error: 'unknown colour value "nevr" in "never nevr"' }],
  ['Success', { exactCase: true }, { word: 'Success', error: 'unknown colour value "Success" in "Success"' }],
  ['0x1', {}, { word: '0x1', error: 'unknown colour value "0x1" in "0x1"' }],
] as const) {
  test(`${JSON.stringify(text)} ${JSON.stringify(options)}`, () => assert.deepEqual(parseNameMask('colour', table, text, options), want));
}

test('bits are written in the order of the table', () => {
  assert.equal(renderNameMask(table, 5), 'never failure');
  assert.equal(renderNameMask(table, 6, ','), 'SUCCESS,failure');
  assert.equal(renderNameMask(table, 8), '');
});

test('codes', () => {
  assert.equal(parseNameCode(table, 'NEVER'), 1);
  assert.equal(parseNameCode(table, 'always'), undefined);
  assert.equal(renderNameCode(table, 2), 'SUCCESS');
  assert.equal(renderNameCode(table, 3), undefined);
});
