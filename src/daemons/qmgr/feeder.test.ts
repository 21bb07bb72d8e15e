import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueName, QueueStore } from '../../queue/store.ts';
import { Feeder } from './feeder.ts';
import { serveTrigger } from './trigger.ts';

/** A store that lists what it holds at the moment it is asked. */
function store(queues: Record<string, string[]>): QueueStore {
  return { list: (queue: QueueName) => (queues[queue] ?? []).map((queueId) => ({ queue, queueId, path: '' })) } as unknown as QueueStore;
}

function all(feeder: Feeder): string[] {
  const ids: string[] = [];
  for (let next = feeder.next(); next !== undefined; next = feeder.next()) ids.push(next.queueId);
  return ids;
}

test('new and deferred mail take turns, then the rest of the longer queue follows', () => {
  const feeder = new Feeder(store({ incoming: ['i1', 'i2'], deferred: ['d1', 'd2', 'd3', 'd4'] }));
  feeder.request('incoming');
  feeder.request('deferred');
  assert.deepEqual(all(feeder), ['i1', 'd1', 'i2', 'd2', 'd3', 'd4']);
  assert.equal(feeder.isScanning, false);
});

test('while deferred mail has no room its scan waits where it is', () => {
  const feeder = new Feeder(store({ incoming: ['i1', 'i2'], deferred: ['d1', 'd2'] }));
  feeder.request('incoming');
  feeder.request('deferred');
  assert.deepEqual([feeder.next()?.queueId, feeder.next()?.queueId, feeder.next(false)?.queueId, feeder.next(false)], ['i1', 'd1', 'i2', undefined]);
  assert.equal(feeder.isScanning, true);
  assert.deepEqual(all(feeder), ['d2']);
});

test('a request during a scan means one more scan, not many', () => {
  const queues = { incoming: ['i1', 'i2'] };
  const feeder = new Feeder(store(queues));
  feeder.request('incoming');
  feeder.next();
  queues.incoming = ['i3'];
  feeder.request('incoming');
  feeder.request('incoming');
  assert.deepEqual(all(feeder), ['i2', 'i3']);
});

test('a flush takes mail whether it is due or not, also one that comes during a scan', () => {
  const feeder = new Feeder(store({ deferred: ['d1'] }));
  feeder.request('deferred');
  feeder.request('deferred', true);
  assert.deepEqual([feeder.next()?.all, feeder.next()?.all], [false, true]);
});

test('and over transports that are to be deferred, when somebody asks for that', () => {
  const feeder = new Feeder(store({ deferred: ['d1'], incoming: ['i1'] }));
  feeder.request('deferred', false, true);
  feeder.request('incoming');
  feeder.request('incoming', false, true);
  assert.deepEqual([feeder.next()?.flush, feeder.next()?.flush, feeder.next()?.flush], [false, true, true]);
});

for (const [request, want] of [
  ['I', ['incoming']], ['D', ['deferred']], ['W', ['incoming']], ['FDA', ['revive', 'ignore', 'deferred']], ['DAF', ['revive', 'ignore', 'deferred']], ['I\0?', ['incoming']], ['J', ['file']], ['', []],
] as const) {
  test(`trigger ${JSON.stringify(request)}`, () => {
    const heard: string[] = [];
    serveTrigger({
      scanIncoming: () => heard.push('incoming'), scanDeferred: () => heard.push('deferred'), ignoreTimes: () => heard.push('ignore'), revive: () => heard.push('revive'), file: () => heard.push('file'),
    }, request);
    assert.deepEqual(heard, want);
  });
}
