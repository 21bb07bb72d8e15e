import test from 'node:test';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { queueSpace } from './free-space.ts';

for (const [name, queue_minfree, message_size_limit, want] of [
  ['nothing is asked for', 0, 0, true],
  ['more is to stay free than there is', 1e18, 0, false],
  ['a message could be larger than what is free', 0, 1e18, false],
] as const) {
  test(`free space: ${name}`, () => {
    const { enough, free } = queueSpace({ queue_minfree, message_size_limit }, tmpdir());
    assert.equal(enough, want);
    assert.ok(free > 0);
  });
}
