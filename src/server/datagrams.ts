/**
 * Takes the datagrams of one service on its descriptors, with no thread that waits.
 *
 * A turn of the loop takes a bounded number, so that a flood does not starve what shares the process. A socket that fails is warned of
 * once and left alone.
 */
import { closeSync, readSync } from 'node:fs';
import { ReadWatch } from '../host/descriptors.ts';
import { errorText } from '../host/libc.ts';
import type { Log } from '../log/log.ts';

export interface DatagramOptions {
  readonly descriptors: readonly number[];
  readonly log: Log;
  readonly datagram: (bytes: Buffer) => void;
}

/** Longer ones are cut. */
const longest = 4096;
/** Datagrams of one turn. */
const atOnce = 100;

export class Datagrams {
  readonly #options: DatagramOptions;
  readonly #watch = new ReadWatch();
  readonly #buffer = Buffer.alloc(longest);
  #closed = false;

  constructor(options: DatagramOptions) {
    this.#options = options;
  }

  /** Nobody is connected, and what was sent has been taken. */
  readonly clients = 0;

  start(): void {
    if (this.#closed) return;
    for (const fd of this.#options.descriptors) this.#watch.watch(fd, () => this.#take(fd));
  }

  /** Takes what is there, and no more. The descriptors are closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const fd of this.#options.descriptors) {
      if (this.#watch.watches(fd)) this.#take(fd);
      this.#watch.unwatch(fd);
    }
    // The poller lets go of them at the end of this turn.
    setImmediate(() => this.#options.descriptors.forEach(closeSync));
  }

  /** The same shape as an Acceptor's: there is no client that could go. */
  gone(): void {}

  #take(fd: number): void {
    for (let left = atOnce; left > 0; left--) {
      let length: number;
      try {
        length = readSync(fd, this.#buffer, 0, longest, null);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        this.#watch.unwatch(fd);
        return this.#options.log.warning(`failed to receive message with recv: ${errorText(error)}`);
      }
      this.#options.datagram(Buffer.from(this.#buffer.subarray(0, length)));
    }
  }
}
