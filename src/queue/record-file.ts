/**
 * The records of an open queue file, one after the other, with bounded memory whatever the size of the file; or of one that is in
 * memory.
 *
 * `next` gives a record, the end of the input, or why there is no more to be had; it never throws for what the file holds. Data of
 * a record stays valid. Errors of the disk throw.
 */
import { readSync } from 'node:fs';
import { RecordReader, type RecordStep } from '../message/record-reader.ts';
import { recordType, type QueueRecord } from '../message/record.ts';

export type FileStep = Extract<RecordStep, { kind: 'record' | 'end-of-input' | 'bad' }>;

export interface RecordFileOptions {
  readonly offset?: number;
  readonly followPointers?: boolean;
  readonly skipPadding?: boolean;
  /** Longest record to accept: a file of ours has lines of a few thousand bytes, and no more is kept in memory. */
  readonly maximumLength?: number;
  /** A pipe or terminal: read on, never seek. */
  readonly stream?: boolean;
  /** What was already read from the stream. */
  readonly head?: Buffer;
}

const chunkSize = 64 << 10;
const firstChunkSize = 8 << 10;
const defaultMaximum = 16 << 20;

export class RecordFile {
  readonly #source: number | Buffer;
  readonly #reader: RecordReader;
  readonly #stream: boolean;
  #position: number;
  #size = firstChunkSize;

  /** @param source a descriptor, or the whole file where that is in memory */
  constructor(source: number | Buffer, options: RecordFileOptions = {}) {
    const { offset = 0, followPointers = true, skipPadding = true, maximumLength = defaultMaximum, stream = false } = options;
    this.#source = source;
    this.#stream = stream;
    this.#position = offset;
    this.#reader = new RecordReader({ offset, followPointers, skipPadding, maximumLength });
    if (options.head) this.#reader.feed(options.head);
  }

  /** Where the next record stands. */
  get offset(): number {
    return this.#reader.offset;
  }

  next(): FileStep {
    for (;;) {
      const step = this.#reader.next();
      if (step.kind === 'more') this.#feed();
      else if (step.kind !== 'seek') return step;
      else if (this.#stream) return { kind: 'bad', reason: 'input is not seekable', offset: step.offset };
      else this.#position = step.offset;
    }
  }

  /** Continue at another place. False when the input is a stream. */
  seek(offset: number): boolean {
    if (this.#stream) return false;
    this.#reader.seek(offset);
    this.#position = offset;
    this.#size = firstChunkSize;
    return true;
  }

  #feed(): void {
    if (typeof this.#source === 'number') this.#read(this.#source);
    else if (this.#position >= this.#source.length) this.#reader.end();
    else {
      this.#reader.feed(this.#source.subarray(this.#position));
      this.#position = this.#source.length;
    }
  }

  #read(fd: number): void {
    const chunk = Buffer.allocUnsafe(this.#size);
    const length = readChunk(fd, chunk, this.#stream ? null : this.#position);
    this.#size = chunkSize;
    this.#position += length;
    if (length === 0) this.#reader.end();
    else this.#reader.feed(chunk.subarray(0, length));
  }
}

// A terminal or pipe that has nothing for us now says EAGAIN when another process made it non-blocking; a closed one says EOF.
function readChunk(fd: number, chunk: Buffer, position: number | null): number {
  for (;;) {
    try {
      return readSync(fd, chunk, 0, chunk.length, position);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN' || position !== null) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

/** Why the records of a file ended where they should not. */
export function reasonOf(step: Exclude<FileStep, { kind: 'record' }>): string {
  return step.kind === 'bad' ? step.reason : 'missing end record';
}

/** All records up to and with the end record; `broken` is called (and must throw) when there is none. */
export function* recordsUntilEnd(file: RecordFile, broken: (reason: string) => never): Generator<QueueRecord, void, undefined> {
  for (;;) {
    const step = file.next();
    if (step.kind !== 'record') return broken(reasonOf(step));
    yield step.record;
    if (step.record.type === recordType.end) return;
  }
}
