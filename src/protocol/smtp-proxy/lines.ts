/**
 * Message content on its way to a before-queue filter: wire form, whatever the client sent. Pure, and without work per byte.
 *
 * Every line ends in CR LF, dots that begin a line are doubled, and a CR that ends no line becomes a blank. So the filter, and whatever is
 * behind it, finds exactly one end of data, the one that `end` gives: nothing in the content can be taken for another.
 */
const [CR, LF, dotCode] = [13, 10, 46];
const dot = Buffer.from('.', 'latin1');
const blank = Buffer.from(' ', 'latin1');
const lineEnd = Buffer.from('\r\n', 'latin1');
const lastLine = Buffer.from('.\r\n', 'latin1');

export class ProxyLines {
  #atStart = true;
  /** The last byte that came was a CR; what it is depends on the next one. */
  #heldReturn = false;

  /** The next pieces to send, parts of `chunk` where nothing has to be changed. `chunk` has its dots unstuffed; it may be cut anywhere. */
  convert(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let from = this.#afterReturn(chunk, out);
    const flush = (to: number): void => void (to > from && out.push(chunk.subarray(from, to)));
    let nextReturn = chunk.indexOf(CR, from);
    for (let at = from; at < chunk.length;) {
      if (this.#atStart && chunk[at] === dotCode) {
        flush(at);
        out.push(dot);
        from = at;
      }
      const found = chunk.indexOf(LF, at);
      const stop = found < 0 ? chunk.length : found;
      this.#atStart = found >= 0;
      let isProper = false;
      for (; nextReturn >= 0 && nextReturn < stop; nextReturn = chunk.indexOf(CR, nextReturn + 1)) {
        if (nextReturn === found - 1) {
          isProper = true;
          continue;
        }
        flush(nextReturn);
        from = nextReturn + 1;
        if (from === chunk.length) this.#heldReturn = true;
        else out.push(blank);
      }
      if (found >= 0 && !isProper) {
        flush(found);
        out.push(lineEnd);
        from = found + 1;
      }
      at = stop + 1;
    }
    flush(chunk.length);
    return out;
  }

  /** What ends the message: the end of its last line, where that is missing, and the dot. */
  end(): Buffer {
    if (this.#atStart && !this.#heldReturn) return lastLine;
    return Buffer.concat([this.#heldReturn ? blank : Buffer.alloc(0), lineEnd, lastLine]);
  }

  /** Settles the CR at the end of the chunk before; answers where to go on. */
  #afterReturn(chunk: Buffer, out: Buffer[]): number {
    if (!this.#heldReturn || chunk.length === 0) return 0;
    this.#heldReturn = false;
    this.#atStart = chunk[0] === LF;
    out.push(this.#atStart ? lineEnd : blank);
    return this.#atStart ? 1 : 0;
  }
}
