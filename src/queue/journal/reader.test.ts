import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { tryLockByte } from '../../host/locks.ts';
import { SampleQueue, type SampleMessage } from '../sample-queue.ts';
import { CorruptFile, QueueTrouble, type ContentNotes, type MessageReader, type OpenOptions } from '../store.ts';
import { Journal } from './journal.ts';
import { parsePlace, placeText, type Place } from './place.ts';
import { openPlace, type PlaceReader } from './reader.ts';
import { sampleImage, SampleClock, sampleRoot } from './sample-image.ts';

interface Stage { readonly root: string; readonly journal: Journal; put(message?: SampleMessage | { image: Buffer; recipients: number[] }): Promise<Place>; open(place: Place | string, options?: OpenOptions): PlaceReader }

async function openStage(t: TestContext, segmentSize = 256 << 10, sizeLimit = 4 << 20): Promise<Stage> {
  const root = sampleRoot(t);
  const journal = Journal.open({ root, segmentSize, sizeLimit, messageCountLimit: 1000, clock: new SampleClock(), warn: () => {} });
  await journal.ready();
  t.after(() => journal.leave());
  return {
    root, journal,
    put: async (message = {}) => {
      const { image, recipients } = 'image' in message ? message : sampleImage(message);
      for (let attempts = 10; attempts > 0; attempts--) {
        const place = await new Promise<Place | undefined>((resolve, reject) => {
          const made = journal.append({ queueId: 'ID123456', inode: '56', pieces: [image], length: image.length, recipients }, (trouble) => (trouble ? reject(trouble) : resolve(made)));
          if (made === undefined) resolve(undefined);
        });
        if (place !== undefined) return place;
        await journal.ready();
      }
      return assert.fail('no room');
    },
    open: (place, options) => openPlace(place, { queue: 'active', queueId: 'ID123456' }, options, root),
  };
}

async function contentOf(reader: MessageReader, lineEnd: '\n' | '\r\n'): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of reader.content({ lineEnd })) {
    assert.ok(piece.length <= 65_538);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('latin1');
}

/** Each piece is copied before the next one takes its place. */
async function transientOf(reader: MessageReader, lineEnd: '\n' | '\r\n'): Promise<string> {
  let text = '';
  for await (const piece of reader.content({ lineEnd, transient: true })) text += piece.toString('latin1');
  return text;
}

test('many recipients are marked at once, and nobody else\'s mark is touched', async (t) => {
  const { put, open } = await openStage(t, 1 << 20);
  const names = Array.from({ length: 12 }, (_, number) => `r${number}@example.test`);
  const place = await put({ content: 'Subject: x\n\nhello\n', recipients: names });
  const [one, other] = [open(place, { write: true }), open(place, { write: true })];
  const offsets = one.envelope().recipients.map(({ offset }) => offset);
  const done = (): string => open(place).envelope().recipients.map((each) => (each.done ? 'D' : 'R')).join('');
  // Behind the back of the one: with a gap in its own marks it must not write over it.
  other.done(offsets[4]!);
  one.doneAll([offsets[3]!, offsets[2]!, offsets[5]!]);
  assert.equal(done(), 'RRDDDDRRRRRR');
  // All from the first to the last: one write.
  one.doneAll(offsets.slice(6, 11));
  assert.equal(done(), 'RRDDDDDDDDDR');
  one.doneAll([offsets[0]!, offsets[6]!, offsets[1]!, offsets[11]!]);
  assert.equal(done(), 'DDDDDDDDDDDD');
  assert.deepEqual(offsets.map((offset) => one.isDone(offset)), offsets.map((_, at) => at !== 4));
  assert.throws(() => one.doneAll([offsets[0]! + 1, offsets[1]!, offsets[2]!]), CorruptFile);
  assert.equal((await contentOf(open(place), '\n')), 'Subject: x\n\nhello\n');
});

test('marks that could not be written are not believed', async (t) => {
  const { root, put, open } = await openStage(t, 1 << 20);
  const place = await put({ content: 'Subject: x\n\nhello\n', recipients: ['a@example.test', 'b@example.test', 'c@example.test'] });
  const reader = open(place, { write: true });
  const offsets = reader.envelope().recipients.map(({ offset }) => offset);
  fs.truncateSync(join(root, place.segment), 0);
  assert.throws(() => reader.doneAll(offsets), { code: 'ESTALE' });
  assert.deepEqual(offsets.map((offset) => reader.isDone(offset)), [false, false, false]);
});

test('nothing is marked through a reader that was closed', async (t) => {
  const { put, open } = await openStage(t, 1 << 20);
  const place = await put({ content: 'Subject: x\n\nhello\n', recipients: ['a@example.test'] });
  const reader = open(place, { write: true });
  const { offset } = reader.envelope().recipients[0]!;
  reader.close();
  assert.throws(() => reader.done(offset), CorruptFile);
  assert.equal(open(place).envelope().recipients[0]!.done, false);
});

test('a large message that was closed gives nothing, rather than what came into its memory since', async (t) => {
  const { put, open } = await openStage(t, 1 << 20);
  const text = (letter: string): string => `Subject: ${letter}\n\n${`${letter.repeat(60)}\n`.repeat(5_000)}`;
  const [first, second] = [await put({ content: text('a'), recipients: ['a@example.test'] }), await put({ content: text('b'), recipients: ['b@example.test'] })];
  const reader = open(first);
  const pieces = reader.content({ transient: true });
  assert.match((await pieces.next()).value!.toString('latin1'), /^Subject: a\n\na+\n/);
  reader.close();
  const other = open(second);
  await assert.rejects(pieces.next(), CorruptFile);
  assert.equal(await transientOf(other, '\n'), text('b'));
  // What somebody has parts of is not used again.
  const records = [...other.records()];
  const kept = records.map(({ data }) => data.toString('latin1'));
  other.close();
  assert.equal(await transientOf(open(first), '\n'), text('a'));
  assert.deepEqual(records.map(({ data }) => data.toString('latin1')), kept);
});

for (const [name, content, isDotless] of [
  ['none', 'Subject: x\n\na.b\n', true], ['one', 'Subject: x\n\n.\n', false], ['one, large', `Subject: x\n\n${'a\n'.repeat(200_000)}.b`, false],
  ['none, large', `Subject: x\n\n${'a.\n'.repeat(200_000)}`, true], ['in the middle of a long line', `Subject: x\n\n${'a'.repeat(2048)}.b\n`, false], ['no content', '', true],
] as const) {
  test(`a reader of the journal knows of lines that begin with a dot: ${name}`, async (t) => {
    const { put, open } = await openStage(t, 1 << 20);
    const reader = open(await put({ content, recipients: ['a@example.test'] }));
    const notes: ContentNotes = { isDotless: false };
    if (reader.contentNow({ lineEnd: '\r\n', notes }) !== undefined) assert.equal(notes.isDotless, isDotless);
    for await (const piece of reader.content({ lineEnd: '\r\n', transient: true, notes })) assert.ok(!notes.isDotless || !piece.includes('\n.'));
    assert.equal(notes.isDotless, isDotless);
    const queue = new SampleQueue(t);
    const file = queue.store.open('incoming', await queue.put('incoming', { content, recipients: ['a@example.test'] }));
    const unknown: ContentNotes = { isDotless: false };
    for await (const piece of file.content({ lineEnd: '\r\n', transient: true, notes: unknown })) assert.ok(piece.length > 0);
    assert.equal(unknown.isDotless, false);
  });
}

for (const [name, content] of [['small', 'Subject: x\n\nhello\n'], ['large', `Subject: y\n\n${'0123456789\n'.repeat(20_000)}`], ['empty', ''], ['no last line end', 'Subject: z\n\nend']] as const) {
  test(`a message in the journal reads like its queue file: ${name}`, async (t) => {
    const { put, open } = await openStage(t, 1 << 20);
    const queue = new SampleQueue(t);
    const message = { content, recipients: ['a@example.test', 'b@example.test', 'c@example.test'] };
    const file = queue.store.open('incoming', await queue.put('incoming', message), { write: true });
    const reader = open(await put(message), { write: true });
    assert.equal(reader.size, file.size);
    assert.deepEqual(reader.envelope(), file.envelope());
    assert.deepEqual(reader.warnings, file.warnings);
    assert.deepEqual([...reader.records()], [...file.records()]);
    for (const lineEnd of ['\n', '\r\n'] as const) {
      assert.equal(await contentOf(reader, lineEnd), await contentOf(file, lineEnd));
      assert.equal(reader.contentNow({ lineEnd })?.toString('latin1'), name === 'large' ? undefined : await contentOf(file, lineEnd));
      assert.equal(await transientOf(reader, lineEnd), await contentOf(file, lineEnd));
    }
    const { size } = reader.envelope();
    if (name !== 'large') assert.equal(reader.contentNow({ offset: size!.dataOffset })!.toString('latin1'), await contentOf(file, '\n'));
    for (const each of [reader, file]) {
      const [, second] = each.envelope().recipients;
      each.done(second!.offset);
      assert.deepEqual(each.envelope().recipients.map(({ done }) => done), [false, true, false]);
      assert.deepEqual(each.envelope().recipients.map(({ offset }) => each.isDone(offset)), [false, true, false]);
      assert.equal(each.isDone(0) || each.isDone(-1), false);
      assert.throws(() => each.done(second!.offset + 1), CorruptFile);
      assert.throws(() => each.kill(second!.offset), CorruptFile);
      each.close();
    }
  });
}

test('a mark is in the segment, and the next reader sees it', async (t) => {
  const { root, put, open } = await openStage(t);
  const place = await put();
  const reader = open(placeText(place), { write: true });
  const [first] = reader.envelope().recipients;
  const before = fs.readFileSync(join(root, place.segment));
  reader.done(first!.offset);
  reader.done(first!.offset);
  const after = fs.readFileSync(join(root, place.segment));
  const changed = [...after.keys()].filter((at) => after[at] !== before[at]);
  assert.deepEqual(changed, [place.offset + first!.offset]);
  reader.close();
  reader.close();
  const next = open(place);
  assert.equal(next.isDone(first!.offset), true);
  next.close();
});

test('what is no place, or no longer, cannot be opened', async (t) => {
  const { root, journal, put, open } = await openStage(t);
  const place = await put();
  for (const text of ['x', 'journal/0000002A', '../etc/passwd:0:1', 'journal/../x:1:1', 'journal/0000002a:1:1', '']) {
    assert.equal(parsePlace(text), undefined);
    assert.throws(() => open(text), { code: 'EINVAL' });
  }
  assert.throws(() => open({ ...place, segment: 'journal/00000000' }), { code: 'ENOENT' });
  for (const wrong of [{ offset: place.offset + 1 }, { offset: 0 }, { offset: 1 << 30 }, { length: place.length + 1 }]) assert.throws(() => open({ ...place, ...wrong }), { code: 'ESTALE' });
  fs.symlinkSync(join(root, place.segment), join(root, 'journal/00000001'));
  assert.throws(() => open({ ...place, segment: 'journal/00000001' }), { code: 'ELOOP' });
  const reader = open(place, { write: true });
  journal.release(place);
  assert.throws(() => open(place), { code: 'ESTALE' });
  assert.throws(() => reader.done(reader.envelope().recipients[0]!.offset), { code: 'ESTALE' });
  assert.equal(reader.isDone(reader.envelope().recipients[0]!.offset), false);
  reader.close();
  assert.throws(() => reader.done(reader.envelope().recipients[0]!.offset), QueueTrouble);
});

test('a descriptor of an earlier life harms nobody', async (t) => {
  const { root, journal, put, open } = await openStage(t, 16 << 10, 16 << 10);
  const first = await put();
  const reader = open(first, { write: true });
  const [recipient] = reader.envelope().recipients;
  journal.release(first);
  let place = await put();
  while (place.segment === first.segment) {
    journal.release(place);
    place = await put();
  }
  assert.equal(place.offset, first.offset);
  const before = fs.readFileSync(join(root, place.segment));
  assert.throws(() => reader.done(recipient!.offset), { code: 'ESTALE' });
  assert.deepEqual(fs.readFileSync(join(root, place.segment)), before);
  reader.close();
  assert.throws(() => open(first), { code: 'ESTALE' });
  assert.throws(() => open(first), { code: 'ENOENT' });
});

test('many segments: few descriptors, and none is closed under a reader', async (t) => {
  const { root, put, open } = await openStage(t, 16 << 10, 1 << 20);
  const places: Place[] = [];
  const here = (): number => fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(root, 'journal/'));
    } catch {
      return false;
    }
  }).length;
  const image = { image: Buffer.alloc(6000, 'R'), recipients: [7] };
  while (new Set(places.map(({ segment }) => segment)).size < 20) {
    places.push(await put(image));
    await new Promise(setImmediate);
  }
  const before = here();
  const readers = places.map((place) => open(place, { write: true }));
  assert.equal(here() - before, new Set(places.map(({ segment }) => segment)).size);
  for (const reader of readers) reader.done(7);
  for (const reader of readers) reader.close();
  assert.ok(here() - before <= 8, `${here() - before}`);
  for (const place of places) {
    const again = open(place);
    assert.equal(again.isDone(7), true);
    again.close();
  }
});

test('who delivers holds a lock that a recovering process sees, until the last one here closes', async (t) => {
  const { root, put, open } = await openStage(t);
  const [place, other] = [await put(), await put()];
  const fd = fs.openSync(join(root, place.segment), 'r+');
  t.after(() => fs.closeSync(fd));
  const free = ({ offset }: Place): boolean => {
    const isFree = tryLockByte(fd, offset, 'exclusive');
    if (isFree) tryLockByte(fd, offset, 'none');
    return isFree;
  };
  assert.equal(free(place), true);
  open(place, { write: true, lock: 'exclusive' }).close();
  const shared: OpenOptions = { write: true, lock: 'shared' };
  const [one, two] = [open(place, shared), open(place, shared)];
  assert.deepEqual([free(place), free(other)], [false, true]);
  one.close();
  assert.equal(free(place), false);
  two.close();
  assert.equal(free(place), true);
  assert.equal(tryLockByte(fd, place.offset, 'exclusive'), true);
  assert.throws(() => open(place, shared), { code: 'EAGAIN' });
  const reader = open(place);
  assert.equal(reader.lock('shared'), false);
  tryLockByte(fd, place.offset, 'none');
  assert.equal(reader.lock('shared'), true);
  assert.equal(free(place), false);
  assert.equal(reader.lock('none'), true);
  assert.equal(free(place), true);
  reader.close();
});

test('an image that is no queue file is told as one', async (t) => {
  const { put, open } = await openStage(t);
  for (const text of ['', 'garbage', 'C\x03abcM\x00']) {
    const reader = open(await put({ image: Buffer.from(text, 'latin1'), recipients: [] }));
    assert.throws(() => reader.envelope(), CorruptFile);
    assert.throws(() => [...reader.records()], CorruptFile);
    assert.throws(() => reader.contentNow(), CorruptFile);
    await assert.rejects(contentOf(reader, '\n'), CorruptFile);
    reader.close();
  }
});
