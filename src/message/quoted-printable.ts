/**
 * Turning 8-bit body lines into quoted-printable (RFC 2045 section 6.7), for receivers that know no 8BITMIME.
 *
 * Lines come as records do: pieces of a line, the last marked. No line that goes out is longer than 76 bytes. Nothing throws.
 */
const softLimit = 72;
const hexDigits = '0123456789ABCDEF';

export class QuotedPrintableLines {
  readonly #put: (line: Buffer) => void;
  #line = '';

  /** @param put receives each finished line, without its line end */
  constructor(put: (line: Buffer) => void) {
    this.#put = put;
  }

  /** @param last does the line end here? */
  add(text: Buffer, last: boolean): void {
    for (const byte of text) {
      if (this.#line.length > softLimit) this.#flush(`${this.#line}=`);
      const plain = (byte >= 32 && byte <= 126 && byte !== 61) || byte === 9;
      this.#line += plain ? String.fromCharCode(byte) : quoted(byte);
    }
    // White space at the end of a line would get lost on the way.
    if (last) this.#flush(this.#line.replace(/[ \t]$/, (white) => quoted(white.charCodeAt(0))));
  }

  #flush(line: string): void {
    this.#put(Buffer.from(line, 'latin1'));
    this.#line = '';
  }
}

function quoted(byte: number): string {
  return `=${hexDigits[byte >> 4]}${hexDigits[byte & 15]}`;
}
