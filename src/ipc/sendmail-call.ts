/**
 * The compiled sendmail (native/sendmail.c) and pickup(8): the program hands over its words and its standard input, and is told
 * what to print and with what status to end.
 *
 * On pickup's socket, after the request below. Both sides then send frames: one letter, a length of four bytes (big-endian), and that
 * many bytes. Who is there says the kernel (SO_PEERCRED), never the program.
 *
 * The program sends `arguments` and reads nothing of its input before it hears `proceed`; then `content` pieces, `waiting` every
 * minute while its input is silent, and `end` (or `failed` with errno as digits: its input could not be read). `decline` means: nothing
 * was kept, do it yourself; it comes as the first answer, after `end`, or before half of keptByProgram. `exit` ends the call.
 */
import { attribute, encode } from './shape.ts';

/** No trigger begins like this. */
export const sendmailRequest = encode({}, {}, attribute('request', 'sendmail'));

export const callerFrame = { arguments: 'a', content: 'd', waiting: 'w', end: 'e', failed: 'f' } as const;
export const answerFrame = { proceed: 'g', decline: 'n', output: 'o', error: 'r', exit: 'x' } as const;

export interface Frame {
  readonly kind: string;
  readonly payload: Buffer;
}

/** Bytes of one frame; the program declines longer command lines by itself. */
export const frameLimit = 512 << 10;

/** Bytes of input that the program keeps, to do the work itself if it is declined on the way. */
export const keptByProgram = 1 << 20;

const headLength = 5;

export function encodeFrame(kind: string, payload: string | Buffer = ''): Buffer {
  const bytes = Buffer.alloc(headLength + payload.length);
  bytes.write(kind, 'latin1');
  bytes.writeUInt32BE(payload.length, 1);
  if (typeof payload === 'string') bytes.write(payload, headLength, 'latin1');
  else payload.copy(bytes, headLength);
  return bytes;
}

/** Frames out of bytes as they come. Throws when a frame is longer than any may be. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #length = 0;

  feed(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#length += chunk.length;
  }

  /** undefined: not all of it has come yet. */
  next(): Frame | undefined {
    if (this.#length < headLength) return undefined;
    const head = this.#joined(headLength);
    const length = head.readUInt32BE(1);
    if (length > frameLimit) throw new Error(`frame of ${length} bytes`);
    if (this.#length < headLength + length) return undefined;
    const bytes = this.#joined(headLength + length);
    const end = headLength + length;
    this.#length -= end;
    this.#pieces = this.#length === 0 ? [] : [bytes.subarray(end), ...this.#pieces.slice(1)];
    return { kind: bytes.toString('latin1', 0, 1), payload: bytes.subarray(headLength, end) };
  }

  /** The first piece, made long enough. */
  #joined(length: number): Buffer {
    if (this.#pieces[0]!.length < length) this.#pieces = [Buffer.concat(this.#pieces, this.#length)];
    return this.#pieces[0]!;
  }
}

/** Words of a caller: the environment's NAME, if it is set, and the command line without the program's name. Byte strings. */
export interface CallerWords {
  readonly name: string | undefined;
  readonly argv: readonly string[];
}

/** Each word ends with NUL; the first is `NAME=value`, or nothing. undefined: it is not so. */
export function callerWords(payload: Buffer): CallerWords | undefined {
  const words = payload.toString('latin1').split('\0');
  const first = words.shift();
  if (words.pop() !== '' || first === undefined || (first !== '' && !first.startsWith('NAME='))) return undefined;
  return { name: first === '' ? undefined : first.slice('NAME='.length), argv: words };
}
