/**
 * A message opened from its queue file: envelope, content, done marks.
 *
 * A small file is read at once; of a large one never more than a chunk is in memory. What is no good queue file is reported as
 * CorruptFile by whichever method meets it first; moving it out of the way is the caller's matter.
 */
import { closeSync, fchmodSync, fstatSync, openSync, read, readSync, writeSync, constants, type Stats } from 'node:fs';
import { tryLock, type LockStrength } from '../host/locks.ts';
import type { Envelope } from '../message/envelope.ts';
import { recordType, type QueueRecord } from '../message/record.ts';
import { ContentDecoder, decodedRoom } from './content-decoder.ts';
import { expireMode, ownerMask, readyMode, unthrottleMode } from './open-ok.ts';
import { contentOffset, isWarnRecord, readEnvelope, readRecipients, type QueueFileBytes, type RecipientChunk, type Rest, warnRecord } from './queue-envelope.ts';
import { RecordFile, recordsUntilEnd } from './record-file.ts';
import { CorruptFile, QueueTrouble, type ContentOptions, type MessageReader, type OpenOptions, type QueueName } from './store.ts';

const chunkSize = 64 << 10;

/** Where a large file is read and decoded, piece by piece; used again, for V8 would collect garbage all the time because of them. */
interface Desk { readonly read: Buffer; readonly decoded: Buffer }

const deskSize = 128 << 10;
const desksKept = 24;
const desks: Desk[] = [];

function newDesk(): Desk {
  return { read: Buffer.allocUnsafeSlow(deskSize), decoded: Buffer.allocUnsafeSlow(decodedRoom(deskSize)) };
}

export class FileReader implements MessageReader {
  readonly queue: QueueName;
  readonly queueId: string;
  readonly path: string;
  readonly size: number;
  readonly mtime: number;
  readonly forcedExpire: boolean;
  readonly unthrottle: boolean;
  warnings: readonly string[] = [];
  #fd: number;

  constructor(fd: number, status: Stats, where: { queue: QueueName; queueId: string; path: string }) {
    this.queue = where.queue;
    this.queueId = where.queueId;
    this.path = where.path;
    this.size = status.size;
    this.mtime = status.mtimeMs;
    this.forcedExpire = (status.mode & expireMode) !== 0;
    this.unthrottle = (status.mode & unthrottleMode) !== 0;
    this.#fd = fd;
  }

  envelope(most?: number): Envelope {
    const { envelope, warnings } = readEnvelope(this.#bytes, most);
    this.warnings = warnings;
    return envelope;
  }

  get #bytes(): QueueFileBytes {
    return { source: this.#fd, size: this.size, corrupt: (reason) => this.#corrupt(reason) };
  }

  recipients(rest: Rest, most: number): RecipientChunk {
    return readRecipients(this.#bytes, rest, most);
  }

  records(offset = 0): Generator<QueueRecord, void, undefined> {
    return recordsUntilEnd(new RecordFile(this.#fd, { offset }), (reason) => {
      throw this.#corrupt(reason);
    });
  }

  async *content(options: ContentOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    const desk = options.transient ? desks.pop() ?? newDesk() : undefined;
    try {
      yield* this.#decoded(new ContentDecoder(options.lineEnd), options.offset ?? contentOffset(this.#bytes), desk);
    } finally {
      if (desk !== undefined && desks.length < desksKept) desks.push(desk);
    }
  }

  async *#decoded(decoder: ContentDecoder, position: number, desk: Desk | undefined): AsyncGenerator<Buffer, void, undefined> {
    while (!decoder.done) {
      const piece = await this.#piece(position, desk?.read);
      if (piece.length === 0) throw this.#corrupt(decoder.between ? 'missing end of content' : 'unexpected EOF in data');
      const bytes = decoder.decode(piece, desk?.decoded);
      if (decoder.trouble !== undefined) throw this.#corrupt(decoder.trouble);
      position = decoder.seek ?? position + piece.length;
      if (bytes.length > 0) yield bytes;
    }
  }

  /** The next piece of the file; a small file comes at once, without a turn through the thread pool. */
  #piece(position: number, desk: Buffer | undefined): Buffer | Promise<Buffer> {
    const length = Math.min(desk?.length ?? chunkSize, Math.max(this.size - position, 0));
    const piece = desk ?? Buffer.allocUnsafe(length);
    if (this.size <= chunkSize) return piece.subarray(0, readSync(this.#fd, piece, 0, length, position));
    return new Promise((resolve, reject) => {
      read(this.#fd, piece, 0, length, position, (error, count) => (error ? reject(error) : resolve(piece.subarray(0, count))));
    });
  }

  done(offset: number): void {
    this.#mark(offset, recordType.recipient, recordType.done);
  }

  isDone(offset: number): boolean {
    return this.#typeAt(offset) === recordType.done;
  }

  kill(offset: number): void {
    const found = this.#typeAt(offset);
    if (found !== recordType.warn && found !== recordType.attribute && found !== recordType.killed) throw this.#corrupt(`no record to kill at offset ${offset}`);
    this.#put(offset, recordType.killed);
  }

  warned(offset: number): void {
    const record = Buffer.alloc(warnRecord.length);
    // One that has no room for it (an old or foreign file) is passed over from now on.
    if (offset <= 0 || readSync(this.#fd, record, 0, record.length, offset) !== record.length || !isWarnRecord(record)) return this.kill(offset);
    try {
      writeSync(this.#fd, warnRecord, 0, warnRecord.length, offset);
    } catch (error) {
      throw QueueTrouble.from(error, `update queue file ${this.path}`);
    }
  }

  #mark(offset: number, from: number, to: number): void {
    const found = this.#typeAt(offset);
    if (found === to) return;
    if (found !== from) throw this.#corrupt(`no recipient record at offset ${offset}`);
    this.#put(offset, to);
  }

  #typeAt(offset: number): number | undefined {
    const byte = Buffer.alloc(1);
    return offset > 0 && readSync(this.#fd, byte, 0, 1, offset) === 1 ? byte[0] : undefined;
  }

  #put(offset: number, type: number): void {
    try {
      writeSync(this.#fd, Buffer.from([type]), 0, 1, offset);
    } catch (error) {
      throw QueueTrouble.from(error, `update queue file ${this.path}`);
    }
  }

  clearUnthrottle(): void {
    try {
      fchmodSync(this.#fd, fstatSync(this.#fd).mode & 0o7777 & ~unthrottleMode);
    } catch (error) {
      throw QueueTrouble.from(error, `update queue file ${this.path}`);
    }
  }

  lock(strength: LockStrength): boolean {
    return tryLock(this.#fd, 'flock', strength);
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }

  #corrupt(reason: string): CorruptFile {
    return new CorruptFile(this.path, reason);
  }
}

/** Open a queue file. QueueTrouble: ENOENT, EINVAL no regular file, EBUSY not complete, EAGAIN locked, and what open(2) says. */
export function openMessage(where: { queue: QueueName; queueId: string; path: string }, options: OpenOptions = {}): FileReader {
  const fd = openFile(where.path, options.write === true);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new QueueTrouble('EINVAL', `${where.path}: not a regular file`);
    if (!options.incomplete && (status.mode & ownerMask) !== readyMode) throw new QueueTrouble('EBUSY', `${where.path}: not complete`);
    const reader = new FileReader(fd, status, where);
    if (options.lock !== undefined && !reader.lock(options.lock)) throw new QueueTrouble('EAGAIN', `${where.path}: locked by another process`);
    return reader;
  } catch (error) {
    closeSync(fd);
    throw QueueTrouble.from(error, `open ${where.path}`);
  }
}

// Never through a symbolic link, and never waiting for the other end of a FIFO.
function openFile(path: string, write: boolean): number {
  try {
    return openSync(path, (write ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw QueueTrouble.from(error, `open ${path}`);
  }
}
