import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import test from 'node:test';
import { directory, open, put, queues, serving } from './journal-scene.ts';
import { inodeOf } from './queue-id.ts';
import type { QueueName, QueueStore } from './store.ts';

async function content(store: QueueStore, queue: QueueName, queueId: string): Promise<string> {
  const reader = store.open(queue, queueId);
  let text = '';
  for await (const chunk of reader.content()) text += chunk.toString('latin1');
  reader.close();
  return text;
}

/** To the end of this turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

test('a message is announced, delivered and gone without ever being a file', async (t) => {
  const { root, store, arrived, files } = await serving(directory(t));
  const { queueId, announced, offsets } = await put(store);
  // Who waits for the 250 goes first.
  assert.deepEqual([announced, arrived], [true, []]);
  await turn();
  assert.deepEqual([arrived, queues.flatMap(files)], [[queueId], []]);
  assert.ok(store.activate(queueId));
  assert.equal(await content(store, 'active', queueId), 'hello\n');
  const agent = store.open('active', queueId, { place: store.place(queueId), write: true, lock: 'shared' });
  assert.deepEqual(agent.envelope().recipients.map(({ address }) => address), ['a@x', 'b@x']);
  store.taken(queueId);
  for (const offset of offsets) agent.done(offset);
  agent.close();
  store.released(queueId);
  assert.deepEqual([store.finish(queueId), store.has(queueId), store.place(queueId)], [true, false, '']);
  await store.retire(true);
  assert.deepEqual([queues.flatMap(files), fs.existsSync(`${root}/journal`) ? fs.readdirSync(`${root}/journal`) : []], [[], []]);
});

test('what becomes a file before it is announced is not announced', async (t) => {
  const { store, arrived, files } = await serving(directory(t));
  const { queueId } = await put(store);
  const settled = store.settle(queueId);
  await turn();
  await settled;
  assert.deepEqual([arrived, files('incoming')], [[], [queueId]]);
});

test('who was announced and is not active is counted, until it is active or a file', async (t) => {
  const { store } = await serving(directory(t));
  const counts = [store.untaken];
  const [first, second] = [await put(store), await put(store)];
  counts.push(store.untaken);
  for (let times = 0; times < 2; times++) store.activate(first.queueId);
  counts.push(store.untaken);
  store.finish(first.queueId);
  counts.push(store.untaken);
  await store.settle(second.queueId);
  assert.deepEqual([...counts, store.untaken], [0, 2, 1, 1, 0]);
});

test('what is settled is a file of its own inode, with the marks it had', async (t) => {
  const { root, store, files } = await serving(directory(t));
  const { queueId, offsets } = await put(store, 'text\nof two lines');
  store.activate(queueId);
  const agent = store.open('active', queueId, { write: true });
  agent.done(offsets[0]!);
  agent.close();
  await store.settle(queueId);
  assert.deepEqual([files('active'), store.has(queueId), store.finish(queueId)], [[queueId], false, false]);
  const status = fs.statSync(`${root}/active/${queueId}`, { bigint: true });
  assert.deepEqual([status.ino, Number(status.mode & 0o777n)], [inodeOf(queueId), 0o700]);
  assert.equal(await content(store, 'active', queueId), 'text\nof two lines\n');
  const reader = store.open('active', queueId);
  assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [true, false]);
  reader.close();
});

test('what an agent marks while the message becomes a file is marked there too', async (t) => {
  const { store } = await serving(directory(t));
  const { queueId, offsets } = await put(store);
  store.activate(queueId);
  const agent = store.open('active', queueId, { place: store.place(queueId), write: true });
  store.taken(queueId);
  await store.settle(queueId);
  agent.done(offsets[1]!);
  agent.close();
  store.released(queueId);
  const reader = store.open('active', queueId);
  assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [false, true]);
  reader.close();
});

for (const [name, changes, text, queue] of [
  ['held', {}, 'hello', 'hold'],
  ['too large', { messageSizeLimit: 1000 }, 'x'.repeat(2000), 'incoming'],
  ['more than fit', { messageCountLimit: 0 }, 'hello', 'incoming'],
] as const) {
  test(`a message is a file at once: ${name}`, async (t) => {
    const { store, files, arrived } = await serving(directory(t), changes);
    const { queueId, announced } = await put(store, text, ['a@x'], queue);
    assert.deepEqual([announced, files(queue), arrived], [false, [queueId], []]);
    assert.equal(await content(store, queue, queueId), `${text}\n`);
  });
}

test('what waits longer than journal_delay_limit becomes a file, of active when it is active', async (t) => {
  const { store, files, pass } = await serving(directory(t));
  const [waiting, active, taken] = [await put(store), await put(store), await put(store)];
  for (const { queueId } of [active, taken]) store.activate(queueId);
  store.taken(taken.queueId);
  await pass(2);
  assert.deepEqual(queues.flatMap(files), []);
  await pass(4);
  assert.deepEqual([files('incoming'), files('active')], [[waiting.queueId], [active.queueId]]);
  assert.ok(store.has(taken.queueId));
});

test('a store that retires makes files of all but what agents have, and takes no more', async (t) => {
  const { store, files, root } = await serving(directory(t));
  const [one, two] = [await put(store), await put(store)];
  store.activate(two.queueId);
  store.taken(two.queueId);
  await store.retire(false);
  assert.deepEqual([files('incoming'), files('active'), store.has(two.queueId)], [[one.queueId], [], true]);
  const late = await put(store);
  assert.deepEqual([late.announced, files('incoming').includes(late.queueId)], [false, true]);
  await store.retire(true);
  assert.deepEqual(files('active'), [two.queueId]);
  assert.ok(fs.existsSync(`${root}/active/${two.queueId}`));
});

// Another process that dies with mail in its journal; what it says of itself is a line of JSON.
const scene = new URL('./journal-scene.ts', import.meta.url).href;
const victim = `
  const { serving, put } = await import(process.argv[1]);
  const scene = await serving(process.argv[2]);
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push(await put(scene.store, 'message ' + i));
  const mark = (at, offsets) => { const reader = scene.store.open('active', ids[at].queueId, { write: true }); for (const offset of offsets) reader.done(offset); reader.close(); };
  mark(0, ids[0].offsets);
  mark(1, ids[1].offsets.slice(0, 1));
  await scene.store.settle(ids[3].queueId);
  const held = scene.store.open('active', ids[2].queueId, { place: scene.store.place(ids[2].queueId), lock: 'shared' });
  console.log(JSON.stringify(ids.map(({ queueId }) => queueId)));
  setInterval(() => held, 1000);
`;

test('what an agent still has when its queue process was killed is left alone until the agent is through', async (t) => {
  const root = directory(t);
  const orphaned = victim.replace(/^ {2}mark\(0,[^]*$/m, `
  await scene.store.settle(ids[3].queueId);
  console.log(JSON.stringify({ ids, place: scene.store.place(ids[2].queueId), failing: scene.store.place(ids[1].queueId) }));
  setInterval(() => 0, 1000);
`);
  const child = spawn(process.execPath, ['--input-type=module', '-e', orphaned, scene, root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data') as [Buffer];
  const { ids, place, failing } = JSON.parse(line.toString()) as { ids: { queueId: string; offsets: number[] }[]; place: string; failing: string };
  const [first, second, third, filed] = ids;
  const files = open(root).store;
  const agent = files.open('active', third!.queueId, { place, write: true, lock: 'shared' });
  const other = files.open('active', second!.queueId, { place: failing, write: true, lock: 'shared' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const heir = open(root);
  assert.equal(await heir.store.recover(), true);
  assert.deepEqual(ids.map(({ queueId }) => heir.store.waits(queueId)), [false, true, true, false]);
  assert.deepEqual(heir.files('incoming'), [first!.queueId, filed!.queueId].sort());
  for (const offset of third!.offsets) agent.done(offset);
  other.done(second!.offsets[0]!);
  for (const reader of [agent, other]) reader.close();
  assert.equal(await heir.store.recover(), false);
  assert.deepEqual(ids.map(({ queueId }) => heir.store.waits(queueId)), [false, false, false, false]);
  assert.deepEqual(heir.removed, [third!.queueId]);
  assert.deepEqual(heir.files('incoming'), [first!.queueId, second!.queueId, filed!.queueId].sort());
  const reader = heir.store.open('incoming', second!.queueId);
  assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [true, false]);
  reader.close();
  assert.throws(() => files.open('active', third!.queueId, { place, write: true, lock: 'shared' }), /is gone|ENOENT|no such/i);
});

test('what a process that was killed has left is there again', async (t) => {
  const root = directory(t);
  const child = spawn(process.execPath, ['--input-type=module', '-e', victim, scene, root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data') as [Buffer];
  const [, half, held, filed] = JSON.parse(line.toString()) as string[];
  const heir = open(root);
  assert.equal(await heir.store.recover(), true, 'another process is still there');
  assert.deepEqual(heir.files('incoming'), [filed]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(await heir.store.recover(), false);
  assert.deepEqual(heir.files('incoming'), [half, held, filed].sort());
  assert.equal(heir.removed.length, 1);
  const reader = heir.store.open('incoming', half!);
  assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [true, false]);
  reader.close();
  assert.deepEqual(heir.warnings, []);
});
