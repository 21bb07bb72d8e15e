/**
 * Wakes services up at the times their rows ask for: at once and then every so often, or (`?`) only after their first use.
 */
import type { MasterRow } from '../../config/master-cf.ts';
import type { Clock, Timer } from '../../server/clock.ts';
import { rowKey } from './placement.ts';

export class Wakeups {
  readonly #clock: Clock;
  readonly #wake: (key: string) => void;
  readonly #timers = new Map<string, Timer>();
  #waiting = new Map<string, number>();

  constructor(clock: Clock, wake: (key: string) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Forget what was, and follow these rows from now on. */
  reset(rows: readonly MasterRow[]): void {
    this.stop();
    for (const row of rows) {
      if (row.wakeup === 0) continue;
      if (row.wakeupOnlyIfUsed) this.#waiting.set(rowKey(row), row.wakeup);
      else this.#run(rowKey(row), row.wakeup);
    }
  }

  /** A client came to this service. */
  used(key: string): void {
    const seconds = this.#waiting.get(key);
    if (seconds === undefined) return;
    this.#waiting.delete(key);
    this.#run(key, seconds);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#waiting = new Map();
  }

  #run(key: string, seconds: number): void {
    this.#timers.set(key, this.#clock.after(seconds * 1000, () => this.#run(key, seconds)));
    this.#wake(key);
  }
}
