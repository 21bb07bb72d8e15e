import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNew } from './duplicates.ts';

test('a recipient is the same in another case; beyond the limit nothing is remembered', () => {
  const seen = new Set<string>();
  const answers = ['joe@example.org', 'JOE@Example.ORG', 'ann@example.org', 'bob@example.org', 'bob@example.org'].map((key) => isNew(seen, key, 2));
  assert.deepEqual(answers, [true, false, true, true, true]);
  assert.equal(isNew(seen, 'bob@example.org', 0), true);
  assert.equal(isNew(seen, 'Bob@example.org', 0), false);
});
