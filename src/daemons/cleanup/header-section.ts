/**
 * Taking the header section off the front of a message: logical headers one by one, then the body as it comes.
 *
 * Pure. A header is `Name: value` with its continuation lines joined by LF, without the final line end, as a byte string. A
 * line that is neither header nor continuation ends the section (RFC 5322 section 2.2; Postfix's mime_state). A header
 * beyond `limit` is cut there. Memory is bounded by one header and one line.
 */
const lf = 0x0a;

export interface HeaderRules {
  readonly lineEnd: 'crlf' | 'lf';
  /** header_size_limit: bytes kept of one header. */
  readonly limit: number;
  readonly replaceStray: boolean;
}

export interface HeaderEvents {
  header(text: string): void;
  /** The section is over. `rest` is what follows; `separated`: an empty line ended it (it is not part of `rest`). */
  body(rest: Buffer, separated: boolean): void;
}

/** RFC 5322 section 3.6.8, read as Postfix's is_header: printable non-space characters, optional white space, a colon. */
export function isHeaderLine(line: string): boolean {
  return /^[\x21-\x39\x3b-\x7e]+[ \t]*:/.test(line);
}

export class HeaderSection {
  readonly #rules: HeaderRules;
  readonly #events: HeaderEvents;
  #current: string | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #lost = false;

  constructor(rules: HeaderRules, events: HeaderEvents) {
    this.#rules = rules;
    this.#events = events;
  }

  /** True while more header lines are expected; false: `body` was called and later chunks are all body. */
  push(chunk: Buffer): boolean {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (let end = bytes.indexOf(lf, at); end >= 0; end = bytes.indexOf(lf, at)) {
      const line = this.#text(bytes, at, end);
      if (!this.#line(line)) {
        this.#finish();
        const separated = line === '' && !this.#lost;
        this.#events.body(bytes.subarray(separated ? end + 1 : at), separated);
        return false;
      }
      this.#lost = false;
      at = end + 1;
    }
    return this.#keep(bytes.subarray(at));
  }

  /** The message ends here: without body. */
  end(): void {
    if (this.#rest.length > 0 && !this.push(Buffer.from('\n'))) return;
    this.#finish();
    this.#events.body(Buffer.alloc(0), false);
  }

  #line(line: string): boolean {
    if (this.#lost) return true; // the tail of a line of which only the front was kept
    if ((line.startsWith(' ') || line.startsWith('\t')) && this.#current !== undefined) {
      if (this.#current.length < this.#rules.limit) this.#current = `${this.#current}\n${line}`.slice(0, this.#rules.limit);
      return true;
    }
    const front = line.slice(0, this.#rules.limit); // the same verdict however the line was cut on its way
    if (!isHeaderLine(front)) return false;
    this.#finish();
    this.#current = front;
    return true;
  }

  #finish(): void {
    if (this.#current !== undefined) this.#events.header(this.#current);
    this.#current = undefined;
  }

  /** An incomplete line waits for its end; of a header line beyond the limit only the front counts. */
  #keep(rest: Buffer): boolean {
    this.#rest = rest.length <= this.#rules.limit ? Buffer.from(rest) : Buffer.alloc(0);
    if (this.#rest.length > 0 || rest.length === 0) return true;
    if (this.#lost || this.#line(this.#text(rest, 0, this.#rules.limit))) return (this.#lost = true);
    this.#finish();
    this.#events.body(rest, false);
    return false;
  }

  #text(bytes: Buffer, from: number, end: number): string {
    const isCr = this.#rules.lineEnd === 'crlf' && end > from && bytes[end - 1] === 0x0d;
    const line = bytes.toString('latin1', from, isCr ? end - 1 : end);
    return this.#rules.replaceStray && line.includes('\r') ? line.replaceAll('\r', ' ') : line;
  }
}
