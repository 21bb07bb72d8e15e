/**
 * The queue as Postfix keeps it: a file per message, in a directory per queue. See store.ts for what the methods promise.
 *
 * Any number of processes may work on the same directories, Postfix's own included.
 */
import { closeSync, constants, existsSync, fchmodSync, fstatSync, lutimesSync, openSync, unlinkSync } from 'node:fs';
import { timeValue, type TimeValue } from '../text/time.ts';
import { DirectorySync } from './directory-sync.ts';
import { openMessage } from './file-reader.ts';
import { FileWriter, moveFile, type FreshFile } from './file-writer.ts';
import { openPlace } from './journal/reader.ts';
import { makeQueueId } from './queue-id.ts';
import { QueuePaths, type QueuePathOptions } from './queue-paths.ts';
import { batchesOf, entriesOf } from './queue-scan.ts';
import {
  QueueTrouble, type LogName, type MessageReader, type MessageWriter, type OpenOptions, type QueueEntry, type QueueName, type QueueStore, type Reserved,
} from './store.ts';

export interface FileStoreOptions extends QueuePathOptions {
  /** enable_long_queue_ids */
  readonly longQueueIds: boolean;
  /** Milliseconds since the epoch, with fraction. */
  readonly now?: () => number;
}

const defaultBatch = 100;
const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const incompleteMode = 0o600;
const createAttempts = 1000;

export function createFileStore(options: FileStoreOptions): FileStore {
  return new FileStore(options);
}

/** The main.cf parameters a store needs. */
export interface QueueParameters {
  readonly hash_queue_names: string;
  readonly hash_queue_depth: number;
  readonly enable_long_queue_ids: boolean;
}

/** A store below the working directory (or `root`) as main.cf wants it. */
export function storeFor(parameters: QueueParameters, root = '', now?: () => number): FileStore {
  return createFileStore({
    hashQueueNames: parameters.hash_queue_names,
    hashQueueDepth: parameters.hash_queue_depth,
    longQueueIds: parameters.enable_long_queue_ids,
    root,
    ...(now ? { now } : {}),
  });
}

export class FileStore implements QueueStore {
  readonly paths: QueuePaths;
  readonly sync = new DirectorySync();
  readonly #long: boolean;
  readonly #now: () => number;

  constructor(options: FileStoreOptions) {
    this.paths = new QueuePaths(options);
    this.#long = options.longQueueIds;
    this.#now = options.now ?? wallClock;
  }

  create(_reserved?: Reserved, long = this.#long): MessageWriter {
    const temporary = this.#temporaryFile();
    try {
      return new FileWriter(this.#named(temporary, long), this.paths, this.sync);
    } catch (error) {
      closeSync(temporary.fd);
      remove(temporary.path);
      throw QueueTrouble.from(error, `create queue file ${temporary.path}`);
    }
  }

  /** A message whose name is made already, written into this empty file. */
  adopt(path: string, queueId: string, arrival: TimeValue): MessageWriter {
    let fd: number | undefined;
    try {
      // A mail system that stops takes its empty files away: then any other will do.
      if (!existsSync(path)) ({ fd, path } = this.#temporaryFile());
      else fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_TRUNC);
      fchmodSync(fd, incompleteMode);
      moveFile(path, this.paths.path('incoming', queueId));
      return new FileWriter({ fd, queueId, arrival }, this.paths, this.sync);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw QueueTrouble.from(error, `create queue file for ${queueId}`);
    }
  }

  // The name has a dot: not a queue id, so that nobody takes the file for a message.
  #temporaryFile(): { fd: number; path: string } {
    for (let left = createAttempts; ; left--) {
      const path = `${this.paths.top('incoming')}/${timeValue(this.#now()).microseconds}.${process.pid}`;
      try {
        return { path, fd: openSync(path, createFlags, incompleteMode) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || left === 0) throw QueueTrouble.from(error, `create file ${path}`);
      }
    }
  }

  #named({ fd, path }: { fd: number; path: string }, long: boolean): FreshFile {
    const { ino } = fstatSync(fd, { bigint: true });
    const arrival: TimeValue = timeValue(this.#now());
    const queueId = makeQueueId(arrival, ino, long);
    const target = this.paths.path('incoming', queueId);
    moveFile(path, target);
    return { fd, queueId, arrival };
  }

  open(queue: QueueName, queueId: string, options: OpenOptions = {}): MessageReader {
    const where = { queue, queueId, path: this.paths.path(queue, queueId) };
    const { place = '' } = options;
    return place === '' ? openMessage(where, options) : openPlace(place, where, options, this.paths.root);
  }

  move(queueId: string, from: QueueName, to: QueueName): void {
    const source = this.paths.path(from, queueId);
    const target = this.paths.path(to, queueId);
    try {
      moveFile(source, target);
    } catch (error) {
      throw QueueTrouble.from(error, `rename ${source} to ${target}`);
    }
  }

  remove(queueId: string, from: QueueName): void {
    const path = this.paths.path(from, queueId);
    try {
      unlinkSync(path);
    } catch (error) {
      throw QueueTrouble.from(error, `remove ${path}`);
    }
  }

  // Mostly there is none, and to be told so is cheaper than to catch it.
  removeLog(queueId: string, log: LogName): boolean {
    const path = this.paths.path(log, queueId);
    return existsSync(path) && remove(path);
  }

  stamp(queueId: string, queue: QueueName, time: number): void {
    const path = this.paths.path(queue, queueId);
    try {
      lutimesSync(path, time / 1000, time / 1000);
    } catch (error) {
      throw QueueTrouble.from(error, `update ${path} time stamps`);
    }
  }

  list(queue: QueueName): Iterable<QueueEntry> {
    return entriesOf(queue, this.paths.top(queue));
  }

  scan(queue: QueueName, size = defaultBatch): AsyncIterable<QueueEntry[]> {
    return batchesOf(queue, this.paths.top(queue), size);
  }
}

/** With microseconds; when the clock was set since the process began, the steady clock gives only the fraction. */
export function wallClock(): number {
  const steady = performance.timeOrigin + performance.now();
  const clock = Date.now();
  return Math.abs(clock - steady) > 2 ? clock + (steady % 1) : steady;
}

/** Remove a file; false when it was not there. */
function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw QueueTrouble.from(error, `remove ${path}`);
  }
}
