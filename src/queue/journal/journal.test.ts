import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { QueueTrouble } from '../store.ts';
import { entryStatus } from './entry.ts';
import { Journal, type JournalOptions } from './journal.ts';
import type { Place } from './place.ts';
import { openPlace } from './reader.ts';
import { sampleImage, SampleClock, sampleRoot } from './sample-image.ts';

const segmentSize = 64 << 10;
const sample = sampleImage();

interface Stage { readonly root: string; readonly clock: SampleClock; readonly warnings: string[]; readonly journal: Journal; reopen(): Journal; segments(): string[] }

async function openStage(t: TestContext, options: Partial<JournalOptions> = {}): Promise<Stage> {
  const root = sampleRoot(t);
  const clock = new SampleClock();
  const warnings: string[] = [];
  const reopen = (): Journal => Journal.open({ root, segmentSize, sizeLimit: 8 * segmentSize, messageCountLimit: 1000, clock, warn: (text) => warnings.push(text), ...options });
  const journal = reopen();
  await journal.ready();
  t.after(() => journal.leave());
  return { root, clock, warnings, journal, reopen, segments: () => (fs.existsSync(join(root, 'journal')) ? fs.readdirSync(join(root, 'journal')).sort() : []) };
}

let count = 0;
const nextId = (): string => `ID${String(++count).padStart(8, '0')}`;

interface Sent { readonly queueId: string; readonly place: Place; readonly answer: Promise<QueueTrouble | undefined> }

function send(journal: Journal, { image, recipients } = sample, queueId = nextId()): Sent | undefined {
  let tell!: (trouble?: QueueTrouble) => void;
  const answer = new Promise<QueueTrouble | undefined>((resolve) => { tell = resolve; });
  const place = journal.append({ queueId, inode: 'F', pieces: [image], length: image.length, recipients }, tell);
  return place === undefined ? undefined : { queueId, place, answer };
}

async function accepted(journal: Journal, message = sample): Promise<Place> {
  for (let attempts = 10; attempts > 0; attempts--) {
    const sent = send(journal, message);
    if (sent !== undefined) {
      assert.equal(await sent.answer, undefined);
      return sent.place;
    }
    await journal.ready();
  }
  return assert.fail('no room');
}

/** A disk that writes when told to. */
function slowDisk(): { writev: NonNullable<JournalOptions['writev']>; waiting: (() => void)[]; sizes: number[]; fail: { code?: string; short?: boolean } } {
  const waiting: (() => void)[] = [];
  const sizes: number[] = [];
  const fail: { code?: string; short?: boolean } = {};
  return {
    waiting, sizes, fail,
    writev: (fd, buffers, position, done) => {
      sizes.push(buffers.reduce((sum, { length }) => sum + length, 0));
      waiting.push(() => {
        // The page cache may have it all, and the disk nothing.
        const { code } = fail;
        if (code !== undefined) return fs.writev(fd, buffers, position, () => done(Object.assign(new Error(`${code}: made up, writev`), { code }), 0));
        if (fail.short) return fs.writev(fd, [buffers[0]!.subarray(0, 100)], position, done);
        fs.writev(fd, buffers, position, done);
      });
    },
  };
}

test('a message is on the disk when it is acknowledged, and read back, marked and found by the next process', async (t) => {
  const { root, journal, reopen } = await openStage(t);
  const cut = 100;
  const { image, recipients, envelope } = sample;
  const queueId = nextId();
  const place = await new Promise<Place>((resolve, reject) => {
    const made = journal.append({ queueId, inode: 'F00', pieces: [image.subarray(0, cut), image.subarray(cut)], length: image.length, recipients }, (trouble) => (trouble ? reject(trouble) : resolve(made!)));
  });
  assert.equal(fs.statSync(join(root, place.segment)).mode & 0o7777, 0o600);
  assert.deepEqual(fs.readFileSync(join(root, place.segment)).subarray(place.offset, place.offset + place.length), image);
  const reader = openPlace(place, { queue: 'active', queueId }, {}, root);
  assert.deepEqual(reader.envelope(), { ...envelope, complete: true });
  reader.done(recipients[0]!);
  reader.close();
  journal.leave();
  const next = reopen();
  t.after(() => next.leave());
  const [left, ...more] = [...next.abandoned()];
  assert.deepEqual(more, []);
  assert.equal(left!.segment, place.segment);
  const marked = Buffer.from(image);
  marked[recipients[0]!] = 'D'.charCodeAt(0);
  assert.deepEqual(left!.entries.map((entry) => ({ ...entry, image: Buffer.from(entry.image) })), [{ queueId, inode: 'F00', offset: place.offset, image: marked, recipients }]);
  assert.equal([...next.abandoned()].length, 1);
  left!.settled();
  await next.ready();
  assert.deepEqual([...next.abandoned()], []);
});

test('what comes in one turn of the loop goes together, what comes meanwhile goes next', async (t) => {
  const disk = slowDisk();
  const { journal } = await openStage(t, disk);
  const first = [send(journal)!, send(journal)!, send(journal)!];
  assert.deepEqual(disk.sizes, []);
  await turn();
  assert.equal(disk.sizes.length, 1);
  const second = [send(journal)!, send(journal)!];
  await turn();
  assert.equal(disk.sizes.length, 1);
  disk.waiting.shift()!();
  for (const { answer } of first) assert.equal(await answer, undefined);
  await turn();
  assert.equal(disk.sizes.length, 2);
  disk.waiting.shift()!();
  for (const { answer } of second) assert.equal(await answer, undefined);
  assert.equal(disk.sizes[0]! * 2, disk.sizes[1]! * 3);
  assert.equal(journal.live, 5);
  assert.deepEqual([...journal.oldest()], [...first, ...second].map(({ place }) => place));
});

test('no room: too many messages, too many bytes before the disk, too large a message, no segment yet', async (t) => {
  const few = await openStage(t, { messageCountLimit: 2 });
  const one = await accepted(few.journal);
  await accepted(few.journal);
  assert.equal(send(few.journal), undefined);
  assert.equal(few.journal.isCrowded, true);
  few.journal.release(one);
  await accepted(few.journal);

  const disk = slowDisk();
  const large = await openStage(t, { ...disk, segmentSize: 4 << 20, sizeLimit: 64 << 20 });
  const megabytes = { image: Buffer.alloc(3 << 20), recipients: [], envelope: sample.envelope };
  const sent = send(large.journal, megabytes)!;
  await large.journal.ready();
  const other = send(large.journal, megabytes)!;
  await large.journal.ready();
  assert.equal(send(large.journal, megabytes), undefined);
  for (const { answer } of [sent, other]) {
    await turn();
    disk.waiting.shift()!();
    assert.equal(await answer, undefined);
  }
  assert.ok(send(large.journal, megabytes));
  await turn();
  disk.waiting.shift()!();
  assert.equal(send(large.journal, { ...megabytes, image: Buffer.alloc(4 << 20) }), undefined);

  const early = few.reopen();
  assert.equal(send(early), undefined);
  await early.ready();
  await accepted(early);
  early.leave();
});

test('segments are used again, under higher names, while what lives in between stays where it is', async (t) => {
  const { root, journal, segments, warnings } = await openStage(t, { sizeLimit: 6 * segmentSize });
  const inodes = new Set<number>();
  const names = new Set<string>();
  const kept: Place[] = [];
  for (let i = 0; i < 1500; i++) {
    const place = await accepted(journal);
    names.add(place.segment);
    inodes.add(fs.statSync(join(root, place.segment)).ino);
    if (i % 500 === 250) kept.push(place);
    else journal.release(place);
    if (i % 20 === 0) await journal.ready();
  }
  assert.ok(names.size > 10, `${names.size} names`);
  assert.ok(inodes.size <= 6, `${inodes.size} files`);
  assert.deepEqual([...names], [...names].sort());
  assert.deepEqual([...journal.oldest()], kept);
  for (const place of kept) {
    const reader = openPlace(place, { queue: 'active', queueId: 'ID' }, {}, root);
    assert.deepEqual(reader.image(), sample.image);
    reader.close();
  }
  assert.equal(journal.isCrowded, false);
  for (const place of kept) journal.release(place);
  await journal.ready();
  assert.ok(segments().length <= 6);
  assert.deepEqual(warnings, []);
  journal.close();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('a single segment is enough: it is used again when it is empty', async (t) => {
  const { journal } = await openStage(t, { sizeLimit: segmentSize });
  let places: Place[] = [];
  let refused = 0;
  for (let i = 0; i < 600; i++) {
    const sent = send(journal);
    if (sent !== undefined) {
      assert.equal(await sent.answer, undefined);
      places.push(sent.place);
      continue;
    }
    refused++;
    assert.equal(journal.isCrowded, true);
    for (const place of places) journal.release(place);
    places = [];
    await journal.ready();
  }
  assert.ok(refused > 5 && refused < 60, `${refused}`);
});

test('the size limit holds; when the old ones are released there is room again', async (t) => {
  const { journal, segments } = await openStage(t, { sizeLimit: 3 * segmentSize });
  const places: Place[] = [];
  for (let none = 0; none < 2;) {
    const sent = send(journal);
    await (sent?.answer ?? journal.ready());
    if (sent === undefined) none++;
    else places.push(sent.place);
  }
  assert.equal(segments().length, 3);
  assert.equal(new Set(places.map(({ segment }) => segment)).size, 3);
  assert.equal(journal.isCrowded, true);
  const oldest = [...journal.oldest()].filter(({ segment }) => segment === places[0]!.segment);
  for (const place of oldest) journal.release(place);
  await journal.ready();
  await accepted(journal);
  assert.equal(segments().length, 3);
});

for (const [name, failure, code] of [['an error', { code: 'EIO' }, 'EIO'], ['a full disk', { code: 'ENOSPC' }, 'ENOSPC'], ['a short write', { short: true }, 'EIO']] as const) {
  test(`${name} is told to all it concerns; what was acknowledged stays, and the next segment is used`, async (t) => {
    const disk = slowDisk();
    const { root, journal, warnings, reopen, segments } = await openStage(t, disk);
    const good = send(journal)!;
    await turn();
    disk.waiting.shift()!();
    assert.equal(await good.answer, undefined);
    await journal.ready();
    const flying = [send(journal)!, send(journal)!];
    await turn();
    const behind = send(journal)!;
    assert.equal(behind.place.segment, good.place.segment);
    Object.assign(disk.fail, failure);
    disk.waiting.shift()!();
    for (const { answer } of [...flying, behind]) assert.equal((await answer)?.code, code);
    assert.equal(journal.live, 1);
    assert.match(warnings[0]!, /no more messages go into this segment/);
    disk.fail.code = undefined!;
    disk.fail.short = false;
    const later = send(journal)!;
    assert.notEqual(later.place.segment, good.place.segment);
    await turn();
    disk.waiting.shift()!();
    assert.equal(await later.answer, undefined);
    const reader = openPlace(good.place, { queue: 'active', queueId: good.queueId }, {}, root);
    assert.deepEqual(reader.image(), sample.image);
    reader.close();
    journal.leave();
    const next = reopen();
    const found = [...next.abandoned()].flatMap(({ entries }) => entries.map(({ queueId }) => queueId));
    assert.deepEqual(found, [good.queueId, later.queueId]);
    next.leave();
    assert.ok(segments().includes(good.place.segment.slice(8)));
  });
}

/** The kernel had not written what was marked in place when the power went. */
function forgetMarks(root: string, places: readonly Place[]): void {
  for (const { segment, offset } of places) {
    const fd = fs.openSync(join(root, segment), 'r+');
    fs.writeSync(fd, Buffer.from([entryStatus.wanted]), 0, 1, offset - 1);
    fs.closeSync(fd);
  }
}

function foundBy(next: Journal): string[] {
  return [...next.abandoned()].flatMap(({ entries }) => entries.map(({ queueId }) => queueId));
}

test('what is released is noted with the next batch, and stays gone when the mark in place is lost', async (t) => {
  const { root, journal, reopen } = await openStage(t);
  const [first, second] = [await accepted(journal), await accepted(journal)];
  journal.release(first);
  const third = send(journal)!;
  await third.answer;
  journal.release(second);
  journal.leave();
  forgetMarks(root, [first, second]);
  const next = reopen();
  // The second was released after the last batch: that is what a power cut may bring back.
  assert.equal(foundBy(next).length, 2);
  assert.equal(foundBy(next).at(-1), third.queueId);
  next.leave();
});

test('when no batch comes for a while the notes go alone', async (t) => {
  const { root, journal, clock, reopen } = await openStage(t);
  const [first, second, third] = [await accepted(journal), await accepted(journal), send(journal)!];
  await third.answer;
  journal.release(first);
  journal.release(second);
  clock.pass(500);
  await turn();
  // One at a time: this one is behind the notes.
  await accepted(journal);
  journal.leave();
  forgetMarks(root, [first, second]);
  const next = reopen();
  assert.equal(foundBy(next).length, 2);
  assert.equal(foundBy(next)[0], third.queueId);
  next.leave();
});

test('notes without a batch do not keep a segment from being used up, nor from being closed', async (t) => {
  const disk = slowDisk();
  const { root, journal, clock } = await openStage(t, disk);
  const sent = send(journal)!;
  await turn();
  disk.waiting.shift()!();
  await sent.answer;
  journal.release(sent.place);
  clock.pass(500);
  await turn();
  assert.equal(disk.waiting.length, 1);
  journal.close();
  assert.equal(fs.existsSync(join(root, sent.place.segment)), true);
  disk.waiting.shift()!();
  for (let turns = 0; turns < 10_000 && fs.existsSync(join(root, 'journal')); turns++) await turn();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('the notes of a batch that failed go with the next one; a note in a later segment counts for an earlier one', async (t) => {
  const disk = slowDisk();
  const { root, journal, reopen } = await openStage(t, disk);
  const landed = async ({ answer }: Sent): Promise<QueueTrouble | undefined> => {
    await turn();
    disk.waiting.shift()!();
    return answer;
  };
  const [gone, kept] = [send(journal)!, send(journal)!];
  assert.equal(await landed(kept), undefined);
  await journal.ready();
  journal.release(gone.place);
  disk.fail.code = 'EIO';
  assert.equal((await landed(send(journal)!))?.code, 'EIO');
  disk.fail.code = undefined!;
  const later = send(journal)!;
  assert.notEqual(later.place.segment, gone.place.segment);
  assert.equal(await landed(later), undefined);
  journal.leave();
  forgetMarks(root, [gone.place]);
  const next = reopen();
  assert.deepEqual(foundBy(next), [kept.queueId, later.queueId]);
  // Told once, it is marked: the segment that told it may be used again before this one.
  fs.rmSync(join(root, later.place.segment));
  next.leave();
  const third = reopen();
  assert.deepEqual(foundBy(third), [kept.queueId]);
  third.leave();
});

test('a descriptor that is gone is a failed write, not another file', async (t) => {
  let broken = true;
  const { journal } = await openStage(t, { writev: (fd, buffers, position, done) => fs.writev(broken ? 1_000_000 : fd, buffers, position, done) });
  const sent = send(journal)!;
  assert.equal((await sent.answer)?.code, 'EBADF');
  broken = false;
  await journal.ready();
  await accepted(journal);
});

test('a broken segment is removed as soon as nothing in it is wanted, and never used again', async (t) => {
  const disk = slowDisk();
  const { root, journal, segments } = await openStage(t, disk);
  const good = send(journal)!;
  await turn();
  disk.waiting.shift()!();
  await good.answer;
  await journal.ready();
  const bad = send(journal)!;
  disk.fail.code = 'EIO';
  await turn();
  disk.waiting.shift()!();
  await bad.answer;
  const { ino } = fs.statSync(join(root, good.place.segment));
  journal.release(good.place);
  await journal.ready();
  assert.equal(segments().some((name) => fs.statSync(join(root, 'journal', name)).ino === ino), false);
});

test('after a quiet minute one segment ahead is enough', async (t) => {
  const { journal, clock, segments } = await openStage(t);
  const places: Place[] = [];
  while (new Set(places.map(({ segment }) => segment)).size < 5) {
    const sent = send(journal);
    await (sent?.answer ?? journal.ready());
    if (sent !== undefined) places.push(sent.place);
  }
  for (const place of places) journal.release(place);
  await journal.ready();
  assert.ok(segments().length >= 5);
  clock.pass(60_000);
  assert.ok(segments().length >= 5);
  clock.pass(60_000);
  assert.equal(segments().length, 2);
  journal.release(await accepted(journal));
});

test('closing with something live leaves that, and only that; releasing it later still removes it', async (t) => {
  const { journal, reopen, segments } = await openStage(t);
  const place = await accepted(journal);
  journal.close();
  assert.deepEqual(segments(), [place.segment.slice(8)]);
  assert.equal(send(journal), undefined);
  const other = reopen();
  assert.equal(other.hasForeign(), true);
  assert.deepEqual([...other.abandoned()], []);
  await other.ready();
  other.close();
  journal.release(place);
  await other.ready();
  assert.deepEqual(segments(), []);
});

test('closing while a write is under way waits for it', async (t) => {
  const disk = slowDisk();
  const { root, journal } = await openStage(t, disk);
  const sent = send(journal)!;
  await turn();
  journal.close();
  disk.waiting.shift()!();
  assert.equal(await sent.answer, undefined);
  journal.release(sent.place);
  await journal.ready();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('closing while a segment is being made leaves nothing', async (t) => {
  const { root, journal, reopen, warnings } = await openStage(t);
  journal.close();
  const hasty = reopen();
  hasty.close();
  assert.deepEqual(fs.existsSync(join(root, 'journal')) ? fs.readdirSync(join(root, 'journal')) : [], []);
  await hasty.ready();
  assert.deepEqual(fs.readdirSync(root), []);
  assert.deepEqual(warnings, []);
});

test('a directory that cannot be had is told at once', (t) => {
  const root = sampleRoot(t);
  fs.writeFileSync(join(root, 'journal'), '');
  assert.throws(() => Journal.open({ root, segmentSize, sizeLimit: segmentSize, messageCountLimit: 1, clock: new SampleClock(), warn: () => {} }), QueueTrouble);
});

/** The queue file in pieces of so many bytes. */
function cutInto(image: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(image.length / size) }, (_, index) => image.subarray(index * size, (index + 1) * size));
}

test('large and small messages, in few pieces and in many, are on the disk as they came, and found by the next process', async (t) => {
  const { root, journal, reopen } = await openStage(t, { segmentSize: 4 << 20, sizeLimit: 64 << 20 });
  const wanted = new Map<string, { image: Buffer; recipients: number[]; place: Place }>();
  const length = fc.constantFrom(0, 500, 5_000, 31_000, 33_000, 66_000, 140_000, 400_000);
  const sort = fc.record({ length, size: fc.constantFrom(300, 8_000, 16_384, 65_500, 1 << 20), recipients: fc.constantFrom(1, 3, 40), isReleased: fc.boolean() });
  await fc.assert(fc.asyncProperty(fc.array(sort, { minLength: 1, maxLength: 8 }), async (sorts) => {
    const batch = sorts.map(({ length: bytes, size, recipients: names, isReleased }, at) => {
      const message = sampleImage({ content: `Subject: ${at}\n\n${`${'x'.repeat(98)}\n`.repeat(bytes / 100)}`, recipients: Array.from({ length: names }, (_, number) => `r${number}@example.test`) });
      const queueId = nextId();
      let place: Place | undefined;
      const answer = new Promise<QueueTrouble | undefined>((resolve) => {
        place = journal.append({ queueId, inode: 'F', pieces: cutInto(message.image, size), length: message.image.length, recipients: message.recipients }, resolve);
        if (place === undefined) resolve(undefined);
      });
      return { ...message, queueId, place, answer, isReleased };
    });
    for (const { answer, image, recipients, queueId, place, isReleased } of batch) {
      assert.equal(await answer, undefined);
      if (place === undefined) continue;
      assert.ok(fs.readFileSync(join(root, place.segment)).subarray(place.offset, place.offset + place.length).equals(image));
      if (isReleased) journal.release(place);
      else wanted.set(queueId, { image, recipients, place });
    }
    await journal.ready();
  }), { numRuns: 40 });
  assert.ok(wanted.size > 40);
  journal.leave();
  const next = reopen();
  t.after(() => next.leave());
  for (const left of next.abandoned()) {
    for (const entry of left.entries) {
      const { image, recipients, place } = wanted.get(entry.queueId)!;
      assert.ok(entry.image.equals(image));
      assert.deepEqual([left.segment, entry.offset, entry.recipients], [place.segment, place.offset, recipients]);
      wanted.delete(entry.queueId);
    }
  }
  assert.deepEqual([...wanted.keys()], []);
});

test('large messages are written from where they are, small ones together', async (t) => {
  const parts: Buffer[][] = [];
  const writev: JournalOptions['writev'] = (fd, buffers, position, done) => {
    parts.push([...buffers]);
    fs.writev(fd, buffers, position, done);
  };
  const { journal } = await openStage(t, { segmentSize: 4 << 20, sizeLimit: 64 << 20, writev });
  const large = sampleImage({ content: `Subject: x\n\n${'0123456789\n'.repeat(20_000)}` });
  const sent = [send(journal)!, send(journal, large)!, send(journal)!, send(journal)!];
  for (const { answer } of sent) assert.equal(await answer, undefined);
  assert.equal(parts.length, 1);
  assert.equal(parts[0]!.length, 3);
  assert.equal(parts[0]![1]!.buffer, large.image.buffer);
  const many = cutInto(large.image, 1000);
  await new Promise<void>((resolve) => { assert.ok(journal.append({ queueId: nextId(), inode: 'F', pieces: many, length: large.image.length, recipients: large.recipients }, () => resolve())); });
  assert.equal(parts[1]!.length, 1);
});

test('what is no message is refused before anything is written', async (t) => {
  const { journal } = await openStage(t);
  const { image, recipients } = sample;
  const large = sampleImage({ content: `Subject: x\n\n${'0123456789\n'.repeat(4_000)}` });
  const done = (): void => assert.fail('called');
  for (const [what, broken] of [
    ['pieces too short', { pieces: [image.subarray(1)], length: image.length, recipients }],
    ['pieces too long', { pieces: [image, image], length: image.length, recipients }],
    ['an offset outside', { pieces: [image], length: image.length, recipients: [image.length] }],
    ['no recipient there', { pieces: [image], length: image.length, recipients: [recipients[0]! + 1] }],
    ['large, pieces too short', { pieces: [large.image.subarray(1)], length: large.image.length, recipients: large.recipients }],
    ['large, an offset outside', { pieces: [large.image], length: large.image.length, recipients: [large.image.length] }],
    ['large, no recipient there', { pieces: cutInto(large.image, 20_000), length: large.image.length, recipients: [large.recipients[0]! + 20_000] }],
  ] as const) assert.throws(() => journal.append({ queueId: 'ID', inode: 'F', ...broken }, done), RangeError, what);
  assert.equal(journal.live, 0);
  const place = await accepted(journal);
  assert.deepEqual([...journal.oldest()], [place]);
});

test('a second name of a segment of ours is no second segment', async (t) => {
  const { root, journal, reopen } = await openStage(t);
  const place = await accepted(journal);
  journal.leave();
  fs.linkSync(join(root, place.segment), join(root, 'journal/FFFFFFF0'));
  const next = reopen();
  assert.equal([...next.abandoned()].length, 1);
  assert.equal(fs.existsSync(join(root, 'journal/FFFFFFF0')), false);
  next.leave();
});

test('files that are no good segments are passed over and removed', async (t) => {
  const { root, journal, reopen, segments } = await openStage(t);
  journal.close();
  fs.mkdirSync(join(root, 'journal'));
  fs.writeFileSync(join(root, 'journal/00000001'), '');
  fs.writeFileSync(join(root, 'journal/00000002'), Buffer.alloc(segmentSize, 0x53));
  fs.writeFileSync(join(root, 'journal/00000003'), Buffer.alloc(5000));
  fs.symlinkSync('/etc/passwd', join(root, 'journal/00000004'));
  const next = reopen();
  assert.deepEqual([...next.abandoned()], []);
  await next.ready();
  assert.deepEqual(segments().filter((name) => name < '00000004'), []);
  await accepted(next);
  next.leave();
});

/** A disk on which a write takes as long as is said; how each was written. */
function timedDisk(): { options: Pick<JournalOptions, 'writev' | 'writevSync' | 'clock'>; ways: string[]; disk: { takes: number; code?: string } } {
  const clock = new SampleClock();
  let now = 0;
  const ways: string[] = [];
  const disk: { takes: number; code?: string } = { takes: 0.2 };
  const written = (way: string): void => {
    ways.push(way);
    now += disk.takes;
  };
  return {
    ways, disk,
    options: {
      clock: { now: () => now, after: (milliseconds, run) => clock.after(milliseconds, run) },
      writev: (fd, buffers, position, done) => {
        written('thread');
        fs.writev(fd, buffers, position, done);
      },
      writevSync: (fd, buffers, position) => {
        written('alone');
        if (disk.code !== undefined) throw Object.assign(new Error(`${disk.code}: made up, writev`), { code: disk.code });
        return fs.writevSync(fd, buffers, position);
      },
    },
  };
}

test('a message that is alone on a quick disk is written without a thread', async (t) => {
  const { options, ways, disk } = timedDisk();
  const { journal } = await openStage(t, options);
  const alone = async (): Promise<void> => journal.release(await accepted(journal));
  for (let times = 0; times < 3; times++) await alone();
  assert.deepEqual(ways.splice(0), ['thread', 'alone', 'alone'], 'nothing is known of the disk at first');
  disk.takes = 5;
  for (let times = 0; times < 3; times++) await alone();
  assert.deepEqual(ways.splice(0), ['alone', 'thread', 'thread'], 'it has become slow');
  disk.takes = 0.2;
  for (let times = 0; times < 2; times++) await alone();
  assert.deepEqual(ways.splice(0), ['thread', 'alone']);
  const others = [send(journal)!, send(journal)!];
  assert.deepEqual(await Promise.all(others.map(({ answer }) => answer)), [undefined, undefined]);
  assert.deepEqual(ways.splice(0), ['thread'], 'two in one turn');
  await accepted(journal);
  assert.deepEqual(ways.splice(0), ['thread'], 'others are still on their way');
});

test('a message that is alone and cannot be written is refused, and nothing more goes into its segment', async (t) => {
  const { options, disk } = timedDisk();
  const { journal, warnings } = await openStage(t, options);
  journal.release(await accepted(journal));
  disk.code = 'EIO';
  const { answer } = send(journal)!;
  assert.equal((await answer)?.code, 'EIO');
  assert.match(warnings.join('\n'), /no more messages go into this segment/);
  assert.equal(journal.live, 0);
});
