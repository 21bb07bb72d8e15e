/**
 * Going through a queue's directories, one entry after the other, in the order the file system gives.
 *
 * Subdirectories have names of one letter (hash_queue_depth), so nothing is looked at to tell them from messages. What vanishes
 * meanwhile is passed over; memory does not grow with the queue. Errors of the file system other than absence throw.
 */
import { opendirSync, type Dir } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { QueueEntry, QueueName } from './store.ts';

interface Level { readonly path: string; readonly directory: Dir }

const bufferSize = 256;
/** Deeper than any hash_queue_depth that makes sense: a loop of links must not keep us. */
const deepest = 20;

/** A name in a queue directory; whether it is a queue id is for the caller to see. */
export class QueueScan {
  readonly #queue: QueueName;
  readonly #flat: boolean;
  #levels: Level[] = [];

  /** @param top path of the queue's directory; `flat` does not step into subdirectories (maildrop: strangers may write there) */
  constructor(queue: QueueName, top: string, flat = queue === 'maildrop') {
    this.#queue = queue;
    this.#flat = flat;
    this.#enter(top);
  }

  next(): QueueEntry | undefined {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.directory.readSync()?.name;
      if (name === undefined) this.#leave();
      else if (name.length !== 1 || this.#flat) return { queue: this.#queue, queueId: name, path: `${level.path}/${name}` };
      else this.#enter(`${level.path}/${name}`);
    }
    return undefined;
  }

  /** Give the directories back before the end was reached. */
  close(): void {
    while (this.#levels.length > 0) this.#leave();
  }

  #enter(path: string): void {
    if (this.#levels.length > deepest) return;
    try {
      this.#levels.push({ path, directory: opendirSync(path, { encoding: 'latin1', bufferSize }) });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    }
  }

  #leave(): void {
    this.#levels.pop()?.directory.closeSync();
  }
}

export function* entriesOf(queue: QueueName, top: string): Generator<QueueEntry, void, undefined> {
  const scan = new QueueScan(queue, top);
  try {
    for (let entry = scan.next(); entry !== undefined; entry = scan.next()) yield entry;
  } finally {
    scan.close();
  }
}

/** The entries in batches, with a turn of the event loop after each. */
export async function* batchesOf(queue: QueueName, top: string, size: number): AsyncGenerator<QueueEntry[], void, undefined> {
  let batch: QueueEntry[] = [];
  for (const entry of entriesOf(queue, top)) {
    if (batch.push(entry) < size) continue;
    yield batch;
    batch = [];
    await turn();
  }
  if (batch.length > 0) yield batch;
}
