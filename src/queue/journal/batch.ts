/**
 * Entries on their way to a segment with one write: their bytes, in the order of the file, and who waits for them.
 *
 * Messages are copied into blocks that are used again, so that a batch is a few buffers whatever its messages are made of. Large ones
 * are written from where they are.
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
/** A message of so many bytes is not copied, if its pieces are so large on average: the kernel takes a thousand at once, and 8 MB of them wait. */
const lentLength = 32 << 10;
const lentPiece = 16 << 10;

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
  /** What is to be written, but for what of the last block begins at `#from`. */
  readonly #parts: Buffer[] = [];
  #from = 0;

  constructor(segment: Segment, source: Blocks) {
    this.segment = segment;
    this.#source = source;
  }

  /**
   * Take a message in; where it will be comes back. Its pieces stay as they are until `done` is called. The segment has room for it. What is no
   * such message throws, and changes nothing.
   */
  add(facts: EntryFacts, pieces: readonly Buffer[], done: Waiting['done']): Place {
    checkImage(facts, pieces);
    const { segment } = this;
    const head = headLength(facts);
    const length = head + facts.length;
    if (facts.length >= lentLength && facts.length >= pieces.length * lentPiece) this.#lend(head, facts, pieces);
    else this.#copy(head, facts, pieces);
    const start = this.#take(length);
    this.weight += length;
    const place: Place = { segment: segment.name, offset: start + head, length: facts.length };
    segment.live.set(place.offset, place);
    this.waiting.push({ place, done });
    return place;
  }

  #copy(head: number, facts: EntryFacts, pieces: readonly Buffer[]): void {
    const { segment } = this;
    const length = head + facts.length;
    const taken = aligned(length, entryAlignment);
    const block = this.#room(taken);
    const { bytes, used } = block;
    let at = used + head;
    for (const piece of pieces) at += piece.copy(bytes, at);
    const imageCrc = crc32(bytes.subarray(used + head, used + length));
    writeHead(bytes, used, segment.life, segment.sequence + 1, facts, imageCrc);
    bytes.fill(0, used + length, used + taken);
    block.used += taken;
  }

  /** Only the head, and what is left empty behind the message, is in a block. */
  #lend(head: number, facts: EntryFacts, pieces: readonly Buffer[]): void {
    const { segment } = this;
    const gap = aligned(head + facts.length, entryAlignment) - head - facts.length;
    const block = this.#room(head + gap);
    let imageCrc = 0;
    for (const piece of pieces) imageCrc = crc32(piece, imageCrc);
    writeHead(block.bytes, block.used, segment.life, segment.sequence + 1, facts, imageCrc);
    block.used += head;
    this.#cut();
    this.#parts.push(...pieces);
    block.bytes.fill(0, block.used, block.used + gap);
    block.used += gap;
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
    const last = this.blocks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= length) return last;
    this.#cut();
    const block = this.#source.take(length);
    this.#from = 0;
    this.blocks.push(block);
    return block;
  }

  /** What of the last block is not among the parts becomes one. */
  #cut(): void {
    const block = this.blocks.at(-1);
    if (block === undefined || block.used === this.#from) return;
    this.#parts.push(block.bytes.subarray(this.#from, block.used));
    this.#from = block.used;
  }

  /** What is to be written at `start`. */
  buffers(): Buffer[] {
    this.#cut();
    return this.#parts;
  }
}

/** Do the pieces have that length, and recipients where they are said to be? */
function checkImage({ length, recipients }: EntryFacts, pieces: readonly Buffer[]): void {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (total !== length) throw new RangeError(`a message of ${length} bytes came in pieces of ${total}`);
  for (const offset of recipients) if (byteAt(pieces, offset) !== recordType.recipient) throw new RangeError(`no recipient record at offset ${offset}`);
}

function byteAt(pieces: readonly Buffer[], offset: number): number | undefined {
  for (const piece of pieces) {
    if (offset < piece.length) return piece[offset];
    offset -= piece.length;
  }
  return undefined;
}
