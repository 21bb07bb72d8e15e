/**
 * The log files of one service: `bounce/ID`, `defer/ID` or `trace/ID` below the queue directory.
 *
 * An entry is on disk (fsync) when `append` resolves. Entries that come for a message while one is being written go to the disk
 * together. Trouble is a QueueTrouble, and the file is then as long as it was before: never half an entry that somebody counts on.
 */
import { closeSync, constants, fstatSync, fsync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';
import { lockPatiently, type LockPatience } from '../../host/locks.ts';
import { makeDirectories, type QueuePaths } from '../../queue/queue-paths.ts';
import { readLog, type LogEntry } from '../../queue/report-log.ts';
import { QueueTrouble, type LogName, type QueueStore } from '../../queue/store.ts';
import { Lanes } from './lanes.ts';

export interface LogFilesOptions {
  readonly service: LogName;
  readonly paths: QueuePaths;
  readonly store: QueueStore;
  /** deliver_lock_attempts, deliver_lock_delay: for logs that another program is writing. */
  readonly patience: LockPatience;
  readonly warn: (text: string) => void;
  readonly utf8: boolean;
}

/** Entries that wait to be written in one go. */
interface Batch { text: string; readonly written: Promise<void> }

const appendFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const mode = 0o600;
/** Beyond this a batch takes no more entries. */
const batchSize = 1 << 20;

export class LogFiles {
  readonly #options: LogFilesOptions;
  readonly #lanes = new Lanes();
  readonly #batches = new Map<string, Batch>();

  constructor(options: LogFilesOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#lanes.busy;
  }

  idle(): Promise<void> {
    return this.#lanes.idle();
  }

  append(queueId: string, entry: string): Promise<void> {
    const waiting = this.#batches.get(queueId);
    if (waiting !== undefined && waiting.text.length < batchSize) {
      waiting.text += entry;
      return waiting.written;
    }
    const written = this.#lanes.run(queueId, async () => {
      await undefined; // so that those who ask in the same breath are in
      if (this.#batches.get(queueId) === batch) this.#batches.delete(queueId);
      await this.#write(queueId, batch.text);
    });
    const batch: Batch = { text: entry, written };
    this.#batches.set(queueId, batch);
    return written;
  }

  /** Run `task` when all entries before are written; entries that come later wait for it. */
  exclusive<T>(queueId: string, task: () => Promise<T>): Promise<T> {
    this.#batches.delete(queueId);
    return this.#lanes.run(queueId, task);
  }

  /** False: there is no log. Rejects when that cannot be known. */
  async exists(queueId: string): Promise<boolean> {
    const path = this.#path(queueId);
    try {
      await access(path, constants.R_OK);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw QueueTrouble.from(error, `open ${path}`);
    }
  }

  entries(queueId: string): Iterable<LogEntry> {
    const { service, warn, utf8 } = this.#options;
    return readLog(this.#path(queueId), service, { warn, utf8 });
  }

  remove(queueId: string): void {
    this.#options.store.removeLog(queueId, this.#options.service);
  }

  #path(queueId: string): string {
    return this.#options.paths.path(this.#options.service, queueId);
  }

  // Many messages may be deferred at once: only what waits for the disk, the flush, leaves the thread.
  async #write(queueId: string, text: string): Promise<void> {
    const { service, patience } = this.#options;
    const fd = this.#open(queueId);
    try {
      if (!await lockPatiently(fd, 'flock', 'exclusive', patience)) throw new QueueTrouble('EAGAIN', `lock file ${service} ${queueId}: in use`);
      await appendDurably(fd, Buffer.from(text, 'latin1'));
    } catch (error) {
      throw QueueTrouble.from(error, `append file ${service} ${queueId}`);
    } finally {
      closeSync(fd);
    }
  }

  #open(queueId: string): number {
    const path = this.#path(queueId);
    try {
      try {
        return openSync(path, appendFlags, mode);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        makeDirectories(path);
        return openSync(path, appendFlags, mode);
      }
    } catch (error) {
      throw QueueTrouble.from(error, `open file ${this.#options.service} ${queueId}`);
    }
  }
}

const flush = promisify(fsync);

async function appendDurably(fd: number, bytes: Buffer): Promise<void> {
  const { size } = fstatSync(fd);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    await flush(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}
