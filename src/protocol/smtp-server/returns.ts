/**
 * Content of a client whose line ends nobody watches: of several CRs in front of an LF one is left, as Postfix ends such a line. CRs elsewhere
 * stay. Slices come cut anywhere and go on uncopied where nothing has to be done; CRs at the end of one wait for the next.
 */
const [LF, CR] = [10, 13];
const twoReturns = Buffer.from('\r\r', 'latin1');

export class ReturnRuns {
  /** CRs that came last, and have not gone on. */
  #held = 0;

  /** What goes on of it, maybe nothing. */
  take(slice: Buffer): Buffer {
    let end = slice.length;
    while (end > 0 && slice[end - 1] === CR) end--;
    const bytes = this.#withHeld(slice, end);
    return bytes.indexOf(twoReturns) < 0 ? bytes : withoutRuns(bytes);
  }

  /** The content ends: CRs that were not in front of an LF. */
  rest(): Buffer {
    const rest = Buffer.alloc(this.#held, CR);
    this.#held = 0;
    return rest;
  }

  #withHeld(slice: Buffer, end: number): Buffer {
    const held = this.#held;
    this.#held = slice.length - end + (end === 0 ? held : 0);
    if (end === 0) return slice.subarray(0, 0);
    if (held === 0) return end === slice.length ? slice : slice.subarray(0, end);
    return Buffer.concat([Buffer.alloc(slice[0] === LF ? 1 : held, CR), slice.subarray(0, end)]);
  }
}

function withoutRuns(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(twoReturns); at >= 0; at = bytes.indexOf(twoReturns, at)) {
    let end = at + 2;
    while (bytes[end] === CR) end++;
    if (bytes[end] === LF) {
      pieces.push(bytes.subarray(from, at));
      from = end - 1;
    }
    at = end;
  }
  return pieces.length === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(from)]);
}
