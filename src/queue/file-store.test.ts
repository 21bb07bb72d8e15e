import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { emptyEnvelope, writeEnvelope, writeExtracted, type Envelope } from '../message/envelope.ts';
import { encodeRecord, recordType, renderSize } from '../message/record.ts';
import { RecordWriter } from '../message/record-writer.ts';
import { recordsFromContent } from './content-records.ts';
import { SampleQueue, writeSample } from './sample-queue.ts';
import { CorruptFile, QueueTrouble, type MessageReader, type MessageWriter, type QueueStore } from './store.ts';

function makeQueue(t: TestContext, longQueueIds = false): { root: string; store: QueueStore } {
  return new SampleQueue(t, { longQueueIds });
}

function writeMessage(writer: MessageWriter, content: Buffer): Envelope {
  return writeSample(writer, { content: content.toString('latin1') });
}

async function contentOf(reader: MessageReader, lineEnd: '\n' | '\r\n' = '\n'): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of reader.content({ lineEnd })) {
    assert.ok(piece.length <= 65_538);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function filesOf(root: string): string[] {
  return fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)).sort();
}

for (const longQueueIds of [false, true]) {
  test(`a message is written, read, delivered, moved and removed (${longQueueIds ? 'long' : 'short'} ids)`, async (t) => {
    const { root, store } = makeQueue(t, longQueueIds);
    const writer = store.create();
    const id = writer.queueId;
    const written = writeMessage(writer, Buffer.from('Subject: x\n\nhello\n'));
    assert.equal(fs.statSync(join(root, 'incoming', id)).mode & 0o7777, 0o600);
    assert.throws(() => store.open('incoming', id), { code: 'EBUSY' });
    await writer.commit('incoming');
    assert.deepEqual(filesOf(root), [`incoming/${id}`]);
    assert.equal(fs.statSync(join(root, 'incoming', id)).mode & 0o7777, 0o700);

    store.move(id, 'incoming', 'active');
    const reader = store.open('active', id, { write: true, lock: 'shared' });
    assert.deepEqual(reader.envelope(), { ...written, complete: true });
    assert.equal((await contentOf(reader, '\r\n')).toString(), 'Subject: x\r\n\r\nhello\r\n');
    assert.equal((await contentOf(reader)).toString(), 'Subject: x\n\nhello\n');
    const [first, second] = reader.envelope().recipients;
    reader.done(first!.offset);
    reader.done(first!.offset);
    assert.throws(() => reader.done(second!.offset + 1), CorruptFile);
    assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [true, false]);
    reader.close();

    store.stamp(id, 'active', 1_800_000_000_000);
    store.move(id, 'active', 'deferred');
    assert.equal(store.open('deferred', id).mtime, 1_800_000_000_000);
    assert.deepEqual([...store.list('deferred')].map(({ queueId }) => queueId), [id]);
    store.remove(id, 'deferred');
    assert.deepEqual([...store.list('deferred')], []);
    assert.throws(() => store.remove(id, 'deferred'), { code: 'ENOENT' });
  });
}

test('a held message never is complete in incoming', async (t) => {
  const { root, store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('x\n'));
  await writer.commit('hold');
  assert.deepEqual(filesOf(root), [`hold/${writer.queueId}`]);
});

test('a large message passes in pieces, its size record is filled in behind', async (t) => {
  const { store } = makeQueue(t);
  const line = Buffer.from(`${'0123456789'.repeat(7)}\n`);
  const content = Buffer.concat(Array<Buffer>(60_000).fill(line));
  const writer = store.create();
  const envelope: Envelope = { ...emptyEnvelope(), sender: '', recipients: [{ address: 'one@example.test', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false }] };
  const records = new RecordWriter();
  const dataOffset = writeEnvelope(records, envelope);
  for (const piece of records.take()) writer.write(piece);
  let paused = 0;
  for (const piece of recordsFromContent(content, { lineEnd: 'lf' }))
    for (let at = 0; at < piece.length; at += 50_000) {
      writer.write(piece.subarray(at, at + 50_000));
      if (!writer.full) continue;
      paused++;
      await writer.drained();
      assert.equal(writer.full, false);
    }
  const size = { contentSize: writer.offset - dataOffset, dataOffset, recipientCount: 1, queueFlags: 0, contentLength: content.length, sendOptions: 0 };
  const tail = new RecordWriter(writer.offset);
  writeExtracted(tail, envelope);
  for (const piece of tail.take()) writer.write(piece);
  writer.patch(0, encodeRecord(recordType.size, renderSize(size)));
  await writer.commit('incoming');
  assert.ok(paused > 0);
  const reader = store.open('incoming', writer.queueId);
  assert.deepEqual(reader.envelope().size, size);
  assert.ok((await contentOf(reader)).equals(content));
  reader.close();
});

test('what is discarded leaves nothing', async (t) => {
  const { root, store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('x\n'));
  writer.discard();
  writer.discard();
  const large = store.create();
  large.write(Buffer.alloc(2 << 20));
  large.discard();
  await assert.rejects(large.commit('incoming'), QueueTrouble);
  assert.deepEqual(filesOf(root), []);
});

test('a settled file can be read though it is no message, and goes on to become one', async (t) => {
  const { store } = makeQueue(t);
  const writer = store.create();
  const written = writeMessage(writer, Buffer.from('x\n'));
  await writer.settle();
  assert.throws(() => store.open('incoming', writer.queueId), { code: 'EBUSY' });
  const reader = store.open('incoming', writer.queueId, { incomplete: true });
  assert.deepEqual(reader.envelope(), { ...written, complete: true });
  reader.close();
  await writer.commit('incoming');
  store.open('incoming', writer.queueId).close();
});

test('many commit at once', async (t) => {
  const { root, store } = makeQueue(t, true);
  const writers = Array.from({ length: 30 }, () => store.create());
  await Promise.all(writers.map((writer) => {
    writeMessage(writer, Buffer.from(`${writer.queueId}\n`));
    return writer.commit('incoming');
  }));
  assert.deepEqual(filesOf(root), writers.map(({ queueId }) => `incoming/${queueId}`).sort());
});

test('without a queue directory nothing is accepted', (t) => {
  const { root, store } = makeQueue(t);
  fs.rmdirSync(join(root, 'incoming'));
  assert.throws(() => store.create(), { code: 'ENOENT' });
});

test('a file taken away while it is written is a failure', async (t) => {
  const { root, store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('x\n'));
  fs.unlinkSync(join(root, 'incoming', writer.queueId));
  await assert.rejects(writer.commit('hold'), { code: 'ENOENT' });
  assert.deepEqual(filesOf(root), []);
});

test('an exclusive lock keeps others out', async (t) => {
  const { store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('x\n'));
  await writer.commit('incoming');
  const first = store.open('incoming', writer.queueId, { lock: 'exclusive' });
  assert.throws(() => store.open('incoming', writer.queueId, { lock: 'shared' }), { code: 'EAGAIN' });
  assert.equal(first.lock('shared'), true);
  const second = store.open('incoming', writer.queueId, { lock: 'shared' });
  first.close();
  second.close();
});

test('only regular files are opened', (t) => {
  const { root, store } = makeQueue(t);
  fs.mkdirSync(join(root, 'active', 'AB1234'), 0o700);
  fs.symlinkSync('/etc/passwd', join(root, 'active', 'AB1235'));
  assert.throws(() => store.open('active', 'AB1234'), { code: 'EINVAL' });
  assert.throws(() => store.open('active', 'AB1235'), { code: 'ELOOP' });
  assert.throws(() => store.open('active', 'AB1236'), { code: 'ENOENT' });
  assert.throws(() => store.open('active', '../passwd'), /bad queue id/);
});

test('a listing goes through subdirectories and survives changes', async (t) => {
  const { root, store } = makeQueue(t);
  const names: string[] = [];
  for (const letter of ['0', '8', 'F']) {
    fs.mkdirSync(join(root, 'deferred', letter));
    for (let number = 0; number < 40; number++) fs.writeFileSync(join(root, 'deferred', letter, `${letter}0000${number}`), '');
    for (let number = 0; number < 40; number++) names.push(`${letter}0000${number}`);
  }
  assert.deepEqual([...store.list('deferred')].map(({ queueId }) => queueId).sort(), [...names].sort());
  const sizes: number[] = [];
  for await (const batch of store.scan('deferred', 50)) sizes.push(batch.length);
  assert.deepEqual(sizes, [50, 50, 20]);
  const iterator = store.list('deferred')[Symbol.iterator]();
  iterator.next();
  fs.rmSync(join(root, 'deferred'), { recursive: true });
  let more = 0;
  while (!iterator.next().done) more++;
  assert.ok(more < names.length);
  assert.deepEqual([...store.list('deferred')], []);
});

test('a pointer leads to records behind the end, and back', async (t) => {
  const { root, store } = makeQueue(t);
  const head = new RecordWriter();
  const envelope: Envelope = { ...emptyEnvelope(), sender: '', recipients: [{ address: 'one@example.test', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false }] };
  const dataOffset = writeEnvelope(head, envelope, envelope.recipients, { room: true });
  const before = Buffer.concat(head.take());
  const place = dataOffset - 2 - 17;
  const content = Buffer.concat([encodeRecord(recordType.normal, 'a'), encodeRecord(recordType.pointer, '0'.padStart(15)), encodeRecord(recordType.normal, 'c')]);
  const tail = Buffer.concat([encodeRecord(recordType.extracted), encodeRecord(recordType.end)]);
  const heap = before.length + content.length + tail.length;
  const added = new RecordWriter(heap);
  added.put(recordType.recipient, 'added@example.test');
  added.pointer(dataOffset - 2);
  const text = added.offset;
  added.put(recordType.normal, 'b');
  added.pointer(dataOffset + 3 + 17);
  const file = Buffer.concat([before, content, tail, ...added.take()]);
  const size = { contentSize: content.length, dataOffset, recipientCount: 1, queueFlags: 0, contentLength: 4, sendOptions: 0 };
  encodeRecord(recordType.size, renderSize(size)).copy(file, 0);
  encodeRecord(recordType.pointer, String(heap).padStart(15)).copy(file, place);
  encodeRecord(recordType.pointer, String(text).padStart(15)).copy(file, dataOffset + 3);
  fs.writeFileSync(join(root, 'active', 'AB1234'), file, { mode: 0o700 });
  const reader = store.open('active', 'AB1234', { write: true });
  const { recipients } = reader.envelope();
  assert.deepEqual(recipients.map(({ address }) => address), ['one@example.test', 'added@example.test']);
  assert.equal((await contentOf(reader)).toString(), 'a\nb\nc\n');
  reader.done(recipients[1]!.offset);
  assert.deepEqual(reader.envelope().recipients.map(({ done }) => done), [false, true]);
  reader.close();
});

test('a damaged file is read or refused with a typed error, whatever the damage', async (t) => {
  const { root, store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('Subject: x\n\nhello\nworld\n'));
  await writer.commit('incoming');
  const path = join(root, 'incoming', writer.queueId);
  const good = fs.readFileSync(path);
  await fc.assert(fc.asyncProperty(fc.nat(good.length), fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), async (length, changes) => {
    const bad = Buffer.from(good);
    for (const [at, value] of changes) bad[at] = value;
    fs.writeFileSync(path, bad.subarray(0, length));
    const reader = store.open('incoming', writer.queueId);
    const refused = (error: unknown): void => assert.ok(error instanceof CorruptFile, String(error));
    try {
      reader.envelope();
    } catch (error) { refused(error); }
    try {
      for (const _ of reader.records());
    } catch (error) { refused(error); }
    await contentOf(reader).catch(refused);
    reader.close();
  }), { numRuns: 300 });
});

test('a record that was killed is passed over', (t) => {
  const { root, store } = makeQueue(t);
  const records = new RecordWriter();
  writeEnvelope(records, { ...emptyEnvelope(), sender: 's@x', warnTime: 1_700_000_000, recipients: [] });
  writeExtracted(records, emptyEnvelope());
  fs.writeFileSync(join(root, 'active', 'AB1234'), Buffer.concat(records.take()), { mode: 0o700 });
  const reader = store.open('active', 'AB1234', { write: true });
  const { warnTime, warnOffset } = reader.envelope();
  assert.equal(warnTime, 1_700_000_000);
  reader.kill(warnOffset);
  reader.kill(warnOffset);
  assert.equal(reader.envelope().warnTime, 0);
  assert.throws(() => reader.kill(0), CorruptFile);
  reader.close();
});

test('the wish to forget dead destinations is a mode bit, and is taken back', async (t) => {
  const { root, store } = makeQueue(t);
  const writer = store.create();
  writeMessage(writer, Buffer.from('x\n'));
  await writer.commit('incoming');
  fs.chmodSync(join(root, 'incoming', writer.queueId), 0o750);
  const reader = store.open('incoming', writer.queueId, { write: true });
  assert.deepEqual([reader.unthrottle, reader.forcedExpire], [true, true]);
  reader.clearUnthrottle();
  reader.close();
  const again = store.open('incoming', writer.queueId);
  assert.deepEqual([again.unthrottle, again.forcedExpire], [false, true]);
  again.close();
});
