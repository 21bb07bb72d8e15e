import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InFlow } from './in-flow.ts';

function scene({ limit = 3, seconds = 1 } = {}) {
  const incoming = new Set<string>();
  const asked: string[] = [];
  const waits: number[] = [];
  const residents = { untaken: 0 };
  const flow = new InFlow({
    delay: seconds, limit, untaken: () => residents.untaken,
    isThere: (queueId) => (asked.push(queueId), incoming.has(queueId)),
    after: (milliseconds, run) => { waits.push(milliseconds); run(); },
  });
  const put = (...names: string[]): void => { for (const name of names) { incoming.add(name); flow.kept(name); } };
  return { flow, incoming, asked, waits, residents, put };
}

test('while the queue manager keeps up nothing waits, and nothing is asked', () => {
  const { flow, asked, waits, put } = scene();
  put('A', 'B');
  assert.equal(flow.pause(), undefined);
  assert.deepEqual({ asked, waits }, { asked: [], waits: [] });
});

test('a message waits once, for in_flow_delay, when as many as default_process_limit are not taken', async () => {
  const { flow, waits, put } = scene({ seconds: 2 });
  put('A', 'B', 'C');
  await flow.pause();
  assert.deepEqual(waits, [2000]);
});

test('messages in the journal count as those in files do', async () => {
  const { flow, waits, residents, put } = scene();
  residents.untaken = 2;
  assert.equal(flow.pause(), undefined);
  put('A');
  await flow.pause();
  residents.untaken = 3;
  await flow.pause();
  residents.untaken = 0;
  assert.equal(flow.pause(), undefined);
  assert.deepEqual(waits, [1000, 1000]);
});

test('files that were taken are forgotten, one look per message', () => {
  const { flow, incoming, asked, put } = scene();
  put('A', 'B', 'C');
  incoming.clear();
  assert.equal(flow.pause(), undefined);
  assert.equal(flow.pause(), undefined);
  assert.deepEqual(asked, ['A']);
});

test('one file that stays in incoming for reasons of its own does not slow down the rest', () => {
  const { flow, incoming, put } = scene({ limit: 10 });
  put('stuck', ...'ABCDEFGHI');
  let waited = 0;
  for (let count = 0; count < 100; count++) {
    for (const name of incoming) if (name !== 'stuck') incoming.delete(name);
    if (flow.pause() !== undefined) waited++;
    put(`N${count}`);
  }
  assert.ok(waited > 0 && waited <= 15, `${waited} of 100 waited`);
});

test('no more names are remembered than are needed', async () => {
  const { flow, incoming, asked, put } = scene();
  put(...Array.from({ length: 1000 }, (_, at) => `Q${at}`));
  incoming.clear();
  for (let count = 0; count < 10; count++) void flow.pause();
  assert.ok(asked.length <= 3, `${asked.length} looks`);
});

test('in_flow_delay = 0 turns it off', () => {
  const { flow, asked, put } = scene({ seconds: 0 });
  put('A', 'B', 'C', 'D');
  assert.equal(flow.pause(), undefined);
  assert.deepEqual(asked, []);
});
