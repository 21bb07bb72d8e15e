/**
 * The segments of one writer: one that is appended to, full ones in which something is still wanted, and at least one ahead once
 * mail flows.
 *
 * Segments are made in the background, written with zeros and synced, so that appending changes nothing but data. A used-up one
 * is used again under a new name and with a new head: whoever still has the old name finds nothing. Names go up and never come
 * again. The writer holds a lock on each, so that a later process sees which belong to a dead writer. Trouble is a warning: then
 * there is no segment for a while.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { close, closeSync, constants, fdatasync, fstatSync, fsync, linkSync, open, openSync, readdirSync, unlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { tryLock } from '../../host/locks.ts';
import { freeSpace } from '../../host/process.ts';
import { journalDirectory, makeJournalDirectory, removeJournalDirectory } from './directory.ts';
import { batchAlignment, tagLength, type Life } from './entry.ts';
import { generationOf, Segment, segmentName } from './segment.ts';
import { isLocked, openIfThere, samePath, unlinkQuietly, writeFully } from './segment-files.ts';
import { segmentHead, segmentHeadLength } from './segment-head.ts';

export interface SegmentsOptions {
  /** '' or a directory with a slash at the end. */
  readonly root: string;
  readonly segmentSize: number;
  readonly sizeLimit: number;
  readonly clock: { after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  warn(text: string): void;
}

const syncAsync = promisify(fsync);
const syncDataAsync = promisify(fdatasync);
const openAsync = promisify(open);
const closeAsync = promisify(close);

const pieceSize = 1 << 20;
const quietTime = 60_000;
/** After trouble with the disk nothing is tried for so long. */
const troublePause = 10_000;
/** So many times a segment's size must be free before it is made. */
const spareFactor = 2;
const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #root: string;
  readonly #size: number;
  readonly #count: number;
  readonly #own = new Map<string, Segment>();
  /** Full, with something wanted in them, in the order of their lives. */
  readonly #full = new Set<Segment>();
  readonly #ready: Segment[] = [];
  /** Of dead writers, locked by us, not yet settled. */
  readonly #held = new Map<string, Segment>();
  #current: Segment | undefined;
  #preparing = 0;
  #generation: number;
  #flowing = false;
  #appended = false;
  #troubled = false;
  #closed = false;
  #timer: { cancel(): void } | undefined;
  #waiters: (() => void)[] = [];

  /** Throws errors of the file system when the directory cannot be made or read. */
  constructor(options: SegmentsOptions) {
    const { root, segmentSize, sizeLimit } = options;
    this.#options = options;
    this.#root = root;
    const size = Math.min(segmentSize, sizeLimit);
    this.#size = size - (size % segmentHeadLength);
    this.#count = Math.floor(sizeLimit / size);
    makeJournalDirectory(root);
    const found = this.#names().map((name) => Number.parseInt(name.slice(-8), 16));
    // Not from 1 again: a delivery agent may still have a segment open that an earlier process has removed.
    this.#generation = found.length > 0 ? Math.max(...found) : randomInt(1, 2 ** 31);
    this.#stock();
  }

  /** A segment with room for `length` more bytes; undefined when there is none now. */
  room(length: number): Segment | undefined {
    this.#appended = true;
    if (!this.#flowing) this.#begin();
    if (this.#current?.fits(length)) return this.#current;
    if (length > this.#size - segmentHeadLength) return undefined;
    return this.#turn();
  }

  #begin(): void {
    this.#flowing = true;
    this.#stock();
  }

  #turn(): Segment | undefined {
    const next = this.#ready.shift();
    const full = this.#current;
    // The only segment there may be is used again when it is empty, which it will be only if nothing more comes in.
    if (full !== undefined && (next !== undefined || full.end > 0.875 * this.#size - batchAlignment)) {
      this.#current = undefined;
      this.#seal(full);
    }
    this.#current ??= next;
    this.#stock();
    return next;
  }

  #seal(segment: Segment): void {
    segment.sealed = true;
    this.#full.add(segment);
    this.#useUp(segment);
  }

  /** No more appends to this one: a write to it has failed. */
  abandon(segment: Segment): void {
    segment.broken = true;
    if (this.#current === segment) this.#current = undefined;
    this.#seal(segment);
    this.#stock();
  }

  find(name: string): Segment | undefined {
    return this.#own.get(name);
  }

  /** Something of it was released. */
  useUp(segment: Segment): void {
    if (segment.sealed && segment.live.size === 0) this.#useUp(segment);
  }

  #useUp(segment: Segment): void {
    if (segment.live.size > 0 || segment.busy || !this.#full.delete(segment)) return;
    if (segment.broken || this.#closed) this.#remove(segment);
    else void this.#background(() => this.#renew(segment));
  }

  /** The one that the last message went to. */
  get current(): Segment | undefined {
    return this.#current;
  }

  /** The segments that something is wanted of, oldest first. */
  *wanted(): Generator<Segment, void, undefined> {
    yield* this.#full;
    if (this.#current !== undefined) yield this.#current;
  }

  /** Less than a quarter of the room is left. */
  get isCrowded(): boolean {
    if (this.#troubled && this.#ready.length === 0) return true;
    const used = this.#full.size * this.#size + (this.#current?.end ?? 0);
    return used > 0.75 * this.#count * this.#size;
  }

  // ---- making segments

  #stock(): void {
    const wanted = (this.#current === undefined ? 1 : 0) + (this.#flowing ? 1 : 0);
    if (this.#closed || this.#troubled || this.#ready.length + this.#preparing >= wanted) return;
    if (this.#own.size >= this.#count || this.#names().length >= this.#count) return;
    void this.#background(() => this.#create());
  }

  /** Something that takes its time and ends with a segment to use. */
  async #background(make: () => Promise<Segment | undefined>): Promise<void> {
    this.#preparing++;
    try {
      const segment = await make();
      if (segment !== undefined) this.#finished(segment);
    } catch (error) {
      if (!this.#closed) this.#trouble(error as Error);
    }
    this.#preparing--;
    this.#stock();
    this.#tidy();
    if (this.#preparing === 0) for (const resolve of this.#waiters.splice(0)) resolve();
  }

  #finished(segment: Segment): void {
    if (this.#closed) return this.#remove(segment);
    this.#ready.push(segment);
    if (this.#ready.length > 1) this.#watch();
  }

  #trouble(error: Error): void {
    this.#options.warn(`cannot make a journal segment: ${error.message}`);
    this.#troubled = true;
    this.#options.clock.after(troublePause, () => {
      this.#troubled = false;
      this.#stock();
    }, true);
  }

  /** When nothing is being made. */
  settled(): Promise<void> {
    return this.#preparing === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve));
  }

  async #create(): Promise<Segment> {
    this.#askForRoom();
    const segment = this.#newFile();
    try {
      await this.#fill(segment);
      await syncAsync(segment.marks);
      await this.#syncDirectory();
      segment.openLog(this.#root + segment.name);
      return segment;
    } catch (error) {
      this.#remove(segment);
      throw error;
    }
  }

  /** A segment that fills the disk until it fails would take the last room from mail that could still be a file. */
  #askForRoom(): void {
    const free = freeSpace(this.#root === '' ? '.' : this.#root);
    if (free < this.#size * spareFactor) throw new Error(`ENOSPC: no space left on device: ${this.#size} of ${free} bytes would leave too little for files`);
  }

  #newFile(): Segment {
    makeJournalDirectory(this.#root);
    const { life, made: fd } = this.#nextName((name) => openSync(this.#root + name, createFlags, 0o600));
    const name = segmentName(life.generation);
    const segment = new Segment(fd, { inode: fstatSync(fd, { bigint: true }).ino, size: this.#size, life, name });
    // Someone who looks for what dead writers left may have it in his hands for a moment; then it is his to remove.
    if (!tryLock(fd, 'flock', 'exclusive') || !samePath(this.#root + name, segment.inode)) {
      closeSync(fd);
      throw new Error(`${name} was taken by another process`);
    }
    this.#own.set(name, segment);
    return segment;
  }

  /** Make something under the next name that nobody has. */
  #nextName<T>(make: (name: string) => T): { life: Life; made: T } {
    for (;;) {
      const generation = ++this.#generation;
      try {
        return { made: make(segmentName(generation)), life: { generation, tag: randomBytes(tagLength) } };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  async #fill({ marks, life }: Segment): Promise<void> {
    const piece = Buffer.alloc(Math.min(pieceSize, this.#size));
    segmentHead({ ...life, size: this.#size }).copy(piece);
    for (let at = 0; at < this.#size; at += piece.length) {
      await writeFully(marks, piece.subarray(0, Math.min(piece.length, this.#size - at)), at);
      if (at === 0) piece.fill(0, 0, segmentHeadLength);
    }
  }

  /** Another life for a segment in which nothing is wanted. It is not under its new name alone before that is durable. */
  async #renew(segment: Segment): Promise<Segment> {
    await this.#secureMarks();
    const old = segment.name;
    this.#own.delete(old);
    try {
      const { life } = this.#nextName((name) => linkSync(this.#root + old, this.#root + name));
      segment.renew(life);
      this.#own.set(segment.name, segment);
      unlinkSync(this.#root + old);
      segment.openLog(this.#root + segment.name);
      await writeFully(segment.log, segmentHead({ ...life, size: segment.size }), 0);
      await this.#syncDirectory();
      return segment;
    } catch (error) {
      unlinkQuietly(this.#root + old);
      this.#remove(segment);
      throw error;
    }
  }

  /** Notes about entries of other segments go with this one's life: from now on the marks alone have to tell. */
  async #secureMarks(): Promise<void> {
    for (const other of this.#full) {
      if (!other.marked) continue;
      other.marked = false;
      // Trouble with it costs no mail: after a power cut some would come twice.
      await syncDataAsync(other.marks).catch(() => undefined);
    }
  }

  async #syncDirectory(): Promise<void> {
    const fd = await openAsync(this.#root + journalDirectory, 'r');
    try {
      await syncAsync(fd);
    } finally {
      await closeAsync(fd);
    }
  }

  #remove(segment: Segment): void {
    this.#own.delete(segment.name);
    unlinkQuietly(this.#root + segment.name);
    segment.close();
    this.#tidy();
  }

  #tidy(): void {
    if (this.#closed && this.#own.size === 0) removeJournalDirectory(this.#root);
  }

  /** Once nothing was appended for a while, one segment ahead is enough. */
  #watch(): void {
    this.#timer ??= this.#options.clock.after(quietTime, () => {
      this.#timer = undefined;
      if (!this.#appended) for (const segment of this.#ready.splice(1)) this.#remove(segment);
      this.#appended = false;
      if (this.#ready.length > 1) this.#watch();
    }, true);
  }

  // ---- segments of others

  /** Names of all segments, lowest first. */
  #names(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.#root + journalDirectory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return names.filter((name) => generationOf(name) !== undefined).sort().map((name) => `${journalDirectory}/${name}`);
  }

  /** Is there a segment whose writer lives, besides ours? */
  hasForeign(): boolean {
    return this.#names().some((name) => !this.#own.has(name) && !this.#held.has(name) && isLocked(this.#root + name));
  }

  /** The segments of dead writers, with a lock of ours on them. */
  *abandoned(): Generator<Segment, void, undefined> {
    for (const name of this.#names()) {
      if (this.#own.has(name)) continue;
      const segment = this.#held.get(name) ?? this.#takeOver(name);
      if (segment !== undefined) yield segment;
    }
  }

  #takeOver(name: string): Segment | undefined {
    const path = this.#root + name;
    const fd = openIfThere(path, this.#options.warn);
    if (fd === undefined) return undefined;
    const { ino, size } = fstatSync(fd, { bigint: true });
    // A second name of one of ours, left by a process that died while it was giving a new name.
    if ([...this.#own.values(), ...this.#held.values()].some(({ inode }) => inode === ino)) unlinkQuietly(path);
    else if (fstatSync(fd).isFile() && tryLock(fd, 'flock', 'exclusive') && samePath(path, ino)) {
      const life = { generation: generationOf(name.slice(-8))!, tag: Buffer.alloc(tagLength) };
      const segment = new Segment(fd, { inode: ino, size: Number(size), life, name });
      this.#generation = Math.max(this.#generation, life.generation);
      this.#held.set(name, segment);
      return segment;
    }
    closeSync(fd);
    return undefined;
  }

  /** Nothing of a dead writer's segment is wanted any more. */
  adopt(segment: Segment): void {
    if (!this.#held.delete(segment.name)) return;
    if (this.#closed || segment.size !== this.#size || this.#own.size >= this.#count) return this.#remove(segment);
    this.#own.set(segment.name, segment);
    void this.#background(() => this.#renew(segment));
  }

  /** Everything that is not wanted is removed, the rest as soon as it is not. No write may be under way. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    for (const segment of this.#held.values()) segment.close();
    this.#held.clear();
    const current = this.#current;
    this.#current = undefined;
    if (current !== undefined) this.#seal(current);
    for (const segment of this.#ready.splice(0)) this.#remove(segment);
    // What is being made ends later, but must not be left behind should the process end before.
    for (const segment of this.#own.values()) if (!segment.sealed) unlinkQuietly(this.#root + segment.name);
    this.#tidy();
  }

  /** What is wanted of ours is now as if we had died. */
  leave(): void {
    for (const segment of this.#full) {
      this.#own.delete(segment.name);
      segment.close();
    }
    this.#full.clear();
  }
}
