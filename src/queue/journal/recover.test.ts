import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { recordType } from '../../message/record.ts';
import { recordsOf } from '../../message/record-reader.ts';
import { Batch, Blocks } from './batch.ts';
import { entryStatus, headLength, writeHead, type Life } from './entry.ts';
import type { Place } from './place.ts';
import { scanSegment } from './recover.ts';
import { sampleImage } from './sample-image.ts';
import { Segment, segmentName } from './segment.ts';
import { segmentHead, segmentHeadLength } from './segment-head.ts';

const size = 96 << 10;
const sector = 512;

interface Written { readonly place: Place; readonly queueId: string; readonly image: Buffer; readonly recipients: readonly number[] }

/** A segment in memory, with what the disk has of it. */
class Disk {
  readonly bytes: Buffer;
  readonly segment: Segment;
  readonly #blocks = new Blocks();

  constructor(bytes: Buffer, life: Life) {
    this.bytes = bytes;
    segmentHead({ ...life, size }).copy(bytes);
    this.segment = new Segment(-1, { inode: 1n, size, life, name: segmentName(life.generation) });
  }

  /** A batch of nothing but notes. How many there was room for comes back. */
  note(places: readonly Place[]): number {
    const batch = new Batch(this.segment, this.#blocks);
    const count = batch.addNotes(places.map(({ offset }) => ({ generation: this.segment.life.generation, offset })));
    if (count > 0) Buffer.concat(batch.buffers()).copy(this.bytes, batch.start);
    return count;
  }

  /** What a batch of these messages would write; undefined when there is no room. */
  batch(messages: readonly SampleMessage[]): { start: number; bytes: Buffer; written: Written[] } | undefined {
    const batch = new Batch(this.segment, this.#blocks);
    const written: Written[] = [];
    for (const { content, recipients, queueId } of messages) {
      const image = Buffer.from(content);
      for (const offset of recipients) image[offset] = recordType.recipient;
      const facts = { queueId, inode: 'F', length: image.length, recipients };
      if (!this.segment.fits(headLength(facts) + image.length)) break;
      const cut = image.length >> 1;
      written.push({ place: batch.add(facts, [image.subarray(0, cut), image.subarray(cut)], () => {}), queueId, image, recipients });
    }
    return written.length === 0 ? undefined : { start: batch.start, bytes: Buffer.concat(batch.buffers()), written };
  }
}

interface SampleMessage { readonly content: Uint8Array; readonly recipients: number[]; readonly queueId: string }

// Letters R, D and J make likely what could be taken for something else.
const contentByte = fc.oneof(fc.nat(255), fc.constantFrom(0, 0x52, 0x44, 0x50, 0x53, 0x4a, 0x45));
const message: fc.Arbitrary<SampleMessage> = fc.record({
  content: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.array(contentByte, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes)), fc.nat(9000).map((length) => new Uint8Array(length).fill(length & 0xff))),
  picks: fc.array(fc.nat(), { maxLength: 4 }),
  queueId: fc.stringMatching(/^[0-9A-Za-z]{5,16}$/),
}).map(({ content, picks, queueId }) => ({ content, queueId, recipients: content.length === 0 ? [] : [...new Set(picks.map((pick) => pick % content.length))] }));
const batches = fc.array(fc.array(message, { minLength: 1, maxLength: 5 }), { maxLength: 6 });
/** What became of a sector of the batch in flight. */
const fate = fc.constantFrom('new', 'new', 'old', 'zero', 'garbage', 'torn', 'flip');

function lives(): { old: Life; now: Life } {
  return { old: { generation: 0x29, tag: Buffer.from('aaaaaaaaaaaaaaaa', 'hex') }, now: { generation: 0x2a, tag: Buffer.from('bbbbbbbbbbbbbbbb', 'hex') } };
}

/** The disk writes whole sectors, in any order, well or badly. */
function land(target: Buffer, at: number, bytes: Buffer, fates: readonly string[]): void {
  const meant = Buffer.from(target);
  bytes.copy(meant, at);
  for (let from = at - (at % sector), index = 0; from < at + bytes.length; from += sector, index++) {
    const part = meant.subarray(from, from + sector);
    const there = target.subarray(from, from + sector);
    const what = fates[index % fates.length];
    if (what === 'new' || what === 'flip') part.copy(there);
    if (what === 'flip') there[(index * 97) % there.length]! ^= 1 << (index & 7);
    if (what === 'zero') there.fill(0);
    if (what === 'garbage') for (let i = 0; i < there.length; i++) there[i] = (i * 2_654_435_761 + index) >>> 7;
    if (what === 'torn') part.copy(there, 0, 0, part.length >> 1);
  }
}

test('what was acknowledged and is wanted is found, whole, once, and nothing else', () => {
  fc.assert(fc.property(
    batches, batches, fc.array(message, { minLength: 1, maxLength: 5 }), fc.array(fate, { minLength: 1, maxLength: 30 }), fc.array(fc.nat(5), { minLength: 1 }),
    fc.option(fc.double({ min: 0, max: 1, noNaN: true })), fc.boolean(),
    (before, after, inFlight, fates, choices, cut, tornBefore) => {
      const { old, now } = lives();
      const bytes = Buffer.alloc(size);
      const earlier = new Disk(bytes, old);
      for (const messages of before) {
        const batch = earlier.batch(messages);
        batch?.bytes.copy(bytes, batch.start);
      }
      const disk = new Disk(bytes, now);
      const acknowledged: Written[] = [];
      for (const messages of after) {
        const batch = disk.batch(messages);
        if (batch === undefined) break;
        batch.bytes.copy(bytes, batch.start);
        acknowledged.push(...batch.written);
      }
      const noted = acknowledged.filter((_, index) => choices[index % choices.length] === 5);
      const gone = new Set(noted.slice(0, disk.note(noted.map(({ place }) => place))));
      const end = disk.segment.end;
      const flying = disk.batch(inFlight);
      if (flying !== undefined) {
        land(bytes, flying.start, flying.bytes, tornBefore ? fates : ['new']);
      }
      const wanted: Written[] = [];
      acknowledged.forEach((entry, index) => {
        const choice = choices[index % choices.length]!;
        if (choice === 1) bytes[entry.place.offset - 1] = entryStatus.gone;
        else if (choice === 2) bytes[entry.place.offset - 1] = entryStatus.dropped;
        else if (!gone.has(entry)) wanted.push(entry);
        if (choice > 2) entry.recipients.forEach((offset, which) => {
          if ((which + choice) % 2 === 0) bytes[entry.place.offset + offset] = entry.image[offset] = recordType.done;
        });
      });
      const kept = cut === null ? bytes : bytes.subarray(0, Math.floor(end + cut * (size - end)));
      const { entries } = scanSegment(kept);
      const found = entries.map(({ queueId, offset, image, recipients, inode }) => ({ queueId, offset, image: Buffer.from(image), recipients, inode }));
      const told = (entry: Written) => ({ queueId: entry.queueId, offset: entry.place.offset, image: entry.image, recipients: entry.recipients, inode: 'F' });
      assert.deepEqual(found.slice(0, wanted.length), wanted.map(told));
      const possible = new Map((flying?.written ?? []).map((entry) => [entry.place.offset, entry]));
      for (const entry of found.slice(wanted.length)) assert.deepEqual(entry, told(possible.get(entry.offset)!));
      if (!tornBefore && cut === null) assert.equal(found.length, wanted.length + possible.size);
    },
  ), { numRuns: 300 });
});

test('a damaged entry costs only itself', () => {
  const disk = new Disk(Buffer.alloc(size), lives().now);
  const messages = Array.from({ length: 5 }, (_, index) => ({ content: Buffer.alloc(700, index), recipients: [10], queueId: `ID${index}` }));
  const batch = disk.batch(messages)!;
  batch.bytes.copy(disk.bytes, batch.start);
  for (const [name, at] of [['head', -40], ['image', 300]] as const) {
    for (const [index, { place }] of batch.written.entries()) {
      const copy = Buffer.from(disk.bytes);
      copy[place.offset + at]! ^= 4;
      const { entries, damaged } = scanSegment(copy);
      assert.deepEqual(entries.map(({ queueId }) => queueId), messages.map(({ queueId }) => queueId).filter((queueId) => queueId !== `ID${index}`));
      assert.equal(damaged, name === 'image' ? 1 : 0);
    }
  }
});

test('content that looks like an entry is none, wherever it lies', () => {
  const { old, now } = lives();
  const inner = Buffer.alloc(8192);
  for (const life of [{ ...now, tag: Buffer.alloc(8) }, { ...now, tag: old.tag }, { ...old, generation: now.generation }]) {
    for (let at = 0; at + 200 < inner.length; at += 1) if (at % 193 === 0) writeHead(inner, at, life, 1000 + at, { queueId: 'FORGED', inode: '1', length: 4, recipients: [] }, 0);
    const bytes = Buffer.alloc(size);
    const earlier = new Disk(bytes, old);
    for (const disk of [earlier, new Disk(bytes, now)]) {
      const batch = disk.batch([{ content: inner, recipients: [], queueId: 'HONEST' }])!;
      batch.bytes.copy(bytes, batch.start);
    }
    bytes[segmentHeadLength] = 0;
    assert.deepEqual(scanSegment(bytes).entries, []);
  }
});

test('a killed record does not make an image a bad one', () => {
  const disk = new Disk(Buffer.alloc(size), lives().now);
  const { image, recipients } = sampleImage();
  const batch = new Batch(disk.segment, new Blocks());
  const { offset } = batch.add({ queueId: 'ID', inode: '1', length: image.length, recipients }, [image], () => {});
  Buffer.concat(batch.buffers()).copy(disk.bytes, batch.start);
  const records = [...recordsOf(image)].map((step) => (step.kind === 'record' ? step.record : assert.fail(step.kind)));
  const at = records.find(({ type }) => type === recordType.attribute || type === recordType.warn)!.offset;
  disk.bytes[offset + at] = recordType.killed;
  disk.bytes[offset + recipients[0]!] = recordType.done;
  const { entries, damaged } = scanSegment(disk.bytes);
  assert.deepEqual([entries.length, damaged], [1, 0]);
  assert.equal(entries[0]!.image[at], recordType.killed);
});

test('any bytes are scanned without a throw', () => {
  const { now } = lives();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20_000 }), fc.boolean(), (noise, withHead) => {
    const bytes = Buffer.from(noise);
    if (withHead) segmentHead({ ...now, size }).copy(bytes);
    assert.deepEqual(scanSegment(bytes), { entries: [], damaged: 0, notes: [], generation: withHead && bytes.length >= 32 ? now.generation : undefined });
  }), { numRuns: 100 });
  for (const length of [0, 1, 31, 32, 4095, 4096, 4097]) assert.deepEqual(scanSegment(segmentHead({ ...now, size }).subarray(0, length)).entries, []);
});

test('one good copy of the segment head is enough', () => {
  const { now } = lives();
  for (const torn of [0, 2048]) {
    const disk = new Disk(Buffer.alloc(size), now);
    const batch = disk.batch([{ content: Buffer.from('R'), recipients: [0], queueId: 'ONE' }])!;
    batch.bytes.copy(disk.bytes, batch.start);
    disk.bytes.fill(0xff, torn, torn + 512);
    assert.equal(scanSegment(disk.bytes).entries.length, 1);
  }
});
