/** Only the header of a message: feed content, get back what of it is header. Memory is bounded whatever a line's length. */
const lf = 10;
/** A line that is longer is judged by its beginning. */
const lineLimit = 64 << 10;
const nothing = Buffer.alloc(0);

export class HeaderPart {
  /** The header has ended; nothing more comes out. */
  done = false;
  #rest: Buffer = nothing;
  /** In the middle of a long line that is being passed on. */
  #inside = false;

  push(chunk: Buffer): Buffer {
    if (this.done) return nothing;
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const at = this.#lines(bytes);
    this.#rest = this.done ? nothing : bytes.subarray(at);
    if (this.#rest.length > lineLimit) return this.#longLine(bytes);
    return bytes.subarray(0, at);
  }

  /** The last line, when it has no end. */
  end(): Buffer {
    const last = this.#rest;
    this.#rest = nothing;
    return !this.done && last.length > 0 && (this.#inside || isHeaderLine(last)) ? last : nothing;
  }

  /** How many bytes of complete lines are header. */
  #lines(bytes: Buffer): number {
    let start = 0;
    for (let end = bytes.indexOf(lf); end >= 0; end = bytes.indexOf(lf, start)) {
      if (!this.#inside && !isHeaderLine(bytes.subarray(start, end))) {
        this.done = true;
        return start;
      }
      this.#inside = false;
      start = end + 1;
    }
    return start;
  }

  #longLine(bytes: Buffer): Buffer {
    const before = bytes.length - this.#rest.length;
    this.done = !this.#inside && !isHeaderLine(this.#rest);
    this.#inside = !this.done;
    this.#rest = nothing;
    return this.done ? bytes.subarray(0, before) : bytes;
  }
}

/** A header field's first line (RFC 5322 section 2.2, blanks before the colon as in section 4.5.8), or a continuation. */
function isHeaderLine(line: Buffer): boolean {
  const first = line[0];
  if (first === 32 || first === 9) return true;
  let at = 0;
  while (at < line.length && isNameByte(line[at]!)) at++;
  if (at === 0) return false;
  while (line[at] === 32 || line[at] === 9) at++;
  return line[at] === 58;
}

function isNameByte(byte: number): boolean {
  return byte > 32 && byte < 127 && byte !== 58;
}
