/**
 * Message content in wire form: lines end in CRLF, a dot at the start of a line is doubled, long lines are broken.
 *
 * Input is bytes with LF line ends, cut anywhere, or (`wire`) with CRLF, cut between lines or inside of one; everything else (bare CR,
 * NUL, 8-bit) passes as it is, as Postfix sends it. A line longer than the limit is broken with CRLF and a space (RFC 5321 section 4.5.3.1.6 allows 998 bytes and CRLF). A last
 * line without LF gets its CRLF from `end`. Buffers out are new; nothing is kept but three numbers.
 */
const CR = 13;
const LF = 10;
const SPACE = 32;
const DOT = 46;

export class ContentEncoder {
  private readonly limit: number;
  /** Bytes that still fit on the line at hand. */
  private room: number;
  /** The next byte is the first of a line of the message. */
  private fresh = true;
  /** The line at hand was full: a further byte of it must go on the next. */
  private full = false;
  /** Some line was broken: worth one line in the log. */
  broken = false;

  /** `limit` 0 or less: lines of any length. */
  constructor(limit: number) {
    this.limit = limit > 0 ? limit : Number.MAX_SAFE_INTEGER;
    this.room = this.limit;
  }

  encode(chunk: Buffer): Buffer {
    // Each byte becomes at most two (LF, or a dot), and each broken line adds three.
    const out = Buffer.allocUnsafe(chunk.length * 2 + 3 * (Math.ceil(chunk.length / Math.max(this.limit - 1, 1)) + 1));
    let to = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (byte === LF) {
        out[to++] = CR;
        out[to++] = LF;
        this.room = this.limit;
        this.fresh = true;
        this.full = false;
        continue;
      }
      if (this.full) {
        out[to++] = CR;
        out[to++] = LF;
        out[to++] = SPACE;
        this.room = this.limit - 1;
        this.broken = true;
        this.full = false;
      }
      if (byte === DOT && this.fresh) out[to++] = DOT;
      out[to++] = byte;
      this.fresh = false;
      if (--this.room <= 0) this.full = true;
    }
    return out.subarray(0, to);
  }

  /**
   * The same for bytes that have CRLF line ends, which are given back as they are, where nothing is to be changed in them. `isDotless`: it is
   * known that no line of the message so far begins with a dot, so that none has to be looked for.
   */
  wire(chunk: Buffer, isDotless = false): readonly Buffer[] {
    if (chunk.length === 0) return [];
    if (!fits(chunk, this.limit, this.limit - this.room)) return [this.encode(withoutCr(chunk))];
    const pieces = isDotless ? [chunk] : dotted(chunk, this.fresh);
    const tail = chunk.length - 1 - chunk.lastIndexOf(LF);
    this.room = tail === chunk.length ? this.room - tail : this.limit - tail;
    this.fresh = tail === 0;
    this.full = this.room <= 0;
    return pieces;
  }

  /** What is missing at the end of the last line. */
  end(): string {
    return this.fresh ? '' : '\r\n';
  }
}

const dot = Buffer.from('.');
const lineEnd = Buffer.from('\r\n');
const dotLine = Buffer.from('\n.');

/**
 * Content that lies in one piece with CRLF line ends, as pieces to be written: the piece itself where no line begins with a dot.
 * Undefined: a line is longer than `limit` and must be broken. RFC 5321 section 4.5.2 for the dots. `isDotless`: no line does, as is known.
 */
export function wireForm(bytes: Buffer, limit: number, isDotless = false): Buffer[] | undefined {
  if (limit > 0 && !fits(bytes, limit, 0)) return undefined;
  const pieces = isDotless ? unlessEmpty(bytes) : dotted(bytes, true);
  if (bytes.length > 0 && bytes[bytes.length - 1] !== LF) pieces.push(lineEnd);
  return pieces;
}

function unlessEmpty(bytes: Buffer): Buffer[] {
  return bytes.length > 0 ? [bytes] : [];
}

/** `fresh`: the first byte is the first of a line. */
function dotted(bytes: Buffer, fresh: boolean): Buffer[] {
  const pieces: Buffer[] = fresh && bytes[0] === DOT ? [dot] : [];
  let from = 0;
  for (let at = bytes.indexOf(dotLine); at >= 0; at = bytes.indexOf(dotLine, from)) {
    pieces.push(bytes.subarray(from, at + 1), dot);
    from = at + 1;
  }
  if (bytes.length > 0) pieces.push(from === 0 ? bytes : bytes.subarray(from));
  return pieces.length > mostPieces ? [Buffer.concat(pieces)] : pieces;
}

/** Of the CRs only those that belong to a line end. */
function withoutCr(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let [from, to] = [0, 0];
  for (let at = bytes.indexOf(lineEnd); at >= 0; at = bytes.indexOf(lineEnd, from)) {
    to += bytes.copy(out, to, from, at);
    from = at + 1;
  }
  to += bytes.copy(out, to, from);
  return out.subarray(0, to);
}

/** More are cheaper to copy than to hand to the kernel one by one. */
const mostPieces = 8;

// From line end to line end, each as far away as the limit allows, not line by line. `begun` bytes of the first line came before.
function fits(bytes: Buffer, limit: number, begun: number): boolean {
  let at = -begun;
  while (bytes.length - at > limit) {
    const end = bytes.lastIndexOf(LF, at + limit + 1);
    if (end < Math.max(at, 0)) return false;
    at = end + 1;
  }
  return true;
}
