/**
 * The lock of a service that only one process may serve at a time (maxproc 1): pid/TYPE.NAME below the queue directory.
 *
 * Opened while the process may still write there, taken before the service starts, and given up when it has drained, so that
 * after a reload the next generation's queue manager starts exactly when the old one has let go of the queue.
 */
import { closeSync, constants, openSync } from 'node:fs';
import type { MasterRow } from '../config/master-cf.ts';
import { tryLock } from '../host/locks.ts';
import type { Clock, Timer } from './clock.ts';

/** Milliseconds between two attempts. */
const patience = 50;

export class LoneLock {
  readonly #clock: Clock;
  #fd: number;
  #timer: Timer | undefined;

  /** Throws Node's errors when the file cannot be made. */
  constructor(row: MasterRow, clock: Clock) {
    this.#clock = clock;
    const name = `${row.type === 'inet' ? 'inet' : 'unix'}.${row.service}`.replace(/[^A-Za-z0-9._-]/g, '_');
    this.#fd = openSync(`pid/${name}`, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  }

  /** Runs `then` once the lock is ours, at once if it is free. */
  take(then: () => void): void {
    if (this.#fd < 0) return;
    if (tryLock(this.#fd, 'flock', 'exclusive')) then();
    else this.#timer = this.#clock.after(patience, () => this.take(then));
  }

  /** Give the lock up, or stop waiting for it. */
  release(): void {
    this.#timer?.cancel();
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
