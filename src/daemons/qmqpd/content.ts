/**
 * A QMQP message's text as cleanup gets it: LF line ends, and a beginning that cannot be taken for a part of our Received: header. Pure.
 *
 * "From " lines of a mailbox in front become headers; a message that begins with a blank gets an empty line before it. A last line without
 * an end gets one. Nothing is copied; the work is proportional to the lines in front.
 */
const [LF, blank, tab, mark] = [10, 32, 9, 62];
const mailboxLine = Buffer.from('X-Mailbox-Line: ', 'latin1');
const fromLine = Buffer.from('From ', 'latin1');
const lineEnd = Buffer.from('\n', 'latin1');

/** The pieces to hand on. */
export function contentPieces(pieces: readonly Buffer[]): Buffer[] {
  const text = new Cursor(pieces.filter(({ length }) => length > 0));
  const out: Buffer[] = [];
  while (text.isMailboxLine()) {
    out.push(mailboxLine);
    if (!text.takeLine(out)) out.push(lineEnd);
  }
  const first = text.byte();
  if (first === blank || first === tab) out.push(lineEnd);
  return text.takeRest(out) ? out : [...out, lineEnd];
}

/** A place in text that is in several pieces. */
class Cursor {
  readonly #pieces: readonly Buffer[];
  #index = 0;
  #at = 0;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
  }

  /** Undefined: the end. */
  byte(): number | undefined {
    return this.#pieces[this.#index]?.[this.#at];
  }

  isMailboxLine(): boolean {
    const look = new Cursor(this.#pieces);
    [look.#index, look.#at] = [this.#index, this.#at];
    while (look.byte() === mark) look.#step();
    for (const code of fromLine) {
      if (look.byte() !== code) return false;
      look.#step();
    }
    return true;
  }

  /** The line with its end, if it has one. */
  takeLine(out: Buffer[]): boolean {
    for (let piece = this.#pieces[this.#index]; piece !== undefined; piece = this.#pieces[this.#index]) {
      const end = piece.indexOf(LF, this.#at);
      const from = this.#at;
      this.#at = end < 0 ? piece.length : end + 1;
      out.push(piece.subarray(from, this.#at));
      this.#normalize();
      if (end >= 0) return true;
    }
    return false;
  }

  /** True when it ends a line, or is nothing. */
  takeRest(out: Buffer[]): boolean {
    const [first, ...rest] = this.#pieces.slice(this.#index);
    if (first === undefined) return true;
    out.push(first.subarray(this.#at), ...rest);
    return out.at(-1)!.at(-1) === LF;
  }

  #step(): void {
    this.#at++;
    this.#normalize();
  }

  #normalize(): void {
    if (this.#at < this.#pieces[this.#index]!.length) return;
    this.#index++;
    this.#at = 0;
  }
}
