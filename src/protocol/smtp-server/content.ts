/**
 * The content of a message as DATA brings it: finds its end, takes the extra dots away, and gives the rest in slices of
 * what was received, not copied. Only "." between two CR LF ends the content, unless newline policing is off.
 *
 * Nothing is refused while content comes: trouble is remembered in the gauge, the rest is swallowed, and the reply
 * follows at the end. Searching is native (`\n.`); there is no work per line.
 */
import type { ContentGauge } from './gauge.ts';
import type { Input } from './input.ts';

const LF = 10;
const CR = 13;
const DOT = 46;
const lineDot = Buffer.from('\n.', 'latin1');
const carriageReturn = Buffer.from('\r', 'latin1');

/**
 * Where we are, between two bytes: `start` of a line, after a `dot` that began one, after that dot and CRs (`dot-cr`), or
 * within the `text` of a line.
 */
type Place = 'start' | 'dot' | 'dot-cr' | 'text';

export class DataReader {
  finished = false;
  #place: Place = 'start';
  /** The line end before this line was a bare LF. */
  #afterBare = false;
  #last = LF;
  #returns = 0;
  readonly #gauge: ContentGauge;
  readonly #policed: boolean;
  readonly #lineLimit: number;

  constructor(gauge: ContentGauge, policed: boolean, lineLimit: number) {
    this.#gauge = gauge;
    this.#policed = policed;
    this.#lineLimit = lineLimit;
  }

  /** The next slice of content; undefined when more input is wanted, or the content has `finished`. */
  next(input: Input): Buffer | undefined {
    while (!this.finished) {
      const head = input.peek();
      if (head === undefined) return undefined;
      const slice = this.#place === 'text' ? this.#text(head, input) : this.#between(head[0]!, input);
      const wanted = slice && this.#gauge.pass(slice);
      if (wanted !== undefined) return wanted;
    }
    return undefined;
  }

  /** Text up to and including a line end that a dot follows, or all there is. */
  #text(head: Buffer, input: Input): Buffer {
    const hit = head.indexOf(lineDot);
    const length = hit < 0 ? head.length : hit + 1;
    if (head[length - 1] === LF) {
      const before = length > 1 ? head[length - 2] : this.#last;
      this.#lineStart(before !== CR);
    }
    this.#last = head[length - 1]!;
    input.use(length);
    return length === head.length ? head : head.subarray(0, length);
  }

  #between(byte: number, input: Input): Buffer | undefined {
    switch (this.#place) {
      case 'start': return this.#atStart(byte, input);
      case 'dot': return this.#afterDot(byte, input);
      default: return this.#afterReturn(byte, input);
    }
  }

  #atStart(byte: number, input: Input): undefined {
    this.#gauge.lineBegins(byte);
    if (byte === DOT) this.#consume(byte, 'dot', input);
    else this.#place = 'text';
  }

  #afterDot(byte: number, input: Input): undefined {
    if (byte === CR) {
      this.#returns = 1;
      return this.#consume(byte, 'dot-cr', input);
    }
    if (byte !== LF) {
      this.#place = 'text';
      return;
    }
    this.#gauge.bareNewlineSeen(this.#policed);
    this.#endOrDrop(this.#policed, true, input);
  }

  #afterReturn(byte: number, input: Input): Buffer | undefined {
    if (byte === LF) {
      // "\n.\r\n": a line of one dot after a bare newline; some server behind us might take it for the end.
      this.#endOrDrop(this.#policed && this.#afterBare, false, input);
      return undefined;
    }
    if (byte === CR && !this.#policed && this.#returns < this.#lineLimit) {
      this.#returns++;
      this.#consume(byte, 'dot-cr', input);
      return undefined;
    }
    this.#place = 'text';
    return this.#returns === 1 ? carriageReturn : Buffer.alloc(this.#returns, '\r', 'latin1');
  }

  /** RFC 5321 §4.1.1.4: only CR LF . CR LF is the end; a lone dot with a bare LF beside it is neither content nor end. */
  #endOrDrop(drop: boolean, bare: boolean, input: Input): void {
    input.use(1);
    if (drop) this.#lineStart(bare);
    else this.finished = true;
  }

  #lineStart(afterBare: boolean): void {
    this.#place = 'start';
    this.#afterBare = afterBare;
    this.#last = LF;
  }

  #consume(byte: number, place: Place, input: Input): undefined {
    this.#last = byte;
    this.#place = place;
    input.use(1);
  }
}
