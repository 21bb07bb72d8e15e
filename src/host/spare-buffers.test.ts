import assert from 'node:assert/strict';
import test from 'node:test';
import { dropSpareBuffers, giveBack, spareBuffer } from './spare-buffers.ts';

test('what was given back is given again, to one', () => {
  const one = spareBuffer(100_000);
  assert.equal(one.length, 128 << 10);
  giveBack(one);
  const again = spareBuffer(120_000);
  assert.equal(again, one);
  assert.notEqual(spareBuffer(120_000), one);
});

test('another size is another buffer', () => {
  const one = spareBuffer(70_000);
  giveBack(one);
  assert.equal(spareBuffer(10).length, 8 << 10);
  assert.equal(spareBuffer(70_000), one);
});

test('a part, and what is too large, is not kept', () => {
  const one = spareBuffer(65_536);
  giveBack(one.subarray(0, 1000));
  giveBack(Buffer.from('small'));
  assert.notEqual(spareBuffer(65_536), one);
  const large = spareBuffer(5 << 20);
  assert.equal(large.length, 5 << 20);
  giveBack(large);
  assert.notEqual(spareBuffer(5 << 20), large);
});

test('what lies unused has a bound', () => {
  const many = Array.from({ length: 20 }, () => spareBuffer(2 << 20));
  for (const one of many) giveBack(one);
  const found = Array.from({ length: 20 }, () => spareBuffer(2 << 20)).filter((one) => many.includes(one));
  assert.ok(found.length > 0 && found.length <= 12, String(found.length));
});

test('all of them may be dropped', () => {
  const one = spareBuffer(200_000);
  giveBack(one);
  dropSpareBuffers();
  assert.notEqual(spareBuffer(200_000), one);
});
