/**
 * A message as a mailbox, a file or a command gets it: headers in front, From_ lines quoted, line ends changed (mail_copy(3)).
 *
 * Works on Buffers, one chunk in, one or a few out; nothing larger than a chunk is held. Trouble with reading the queue file
 * comes out as a temporary DeliveryFailure: a message is never bounced because our own disk fails.
 */
import { quote822Local } from '../message/address.ts';
import { errorText } from '../host/libc.ts';
import { DeliveryFailure } from './failure.ts';

export interface CopyForm {
  /** A From_ line in front. */
  readonly fromLine?: boolean;
  readonly returnPath?: boolean;
  readonly originalTo?: boolean;
  readonly deliveredTo?: boolean;
  /** `>` in front of lines that look like a From_ line. */
  readonly quoteFrom?: boolean;
  /** A second dot in front of lines that begin with one. */
  readonly quoteDots?: boolean;
  /** An empty line behind the message. */
  readonly blankLine?: boolean;
  /** How lines end; "\n" when absent. */
  readonly lineEnd?: string;
}

export interface CopyAddresses {
  /** Internal form, '' for the null sender. */
  readonly sender: string;
  /** X-Original-To; '' for none. */
  readonly originalRecipient: string;
  /** Delivered-To. */
  readonly delivered: string;
}

/** A message ready to be written: as a few pieces where it is in memory as a whole, else piece by piece as it is read. */
export type MessageCopy = readonly Buffer[] | AsyncIterable<Buffer>;

/** Is it in memory as a whole? */
export function isWhole(copy: MessageCopy): copy is readonly Buffer[] {
  return Array.isArray(copy);
}

/** Any copy as something to be read piece by piece. */
export async function* piecesOf(copy: MessageCopy): AsyncGenerator<Buffer> {
  yield* copy;
}

/** Where a copy comes from: what agents get (agent.ts). */
export interface MessageSource {
  content(): AsyncIterable<Buffer>;
  contentNow(lineEnd: '\n'): Buffer | undefined;
}

/** The message, ready to be written. */
export function copyOf(source: MessageSource, form: CopyForm, addresses: CopyAddresses, now: number): MessageCopy {
  let content: Buffer | undefined;
  try {
    content = source.contentNow('\n');
  } catch (error) {
    throw unreadable(error);
  }
  return content === undefined ? messageCopy(source.content(), form, addresses, now) : wholeCopy(content, form, addresses, now);
}

/** What mailboxes of the old kind get. */
export const mailboxForm: CopyForm = {
  fromLine: true, returnPath: true, originalTo: true, deliveredTo: true, quoteFrom: true, blankLine: true,
};

/** What a Maildir gets. */
export const maildirForm: CopyForm = { returnPath: true, originalTo: true, deliveredTo: true };

/** The lines in front of the message. `now` in milliseconds. */
export function preamble(form: CopyForm, { sender, originalRecipient, delivered }: CopyAddresses, now: number): string {
  const end = form.lineEnd ?? '\n';
  const quoted = sender === '' ? '' : quote822Local(sender);
  let text = '';
  if (form.fromLine) text += `From ${quoted || 'MAILER-DAEMON'}  ${fromDate(now)}${end}`;
  if (form.returnPath) text += `Return-Path: <${quoted}>${end}`;
  if (form.originalTo && originalRecipient !== '') text += `X-Original-To: ${quote822Local(originalRecipient)}${end}`;
  if (form.deliveredTo) text += `Delivered-To: ${quote822Local(delivered)}${end}`;
  return text;
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** asctime(3) in local time: `Thu Nov  5 03:01:02 2026`. */
export function fromDate(now: number): string {
  const at = new Date(now);
  const two = (number: number): string => String(number).padStart(2, '0');
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  return `${days[at.getDay()]} ${months[at.getMonth()]} ${String(at.getDate()).padStart(2)} ${time} ${at.getFullYear()}`;
}

const newline = 0x0a;
const fromWord = Buffer.from('From ');

/** Puts something in front of certain lines, across any cut of the text into chunks. */
class LineQuoter {
  readonly #word: Buffer;
  readonly #prefix: Buffer;
  readonly #search: Buffer;
  /** The start of a line that may still become the word, held back. */
  #held = Buffer.alloc(0);
  #atLineStart = true;

  constructor(word: Buffer, prefix: string) {
    this.#word = word;
    this.#prefix = Buffer.from(prefix, 'latin1');
    this.#search = Buffer.concat([Buffer.from('\n'), word]);
  }

  *feed(chunk: Buffer): Generator<Buffer> {
    const text = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    const keep = this.#undecided(text);
    const end = text.length - keep;
    yield* this.#lines(text.subarray(0, end), text);
    this.#held = Buffer.from(text.subarray(end));
    if (end > 0) this.#atLineStart = text[end - 1] === newline;
  }

  *finish(): Generator<Buffer> {
    if (this.#held.length > 0) yield this.#held;
    this.#held = Buffer.alloc(0);
  }

  /** How many bytes at the end are the beginning of a line that is the beginning of the word. */
  #undecided(text: Buffer): number {
    for (let length = Math.min(this.#word.length - 1, text.length); length > 0; length--) {
      const start = text.length - length;
      const lineStart = start === 0 ? this.#atLineStart : text[start - 1] === newline;
      if (lineStart && this.#word.compare(text, start, text.length, 0, length) === 0) return length;
    }
    return 0;
  }

  *#lines(text: Buffer, whole: Buffer): Generator<Buffer> {
    if (text.length === 0) return;
    let at = 0;
    if (this.#atLineStart && whole.subarray(0, this.#word.length).equals(this.#word)) yield this.#prefix;
    for (let found = text.indexOf(this.#search); found >= 0; found = text.indexOf(this.#search, found + 1)) {
      yield text.subarray(at, found + 1);
      yield this.#prefix;
      at = found + 1;
    }
    if (at < text.length) yield text.subarray(at);
  }
}

/** So many pieces are worth a longer list for one system call; more are joined. */
const fewPieces = 8;

/** The copy of a message that is in memory. */
export function wholeCopy(content: Buffer, form: CopyForm, addresses: CopyAddresses, now: number): readonly Buffer[] {
  let lines = [content];
  if (form.quoteFrom) lines = quoteNow(lines, new LineQuoter(fromWord, '>'));
  if (form.quoteDots) lines = quoteNow(lines, new LineQuoter(Buffer.from('.'), '.'));
  const tail = (content.length === 0 || content[content.length - 1] === newline ? '' : '\n') + (form.blankLine ? '\n' : '');
  if (tail !== '') lines.push(Buffer.from(tail));
  const end = form.lineEnd ?? '\n';
  if (end !== '\n') lines = lines.map((piece) => withLineEnd(piece, end));
  const pieces = [Buffer.from(preamble(form, addresses, now), 'latin1'), ...lines].filter(({ length }) => length > 0);
  return pieces.length > fewPieces ? [Buffer.concat(pieces)] : pieces;
}

function quoteNow(pieces: readonly Buffer[], quoter: LineQuoter): Buffer[] {
  return [...pieces.flatMap((piece) => [...quoter.feed(piece)]), ...quoter.finish()];
}

/** Bytes that are gathered before they are handed on: a message of usual size is one write, which a crash cannot cut in two. */
const gathered = 64 << 10;

/** The message, ready to be written. `content` gives lines that end in LF. */
export function messageCopy(
  content: AsyncIterable<Buffer>, form: CopyForm, addresses: CopyAddresses, now: number,
): AsyncGenerator<Buffer> {
  return gather(pieces(content, form, addresses, now));
}

async function* gather(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (const piece of content) {
    waiting.push(piece);
    length += piece.length;
    if (length < gathered) continue;
    yield together(waiting, length);
    waiting = [];
    length = 0;
  }
  if (length > 0) yield together(waiting, length);
}

function together(pieces: readonly Buffer[], length: number): Buffer {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length);
}

async function* pieces(
  content: AsyncIterable<Buffer>, form: CopyForm, addresses: CopyAddresses, now: number,
): AsyncGenerator<Buffer> {
  const head = preamble(form, addresses, now);
  if (head !== '') yield Buffer.from(head, 'latin1');
  const end = form.lineEnd ?? '\n';
  for await (const chunk of quotedLines(wholeLines(readable(content), form.blankLine ?? false), form))
    yield end === '\n' ? chunk : withLineEnd(chunk, end);
}

async function* quotedLines(content: AsyncIterable<Buffer>, form: CopyForm): AsyncGenerator<Buffer> {
  let lines = content;
  if (form.quoteFrom) lines = quote(lines, new LineQuoter(fromWord, '>'));
  if (form.quoteDots) lines = quote(lines, new LineQuoter(Buffer.from('.'), '.'));
  yield* lines;
}

async function* quote(content: AsyncIterable<Buffer>, quoter: LineQuoter): AsyncGenerator<Buffer> {
  for await (const chunk of content) yield* quoter.feed(chunk);
  yield* quoter.finish();
}

/** A last line without its end gets one, and perhaps an empty line follows. */
async function* wholeLines(content: AsyncIterable<Buffer>, blankLine: boolean): AsyncGenerator<Buffer> {
  let last = newline;
  for await (const chunk of content) {
    if (chunk.length === 0) continue;
    last = chunk[chunk.length - 1]!;
    yield chunk;
  }
  const tail = (last === newline ? '' : '\n') + (blankLine ? '\n' : '');
  if (tail !== '') yield Buffer.from(tail);
}

async function* readable(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* content;
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): DeliveryFailure {
  return new DeliveryFailure({
    dsn: '4.3.0', text: `error reading message: ${errorText(error)}`, diagnostic: { type: 'x-unix', text: 'input/output error' },
  });
}

function withLineEnd(chunk: Buffer, end: string): Buffer {
  return Buffer.from(chunk.toString('latin1').replaceAll('\n', end), 'latin1');
}
