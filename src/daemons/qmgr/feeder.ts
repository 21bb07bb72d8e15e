/**
 * Which message becomes active next: one from incoming, one from deferred, in turn, so that neither new mail nor old mail starves
 * the other. Scans ask the directories again only when someone says there is something.
 */
import type { QueueEntry, QueueName, QueueStore } from '../../queue/store.ts';

type Scanned = Extract<QueueName, 'incoming' | 'deferred'>;

interface Scan {
  entries: Iterator<QueueEntry> | undefined;
  /** Asked for while a scan was under way: go through once more. */
  again: boolean;
  /** Also what is not due yet (postqueue -f). */
  all: boolean;
  /** Also over transports that are to be deferred (defer_transports). */
  flush: boolean;
  allAgain: boolean;
  flushAgain: boolean;
}

export interface Candidate { readonly queue: Scanned; readonly queueId: string; readonly all: boolean; readonly flush: boolean }

export class Feeder {
  readonly #store: QueueStore;
  readonly #scans: Record<Scanned, Scan> = { incoming: idle(), deferred: idle() };
  #turn: Scanned = 'incoming';

  constructor(store: QueueStore) {
    this.#store = store;
  }

  /** Go through this queue (again). */
  request(queue: Scanned, all = false, flush = false): void {
    const scan = this.#scans[queue];
    if (scan.entries === undefined) {
      scan.entries = this.#store.list(queue)[Symbol.iterator]();
      scan.all = all;
      scan.flush = flush;
    } else {
      scan.again = true;
      scan.allAgain ||= all;
      scan.flushAgain ||= flush;
    }
  }

  get isScanning(): boolean {
    return this.#scans.incoming.entries !== undefined || this.#scans.deferred.entries !== undefined;
  }

  /** The next file to be looked at; undefined: there is none now. Without `deferred` that queue's scan stays where it is. */
  next(deferred = true): Candidate | undefined {
    for (const queue of [this.#turn, other(this.#turn)]) {
      if (queue === 'deferred' && !deferred) continue;
      const queueId = this.#step(queue);
      if (queueId === undefined) continue;
      this.#turn = other(queue);
      const { all, flush } = this.#scans[queue];
      return { queue, queueId, all, flush };
    }
    return undefined;
  }

  #step(queue: Scanned): string | undefined {
    const scan = this.#scans[queue];
    if (scan.entries === undefined) return undefined;
    const step = scan.entries.next();
    if (!step.done) return step.value.queueId;
    const { again, allAgain, flushAgain } = scan;
    this.#scans[queue] = idle();
    if (again) this.request(queue, allAgain, flushAgain);
    return again ? this.#step(queue) : undefined;
  }
}

function idle(): Scan {
  return { entries: undefined, again: false, all: false, flush: false, allAgain: false, flushAgain: false };
}

function other(queue: Scanned): Scanned {
  return queue === 'incoming' ? 'deferred' : 'incoming';
}
