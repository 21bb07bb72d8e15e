/**
 * The replies of a server, for a client that looks at little but the code. Almost every reply is one line in one piece, which costs no
 * string; whatever is not goes the long way round.
 *
 * Lines are cut at `lineLimit`, the text of a reply at about as much; what a server sends beyond without a line end is dropped.
 */
import { printable } from '../../text/ascii.ts';

const lineLimit = 10240;
const [lf, cr, dash, zero] = [10, 13, 45, 48];

export class Replies {
  /** Code of the last reply that `take` found; 0 when it had none of three digits. */
  code = 0;
  /** Called with each line, as it came. */
  readonly #tell: ((line: string) => void) | undefined;
  #waiting = '';
  #started = false;
  #lines: string[] = [];
  #length = 0;
  /** Where the text of a short reply lies, and whether it was not taken yet. */
  #short: Buffer | undefined;
  #fresh = false;

  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }

  /** New bytes, in memory that is good until the next call; whole replies of before must have been taken. */
  receive(bytes: Buffer, length: number): void {
    this.#short = undefined;
    if (this.#tell === undefined && this.#waiting === '' && !this.#started && isShort(bytes, length)) {
      this.#short = bytes.subarray(0, length);
      this.#fresh = true;
      return;
    }
    this.#waiting += bytes.toString('latin1', 0, length);
    if (this.#waiting.length > 2 * lineLimit && !this.#waiting.includes('\n')) this.#waiting = this.#waiting.slice(0, lineLimit);
  }

  /** Is there another whole reply? */
  take(): boolean {
    if (this.#fresh) {
      const bytes = this.#short!;
      this.#fresh = false;
      this.code = (bytes[0]! - zero) * 100 + (bytes[1]! - zero) * 10 + bytes[2]! - zero;
      return true;
    }
    for (let line = this.#line(); line !== undefined; line = this.#line()) if (this.#last(line)) return true;
    return false;
  }

  /** Text of the last reply; its lines are joined by LF. */
  get text(): string {
    if (this.#short === undefined) return this.#lines.join('\n');
    return afterCode(printableLine(this.#short.toString('latin1').replace(/\r*\n$/, '')));
  }

  #line(): string | undefined {
    const end = this.#waiting.indexOf('\n');
    if (end < 0) return undefined;
    const line = this.#waiting.slice(0, Math.min(end, lineLimit)).replace(/\r+$/, '');
    this.#waiting = this.#waiting.slice(end + 1);
    return printableLine(line);
  }

  #last(line: string): boolean {
    if (!this.#started) {
      this.#lines = [];
      this.#length = 0;
    }
    this.#tell?.(line);
    const digits = /^[0-9]*/.exec(line)![0].length;
    const text = afterCode(line);
    if (this.#length < lineLimit) this.#lines.push(text);
    this.#length += text.length + 1;
    this.code = digits === 3 ? Number(line.slice(0, 3)) : 0;
    this.#started = line[digits] === '-';
    return !this.#started;
  }
}

/** One whole line that begins with three digits and is the last of its reply. */
function isShort(bytes: Buffer, length: number): boolean {
  if (length < 5 || length > 512 || bytes[length - 1] !== lf || bytes[length - 2] !== cr) return false;
  if (!isDigit(bytes[0]!) || !isDigit(bytes[1]!) || !isDigit(bytes[2]!) || isDigit(bytes[3]!) || bytes[3] === dash) return false;
  for (let at = 4; at < length - 1; at++) if (bytes[at] === lf) return false;
  return true;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Blanks stay as they are. */
function printableLine(line: string): string {
  return line.replace(/[^\t-\r -~]+/g, (odd) => printable(odd));
}

function afterCode(line: string): string {
  return line.replace(/^[0-9]*-?[\t-\r ]*/, '');
}
