/**
 * The message that smtp-source(1) sends over and over, ready for the wire: the content once, and in front of it room for the headers,
 * which differ from message to message. So a message is one write of one piece of memory.
 */
import { readFileSync } from 'node:fs';

const ending = '\r\n.\r\n';
/** More than the constant parts and numbers of the headers can be. */
const slack = 256;

const simple = [1, 2, 3, 4].map((number) => `La de da de da ${number}.`).join('\r\n');

/** `length` bytes in lines of 80 with a digit in front; the last line is what remains. */
export function filler(length: number): Buffer {
  const bytes = Buffer.alloc(length, 'X');
  for (let end = 80; end < length; end += 80) {
    bytes[end - 80] = 0x30 + ((end / 80) % 10);
    bytes.write('\r\n', end - 2, 'latin1');
  }
  return bytes;
}

/** The lines of a file as SMTP wants them (RFC 5321 section 4.5.2). */
export function preformatted(text: string): Buffer {
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(lines.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join(''), 'latin1');
}

export interface Headers {
  readonly sender: string;
  readonly date: string;
  readonly hostname: string;
  readonly subject: string | undefined;
  /** Longest recipient. */
  readonly recipientRoom: number;
}

export class Message {
  readonly #headers: Headers | undefined;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #before: string;
  readonly #after: string;

  /** Without `headers` the content stands alone. */
  constructor(content: Buffer, headers: Headers | undefined) {
    this.#headers = headers;
    this.#before = headers === undefined ? '' : `From: <${headers.sender}>\r\nTo: <`;
    this.#after = headers?.subject === undefined ? '\r\n\r\n' : `\r\nSubject: ${headers.subject}\r\n\r\n`;
    this.#start = headers === undefined ? 0 : this.#before.length + this.#after.length + headers.recipientRoom + headers.date.length + headers.hostname.length + slack;
    this.#bytes = Buffer.concat([Buffer.alloc(this.#start), content, Buffer.from(ending)]);
  }

  /** All of it, up to the final dot. The bytes are good until the next call. */
  for(recipient: string, id: string): Buffer {
    if (this.#headers === undefined) return this.#bytes;
    const { date, hostname } = this.#headers;
    const text = `${this.#before}${recipient}>\r\nDate: ${date}\r\nMessage-Id: <${id}@${hostname}>${this.#after}`;
    const from = this.#start - text.length;
    this.#bytes.write(text, from, 'latin1');
    return this.#bytes.subarray(from);
  }
}

export function contentOf(file: string | undefined, length: number): Buffer {
  if (file !== undefined) return preformatted(readFileSync(Buffer.from(file, 'latin1'), 'latin1'));
  return length > 0 ? filler(length) : Buffer.from(simple);
}
