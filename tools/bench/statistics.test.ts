import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure, median, noise, quantile, spread } from './statistics.ts';

test('median and quantiles lie between neighbours', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
  assert.equal(quantile([0, 100], 0.99), 99);
  assert.equal(quantile([7], 0.99), 7);
  assert.ok(Number.isNaN(median([])));
});

test('the values given stay in their order', () => {
  const values = [3, 1, 2];
  median(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('spread and noise', () => {
  assert.deepEqual(spread([5, 4, 6]), { median: 5, min: 4, max: 6 });
  assert.equal(noise({ median: 5, min: 4, max: 6 }), 20);
  assert.equal(noise({ median: 0, min: 0, max: 0 }), 0);
});

test('figures have three digits and no exponent', () => {
  const cases: readonly [number | undefined, string][] = [[4982.4, '4982'], [49.83, '49.8'], [4.983, '4.98'], [0.1794, '0.179'], [0, '0.000'], [NaN, '-'], [undefined, '-'], [123456789, '123456789']];
  for (const [value, text] of cases) assert.equal(figure(value), text);
});
