/**
 * What is counted and watched while content passes, by DATA or BDAT: its size, bare newlines, and how it begins.
 *
 * After trouble the gauge lets nothing more through; the worst trouble decides the reply at the end.
 */
import { ReturnRuns } from './returns.ts';

const LF = 10;
const CR = 13;

export type ContentTrouble = 'size' | 'bare-newline';

/** What to do about LF without CR: nothing, note it, or refuse the message. */
export type NewlineWatch = 'none' | 'note' | 'reject';

export class ContentGauge {
  /** Bytes let through. */
  size = 0;
  trouble: ContentTrouble | undefined;
  /** A bare newline was seen; only known when the watch is not 'none'. */
  bareNewline = false;
  /** The last byte let through was LF, or there was none. */
  endsLine = true;

  readonly #limit: number;
  readonly #watch: NewlineWatch;
  #last = LF;
  #opening: Opening | undefined;
  readonly #returns: ReturnRuns | undefined;

  /** `limit` 0: none. `opening`: how the very first line is treated (DATA only). `loose`: CRs in front of a line end are part of it. */
  constructor(limit: number, watch: NewlineWatch, opening?: Opening, loose = false) {
    this.#limit = limit;
    this.#watch = watch;
    this.#opening = opening;
    this.#returns = loose ? new ReturnRuns() : undefined;
  }

  /** The first byte of a line as it came, before dots are taken away. Only the first line of all matters. */
  lineBegins(byte: number): void {
    if (this.#opening?.begins(byte) === false) this.#opening = undefined;
  }

  /** What of this slice goes on; undefined: nothing (yet). */
  pass(received: Buffer): Buffer | undefined {
    const slice = this.#returns?.take(received) ?? received;
    if (slice.length === 0) return undefined;
    if (this.#watch !== 'none' && !this.bareNewline) this.#watchNewlines(slice);
    if (this.#opening === undefined) return this.#count(slice);
    const opened = this.#opening.take(slice);
    if (opened === undefined) return undefined;
    this.#opening = undefined;
    return this.#count(opened);
  }

  /** What a last line without its end still needs; undefined: nothing. */
  closing(): Buffer | undefined {
    const rest = this.#returns?.rest();
    if (rest !== undefined && rest.length > 0) return this.#count(Buffer.concat([rest, emptyLine]));
    return this.endsLine ? undefined : this.pass(emptyLine);
  }

  bareNewlineSeen(policed: boolean): void {
    if (!policed || this.#watch === 'none') return;
    this.bareNewline = true;
    if (this.#watch === 'reject') this.trouble = 'bare-newline';
  }

  #count(slice: Buffer): Buffer | undefined {
    if (this.trouble !== undefined) return undefined;
    if (this.#limit > 0 && this.size + slice.length > this.#limit) {
      this.trouble = 'size';
      return undefined;
    }
    this.size += slice.length;
    this.endsLine = slice[slice.length - 1] === LF;
    return slice;
  }

  #watchNewlines(slice: Buffer): void {
    for (let at = slice.indexOf(LF); at >= 0; at = slice.indexOf(LF, at + 1)) {
      if ((at > 0 ? slice[at - 1] : this.#last) === CR) continue;
      this.bareNewlineSeen(true);
      return;
    }
    this.#last = slice[slice.length - 1]!;
  }
}

const fromLine = Buffer.from('From ', 'latin1');
const mailboxLine = Buffer.from('X-Mailbox-Line: ', 'latin1');
const nothing = Buffer.alloc(0);
const emptyLine = Buffer.from('\r\n', 'latin1');
const QUOTE = 62;

/**
 * The first line of DATA content, where two old habits of clients need care: a mailbox's "From " line becomes a header of its
 * own, and a line that begins with a blank must not continue the Received header that comes before it.
 */
export class Opening {
  #held = nothing;
  readonly #lineLimit: number;

  constructor(lineLimit: number) {
    this.#lineLimit = lineLimit;
  }

  /** False: this first byte needs no care. */
  begins(byte: number): boolean {
    return byte === QUOTE || byte === fromLine[0] || byte === 32 || byte === 9;
  }

  /** The slice, and what was held back, with what belongs in front; undefined while it cannot be told. */
  take(slice: Buffer): Buffer | undefined {
    const text = this.#held.length === 0 ? slice : Buffer.concat([this.#held, slice]);
    if (text[0] === 32 || text[0] === 9) return Buffer.concat([emptyLine, text]);
    let at = 0;
    while (text[at] === QUOTE && at < this.#lineLimit) at++;
    const seen = text.subarray(at, at + fromLine.length);
    if (seen.equals(fromLine)) return Buffer.concat([mailboxLine, text]);
    const open = at < this.#lineLimit && seen.length < fromLine.length && seen.equals(fromLine.subarray(0, seen.length));
    if (!open) return text;
    this.#held = Buffer.from(text);
    return undefined;
  }
}
