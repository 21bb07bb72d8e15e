/**
 * The chunks of a message as BDAT brings them (RFC 3030): counted, not searched. One reader serves all chunks of a
 * message; a chunk that is not wanted is swallowed, so that a pipelining client stays in step.
 */
import type { ContentGauge } from './gauge.ts';
import type { Input } from './input.ts';
import type { Reply } from './steps.ts';

export class ChunkReader {
  readonly gauge: ContentGauge;
  /** Bytes of the present chunk, all of them. */
  size = 0;
  isLast = false;
  /** The reply to a chunk that is not wanted. */
  swallowed: Reply | undefined;
  /** Far too much was announced: nothing more is read from this client. */
  flooded = false;
  /** Bytes of the chunk that have not come yet. */
  #left = 0;

  constructor(gauge: ContentGauge) {
    this.gauge = gauge;
  }

  /** A chunk begins. With `swallow` its bytes go nowhere, and that is the reply once they have come. */
  begin(size: number, last: boolean, swallow?: Reply): void {
    this.#left = this.size = size;
    this.isLast = last;
    this.swallowed = swallow;
  }

  get finished(): boolean {
    return this.#left === 0;
  }

  /** The next slice of content; undefined when more input is wanted, or the chunk has `finished`. */
  next(input: Input): Buffer | undefined {
    while (this.#left > 0) {
      const slice = input.peek(this.#left);
      if (slice === undefined) return undefined;
      input.use(slice.length);
      this.#left -= slice.length;
      const wanted = this.swallowed === undefined ? this.gauge.pass(slice) : undefined;
      if (wanted !== undefined) return wanted;
    }
    return undefined;
  }

  /** What a last line without its end still needs. */
  closing(): Buffer | undefined {
    return this.gauge.closing();
  }
}
