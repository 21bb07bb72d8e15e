import assert from 'node:assert/strict';
import test from 'node:test';
import { dueTests, isNew, newClient, parseStamps, renderStamps, tests } from './stamps.ts';

for (const [entry, want] of [
  ['1;2;3;4;5', [1, 2, 3, 4, 5]], ['1700000000;0;1;0;0', [1_700_000_000, 0, 1, 0, 0]],
  // An older release had fewer tests.
  ['7;8', [7, 8, 1, 1, 1]], ['', [1, 1, 1, 1, 1]], ['7', [7, 1, 1, 1, 1]],
  // What cannot be read ends it.
  ['7;x;9', [7, 1, 1, 1, 1]], ['7;8x;9', [7, 1, 1, 1, 1]], ['-1;2', [1, 1, 1, 1, 1]], ['7;;9;1;1', [7, 1, 9, 1, 1]], ['99999999999999999999;5;5;5;5', [1, 5, 5, 5, 5]],
] as const) test(`stamps of "${entry}"`, () => assert.deepEqual(parseStamps(entry), want));

test('an entry says which tests were off when they had not been passed', () => {
  const stamps = [50, 0, 0, 60, 0];
  assert.equal(renderStamps(stamps, tests.pregreet | tests.pipelining), '50;1;0;60;1');
  assert.equal(isNew(stamps), true);
  assert.equal(isNew([50, 1, 60, 1, 1]), false);
});

for (const [now, enabled, want] of [
  [100, 31, 2 | 8 | 16], [101, 31, 31], [100, 1, 0], [101, 1, 1], [1, 31, 8],
] as const) test(`due at ${now} of ${enabled}`, () => assert.equal(dueTests([100, 99, 100, 0, 1], enabled, now), want));

test('of a client that is not known anything is due', () => assert.equal(dueTests(newClient().stamps, 31, 0), 31));
