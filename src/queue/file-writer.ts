/**
 * A message being written as a Postfix queue file.
 *
 * A small message is one write; a large one goes to the file in blocks, off the main thread, with a bound on what waits. The file is
 * not a message (mode 0600) until commit makes it one (0700) and durable. Whatever fails leaves no file behind.
 */
import { closeSync, fchmodSync, fsync, renameSync, unlinkSync, writeSync, writev } from 'node:fs';
import type { TimeValue } from '../text/time.ts';
import type { DirectorySync } from './directory-sync.ts';
import { makeDirectories, type QueuePaths } from './queue-paths.ts';
import { QueueTrouble, type MessageWriter } from './store.ts';

export interface FreshFile {
  readonly fd: number;
  readonly queueId: string;
  readonly arrival: TimeValue;
}

/** Bytes that make a block worth writing before the message is complete. */
const blockSize = 128 << 10;
/** Bytes that may wait for the disk. */
const waitLimit = 256 << 10;
/** Buffers that one writev takes (IOV_MAX). */
const vectorLimit = 1024;

const readyMode = 0o700;

/** Large pieces are copied into blocks that are used again: V8 would collect garbage all the time because of them. */
const largePiece = 16 << 10;
const blocksKept = 32;
const blocks: Buffer[] = [];

/** A copy: whoever writes may use the memory again. */
function blockOf(bytes: Buffer): Buffer {
  if (bytes.length < largePiece || bytes.length > blockSize) return Buffer.from(bytes);
  const block = blocks.pop() ?? Buffer.allocUnsafeSlow(blockSize);
  return block.subarray(0, bytes.copy(block));
}

/** Nobody reads it any more. */
function giveBack({ buffer, byteOffset }: Buffer): void {
  if (byteOffset === 0 && buffer.byteLength === blockSize && blocks.length < blocksKept) blocks.push(Buffer.from(buffer));
}

interface Patch { readonly offset: number; readonly bytes: Buffer }

export class FileWriter implements MessageWriter {
  readonly queueId: string;
  readonly arrival: TimeValue;
  trouble: QueueTrouble | undefined;
  readonly #paths: QueuePaths;
  readonly #sync: DirectorySync;
  #fd: number;
  #path: string;
  #offset = 0;
  #waiting: Buffer[] = [];
  #waitingLength = 0;
  #flying = 0;
  #written = 0;
  #patches: Patch[] = [];
  #idle: (() => void)[] = [];
  #discarded = false;

  constructor(file: FreshFile, paths: QueuePaths, sync: DirectorySync) {
    this.queueId = file.queueId;
    this.arrival = file.arrival;
    this.#fd = file.fd;
    this.#paths = paths;
    this.#sync = sync;
    this.#path = paths.path('incoming', file.queueId);
  }

  get offset(): number {
    return this.#offset;
  }

  get full(): boolean {
    return this.trouble === undefined && this.#waitingLength + this.#flying > waitLimit;
  }

  write(bytes: Buffer): void {
    this.#offset += bytes.length;
    if (this.trouble !== undefined) return;
    this.#waiting.push(blockOf(bytes));
    this.#waitingLength += bytes.length;
    if (this.#waitingLength >= blockSize || this.#waiting.length >= vectorLimit) this.#launch();
  }

  patch(offset: number, bytes: Buffer): void {
    if (offset < 0 || offset + bytes.length > this.#offset) throw new Error(`patch at ${offset} is outside of what was written`);
    this.#patches.push({ offset, bytes });
  }

  async drained(): Promise<void> {
    while (this.full) await this.#quiet();
  }

  async settle(): Promise<void> {
    try {
      while (this.#flying > 0) await this.#quiet();
      this.#writeAll();
    } catch (error) {
      throw QueueTrouble.from(error, `write queue file ${this.#path}`);
    }
  }

  async commit(queue: 'incoming' | 'hold'): Promise<boolean> {
    try {
      while (this.#flying > 0) await this.#quiet();
      this.#finish(queue);
      await this.#durable();
      this.#close();
      await this.#sync.sync(this.#paths.directory(queue, this.queueId));
      return false;
    } catch (error) {
      this.#drop();
      throw QueueTrouble.from(error, `write queue file ${this.#path}`);
    }
  }

  discard(): void {
    if (this.#discarded) return;
    this.#fail(new QueueTrouble('ECANCELED', `queue file ${this.#path} was discarded`));
    this.#drop();
  }

  /** Start writing what waits, unless a write is under way. */
  #launch(): void {
    if (this.#flying > 0 || this.#waiting.length === 0 || this.trouble !== undefined) return;
    this.#fly(this.#take());
  }

  #take(): Buffer[] {
    const taken = this.#waiting.splice(0, vectorLimit);
    const length = this.#waiting.length === 0 ? this.#waitingLength : taken.reduce((sum, { length }) => sum + length, 0);
    this.#waitingLength -= length;
    return taken;
  }

  #fly(pieces: Buffer[]): void {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#flying = length;
    writev(this.#fd, pieces, this.#written, (error, count) => {
      this.#flying = 0;
      if (this.#discarded) this.#close();
      else if (error) this.#fail(error);
      else this.#landed(pieces, count, length);
      for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  // A short write has a reason (disk full, file size limit) that the next one tells.
  #landed(pieces: Buffer[], count: number, length: number): void {
    this.#written += count;
    if (count < length) return this.#fly(after(pieces, count));
    for (const piece of pieces) giveBack(piece);
    if (this.#waitingLength >= blockSize || this.#waiting.length >= vectorLimit) this.#launch();
  }

  #quiet(): Promise<void> {
    this.#launch();
    return this.#flying > 0 ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  #fail(error: Error): void {
    this.trouble ??= QueueTrouble.from(error, `write queue file ${this.#path}`);
    this.#waiting = [];
    this.#waitingLength = 0;
  }

  #finish(queue: 'incoming' | 'hold'): void {
    this.#writeAll();
    // The queue manager takes complete files from incoming at once: so first to hold, then complete.
    if (queue === 'hold') this.#moveToHold();
    fchmodSync(this.#fd, readyMode);
  }

  #writeAll(): void {
    if (this.trouble !== undefined) throw this.trouble;
    this.#writeRest();
    for (const { offset, bytes } of this.#patches.splice(0)) writeAll(this.#fd, bytes, offset);
  }

  #writeRest(): void {
    if (this.#waiting.length === 0) return;
    const rest = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting, this.#waitingLength);
    this.#waiting = [];
    this.#waitingLength = 0;
    this.#patches = this.#patches.filter((patch) => !workIn(patch, rest, this.#written));
    writeAll(this.#fd, rest, this.#written);
    this.#written += rest.length;
    giveBack(rest);
  }

  #moveToHold(): void {
    const held = this.#paths.path('hold', this.queueId);
    moveFile(this.#path, held);
    this.#path = held;
  }

  #durable(): Promise<void> {
    return new Promise((resolve, reject) => fsync(this.#fd, (error) => (error ? reject(error) : resolve())));
  }

  #drop(): void {
    this.#discarded = true;
    this.#waiting = [];
    this.#waitingLength = 0;
    if (this.#flying === 0) this.#close();
    try {
      unlinkSync(this.#path);
    } catch { /* already gone, or the disk is: there is nothing left to try */ }
  }

  #close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }
}

/** Rename, making missing subdirectories. */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    makeDirectories(to);
    renameSync(from, to);
  }
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

function after(pieces: readonly Buffer[], count: number): Buffer[] {
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    if (count >= piece.length) count -= piece.length;
    else {
      rest.push(piece.subarray(count));
      count = 0;
    }
  }
  return rest;
}

/** True when the patch lies within these bytes, which begin at `start` of the file, and has been applied to them. */
function workIn({ offset, bytes }: Patch, target: Buffer, start: number): boolean {
  if (offset < start || offset + bytes.length > start + target.length) return false;
  bytes.copy(target, offset - start);
  return true;
}
