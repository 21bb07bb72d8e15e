/**
 * Entries on their way to a segment with one write: their bytes, in the order of the file, and who waits for them.
 *
 * Messages are copied into blocks that are used again, so that a batch is a few buffers whatever its messages are made of.
 */
import { crc32 } from 'node:zlib';
import { giveBack, spareBuffer } from '../../host/spare-buffers.ts';
import { recordType } from '../../message/record.ts';
import { aligned, entryAlignment, headLength, writeHead, type EntryFacts } from './entry.ts';
import type { QueueTrouble } from '../store.ts';
import { notesIn, notesLength, writeNotes, type Note } from './notes.ts';
import type { Place } from './place.ts';
import type { Segment } from './segment.ts';

export interface Waiting {
  readonly place: Place;
  readonly done: (trouble?: QueueTrouble) => void;
}

interface Block { readonly bytes: Buffer; used: number }

const blockSize = 256 << 10;
const blocksKept = 4;

/** Blocks to be used again. */
export class Blocks {
  readonly #free: Buffer[] = [];

  take(room: number): Block {
    return { bytes: room > blockSize ? spareBuffer(room) : (this.#free.pop() ?? Buffer.allocUnsafeSlow(blockSize)), used: 0 };
  }

  giveBack(blocks: readonly Block[]): void {
    for (const { bytes } of blocks) {
      if (bytes.length > blockSize) giveBack(bytes);
      else if (this.#free.length < blocksKept) this.#free.push(bytes);
    }
  }
}

export class Batch {
  readonly segment: Segment;
  readonly waiting: Waiting[] = [];
  /** Where in the segment its first byte goes. */
  start = -1;
  length = 0;
  /** Bytes of heads and messages. */
  weight = 0;
  readonly blocks: Block[] = [];
  readonly #source: Blocks;

  constructor(segment: Segment, source: Blocks) {
    this.segment = segment;
    this.#source = source;
  }

  /** Copy a message in; where it will be comes back. The segment has room for it. What is no such message throws, and changes nothing. */
  add(facts: EntryFacts, pieces: readonly Buffer[], done: Waiting['done']): Place {
    const { segment } = this;
    const head = headLength(facts);
    const length = head + facts.length;
    const taken = aligned(length, entryAlignment);
    const block = this.#room(taken);
    const { bytes, used } = block;
    copyImage(bytes, used + head, facts, pieces);
    const imageCrc = crc32(bytes.subarray(used + head, used + length));
    writeHead(bytes, used, segment.life, segment.sequence + 1, facts, imageCrc);
    bytes.fill(0, used + length, used + taken);
    block.used += taken;
    const start = this.#take(length);
    this.weight += length;
    const place: Place = { segment: segment.name, offset: start + head, length: facts.length };
    segment.live.set(place.offset, place);
    this.waiting.push({ place, done });
    return place;
  }

  /** The last thing added; as many of them as there is room for in the segment. How many comes back. */
  addNotes(notes: readonly Note[]): number {
    const { segment } = this;
    const count = Math.min(notes.length, notesIn(segment.left(this.start < 0)));
    if (count === 0) return 0;
    const length = notesLength(count);
    const taken = aligned(length, entryAlignment);
    const block = this.#room(taken);
    writeNotes(block.bytes, block.used, segment.life, segment.sequence + 1, notes.slice(0, count));
    block.bytes.fill(0, block.used + length, block.used + taken);
    block.used += taken;
    this.#take(length);
    return count;
  }

  /** Room in the segment. */
  #take(length: number): number {
    const start = this.segment.take(length, this.start < 0);
    if (this.start < 0) this.start = start;
    this.length += aligned(length, entryAlignment);
    return start;
  }

  #room(length: number): Block {
    let block = this.blocks.at(-1);
    if (block === undefined || block.bytes.length - block.used < length) this.blocks.push((block = this.#source.take(length)));
    return block;
  }

  /** What is to be written at `start`. */
  buffers(): Buffer[] {
    return this.blocks.map(({ bytes, used }) => bytes.subarray(0, used));
  }
}

function copyImage(target: Buffer, start: number, { length, recipients }: EntryFacts, pieces: readonly Buffer[]): void {
  let at = start;
  for (const piece of pieces) at += piece.copy(target, at);
  if (at !== start + length) throw new RangeError(`a message of ${length} bytes came in pieces of ${at - start}`);
  for (const offset of recipients) {
    if (offset >= length || target[start + offset] !== recordType.recipient) throw new RangeError(`no recipient record at offset ${offset}`);
  }
}
