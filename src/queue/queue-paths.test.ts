import test from 'node:test';
import assert from 'node:assert/strict';
import { QueuePaths } from './queue-paths.ts';
import { makeQueueId } from './queue-id.ts';

const long = makeQueueId({ seconds: 1795230317, microseconds: 0x0f123 }, 2162817n, true);

for (const [name, options, queue, id, want] of [
  ['not hashed', ['deferred, defer', 1], 'active', '89E01210081', 'active/89E01210081'],
  ['hashed', ['deferred, defer', 1], 'deferred', '89E01210081', 'deferred/8/89E01210081'],
  ['two levels', ['deferred defer', 2], 'defer', '89E01210081', 'defer/8/9/89E01210081'],
  ['names in any case', ['DEFERRED', 1], 'deferred', '89E01210081', 'deferred/8/89E01210081'],
  ['short name', ['flush', 3], 'flush', 'ab', 'flush/a/b/_/ab'],
  ['long id goes by its microseconds', ['deferred', 2], 'deferred', long, `deferred/0/F/${long}`],
] as const) {
  test(`path, ${name}`, () => {
    assert.equal(new QueuePaths({ hashQueueNames: options[0], hashQueueDepth: options[1] }).path(queue, id), want);
  });
}

test('a bad name never becomes a path', () => {
  const paths = new QueuePaths({ hashQueueNames: '', hashQueueDepth: 1 });
  for (const id of ['..', '../x', '', 'a/b']) assert.throws(() => paths.path('active', id), /bad queue id/);
  for (const queue of ['..', '', 'a/b']) assert.throws(() => paths.path(queue, 'AB12'), /bad queue name/);
});
