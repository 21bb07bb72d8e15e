/**
 * Looking for line ends in Buffers, across the borders of chunks.
 *
 * Everything rests on Buffer.indexOf, which is native: no string is made, no line is copied. Nothing throws.
 */

const cr = 13;
const lf = 10;
const endOfData = Buffer.from('\r\n.\r\n', 'latin1');

/** Index of the next CR LF at or behind `from`, -1 when there is none. */
export function indexOfCrlf(bytes: Buffer, from = 0): number {
  return bytes.indexOf('\r\n', from, 'latin1');
}

/**
 * Finds CR LF . CR LF, the end of a message in DATA (RFC 5321 section 4.1.1.4), however it is cut into chunks. A dot alone on
 * the very first line counts: the CR LF of the DATA command itself precedes it.
 */
export class EndOfDataScanner {
  #tail: Buffer = Buffer.from('\r\n', 'latin1');

  /** Index in `chunk` just behind the end, -1 when it is not there. Chunks must be given in order, each once. */
  scan(chunk: Buffer): number {
    const kept = this.#tail.length;
    const border = Buffer.concat([this.#tail, chunk.subarray(0, endOfData.length - 1)]);
    const crossing = border.indexOf(endOfData);
    if (crossing >= 0) return crossing + endOfData.length - kept;
    const found = chunk.indexOf(endOfData);
    if (found >= 0) return found + endOfData.length;
    this.#remember(chunk, border);
    return -1;
  }

  #remember(chunk: Buffer, border: Buffer): void {
    const all = chunk.length >= endOfData.length - 1 ? chunk : border;
    this.#tail = Buffer.from(all.subarray(-(endOfData.length - 1)));
  }
}

/** What is wrong with the line ends of a text: an LF without CR, or a CR without LF (RFC 5321 section 2.3.8). */
export interface BareLineEnds {
  bareLf: boolean;
  bareCr: boolean;
}

/** Looks for LF without CR and CR without LF over many chunks. Call finish() at the end of the text. */
export class BareLineEndScanner implements BareLineEnds {
  bareLf = false;
  bareCr = false;
  #endsInCr = false;

  scan(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#endsInCr && chunk[0] !== lf) this.bareCr = true;
    if (!this.#endsInCr && chunk[0] === lf) this.bareLf = true;
    if (!this.bareLf) this.bareLf = indexOfBareLf(chunk, 1) >= 0;
    if (!this.bareCr) this.bareCr = indexOfBareCr(chunk) >= 0;
    this.#endsInCr = chunk[chunk.length - 1] === cr;
  }

  finish(): BareLineEnds {
    if (this.#endsInCr) this.bareCr = true;
    this.#endsInCr = false;
    return this;
  }
}

/** Index of the next LF at or behind `from` that no CR precedes; -1 when there is none. */
export function indexOfBareLf(bytes: Buffer, from = 0): number {
  for (let at = bytes.indexOf(lf, from); at >= 0; at = bytes.indexOf(lf, at + 1)) if (bytes[at - 1] !== cr) return at;
  return -1;
}

/** Index of the next CR at or behind `from` that no LF follows; a CR at the very end is not counted. -1 when there is none. */
export function indexOfBareCr(bytes: Buffer, from = 0): number {
  for (let at = bytes.indexOf(cr, from); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(cr, at + 1))
    if (bytes[at + 1] !== lf) return at;
  return -1;
}

/** Is there a byte above 127? */
export function hasEightBit(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at]! > 127) return true;
  return false;
}
