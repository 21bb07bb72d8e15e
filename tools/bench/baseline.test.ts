import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeLine, compare, readResults } from './baseline.ts';
import { sampleMeasured, sampleResults, sampleRow } from './sample-results.ts';

const before = sampleResults([sampleRow()]);

test('more messages per second and less of everything else is better', () => {
  const now = sampleResults([sampleRow({ postern: sampleMeasured(6000, 0.15, { systemCalls: 50, peakPss: 100 }) })]);
  const found = compare(before, now).map(({ what, better, clear }) => [what, Math.round(better), clear]);
  assert.deepEqual(found, [['rate', 50, true], ['CPU', 50, true], ['peak PSS', 0, false], ['system calls', -25, true]]);
});

test('a change whose spreads touch is called noise', () => {
  const [rate] = compare(before, sampleResults([sampleRow({ postern: sampleMeasured(4400, 0.3) })]));
  assert.equal(rate!.clear, false);
  assert.equal(changeLine(rate!), 'relay-5k, shipped: rate 4000 -> 4400, 10 % better (may be noise)');
});

test('single runs tell no noise', () => {
  const now = sampleResults([sampleRow({ postern: sampleMeasured(6000, 0.15) })]);
  assert.deepEqual(compare({ ...before, rounds: 1 }, now).map(({ what, clear }) => [what, clear]), [['rate', false], ['CPU', false], ['peak PSS', false]]);
});

test('rows that only one run has, or that were not measured, are left out', () => {
  assert.deepEqual(compare(before, sampleResults([sampleRow({ name: 'new' }), sampleRow({ variant: 'tuned' })])), []);
  assert.deepEqual(compare(before, sampleResults([sampleRow({ status: 'failed', postern: undefined })])), []);
});

test('only results files are read', () => {
  assert.deepEqual(readResults(JSON.stringify(before)), before);
  for (const text of ['{}', '{"format":2,"rows":[]}', '{"format":1}']) assert.throws(() => readResults(text), /not the results/);
  assert.throws(() => readResults('nothing'), SyntaxError);
});
