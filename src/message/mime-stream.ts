/**
 * The bytes of a message, cut anywhere, for a MimeMachine: line by line where lines matter, and in one piece where they do not.
 *
 * `step` does a bit of work, a line or all that is at hand of a body that nobody looks into, and says whether there is more to do, so that
 * a caller can wait in between. Lines of `lineLimit` bytes or more come in pieces of just that many (line_length_limit). What of a body need
 * not be looked at goes to `bulk` as it came, line ends included; only possible boundaries between parts are looked for in it. Memory: one
 * piece of a line. Nothing throws.
 */
import type { MimeMachine } from './mime.ts';

export interface MimeStreamOptions {
  /** 'crlf' takes one CR before each LF away; 'lf' only the LF. */
  readonly lineEnd: 'crlf' | 'lf';
  /** line_length_limit */
  readonly lineLimit: number;
  /** cleanup_replace_stray_cr_lf: a CR within a line becomes a space. What goes to `bulk` keeps it. */
  readonly replaceStray?: boolean;
  /** A piece of a line on its way to the machine: what it becomes; undefined: it is left out. */
  readonly prepare?: ((piece: Buffer) => Buffer | undefined) | undefined;
  /** Does the caller want this line of a body, `offset` bytes from its start? */
  readonly wants: (offset: number) => boolean;
  /** A part of a body, of any length; it is good until the call returns. */
  readonly bulk: (bytes: Buffer) => void;
}

const LF = 10;
const CR = 13;
const dash = 45;
const space = 32;
const empty = Buffer.alloc(0);
const lineEndAndDashes = Buffer.from('\n--');
const lineFeed = Buffer.from('\n');

export class MimeStream {
  readonly #machine: MimeMachine;
  readonly #options: MimeStreamOptions;
  #bytes: Buffer = empty;
  #at = 0;
  /** Pieces of a line were given to the machine, and more of it follows. */
  #inPieces = false;
  /** A line was begun that went to `bulk`. */
  #inBulk = false;

  constructor(machine: MimeMachine, options: MimeStreamOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  take(chunk: Buffer): void {
    const rest = this.#bytes.length - this.#at;
    this.#bytes = rest === 0 ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** No more chunks come: what there is becomes a line. */
  takeEnd(): void {
    if (this.#bytes.length > this.#at || this.#inPieces) this.take(lineFeed);
  }

  /** Do a bit; false: there was nothing to do. */
  step(): boolean {
    if (this.#at >= this.#bytes.length) return this.#idle();
    if (this.#inPieces || (!this.#inBulk && this.#wantsLines())) return this.#line();
    return this.#machine.hasBoundaries || this.#inBulk ? this.#search() : this.#pass(this.#bytes.length);
  }

  #idle(): false {
    this.#bytes = empty;
    this.#at = 0;
    return false;
  }

  #wantsLines(): boolean {
    return this.#machine.wantsLines || this.#options.wants(this.#machine.offset);
  }

  /** The next line, or the pieces of it that are sure. */
  #line(): boolean {
    const { lineEnd, lineLimit } = this.#options;
    const bytes = this.#bytes;
    const end = bytes.indexOf(LF, this.#at);
    const isWhole = end >= 0;
    let stop = isWhole ? end : bytes.length;
    if (lineEnd === 'crlf' && stop > this.#at && bytes[stop - 1] === CR) stop--;
    if (!isWhole && stop - this.#at < lineLimit) return this.#later();
    for (; stop - this.#at >= lineLimit; this.#at += lineLimit) this.#put(this.#at, this.#at + lineLimit, false);
    if (!isWhole) return this.#later();
    this.#put(this.#at, stop, true);
    this.#at = end + 1;
    return true;
  }

  #put(start: number, end: number, last: boolean): void {
    this.#inPieces = !last;
    if (this.#options.prepare === undefined && this.#machine.inHeaders) {
      const text = this.#bytes.toString('latin1', start, end);
      this.#machine.headerLine(this.#options.replaceStray && text.includes('\r') ? text.replaceAll('\r', ' ') : text, last);
      return;
    }
    const prepared = this.#prepared(start, end);
    if (prepared !== undefined) this.#machine.line(prepared, last);
  }

  #prepared(start: number, end: number): Buffer | undefined {
    const { replaceStray, prepare } = this.#options;
    const piece = this.#bytes.subarray(start, end);
    const line = replaceStray && piece.includes(CR) ? withoutStray(piece) : piece;
    return prepare === undefined ? line : prepare(line);
  }

  /** What is left over waits for the rest of its line. */
  #later(): false {
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
    return false;
  }

  /** On to the next line that could be a boundary. */
  #search(): boolean {
    const bytes = this.#bytes;
    let start = this.#at;
    if (this.#inBulk) {
      start = bytes.indexOf(LF, start) + 1;
      if (start === 0) return this.#pass(bytes.length);
      // Whatever is wanted of the lines that follow is asked anew.
      if (this.#wantsLines()) return this.#pass(start);
      if (!this.#machine.hasBoundaries) return this.#pass(bytes.length);
    }
    for (let place = this.#candidate(start); place >= 0; place = this.#candidate(place + 2, true)) {
      if (!this.#machine.mayBeBoundary(bytes, place)) continue;
      const end = bytes.indexOf(LF, place);
      if (end < 0 && bytes.length - place <= this.#options.lineLimit) return this.#hold(place);
      if (!this.#isBoundary(place, end < 0 ? bytes.length : end)) continue;
      this.#pass(place);
      return this.#line();
    }
    const last = Math.max(bytes.lastIndexOf(LF) + 1, start);
    return bytes.length - last === 1 && bytes[last] === dash ? this.#hold(last) : this.#pass(bytes.length);
  }

  /** Where the next line begins that starts with two dashes. `start` is the start of a line, unless `within` says that it may not be. */
  #candidate(start: number, within = false): number {
    const bytes = this.#bytes;
    if (!within && bytes[start] === dash && bytes[start + 1] === dash) return start;
    // Lines that follow each other closely are found sooner without a call.
    const near = Math.min(start + 16, bytes.length - 2);
    for (let at = start; at < near; at++) if (bytes[at] === LF && bytes[at + 1] === dash && bytes[at + 2] === dash) return at + 1;
    const found = bytes.indexOf(lineEndAndDashes, start);
    return found < 0 ? -1 : found + 1;
  }

  #isBoundary(place: number, end: number): boolean {
    const { lineEnd, lineLimit } = this.#options;
    const stop = lineEnd === 'crlf' && this.#bytes[end - 1] === CR ? end - 1 : end;
    const line = this.#prepared(place, Math.min(stop, place + lineLimit));
    return line !== undefined && this.#machine.isBoundary(line);
  }

  /** What is before `place` goes on, and what is behind it waits. */
  #hold(place: number): false {
    this.#pass(place);
    return this.#later();
  }

  #pass(end: number): true {
    if (end > this.#at) {
      this.#inBulk = this.#bytes[end - 1] !== LF;
      this.#options.bulk(this.#bytes.subarray(this.#at, end));
    }
    this.#at = end;
    return true;
  }
}

function withoutStray(piece: Buffer): Buffer {
  const line = Buffer.from(piece);
  for (let at = line.indexOf(CR); at >= 0; at = line.indexOf(CR, at + 1)) line[at] = space;
  return line;
}
