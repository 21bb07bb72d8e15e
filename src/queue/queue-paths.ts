/**
 * Where the file of a queue id lies: `queue/ID`, or `queue/A/B/ID` for the queues that hash_queue_names lists.
 *
 * Paths are relative to the queue directory, which is the working directory of every daemon (a root can be given for tests and
 * tools). A bad queue name or id is our own mistake here and throws: callers check what strangers give with queueIdOk.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { sameIgnoringCase, splitList } from '../text/ascii.ts';
import { hashText, queueIdOk } from './queue-id.ts';

export interface QueuePathOptions {
  /** hash_queue_names */
  readonly hashQueueNames: string;
  /** hash_queue_depth */
  readonly hashQueueDepth: number;
  /** The queue directory; '' is the working directory. */
  readonly root?: string;
}

const longestQueueName = 100;

export class QueuePaths {
  readonly root: string;
  readonly #hashed: readonly string[];
  readonly #depth: number;
  readonly #depths = new Map<string, number>();

  constructor(options: QueuePathOptions) {
    this.#hashed = splitList(options.hashQueueNames);
    this.#depth = options.hashQueueDepth;
    this.root = options.root === undefined || options.root === '' ? '' : `${options.root}/`;
  }

  /** How many levels of subdirectories a queue has. */
  depth(queue: string): number {
    return this.#hashed.some((name) => sameIgnoringCase(name, queue)) ? this.#depth : 0;
  }

  /** Remembered for good names. */
  #depthOf(queue: string): number {
    if (queue === '' || queue.length > longestQueueName || !/^[0-9A-Za-z]+$/.test(queue)) throw new Error(`bad queue name: ${queue}`);
    const depth = this.depth(queue);
    this.#depths.set(queue, depth);
    return depth;
  }

  /** The directory of a queue id, with a slash at the end. */
  directory(queue: string, queueId: string): string {
    const depth = this.#depths.get(queue) ?? this.#depthOf(queue);
    if (!queueIdOk(queueId)) throw new Error(`bad queue id: ${queueId}`);
    return depth === 0 ? `${this.root}${queue}/` : `${this.root}${queue}/${forest(hashText(queueId), depth)}`;
  }

  path(queue: string, queueId: string): string {
    return this.directory(queue, queueId) + queueId;
  }

  /** The top directory of a queue. */
  top(queue: string): string {
    return this.root + queue;
  }
}

function forest(text: string, depth: number): string {
  let directories = '';
  for (let level = 0; level < depth; level++) directories += `${text[level] ?? '_'}/`;
  return directories;
}

/**
 * Make the missing directories above a path, mode 0700. They are durable when this returns: a message whose directory is lost
 * in a crash would be lost with it. Throws errors of the file system.
 */
export function makeDirectories(path: string): void {
  for (let slash = path.indexOf('/', 1); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    const directory = path.slice(0, slash);
    try {
      mkdirSync(directory, 0o700);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    syncDirectory(directory.slice(0, directory.lastIndexOf('/')) || '.');
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
