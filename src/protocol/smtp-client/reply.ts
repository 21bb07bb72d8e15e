/**
 * Replies of a mail server: bytes in, whole replies out, with every bound that a hostile server could reach for.
 *
 * A line longer than the limit is cut; the text of a multi-line reply stops growing at the limit; a server that sends yet
 * another limit's worth without a line end is not listened to any more (`overrun`). Text is a byte string without
 * control characters; its lines are joined by LF. Nothing here throws.
 */
import { printable } from '../../text/ascii.ts';
import { replyStatus } from '../../message/dsn.ts';

export interface Reply {
  /** 0 when there was no three-digit code. */
  readonly code: number;
  /** Enhanced status that agrees with the code; 5.5.0 when the code is none of 2xx, 4xx, 5xx. */
  readonly status: string;
  /** All lines as they came, cleaned, joined by LF. */
  readonly text: string;
}

export interface ReplyReaderOptions {
  /** Longest line and longest text kept, in bytes: line_length_limit. */
  readonly limit: number;
  /** Well-formed UTF-8 in replies is kept: smtputf8_enable. */
  readonly utf8: boolean;
  readonly warn: (text: string) => void;
  /** A line that is no SMTP reply line; it becomes part of the text of the reply that follows it. */
  readonly garbage: (line: string) => void;
  /** What a line is replaced with, if it is. What it throws is passed on by take(). */
  readonly filter?: ((line: string) => string) | undefined;
  /** Every line that becomes part of a reply. */
  readonly heard?: ((line: string) => void) | undefined;
}

/** The table of smtp_reply_filter cannot be asked. */
export class ReplyFilterTrouble extends Error {}

/** The text as it stands in a log line or report. */
export function oneLine(reply: Reply): string {
  return reply.text.includes('\n') ? reply.text.replaceAll('\n', ' ') : reply.text;
}

export class ReplyReader {
  private readonly options: ReplyReaderOptions;
  /** What came, and how much of it was taken: behind that are bytes of unfinished lines and of replies nobody has asked for. */
  private waiting = '';
  private taken = 0;
  /** Bytes dropped from the line at hand. */
  private skipped = 0;
  /** Where to go on looking for a line end; not before `taken`. */
  private searched = 0;
  /** The last reply of one line, and that line as it came: most replies to RCPT are the same. */
  private last: { readonly line: string; readonly reply: Reply } | undefined;
  private text = '';
  private started = false;
  private textCut = false;
  private lineCut = false;
  /** The server is not listened to any more: treat it as gone. */
  overrun = false;

  constructor(options: ReplyReaderOptions) {
    this.options = options;
  }

  receive(bytes: Buffer): void {
    if (this.overrun) return;
    const text = bytes.toString('latin1');
    this.waiting = this.held === 0 ? text : this.waiting.slice(this.taken) + text;
    this.searched -= this.taken;
    this.taken = 0;
    this.cut();
  }

  /** Bytes received and not taken. */
  get held(): number {
    return this.waiting.length - this.taken;
  }

  /** Has the server begun a reply that is not complete? */
  get partial(): boolean {
    return this.started || this.held > 0;
  }

  /** Throw away what was received and not taken. */
  forget(): void {
    this.waiting = this.text = '';
    this.taken = this.searched = this.skipped = 0;
    this.started = this.textCut = this.lineCut = false;
  }

  /** The next complete reply. */
  take(): Reply | undefined {
    const { last } = this;
    if (last !== undefined && !this.started && !this.lineCut && this.waiting.startsWith(last.line, this.taken)) {
      this.taken = this.searched = this.taken + last.line.length;
      return last.reply;
    }
    return this.read();
  }

  private read(): Reply | undefined {
    const { taken, started } = this;
    for (let line = this.line(); line !== undefined; line = this.line()) {
      if (this.options.filter !== undefined) line = this.options.filter(line);
      this.append(line);
      const mark = behindCode(line);
      if (mark === dash) continue;
      if (mark === space) {
        const reply = this.finish(line);
        if (!started) this.remember(reply, taken);
        return reply;
      }
      this.options.garbage(line);
    }
    return undefined;
  }

  private finish(last: string): Reply {
    const code = Number(last.slice(0, 3));
    const reply = { code, status: replyStatus(code, last.slice(4)), text: this.text };
    this.text = '';
    this.started = this.textCut = false;
    return reply;
  }

  /** While more has come: a line that was not cut, and is nobody's business besides. */
  private remember(reply: Reply, from: number): void {
    const { limit, filter, heard } = this.options;
    if (this.held === 0 || filter !== undefined || heard !== undefined || this.taken - from > limit || reply.text.includes('\n')) return;
    this.last = { line: this.waiting.slice(from, this.taken), reply };
  }

  private append(line: string): void {
    if (!this.started || this.text.length < this.options.limit) this.options.heard?.(line);
    if (!this.started) this.text = line;
    else if (this.text.length < this.options.limit) this.text += `\n${line}`;
    else if (!this.textCut) {
      this.textCut = true;
      this.options.warn(`multi-line response longer than ${this.options.limit} ${this.text.slice(0, 30)}...`);
    }
    this.started = true;
  }

  /** The next complete line, cleaned, without its line end; bare LF ends a line too. */
  private line(): string | undefined {
    const end = this.waiting.indexOf('\n', this.searched);
    if (end < 0) {
      this.searched = this.waiting.length;
      return undefined;
    }
    const raw = this.waiting.slice(this.taken, Math.min(end, this.taken + this.options.limit));
    if (this.lineCut || end - this.taken > this.options.limit + 1) this.warnLong(raw);
    this.taken = this.searched = end + 1;
    this.skipped = 0;
    this.lineCut = false;
    let length = raw.length;
    while (length > 0 && raw.charCodeAt(length - 1) === carriageReturn) length--;
    return printable(length === raw.length ? raw : raw.slice(0, length), '?', this.options.utf8);
  }

  private warnLong(raw: string): void {
    this.options.warn(`response longer than ${this.options.limit}: ${printable(raw.slice(0, 30), '?')}...`);
  }

  // An endless line must not fill our memory: keep its start, count the rest, and stop listening at twice the limit.
  private cut(): void {
    const { limit } = this.options;
    if (this.waiting.length <= limit) return;
    const start = this.waiting.lastIndexOf('\n') + 1;
    const excess = this.waiting.length - start - limit;
    if (excess <= 0) return;
    if (start > 0) return;
    this.skipped += excess;
    this.waiting = this.waiting.slice(0, limit);
    this.searched = limit;
    this.lineCut = true;
    if (this.skipped > limit) this.overrun = true;
  }
}

const carriageReturn = 0x0d;
const dash = 0x2d;
const space = 0x20;

/** What follows a code of exactly three digits (a space, where the line ends there); 0: the line begins with no such code. */
function behindCode(line: string): number {
  if (!isDigit(line, 0) || !isDigit(line, 1) || !isDigit(line, 2) || isDigit(line, 3)) return 0;
  return line.length === 3 ? space : line.charCodeAt(3);
}

function isDigit(line: string, at: number): boolean {
  const code = line.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

/** First digit of the code: 2 is success, 3 go on, 4 later, 5 never; 0 for what is no reply. */
export function replyClass(reply: Reply): number {
  return Math.floor(reply.code / 100);
}
