/**
 * Bytes that are held back until it is known what becomes of them: in memory up to a bound, beyond it in a file that has no name, so
 * that nothing of it outlives the process.
 *
 * What fails when writing is a QueueTrouble, told by `drained` and `read`, never by `append`.
 */
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { QueueTrouble } from '../../queue/store.ts';

/** Bytes of one spool that stay in memory. */
const memoryLimit = 256 << 10;
/** Bytes that may wait for the disk. */
const waitLimit = 512 << 10;
const readSize = 64 << 10;

export interface SpoolPlace {
  /** A directory that cleanup may write. */
  readonly directory: string;
  readonly name: string;
  readonly memoryLimit?: number;
}

export class Spool {
  length = 0;
  trouble: QueueTrouble | undefined;
  readonly #place: SpoolPlace;
  #memory: Buffer[] = [];
  #file: FileHandle | undefined;
  #written = 0;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(place: SpoolPlace) {
    this.#place = place;
  }

  /** The bytes are copied. */
  append(bytes: Buffer): void {
    if (this.#isClosed || bytes.length === 0) return;
    this.length += bytes.length;
    this.#memory.push(Buffer.from(bytes));
    if (this.#writing === undefined && this.length > (this.#place.memoryLimit ?? memoryLimit)) this.#writing = this.#write();
  }

  get full(): boolean {
    return this.#writing !== undefined && this.length - this.#written > waitLimit;
  }

  async drained(): Promise<void> {
    await this.#writing;
  }

  /** Bytes from one offset to another, in pieces; pieces may be overwritten when the next one is asked for. Throws QueueTrouble. */
  async *read(from: number, to: number): AsyncGenerator<Buffer, void, undefined> {
    await this.#writing;
    if (this.trouble !== undefined) throw this.trouble;
    if (this.#file === undefined) return yield* this.#remembered(from, to);
    const room = Buffer.allocUnsafeSlow(Math.min(readSize, Math.max(to - from, 1)));
    for (let at = from; at < to;) {
      const { bytesRead } = await this.#file.read(room, 0, Math.min(room.length, to - at), at).catch((error: unknown) => { throw QueueTrouble.from(error, 'read spooled message'); });
      if (bytesRead === 0) throw new QueueTrouble('EIO', 'spooled message is cut short');
      at += bytesRead;
      yield room.subarray(0, bytesRead);
    }
  }

  *#remembered(from: number, to: number): Generator<Buffer, void, undefined> {
    let start = 0;
    for (const piece of this.#memory) {
      const [first, last] = [Math.max(from - start, 0), Math.min(to - start, piece.length)];
      if (first < last) yield piece.subarray(first, last);
      start += piece.length;
    }
  }

  /** Nothing of it is wanted any more. */
  close(): void {
    this.#isClosed = true;
    this.#memory = [];
    void Promise.resolve(this.#writing).then(() => this.#file?.close()).catch(() => undefined);
  }

  async #write(): Promise<void> {
    try {
      this.#file ??= await this.#open();
      while (this.#memory.length > 0 && !this.#isClosed) {
        const pieces = this.#memory;
        this.#memory = [];
        const bytes = Buffer.concat(pieces);
        for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at, bytes.length - at, this.#written + at)).bytesWritten;
        this.#written += bytes.length;
      }
    } catch (error) {
      this.trouble = QueueTrouble.from(error, 'write spooled message');
      this.#memory = [];
    } finally {
      this.#writing = this.#memory.length > 0 && this.trouble === undefined && !this.#isClosed ? this.#write() : undefined;
    }
  }

  async #open(): Promise<FileHandle> {
    const path = `${this.#place.directory}/${this.#place.name}`;
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  }
}
