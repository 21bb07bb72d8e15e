/**
 * Finds the end of a message (RFC 5321 section 4.1.1.4) in bytes that come in pieces: CR LF dot CR LF, and nothing else. Pure.
 *
 * The line end before the dot may be the one of DATA itself: an empty message is a dot alone.
 */
const mark = Buffer.from('\r\n.\r\n');
const cr = 13;

export class MessageEnd {
  /** How many bytes of the mark stand right before what comes next. */
  #matched = 2;

  /** A message begins. */
  begin(): void {
    this.#matched = 2;
  }

  /** Where in the bytes the message has ended; -1: not yet. */
  find(bytes: Buffer, from: number, length: number): number {
    let at = from;
    for (; at < length && this.#matched > 0; at++) if (this.#step(bytes[at]!)) return at + 1;
    if (at >= length) return -1;
    const found = bytes.subarray(at, length).indexOf(mark);
    if (found >= 0) {
      this.#matched = 2;
      return at + found + mark.length;
    }
    for (at = Math.max(at, length - mark.length + 1); at < length; at++) this.#step(bytes[at]!);
    return -1;
  }

  /**
   * The same, byte for byte, keeping what a dump file shows: without carriage returns, and without the dot that is first in a line.
   * `into` must have room for as many bytes; `kept` says how many there are.
   */
  copy(bytes: Buffer, from: number, length: number, into: Buffer): { readonly end: number; readonly kept: number } {
    let kept = 0;
    for (let at = from; at < length; at++) {
      const code = bytes[at]!;
      const ended = this.#step(code);
      if (code !== cr && this.#matched !== 3) into[kept++] = code;
      if (ended) return { end: at + 1, kept };
    }
    return { end: -1, kept };
  }

  #step(code: number): boolean {
    if (code === mark[this.#matched]) this.#matched++;
    else this.#matched = code === cr ? 1 : 0;
    if (this.#matched < mark.length) return false;
    this.#matched = 2;
    return true;
  }
}
