import assert from 'node:assert/strict';
import test from 'node:test';
import { composeQueueId } from './queue-id.ts';

// Ids that Postfix 3.12 gave to files with these inode numbers.
for (const [name, time, inode, long, want] of [
  ['short', { seconds: 1795230317, microseconds: 0x89e01 }, '210081', false, '89E01210081'],
  ['short, small microseconds', { seconds: 1, microseconds: 7 }, 'FF', false, '00007FF'],
  ['long', { seconds: 1795233068, microseconds: 756405 }, 'JHm3', true, '4jWdXr5MkFzJHm3'],
  ['long, the same second again', { seconds: 1795233068, microseconds: 756406 }, 'JHm3', true, '4jWdXr5MkGzJHm3'],
  ['long, small numbers', { seconds: 0, microseconds: 0 }, '10', true, '0000000000z10'],
] as const) test(`queue id, ${name}`, () => assert.equal(composeQueueId(time, inode, long), want));
