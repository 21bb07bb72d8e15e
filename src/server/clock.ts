/**
 * Time as it is handed in: wall clock for what is written into mail and queue files, monotonic timers for waits.
 *
 * Tests give a clock of their own, so that hours pass at once.
 */
export interface Timer { cancel(): void }

export interface Clock {
  /** Milliseconds since the epoch, with fraction where the system has it. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Run once after so many milliseconds; does not keep the process alive when `idle` is true. */
  after(milliseconds: number, run: () => void, idle?: boolean): Timer;
}

const longest = 2 ** 31 - 1;
/** Fixed at start. */
const { timeOrigin } = performance;

export const systemClock: Clock = {
  now() {
    const steady = timeOrigin + performance.now();
    // When the wall clock was set since, follow it.
    const drift = Date.now() - steady;
    return Math.abs(drift) > 2 ? steady + drift : steady;
  },
  monotonic: () => performance.now(),
  after(milliseconds, run, idle = false) {
    const timer = setTimeout(run, Math.min(Math.max(milliseconds, 0), longest));
    if (idle) timer.unref();
    return new SystemTimer(timer);
  },
};

class SystemTimer implements Timer {
  readonly #timer: NodeJS.Timeout;

  constructor(timer: NodeJS.Timeout) {
    this.#timer = timer;
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
