/** Connections of a load generator one after another, so that a server's queue of waiting clients does not overflow at the start. */
import type { StreamLoop } from '../host/stream-loop.ts';
import type { Voice } from './voice.ts';

export interface Connecting { connect(): void }

export class ConnectQueue {
  readonly #loop: StreamLoop;
  readonly #voice: Voice;
  #waiting: Connecting[] = [];
  #at = 0;
  #busy = false;

  constructor(loop: StreamLoop, voice: Voice) {
    this.#loop = loop;
    this.#voice = voice;
  }

  add(session: Connecting): void {
    if (this.#busy) this.#waiting.push(session);
    else this.#begin(session);
  }

  /** The connection that was under way stands. */
  done(): void {
    this.#busy = false;
    if (this.#at < this.#waiting.length) this.#begin(this.#waiting[this.#at++]!);
    else {
      this.#waiting = [];
      this.#at = 0;
    }
  }

  /** It failed: `again`, unless `left` attempts were but one. */
  failed(reason: string, again: () => void, left: number): void {
    if (left === 1) this.#voice.fatal(`connect: ${reason}`);
    this.#voice.warning(`connect: ${reason}`);
    this.#loop.after(0, again);
  }

  #begin(session: Connecting): void {
    this.#busy = true;
    session.connect();
  }
}
