/**
 * A message on its way into the maildrop: what a command writes, with the rights of its user, for pickup(8) to find.
 *
 * Synchronous, for commands. The file is no message until `commit` has made it one (owner execute bit) and durable; before that it
 * can be discarded. Throws QueueTrouble: EFBIG when the message is larger than it may be, EACCES when this user may not write
 * there, and whatever else the disk says; after that only `discard` makes sense.
 *
 * The directory decides on names and modes. Postfix's own (0730, entered through a set-gid program) hides what is in it, so names
 * are queue ids and files are readable. One that every user may write to (03733, docs/decisions/local-submission.md) cannot hide
 * a name that can be guessed, so there names are random and files are for the owner and the directory's group only.
 */
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, statSync, unlinkSync, writevSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { RecordWriter } from '../message/record-writer.ts';
import { timeValue } from '../text/time.ts';
import { moveFile } from './file-writer.ts';
import { makeQueueId } from './queue-id.ts';
import type { QueuePaths } from './queue-paths.ts';
import { QueueTrouble } from './store.ts';

export interface MaildropOptions {
  readonly paths: QueuePaths;
  /** enable_long_queue_ids */
  readonly longQueueIds: boolean;
  /** message_size_limit: bytes of the file; 0: no limit. */
  readonly sizeLimit: number;
  /** Milliseconds since the epoch, with fraction. */
  readonly now: () => number;
}

const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const createAttempts = 1000;
/** Bytes that are gathered before they are written. */
const portion = 64 << 10;

const hidden = { incomplete: 0o644, ready: 0o744 } as const;
const open = { incomplete: 0o600, ready: 0o740 } as const;

interface Fresh { readonly fd: number; readonly path: string; readonly queueId: string; readonly readyMode: number }

export class MaildropFile {
  readonly queueId: string;
  readonly path: string;
  readonly #fd: number;
  readonly #readyMode: number;
  readonly #sizeLimit: number;
  readonly #records = new RecordWriter();
  #written = 0;
  #state: 'open' | 'closed' = 'open';

  private constructor({ fd, path, queueId, readyMode }: Fresh, sizeLimit: number) {
    this.#fd = fd;
    this.path = path;
    this.queueId = queueId;
    this.#readyMode = readyMode;
    this.#sizeLimit = sizeLimit;
  }

  static create(options: MaildropOptions): MaildropFile {
    const top = options.paths.top('maildrop');
    try {
      const isOpen = (statSync(top).mode & constants.S_IWOTH) !== 0;
      return new MaildropFile(isOpen ? createRandom(options) : createNamed(options), options.sizeLimit);
    } catch (error) {
      throw QueueTrouble.from(error, `create a file in ${top}`);
    }
  }

  put(type: number, payload: string | Buffer = ''): void {
    this.#records.put(type, payload);
    if (this.#records.offset - this.#written > portion) this.#write();
  }

  commit(): void {
    try {
      this.#write();
      fchmodSync(this.#fd, this.#readyMode);
      fsyncSync(this.#fd);
      this.#close();
      syncDirectory(this.path);
    } catch (error) {
      this.discard();
      throw QueueTrouble.from(error, `write ${this.path}`);
    }
  }

  discard(): void {
    this.#close();
    try {
      unlinkSync(this.path);
    } catch { /* it is gone, or nobody would take it for a message */ }
  }

  #write(): void {
    const pieces = this.#records.take();
    if (this.#sizeLimit > 0 && this.#records.offset > this.#sizeLimit) throw new QueueTrouble('EFBIG', 'File too large');
    try {
      for (let waiting = pieces; waiting.length > 0; waiting = this.#unwritten(waiting, writevSync(this.#fd, waiting)));
    } catch (error) {
      throw QueueTrouble.from(error, `write ${this.path}`);
    }
  }

  #unwritten(pieces: readonly Buffer[], count: number): Buffer[] {
    this.#written += count;
    const rest: Buffer[] = [];
    for (const piece of pieces) {
      if (count < piece.length) rest.push(piece.subarray(count));
      count = Math.max(0, count - piece.length);
    }
    return rest;
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    closeSync(this.#fd);
  }
}

/** A name that nobody can guess, with the letters of a queue id. */
function createRandom({ paths }: MaildropOptions): Fresh {
  const queueId = randomBytes(16).toString('hex').toUpperCase();
  const path = paths.path('maildrop', queueId);
  return { fd: openSync(path, createFlags, open.incomplete), path, queueId, readyMode: open.ready };
}

/** The name has the file's inode number in it, so the file comes first, under a name that is no queue id. */
function createNamed({ paths, longQueueIds, now }: MaildropOptions): Fresh {
  const { fd, path: temporary } = createTemporary(paths.top('maildrop'), now);
  try {
    const { ino } = fstatSync(fd, { bigint: true });
    const queueId = makeQueueId(timeValue(now()), ino, longQueueIds);
    const path = paths.path('maildrop', queueId);
    moveFile(temporary, path);
    return { fd, path, queueId, readyMode: hidden.ready };
  } catch (error) {
    closeSync(fd);
    unlinkSync(temporary);
    throw error;
  }
}

function createTemporary(directory: string, now: () => number): { fd: number; path: string } {
  for (let left = createAttempts; ; left--) {
    const path = `${directory}/${timeValue(now()).microseconds}.${process.pid}`;
    try {
      return { path, fd: openSync(path, createFlags, hidden.incomplete) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || left === 0) throw error;
    }
  }
}

/** Who may not read the directory cannot sync it either; Postfix never does. */
function syncDirectory(path: string): void {
  let fd: number;
  try {
    fd = openSync(path.slice(0, path.lastIndexOf('/')), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return;
    throw error;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
