/**
 * One segment: a preallocated file that entries are appended to, and the memory of which of them are still wanted.
 *
 * It has two descriptors: through one, with O_DSYNC, go batches, each to bytes that no batch was written to before; through the
 * other single bytes that may wait for the kernel to write them. After a failed batch it is `broken`: nothing more is appended.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { aligned, batchAlignment, entryAlignment, entryStatus, type Life } from './entry.ts';
import { journalDirectory } from './directory.ts';
import type { Place } from './place.ts';
import { segmentHeadLength } from './segment-head.ts';
import { SteadyMap } from '../../text/steady.ts';

const statusBytes = { gone: Buffer.from([entryStatus.gone]), dropped: Buffer.from([entryStatus.dropped]) } as const;

/** The path of a generation's segment, relative to the queue directory. */
export function segmentName(generation: number): string {
  return `${journalDirectory}/${generation.toString(16).toUpperCase().padStart(8, '0')}`;
}

/** The generation in a file name of the journal's directory; undefined for other files. */
export function generationOf(fileName: string): number | undefined {
  return /^[0-9A-F]{8}$/.test(fileName) ? Number.parseInt(fileName, 16) : undefined;
}

export class Segment {
  readonly inode: bigint;
  readonly size: number;
  life: Life;
  name: string;
  /** Nothing more is appended. */
  sealed = false;
  broken = false;
  /** A batch without a message is on its way to it: it must stay as it is. */
  busy = false;
  /** Something was marked since the marks were last known to be on the disk. */
  marked = false;
  /** Bytes up to here are taken. */
  end = segmentHeadLength;
  sequence = 0;
  /** What is wanted, by the offset of its image, oldest first. */
  readonly live = new SteadyMap<number, Place>();
  /** The lock is on this one. */
  readonly marks: number;
  #log = -1;

  constructor(marks: number, { inode, size, life, name }: { inode: bigint; size: number; life: Life; name: string }) {
    this.marks = marks;
    this.inode = inode;
    this.size = size;
    this.life = life;
    this.name = name;
  }

  /** The descriptor for batches. */
  get log(): number {
    return this.#log;
  }

  openLog(path: string): void {
    if (this.#log < 0) this.#log = openSync(path, constants.O_WRONLY | constants.O_DSYNC | constants.O_NOFOLLOW);
  }

  /** Begin a new life, in which nothing was written yet. */
  renew(life: Life): void {
    this.life = life;
    this.name = segmentName(life.generation);
    this.sealed = false;
    this.marked = false;
    this.end = segmentHeadLength;
    this.sequence = 0;
  }

  fits(length: number): boolean {
    return !this.sealed && aligned(this.end, batchAlignment) + length <= this.size;
  }

  /** Bytes behind the last entry, or from where a new batch may begin. */
  left(newBatch: boolean): number {
    return this.size - aligned(this.end, newBatch ? batchAlignment : entryAlignment);
  }

  /** Take `length` bytes: behind the last entry, or where a new batch may begin. Their start comes back. */
  take(length: number, newBatch: boolean): number {
    const start = aligned(this.end, newBatch ? batchAlignment : entryAlignment);
    this.end = start + length;
    this.sequence++;
    return start;
  }

  /** Write the status in front of an image. Throws errors of the file system. */
  mark(place: Place, status: keyof typeof statusBytes): void {
    writeSync(this.marks, statusBytes[status], 0, 1, place.offset - 1);
    this.marked = true;
  }

  /** No write may be under way. Gives the lock up. */
  close(): void {
    if (this.#log >= 0) closeSync(this.#log);
    this.#log = -1;
    closeSync(this.marks);
  }
}
