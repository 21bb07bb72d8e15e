/**
 * A message in the journal, opened for delivery: its whole image is read into memory once; recipients are marked done in the
 * segment and in memory.
 *
 * Who opens it with a shared lock keeps that until `close`: what recovers the journal of a dead queue process waits for it. A segment
 * that was used again meanwhile is noticed: opening and marking then fail with ESTALE instead of touching another message. The
 * caller sees to the size (journal_message_size_limit).
 */
import { readSync, writeSync } from 'node:fs';
import type { LockStrength } from '../../host/locks.ts';
import type { Envelope } from '../../message/envelope.ts';
import { recordHead, recordType, type QueueRecord } from '../../message/record.ts';
import { ContentDecoder, decodedRoom } from '../content-decoder.ts';
import { contentOffset, readEnvelope, readRecipients, type RecipientChunk, type Rest } from '../queue-envelope.ts';
import { RecordFile, recordsUntilEnd } from '../record-file.ts';
import { CorruptFile, QueueTrouble, type ContentNotes, type ContentOptions, type MessageReader, type OpenOptions, type QueueName } from '../store.ts';
import { dropSegment, holdSegment, letGo, lockPlace, unlockPlace, type OpenSegment } from './descriptors.ts';
import { rootPrefix } from './directory.ts';
import { isWanted, tailLength } from './entry.ts';
import { giveBack, spareBuffer } from '../../host/spare-buffers.ts';
import { parsePlace, placeText, type Place } from './place.ts';

const chunkSize = 64 << 10;
/** Up to here content is given in one piece; larger images are read into memory that is used again. */
const wholeLimit = 128 << 10;
/** Pieces that need not last, bytes of the image: decoded they fill a spare buffer. */
const transientSize = (128 << 10) - decodedRoom(0);
const nothing = Buffer.alloc(0);
/** From so many marks on one write for all of them is looked for; it is no longer than this, bytes. */
const fewMarks = 3;
const longestMark = 64 << 10;
const tail = Buffer.alloc(tailLength);
const byte = Buffer.alloc(1);

export interface Where {
  readonly queue: QueueName;
  readonly queueId: string;
  /** How messages about it call it; else the text of the place. */
  readonly path?: string;
}

/** Content that is being read, and where in the image. */
interface ContentWalk { readonly decoder: ContentDecoder; position: number; readonly notes: ContentNotes | undefined }

export class PlaceReader implements MessageReader {
  readonly queue: QueueName;
  readonly queueId: string;
  readonly path: string;
  readonly mtime: number;
  readonly forcedExpire = false;
  readonly unthrottle = false;
  warnings: readonly string[] = [];
  /** The image; empty once its memory was given back. */
  source: Buffer;
  readonly size: number;
  /** Whose memory the image is in, while nobody else has a part of it. */
  #memory: Buffer | undefined;
  readonly #place: Place;
  #segment: OpenSegment | undefined;
  #confirmed = false;
  #locked: boolean;

  constructor(segment: OpenSegment, place: Place, { image, memory }: ImageRead, { queue, queueId, path = placeText(place) }: Where, locked: boolean) {
    this.queue = queue;
    this.queueId = queueId;
    this.path = path;
    this.mtime = Date.now();
    this.source = image;
    this.size = image.length;
    this.#memory = memory;
    this.#place = place;
    this.#segment = segment;
    this.#locked = locked;
  }

  /** The queue file as it is now. */
  image(): Buffer {
    this.#memory = undefined;
    return this.source;
  }

  envelope(most?: number): Envelope {
    const { envelope, warnings } = readEnvelope(this, most);
    this.warnings = warnings;
    return envelope;
  }

  recipients(rest: Rest, most: number): RecipientChunk {
    return readRecipients(this, rest, most);
  }

  records(offset = 0): Generator<QueueRecord, void, undefined> {
    this.#memory = undefined;
    return recordsUntilEnd(new RecordFile(this.source, { offset }), (reason) => {
      throw this.corrupt(reason);
    });
  }

  async *content(options: ContentOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    const desk = options.transient ? spareBuffer(decodedRoom(transientSize)) : undefined;
    try {
      yield* this.#decode(options, desk === undefined ? chunkSize : transientSize, desk);
    } finally {
      if (desk !== undefined) giveBack(desk);
    }
  }

  /** All of the content, as `content` gives it in chunks; undefined: it is too large for that. */
  contentNow(options: ContentOptions = {}): Buffer | undefined {
    if (this.source.length > wholeLimit) return undefined;
    const walk = this.#walk(options);
    const first = this.#piece(walk, this.source.length);
    if (walk.decoder.done) return first;
    const pieces = [first];
    while (!walk.decoder.done) pieces.push(this.#piece(walk, this.source.length));
    return Buffer.concat(pieces);
  }

  *#decode(options: ContentOptions, atOnce: number, desk?: Buffer): Generator<Buffer, void, undefined> {
    const walk = this.#walk(options);
    while (!walk.decoder.done) {
      const bytes = this.#piece(walk, atOnce, desk);
      if (bytes.length > 0) yield bytes;
    }
  }

  #walk({ lineEnd, offset, notes }: ContentOptions): ContentWalk {
    return { decoder: new ContentDecoder(lineEnd), position: offset ?? contentOffset(this), notes };
  }

  /** What the next bytes of the image, `atOnce` at most, hold of the content. */
  #piece(walk: ContentWalk, atOnce: number, desk?: Buffer): Buffer {
    const { decoder, position } = walk;
    const piece = this.source.subarray(position, position + atOnce);
    if (piece.length === 0) throw this.corrupt(decoder.between ? 'missing end of content' : 'unexpected EOF in data');
    const bytes = decoder.decode(piece, desk);
    if (decoder.trouble !== undefined) throw this.corrupt(decoder.trouble);
    walk.position = decoder.seek ?? position + piece.length;
    // No record of content in the journal has a line end inside: cleanup makes a file of a message that would have (MessageState.facts).
    if (walk.notes !== undefined) walk.notes.isDotless = !decoder.hasDots;
    return bytes;
  }

  done(offset: number): void {
    const found = this.source[offset];
    if (found === recordType.done) return;
    if (found !== recordType.recipient) throw this.corrupt(`no recipient record at offset ${offset}`);
    this.#put(offset, recordType.done);
  }

  /** With one write where nobody else can have marked anything between the first and the last of them. */
  doneAll(offsets: readonly number[]): void {
    const marks = isAscending(offsets) ? offsets : [...offsets].sort((one, other) => one - other);
    const [first, last] = [marks[0], marks.at(-1)];
    const alone = marks.length >= fewMarks && last! - first! < longestMark && this.#onlyThese(marks);
    if (!alone) {
      for (const offset of offsets) this.done(offset);
      return;
    }
    this.#turn(marks, recordType.done);
    try {
      this.#write(this.source.subarray(first!, last! + 1), first!);
    } catch (error) {
      this.#turn(marks, recordType.recipient);
      throw error;
    }
  }

  #turn(offsets: readonly number[], type: number): void {
    for (const offset of offsets) this.source[offset] = type;
  }

  /** Are these recipients, and is every one from the first to the last, that is not done, among them? Others may be marked by other processes. */
  #onlyThese(marks: readonly number[]): boolean {
    let next = 0;
    for (let at = marks[0]!; next < marks.length;) {
      const head = recordHead(this.source, at);
      if (head === undefined || at > marks[next]!) return false;
      const isOpen = head.type === recordType.recipient;
      if (isOpen !== (at === marks[next])) return false;
      if (isOpen) next++;
      at = head.data + head.length;
    }
    return true;
  }

  isDone(offset: number): boolean {
    return offset > 0 && this.source[offset] === recordType.done;
  }

  kill(offset: number): void {
    const found = this.source[offset];
    if (found !== recordType.warn && found !== recordType.attribute && found !== recordType.killed) throw this.corrupt(`no record to kill at offset ${offset}`);
    if (found !== recordType.killed) this.#put(offset, recordType.killed);
  }

  /** What the sender was told of is a file. */
  warned(offset: number): void {
    throw this.corrupt(`no delay record at offset ${offset}`);
  }

  #put(offset: number, type: number): void {
    byte[0] = type;
    this.#write(byte, offset);
    this.source[offset] = type;
  }

  #write(bytes: Buffer, offset: number): void {
    try {
      const segment = this.#open();
      this.#confirm(segment);
      const count = writeSync(segment.fd, bytes, 0, bytes.length, this.#place.offset + offset);
      if (count !== bytes.length) throw new QueueTrouble('EIO', `update ${this.path}: short write`);
    } catch (error) {
      throw QueueTrouble.from(error, `update ${this.path}`);
    }
  }

  /** The marks of many recipients are made without a pause: one look is enough for all. */
  #confirm(segment: OpenSegment): void {
    if (this.#confirmed) return;
    confirm(segment, this.#place);
    this.#confirmed = true;
    queueMicrotask(() => { this.#confirmed = false; });
  }

  #open(): OpenSegment {
    if (this.#segment === undefined) throw new QueueTrouble('EBADF', `${this.path} was closed`);
    return this.#segment;
  }

  clearUnthrottle(): void {}

  /**
   * Shared: a lock on one byte of the segment, so that whoever recovers the journal of a dead writer leaves the message alone until we
   * are through; false when someone recovers it now. The readers of one process share it. Exclusive: it is the queue process that
   * asks, which knows who has the message.
   */
  lock(strength: LockStrength): boolean {
    const segment = this.#open();
    if (strength === 'none') this.#unlock(segment);
    else if (strength === 'shared') this.#locked ||= lockPlace(segment, this.#place.offset);
    return strength !== 'shared' || this.#locked;
  }

  #unlock(segment: OpenSegment): void {
    if (this.#locked) unlockPlace(segment, this.#place.offset);
    this.#locked = false;
  }

  close(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#unlock(segment);
    this.#segment = undefined;
    letGo(segment);
    if (this.#memory === undefined) return;
    // Whoever still reads finds nothing, rather than another message.
    this.source = nothing;
    giveBack(this.#memory);
    this.#memory = undefined;
  }

  corrupt(reason: string): CorruptFile {
    return new CorruptFile(this.path, reason);
  }
}

function isAscending(numbers: readonly number[]): boolean {
  for (let at = 1; at < numbers.length; at++) if (numbers[at - 1]! > numbers[at]!) return false;
  return true;
}

/** Is the message still there that the place told of? */
function confirm({ fd, generation }: OpenSegment, { segment: name, offset, length }: Place): void {
  const count = readSync(fd, tail, 0, tailLength, offset - tailLength);
  if (count < tailLength || !isWanted(tail, generation, length)) throw stale(name, offset);
}

function stale(segment: string, offset: number): QueueTrouble {
  return new QueueTrouble('ESTALE', `${segment}: the message at ${offset} is gone`);
}

/**
 * Open the message at a place. `root` is the queue directory, '' the working directory. QueueTrouble: EINVAL no place, ENOENT no such
 * segment, ESTALE the place has been used again, EAGAIN its writer died and it is being recovered, and what open(2) and read(2) say.
 */
export function openPlace(place: Place | string, where: Where, options: OpenOptions = {}, root = ''): PlaceReader {
  const at = typeof place === 'string' ? parsePlace(place) : place;
  if (at === undefined) throw new QueueTrouble('EINVAL', `${where.queueId}: "${place as string}" is no place in the journal`);
  let segment: OpenSegment | undefined;
  let locked = false;
  try {
    segment = holdSegment(rootPrefix(root), at.segment);
    // First the lock: what is read then stays as it is, but for our own marks.
    locked = options.lock === 'shared' && lockPlace(segment, at.offset);
    if (options.lock === 'shared' && !locked) throw new QueueTrouble('EAGAIN', `${placeText(at)}: locked by another process`);
    return new PlaceReader(segment, at, readImage(segment, at), where, locked);
  } catch (error) {
    if (locked) unlockPlace(segment!, at.offset);
    if (segment !== undefined) letGo(segment);
    throw QueueTrouble.from(error, `open ${placeText(at)}`);
  }
}

interface ImageRead { readonly image: Buffer; readonly memory: Buffer }

// One read for the image and the bytes in front of it that say whose it is. The memory is used again: what each delivery made anew
// outlived young collections often enough to become 0.6 kB per message that only a full collection found.
function readImage(segment: OpenSegment, { segment: name, offset, length }: Place): ImageRead {
  const memory = spareBuffer(tailLength + length);
  const bytes = memory.subarray(0, tailLength + length);
  const count = offset < tailLength ? 0 : readSync(segment.fd, bytes, 0, bytes.length, offset - tailLength);
  if (count === bytes.length && isWanted(bytes, segment.generation, length)) return { image: bytes.subarray(tailLength), memory };
  dropSegment(segment);
  throw stale(name, offset);
}
