/**
 * From message bytes to content records: N for a line, L for a piece of a line that is longer than the limit.
 *
 * Fed with chunks cut anywhere; each call gives back the records of the lines that are complete, in one Buffer that is only good until
 * the next call: all share the memory. A line of
 * `lineLimit` bytes or more becomes L records of just that many, and an N record with what remains (line_length_limit; the cut is
 * invisible to readers). No object per line; memory is bounded by the chunk and one line.
 */
import { recordType, writeRecordHead } from '../message/record.ts';

export interface ContentRecordsOptions {
  /** 'crlf' takes one CR before each LF away; 'lf' only the LF. */
  readonly lineEnd: 'crlf' | 'lf';
  /** line_length_limit */
  readonly lineLimit?: number;
  /** cleanup_replace_stray_cr_lf: a CR inside a line becomes a space, so that no bare CR ever leaves in a later transfer. */
  readonly replaceStray?: boolean;
}

const lf = 0x0a;
const cr = 0x0d;
const space = 0x20;
const defaultLineLimit = 2048;
const longestHead = 5;
const deskRoom = 256 << 10;
const nothing = Buffer.alloc(0);
/** The length of a line up to here is one byte in a record's head. */
const shortLength = 0x80;
/** Lengths of short lines that are yet to be copied. */
const lengths = new Uint8Array(4096);

/** Where records are made. Room for the worst case is twice what is usual, so it is not given away; nobody keeps it over a wait. */
let shared: Buffer = nothing;

function desk(room: number): Buffer {
  if (room > deskRoom) return Buffer.allocUnsafeSlow(room);
  if (shared.length === 0) shared = Buffer.allocUnsafeSlow(deskRoom);
  return shared;
}

/** The bytes from the multiple of four at or before the first one on, four at a time, as far as they go. */
function wordsOf({ buffer, byteOffset, length }: Buffer): Int32Array {
  const start = byteOffset & ~3;
  return new Int32Array(buffer, start, (byteOffset + length - start) >> 2);
}

/** Is one of four bytes up to CR? May say yes when there is none, never no when there is one. */
function hasControl(word: number): boolean {
  return ((word - 0x0e0e0e0e) & ~word & 0x80808080) !== 0;
}

export class ContentRecords {
  /** Bytes of content so far, a line end counting as one. */
  length = 0;
  readonly #strip: boolean;
  readonly #limit: number;
  readonly #short: number;
  readonly #replaceStray: boolean;
  /** Are there stray CRs in what is being worked on? Rare, so looked for before anything is copied. */
  #stray = false;
  /** The line that has no end yet: always less than the limit, but for a CR that may belong to its end. */
  #partial: Buffer = nothing;
  /** Was the last record an L? */
  #open = false;

  constructor({ lineEnd, lineLimit = defaultLineLimit, replaceStray = false }: ContentRecordsOptions) {
    this.#strip = lineEnd === 'crlf';
    this.#limit = lineLimit;
    this.#short = Math.min(shortLength, lineLimit);
    this.#replaceStray = replaceStray;
  }

  /** Is a line begun that has no end yet? */
  get unfinished(): boolean {
    return this.#open || this.#partial.length > 0;
  }

  /** The records of all lines that end in this chunk, and of what of the last line is beyond the limit. */
  records(chunk: Buffer): Buffer {
    const out = desk(this.#room(this.#partial.length + chunk.length));
    if (this.#partial.length === 0) return out.subarray(0, this.#records(chunk, out, 0));
    // Only the line at hand is joined, not all that comes behind it.
    const end = chunk.indexOf(lf) + 1;
    if (end === 0) return out.subarray(0, this.#records(Buffer.concat([this.#partial, chunk]), out, 0));
    const put = this.#records(Buffer.concat([this.#partial, chunk.subarray(0, end)]), out, 0);
    return out.subarray(0, end === chunk.length ? put : this.#records(chunk.subarray(end), out, put));
  }

  #records(input: Buffer, out: Buffer, put: number): number {
    return this.#strip ? this.#crlfRecords(input, out, put) : this.#lfRecords(input, out, put);
  }

  // The head of a short line is as long as the CRLF that goes, so that lines in a row are copied in one go, and heads put where the line
  // ends are. One pass over the bytes finds line ends and stray CRs: quicker than two searches for each line, as lines are short.
  #crlfRecords(input: Buffer, out: Buffer, put: number): number {
    const [short, replaceStray, last] = [this.#short, this.#replaceStray, input.length - 1];
    let [run, count, at, isStray] = [0, 0, 0, false];
    const words = wordsOf(input);
    const before = input.byteOffset & 3;
    for (let i = 0; i <= last; i++) {
      if (((i + before) & 3) === 0) {
        let word = (i + before) >> 2;
        while (word < words.length && !hasControl(words[word]!)) word++;
        i = word * 4 - before;
        if (i > last) break;
      }
      const byte = input[i]!;
      if (byte > cr) continue;
      if (byte === cr) {
        if (replaceStray && i < last && input[i + 1] !== lf) isStray = true;
        continue;
      }
      if (byte !== lf) continue;
      const length = i - 1 - at;
      const isShort = length >= 0 && length < short && input[i - 1] === cr && !isStray;
      if (isShort) {
        lengths[count++] = length;
        at = i + 1;
        if (count < lengths.length) continue;
      }
      put = this.#run(input, run, at, count, out, put);
      if (!isShort) {
        this.#stray = isStray;
        put = this.#line(input, at, i, out, put);
        at = i + 1;
      }
      [run, count, isStray] = [at, 0, false];
    }
    put = this.#run(input, run, at, count, out, put);
    this.#stray = isStray;
    return this.#rest(input, at, out, put);
  }

  /** So many short lines, which end with CRLF each. */
  #run(input: Buffer, run: number, end: number, count: number, out: Buffer, put: number): number {
    if (count === 0) return put;
    input.copy(out, put + 2, run, end - 2);
    for (let line = 0; line < count; line++) {
      const length = lengths[line]!;
      out[put] = recordType.normal;
      out[put + 1] = length;
      put += length + 2;
    }
    this.length += end - run - count;
    this.#open = false;
    return put;
  }

  #lfRecords(input: Buffer, out: Buffer, put: number): number {
    this.#stray = this.#replaceStray && input.includes(cr);
    let at = 0;
    for (let end = input.indexOf(lf); end >= 0; end = input.indexOf(lf, at)) {
      put = this.#line(input, at, end, out, put);
      at = end + 1;
    }
    return this.#rest(input, at, out, put);
  }

  #rest(input: Buffer, at: number, out: Buffer, put: number): number {
    const rest = this.#beyond(input, at, out, put);
    this.#partial = rest.at < input.length ? Buffer.from(input.subarray(rest.at)) : nothing;
    return rest.put;
  }

  /** The records of a last line without line end: it becomes a line (N), or with `open` stays one without end (L). */
  end(open = false): Buffer {
    const input = this.#partial;
    if (input.length === 0 && (open || !this.#open)) return nothing;
    this.#stray = this.#replaceStray && input.includes(cr);
    const out = Buffer.allocUnsafe(this.#room(input.length));
    const { at, put } = this.#pieces(input, 0, input.length, out, 0);
    this.#partial = nothing;
    return out.subarray(0, this.#put(open ? recordType.partial : recordType.normal, input, at, input.length, out, put));
  }

  // A line grows by its head less its LF, a piece of a long line by its head.
  #room(length: number): number {
    return length * 2 + longestHead * (3 + Math.ceil(length / this.#limit));
  }

  #line(input: Buffer, at: number, end: number, out: Buffer, put: number): number {
    if (this.#strip && end > at && input[end - 1] === cr) end--;
    const length = end - at;
    if (length < this.#short) {
      out[put] = recordType.normal;
      out[put + 1] = length;
      if (length > 0) this.#copy(input, at, end, out, put + 2);
      this.length += length + 1;
      this.#open = false;
      return put + 2 + length;
    }
    const rest = this.#pieces(input, at, end, out, put);
    return this.#put(recordType.normal, input, rest.at, end, out, rest.put);
  }

  /** What of an unfinished line is sure to be beyond the limit, whatever follows. */
  #beyond(input: Buffer, at: number, out: Buffer, put: number): { at: number; put: number } {
    const sure = this.#strip && input[input.length - 1] === cr ? input.length - 1 : input.length;
    return this.#pieces(input, at, sure, out, put);
  }

  #pieces(input: Buffer, at: number, end: number, out: Buffer, put: number): { at: number; put: number } {
    for (; end - at >= this.#limit; at += this.#limit) put = this.#put(recordType.partial, input, at, at + this.#limit, out, put);
    return { at, put };
  }

  #put(type: number, input: Buffer, at: number, end: number, out: Buffer, put: number): number {
    this.#open = type === recordType.partial;
    this.length += end - at + (this.#open ? 0 : 1);
    put = writeRecordHead(out, put, type, end - at);
    return this.#copy(input, at, end, out, put);
  }

  #copy(input: Buffer, at: number, end: number, out: Buffer, put: number): number {
    const after = put + input.copy(out, put, at, end);
    if (this.#stray) for (let i = put; i < after; i++) if (out[i] === cr) out[i] = space;
    return after;
  }
}

/** Records of a whole content that is in memory. */
export function recordsFromContent(content: Buffer, options: ContentRecordsOptions): Buffer[] {
  const records = new ContentRecords(options);
  return [Buffer.from(records.records(content)), records.end()].filter(({ length }) => length > 0);
}
