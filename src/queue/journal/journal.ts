/**
 * The journal: messages that are durable without being files, appended to preallocated segments, many with one write.
 *
 * What is released is marked in place, and noted with the next batch, so that a power cut does not bring it back; when no batch comes
 * for a while, the notes go alone.
 *
 * A message is durable when its `done` is called without trouble: bytes and all are on the disk (O_DSYNC). No timer makes
 * batches: what comes while a write is under way goes with the next one. A message that is alone, on a disk that was quick the last time, is
 * written without a helping thread, whose two wake-ups take as long as the disk. When there is no room `append` says so at once, and the
 * caller makes a file. Memory is bounded: so many messages (journal_message_count_limit), so many bytes before the disk.
 */
import { writev, writevSync } from 'node:fs';
import { afterThisTurn } from '../../host/turn.ts';
import { QueueTrouble } from '../store.ts';
import { Batch, Blocks } from './batch.ts';
import { rootPrefix } from './directory.ts';
import { headLength } from './entry.ts';
import type { Note } from './notes.ts';
import type { Place } from './place.ts';
import { scanSegment, without, type RecoveredEntry } from './recover.ts';
import type { Segment } from './segment.ts';
import { readWhole } from './segment-files.ts';
import { Segments } from './segments.ts';

type WritevSync = (fd: number, buffers: Buffer[], position: number) => number;
type Writev = (fd: number, buffers: Buffer[], position: number, done: (error: NodeJS.ErrnoException | null, count: number) => void) => void;

export interface JournalOptions {
  /** The queue directory; '' or absent is the working directory. */
  readonly root?: string;
  /** journal_segment_size, journal_size_limit */
  readonly segmentSize: number;
  readonly sizeLimit: number;
  /** journal_message_count_limit */
  readonly messageCountLimit: number;
  readonly clock: { now(): number; after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  warn(text: string): void;
  /** Stand in for the disk in tests; without the second none is written alone. */
  readonly writev?: Writev;
  readonly writevSync?: WritevSync;
}

export interface JournalMessage {
  readonly queueId: string;
  /** The inode number as it stands in the queue id. */
  readonly inode: string;
  /** The queue file. Nobody changes it before `done` is called: what is large is not copied. */
  readonly pieces: readonly Buffer[];
  readonly length: number;
  /** Offsets of the recipient records, whose type is still `R`. */
  readonly recipients: readonly number[];
}

/** What a dead writer has left in one segment. */
export interface Abandoned {
  readonly segment: string;
  readonly entries: readonly RecoveredEntry[];
  /** Nothing in it is wanted any more. Without this the next `abandoned()` tells of it again. */
  settled(): void;
}

/** A note that is still to be written. */
interface OwedNote extends Note { readonly segment: Segment }

/** How long notes wait for a batch to go with, milliseconds. */
const notePatience = 500;
/** Notes that are kept in mind; more than there are messages. */
const noteLimit = 100_000;

/** Milliseconds: a disk that took longer is not waited for with the loop standing still. */
const quick = 0.75;

/** Bytes that may wait for the disk. */
const waitLimit = 8 << 20;

export class Journal {
  readonly #segments: Segments;
  readonly #countLimit: number;
  readonly #warn: (text: string) => void;
  readonly #writev: Writev;
  readonly #writevSync: WritevSync | undefined;
  /** What the last write took, milliseconds. */
  #took = Infinity;
  #launched = 0;
  readonly #blocks = new Blocks();
  /** Not on their way yet; only the last one grows. */
  #batches: Batch[] = [];
  #flying: Batch | undefined;
  #scheduled = false;
  #waitingLength = 0;
  #notes: OwedNote[] = [];
  /** With the batch in flight. */
  #noted: OwedNote[] = [];
  #noteTimer: { cancel(): void } | undefined;
  readonly #clock: JournalOptions['clock'];
  #live = 0;
  #closed = false;
  #leaving = false;

  /** Makes the directory when missing, and the first segment in the background. Throws QueueTrouble when the directory cannot be had. */
  static open(options: JournalOptions): Journal {
    try {
      return new Journal(options);
    } catch (error) {
      throw QueueTrouble.from(error, 'open the journal');
    }
  }

  private constructor(options: JournalOptions) {
    const { segmentSize, sizeLimit, clock, warn } = options;
    this.#countLimit = options.messageCountLimit;
    this.#warn = warn;
    this.#clock = clock;
    this.#writev = options.writev ?? writev;
    this.#writevSync = options.writevSync ?? (options.writev === undefined ? writevSync : undefined);
    this.#segments = new Segments({ root: rootPrefix(options.root), segmentSize, sizeLimit, clock, warn });
  }

  /**
   * Durable when `done` is called without trouble; with trouble nothing was kept and the client must hear 451. `done` is never called
   * before this returns. Undefined: no room now, make a file; then `done` is not called.
   */
  append(message: JournalMessage, done: (trouble?: QueueTrouble) => void): Place | undefined {
    const length = headLength(message) + message.length;
    if (this.#closed || this.#live >= this.#countLimit || (this.#waitingLength > 0 && this.#waitingLength + length > waitLimit)) return undefined;
    const segment = this.#segments.room(length);
    if (segment === undefined) return undefined;
    const last = this.#batches.at(-1);
    const batch = last?.segment === segment ? last : new Batch(segment, this.#blocks);
    const place = batch.add(message, message.pieces, done);
    if (batch !== last) this.#batches.push(batch);
    this.#waitingLength += length;
    this.#live++;
    this.#launchSoon();
    return place;
  }

  // All that is appended in this turn of the loop goes together.
  #launchSoon(): void {
    if (this.#scheduled || this.#flying !== undefined) return;
    this.#scheduled = true;
    afterThisTurn(this.#launch);
  }

  readonly #launch = (): void => {
    this.#scheduled = false;
    const batch = this.#batches.shift();
    if (batch === undefined) return;
    this.#flying = batch;
    this.#takeNotes(batch);
    this.#launched = this.#clock.now();
    if (batch.length === 0) return this.#landed(batch, null, 0);
    if (this.#live === 1 && this.#took < quick && this.#writevSync !== undefined) this.#writeAlone(batch, this.#writevSync);
    else this.#writev(batch.segment.log, batch.buffers(), batch.start, (error, count) => this.#landed(batch, error, count));
  };

  #writeAlone(batch: Batch, write: WritevSync): void {
    let count = 0;
    let trouble: NodeJS.ErrnoException | null = null;
    try {
      count = write(batch.segment.log, batch.buffers(), batch.start);
    } catch (error) {
      trouble = error as NodeJS.ErrnoException;
    }
    this.#landed(batch, trouble, count);
  }

  #takeNotes(batch: Batch): void {
    if (this.#notes.length === 0) return;
    // Of a segment that has begun another life nothing need be said.
    const notes = this.#notes.filter(({ segment, generation }) => segment.life.generation === generation);
    const count = batch.addNotes(notes);
    this.#noted = notes.slice(0, count);
    this.#notes = notes.slice(count);
  }

  /** When no message comes, notes go without one, if there is room where the last message went. */
  #noteLater(): void {
    this.#noteTimer ??= this.#clock.after(notePatience, () => {
      this.#noteTimer = undefined;
      const segment = this.#segments.current;
      if (this.#closed || this.#notes.length === 0 || this.#flying !== undefined || this.#batches.length > 0 || segment === undefined) return;
      segment.busy = true;
      this.#batches.push(new Batch(segment, this.#blocks));
      this.#launchSoon();
    }, true);
  }

  #landed(batch: Batch, error: NodeJS.ErrnoException | null, count: number): void {
    this.#flying = undefined;
    this.#took = this.#clock.now() - this.#launched;
    this.#blocks.giveBack(batch.blocks);
    batch.segment.busy = false;
    if (error !== null || count !== batch.length) return this.#failed(batch, error);
    this.#waitingLength -= batch.weight;
    this.#noted = [];
    this.#segments.useUp(batch.segment);
    this.#next();
    for (const { done } of batch.waiting) done();
  }

  #next(): void {
    if (this.#batches.length > 0) this.#launchSoon();
    else if (this.#closed) this.#end();
  }

  /** Nothing is written to this descriptor again: what the kernel could not write it may have forgotten by now. */
  #failed(batch: Batch, error: NodeJS.ErrnoException | null): void {
    const { segment } = batch;
    const trouble = error === null ? new QueueTrouble('EIO', `write ${segment.name}: short write`) : QueueTrouble.from(error, `write ${segment.name}`);
    const lost = [batch, ...this.#batches.filter((waiting) => waiting.segment === segment)];
    this.#batches = this.#batches.filter((waiting) => waiting.segment !== segment);
    this.#notes = [...this.#noted.splice(0), ...this.#notes];
    for (const { place } of batch.waiting) this.#mark(segment, place, 'dropped');
    for (const { waiting } of lost) for (const { place } of waiting) this.#forget(segment, place);
    this.#warn(`${trouble.message}: no more messages go into this segment`);
    this.#segments.abandon(segment);
    for (const { weight } of lost) this.#waitingLength -= weight;
    this.#next();
    for (const { waiting } of lost) for (const { done } of waiting) done(trouble);
  }

  #mark(segment: Segment, place: Place, status: 'gone' | 'dropped'): void {
    try {
      segment.mark(place, status);
    } catch (error) {
      this.#warn(`update ${place.segment}: ${(error as Error).message}`);
    }
  }

  #forget(segment: Segment, place: Place): boolean {
    const had = segment.live.delete(place.offset);
    if (had) this.#live--;
    return had;
  }

  /** No longer wanted: delivered, removed, or a durable queue file. Trouble is a warning: after a crash the message may come again. */
  release(place: Place): void {
    const segment = this.#segments.find(place.segment);
    if (segment === undefined || !this.#forget(segment, place)) return;
    this.#mark(segment, place, 'gone');
    if (this.#notes.length < noteLimit) this.#notes.push({ segment, generation: segment.life.generation, offset: place.offset });
    this.#segments.useUp(segment);
    this.#noteLater();
  }

  /** Messages in the journal, those that are on their way included. */
  get live(): number {
    return this.#live;
  }

  /** Live entries, oldest first: what stands in the way of a segment that should be used again. */
  *oldest(): Generator<Place, void, undefined> {
    for (const segment of this.#segments.wanted()) yield* segment.live.values();
  }

  /** Room is running short: some of the oldest should become files. */
  get isCrowded(): boolean {
    return this.#live > 0.75 * this.#countLimit || this.#segments.isCrowded;
  }

  /** What dead writers have left, oldest first, locked by us. Make each entry a queue file, then call `settled`. */
  *abandoned(): Generator<Abandoned, void, undefined> {
    const segments = [...this.#segments.abandoned()];
    // What became of a message may be noted in a later segment. The bytes are not kept meanwhile: there may be many.
    const notes = segments.flatMap((segment) => scanSegment(readWhole(segment.marks, segment.size)).notes);
    for (const segment of segments) {
      const { entries: all, damaged, generation } = scanSegment(readWhole(segment.marks, segment.size));
      const entries = generation === undefined ? all : without(all, notes, generation);
      // The segment of the note may be used again before this one is settled.
      if (entries.length < all.length) this.#markGone(segment, all, entries);
      if (damaged > 0) this.#warn(`${segment.name}: ${damaged} damaged ${damaged === 1 ? 'entry' : 'entries'} passed over`);
      const settled = (): void => this.#segments.adopt(segment);
      if (entries.length === 0) settled();
      else yield { segment: segment.name, entries, settled };
    }
  }

  #markGone(segment: Segment, all: readonly RecoveredEntry[], wanted: readonly RecoveredEntry[]): void {
    const kept = new Set(wanted);
    for (const entry of all) if (!kept.has(entry)) this.#mark(segment, { segment: segment.name, offset: entry.offset, length: entry.image.length }, 'gone');
  }

  /** Is another process writing a journal of its own here (an old one that is finishing)? */
  hasForeign(): boolean {
    return this.#segments.hasForeign();
  }

  /** When no segment is being made in the background. */
  ready(): Promise<void> {
    return this.#segments.settled();
  }

  /**
   * The end: nothing more is appended. Segments in which nothing is wanted are removed, and the directory when it is empty. The others
   * stay ours, and `release` goes on working, until the process ends: then they are the next one's to recover.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#flying === undefined && this.#batches.length === 0) this.#end();
  }

  /** Close, and leave what is still wanted to the next process at once. */
  leave(): void {
    this.#leaving = true;
    if (!this.#closed) this.close();
    else if (this.#flying === undefined) this.#end();
  }

  #end(): void {
    this.#segments.close();
    if (this.#leaving) this.#segments.leave();
  }
}
