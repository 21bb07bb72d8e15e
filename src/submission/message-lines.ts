/**
 * A message as programs give it to sendmail(1): lines that end in LF or CR LF, perhaps with a mailbox separator in front, perhaps
 * ended by a dot. What comes out are pieces of at most `limit` bytes, each the end of its line or not.
 *
 * Nothing throws, except that a `fixLineEnds` value of main.cf is checked by fixLineEnds().
 */
export type FixLineEnds = 'always' | 'strict' | 'never';

export interface LineRules {
  /** line_length_limit */
  readonly limit: number;
  /** sendmail_fix_line_endings: take CR away before LF always, never, or when the first line has one. */
  readonly fix: FixLineEnds;
  /** A dot alone on a line ends the message. */
  readonly endsAtDot: boolean;
  /** What becomes of mailbox separators in front of the message; default: nothing. */
  readonly separator?: 'drop' | 'rename';
}

/** A piece of the message. `last`: the line ends here. */
export type TakeLine = (text: Buffer, last: boolean) => void;

const empty: Buffer = Buffer.alloc(0);
const dot = Buffer.from('.');
const carriageReturn = 13;
const lineFeed = 10;

export class MessageLines {
  readonly #rules: LineRules;
  readonly #take: TakeLine;
  #rest = empty;
  #strips: boolean | undefined;
  #atStart = true;
  /** The piece before this one did not end its line. */
  #continues = false;
  #ended = false;

  constructor(rules: LineRules, take: TakeLine) {
    this.#rules = rules;
    this.#take = take;
    this.#strips = rules.fix === 'strict' ? undefined : rules.fix === 'always';
  }

  /** The message is complete: nothing more is wanted of the input. */
  get ended(): boolean {
    return this.#ended;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (!this.#ended) {
      const end = bytes.indexOf(lineFeed, at);
      const length = (end < 0 ? bytes.length : end) - at;
      if (length >= this.#rules.limit) {
        this.#piece(bytes.subarray(at, at + this.#rules.limit), false);
        at += this.#rules.limit;
      } else if (end < 0) break;
      else {
        this.#piece(bytes.subarray(at, end), true);
        at = end + 1;
      }
    }
    this.#rest = this.#ended ? empty : bytes.subarray(at);
  }

  /** No more input. */
  end(): void {
    if (!this.#ended && this.#rest.length > 0) this.#piece(this.#rest, false);
    this.#ended = true;
  }

  #piece(text: Buffer, last: boolean): void {
    if (last && this.#strips === undefined) this.#strips = text.at(-1) === carriageReturn;
    if (this.#atStart) {
      if (last && isSeparator(text)) return this.#separator(text);
      this.#atStart = false;
    }
    const line = last && this.#strips ? withoutReturns(text) : text;
    if (this.#rules.endsAtDot && !this.#continues && line.equals(dot)) {
      this.#ended = true;
      return;
    }
    this.#continues = !last;
    this.#take(line, last);
  }

  /** From SMTP such a line becomes a header, as smtpd(8) of Postfix makes one of it. */
  #separator(text: Buffer): void {
    if (this.#rules.separator === 'rename') this.#take(Buffer.concat([renamed, withoutReturns(text)]), true);
  }
}

const renamed = Buffer.from('X-Mailbox-Line: ');

/** The "From " line of a mailbox, behind any number of ">". */
function isSeparator(text: Buffer): boolean {
  let at = 0;
  while (text[at] === 62) at++;
  return text.toString('latin1', at, at + 5) === 'From ';
}

function withoutReturns(text: Buffer): Buffer {
  let end = text.length;
  while (end > 0 && text[end - 1] === carriageReturn) end--;
  return text.subarray(0, end);
}
