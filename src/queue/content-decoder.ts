/**
 * From content records back to message bytes: what N and L records hold, with line ends where N records end.
 *
 * Fed with pieces of a queue file from the data offset on, cut anywhere; gives back bytes, never more than it was fed, without an
 * object per line. It stops at the extracted marker. A pointer record becomes `seek`. Bad input is `trouble`; nothing throws.
 */
import { parsePointer, recordType, reverseJumpLimit } from '../message/record.ts';

const lf = 0x0a;
const cr = 0x0d;
const dot = 0x2e;
/** Asked for with every line: quicker than a member of an object. */
const { normal } = recordType;
/** Bytes of a run that are copied and then looked through while they are near: at first (longer than any short record), and at most. */
const firstStretch = 512;
const longestStretch = 8 << 10;
/** A pointer's payload: 15 digits, and no reason to keep more. */
const pointerRoom = 64;

export class ContentDecoder {
  /** The extracted marker was read: there is no more content. */
  done = false;
  trouble: string | undefined;
  /** Feed again from this offset of the file on. */
  seek: number | undefined;
  /** Did the last line have its end? */
  terminated = true;
  /**
   * Does a record that was read so far begin with a dot? False: no line does, unless a record has line ends inside. (True may also be a dot in
   * the middle of a line that is in several records.)
   */
  hasDots = false;
  readonly #crlf: boolean;
  #type = 0;
  /** Bytes of the record head read so far: 0 between records, -1 inside of the payload. */
  #head = 0;
  #length = 0;
  #pointer = '';
  #lastJump = 0;
  #reverseJumps = 0;

  constructor(lineEnd: '\n' | '\r\n' = '\n') {
    this.#crlf = lineEnd === '\r\n';
  }

  /** Between two records: may the input end here? */
  get between(): boolean {
    return this.#head === 0;
  }

  /**
   * The content bytes of the next piece. After `seek`, `done` or `trouble` the rest of the piece is left alone. `desk`: where to put them,
   * `decodedRoom(piece.length)` bytes long or more.
   */
  decode(piece: Buffer, desk?: Buffer): Buffer {
    this.seek = undefined;
    const out = desk ?? Buffer.allocUnsafe(decodedRoom(piece.length));
    let at = 0;
    let put = 0;
    while (at < piece.length && !this.#stopped()) {
      if (this.#head === 0) {
        const end = this.#crlf ? this.#wireRun(piece, at, out, put) : this.#runEnd(piece, at);
        if (end > at) {
          put = this.#crlf ? put + end - at : copyRun(piece, at, end, out, put);
          at = end;
          this.terminated = true;
          continue;
        }
      }
      if (this.#head >= 0) at = this.#readHead(piece, at);
      if (this.#head >= 0) continue;
      const take = Math.min(this.#length, piece.length - at);
      if (take > 0) put += this.#payload(piece, at, take, out, put);
      at += take;
      this.#length -= take;
      if (this.#length === 0 && this.trouble === undefined) put = this.#recordEnd(out, put);
    }
    return out.subarray(0, put);
  }

  /** Where the run of whole, short N records that begins at `at` ends. */
  #runEnd(piece: Buffer, at: number): number {
    for (; isShort(piece, at); at += 2 + piece[at + 1]!) if (piece[at + 2] === dot) this.hasDots = true;
    return at;
  }

  // A head is as long as CR LF: the run is copied in stretches, then each next head becomes the line end of what precedes it. A stretch is
  // copied before it is known how far the run goes; what is copied beyond that is written over.
  #wireRun(piece: Buffer, at: number, out: Buffer, put: number): number {
    const shift = put - at - 2;
    for (let stretch = firstStretch; isShort(piece, at); stretch = Math.min(stretch * 2, longestStretch)) {
      const stop = Math.min(at + stretch, piece.length);
      piece.copy(out, at + 2 + shift, at + 2, stop);
      let hasDots = false;
      while (at + 1 < stop && piece[at] === normal) {
        const length = piece[at + 1]!;
        const next = at + 2 + length;
        if (length >= 0x80 || next > stop) break;
        // Of an empty line this is the next head, which is no dot.
        if (piece[at + 2] === dot) hasDots = true;
        at = next;
        out[at + shift] = cr;
        out[at + shift + 1] = lf;
      }
      if (hasDots) this.hasDots = true;
    }
    return at;
  }

  #stopped(): boolean {
    return this.done || this.trouble !== undefined || this.seek !== undefined;
  }

  #readHead(piece: Buffer, at: number): number {
    for (; at < piece.length; ) {
      const byte = piece[at++]!;
      if (this.#head === 0) {
        this.#type = byte;
        this.#length = 0;
        this.#head = 1;
        continue;
      }
      if (this.#head > 4) {
        this.trouble = `too many length bits, record type ${this.#type}`;
        return at;
      }
      this.#length |= (byte & 0x7f) << (7 * (this.#head - 1));
      this.#head++;
      if (byte < 0x80) {
        this.#begin();
        return at;
      }
    }
    return at;
  }

  #begin(): void {
    this.#head = -1;
    this.#pointer = '';
    if (!contentTypes.has(this.#type)) this.trouble = `unexpected record type '${String.fromCharCode(this.#type)}' in message content`;
    else if (this.#type === recordType.pointer && this.#length > pointerRoom) this.trouble = 'malformed pointer record value';
  }

  #payload(piece: Buffer, at: number, take: number, out: Buffer, put: number): number {
    if (this.#type === recordType.normal || this.#type === recordType.partial) {
      // What of a record came before is not asked for: a dot too many only makes somebody look.
      if (piece[at] === dot) this.hasDots = true;
      return piece.copy(out, put, at, at + take);
    }
    if (this.#type === recordType.pointer) this.#pointer += piece.toString('latin1', at, at + take);
    return 0;
  }

  #recordEnd(out: Buffer, put: number): number {
    this.#head = 0;
    if (this.#type === recordType.normal) {
      this.terminated = true;
      if (this.#crlf) out[put++] = cr;
      out[put++] = lf;
    } else if (this.#type === recordType.partial) this.terminated = false;
    else if (this.#type === recordType.extracted) this.done = true;
    else if (this.#type === recordType.pointer) this.#follow();
    return put;
  }

  #follow(): void {
    const offset = parsePointer(this.#pointer);
    if (offset === undefined) this.trouble = `malformed pointer record value: ${this.#pointer}`;
    else if (offset > 0 && offset <= this.#lastJump && ++this.#reverseJumps > reverseJumpLimit) this.trouble = 'too many reverse jump records';
    else if (offset > 0) this.seek = this.#lastJump = offset;
  }
}

/** A record's head takes at least as much room as the line end put behind its payload; one head may have come before. */
export function decodedRoom(length: number): number {
  return length + 2;
}

const contentTypes: ReadonlySet<number> = new Set([
  recordType.normal, recordType.partial, recordType.padding, recordType.extracted, recordType.pointer,
]);

/** Is there a whole N record whose length is one byte? */
function isShort(piece: Buffer, at: number): boolean {
  return piece[at] === normal && at + 1 < piece.length && piece[at + 1]! < 0x80 && at + 2 + piece[at + 1]! <= piece.length;
}

function copyRun(piece: Buffer, at: number, end: number, out: Buffer, put: number): number {
  while (at < end) {
    const next = at + 2 + piece[at + 1]!;
    put += piece.copy(out, put, at + 2, next);
    out[put++] = lf;
    at = next;
  }
  return put;
}
