/**
 * The frames of a trunk: one kept connection between a mail source and cleanup that carries many whole messages at once.
 *
 * A frame is its length (32 bits, big-endian, not counting itself), a kind byte, and fields. Numbers tie answers to messages and
 * messages to the names (reservations of the queue, see cleanup.ts) that the server end has handed out. Frames to the client are
 * built as byte strings, those to the server in buffers. What does not parse throws ShapeTrouble: the connection ends.
 */
import { madeOutside } from '../host/outside.ts';
import { ShapeTrouble } from './shape.ts';

/** To the server. */
export const toServer = {
  /** A message, from its envelope to its end. */
  message: 1,
  /** So many names are wanted. */
  want: 2,
  /** A name is not needed any more. */
  giveBack: 3,
} as const;

/** To the client. */
export const toClient = {
  /** Names, on the client's wish. None: there are none to be had. */
  stock: 1,
  /** What became of a message, and the names that were wanted with it. */
  answer: 2,
  /** The server is to end: take no more of its names, and close when nothing is under way. */
  retire: 3,
} as const;

/** Content of a message that travels whole; what is larger gets a connection of its own. */
export const wholeLimit = 64 << 10;
/** Longest frame to the server that is believed: content, and an envelope of ten thousand recipients and more. */
export const frameLimit = 16 << 20;

export interface WholeMessage {
  readonly number: number;
  readonly name: number;
  readonly seconds: number;
  readonly microseconds: number;
  readonly flags: number;
  readonly lineEnd: 'crlf' | 'lf';
  /** Names to come with the answer. */
  readonly want: number;
  /** Records before the content, one behind the other, as a byte string. */
  readonly envelope: string;
  readonly content: Buffer;
  /** Records behind the content. */
  readonly extracted: string;
}

/** Bytes of a message frame before the envelope, its length field included. */
export const messageHead = 39;

/** Write the head of a message frame; the caller puts envelope, content and extracted records behind it. */
export function writeMessageHead(
  target: Buffer, at: number, message: Omit<WholeMessage, 'envelope' | 'content' | 'extracted'>, lengths: { envelope: number; content: number; extracted: number },
): number {
  const { envelope, content, extracted } = lengths;
  at = target.writeUInt32BE(messageHead - 4 + envelope + content + extracted, at);
  target[at++] = toServer.message;
  target[at++] = message.lineEnd === 'lf' ? 1 : 0;
  at = target.writeUInt16BE(message.want, at);
  at = target.writeUInt32BE(message.number, at);
  at = target.writeUInt32BE(message.name, at);
  at = target.writeUInt32BE(message.seconds, at);
  at = target.writeUInt32BE(message.microseconds, at);
  at = target.writeUInt32BE(message.flags, at);
  at = target.writeUInt32BE(envelope, at);
  at = target.writeUInt32BE(content, at);
  target[at++] = extracted >>> 16;
  return target.writeUInt16BE(extracted & 0xffff, at);
}

/** Extracted records are few; three bytes hold their length. */
export const extractedLimit = 0xffffff;

/** The fields of a message frame that begins (with its kind byte) at `at` and ends at `end`. */
export function readMessage(frame: Buffer, at: number, end: number): WholeMessage {
  if (end - at < messageHead - 4) throw new ShapeTrouble('message frame too short');
  const envelopeLength = frame.readUInt32BE(at + 24);
  const contentLength = frame.readUInt32BE(at + 28);
  const extractedLength = (frame[at + 32]! << 16) | frame.readUInt16BE(at + 33);
  const envelopeAt = at + messageHead - 4;
  const contentAt = envelopeAt + envelopeLength;
  const extractedAt = contentAt + contentLength;
  if (extractedAt + extractedLength !== end) throw new ShapeTrouble('message frame of the wrong length');
  return {
    lineEnd: frame[at + 1] === 1 ? 'lf' : 'crlf', want: frame.readUInt16BE(at + 2),
    number: frame.readUInt32BE(at + 4), name: frame.readUInt32BE(at + 8), seconds: frame.readUInt32BE(at + 12), microseconds: frame.readUInt32BE(at + 16),
    flags: frame.readUInt32BE(at + 20), envelope: frame.toString('latin1', envelopeAt, contentAt), content: frame.subarray(contentAt, extractedAt),
    extracted: extractedLength === 0 ? '' : frame.toString('latin1', extractedAt, end),
  };
}

/** One record as message/record.ts has it, as a byte string. */
export function recordString(type: number, text: string): string {
  const { length } = text;
  if (length < 0x80) return String.fromCharCode(type, length) + text;
  let head = String.fromCharCode(type);
  let rest = length;
  for (; rest >= 0x80; rest >>>= 7) head += String.fromCharCode((rest & 0x7f) | 0x80);
  return head + String.fromCharCode(rest) + text;
}

/** Each record of such a string. As in a queue file a NUL byte ends its text. */
export function eachRecord(records: string, take: (type: number, text: string) => void): void {
  let nul = -1;
  for (let at = 0; at < records.length;) {
    const type = records.charCodeAt(at++);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = records.charCodeAt(at++);
      if (!(shift < 28 && byte >= 0)) throw new ShapeTrouble(`bad record length, record type ${type}`);
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (at + length > records.length) throw new ShapeTrouble(`unexpected end in data, record type ${type}`);
    const end = at + length;
    // Looked for from the last one that was found: it is the length of an empty text, as a rule.
    if (nul < at) nul = nextNul(records, at);
    take(type, records.slice(at, nul < end ? nul : end));
    at = end;
  }
}

function nextNul(text: string, from: number): number {
  const found = text.indexOf('\0', from);
  return found < 0 ? Infinity : found;
}

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** A whole frame around a byte string. */
export function frameString(kind: number, fields: string): string {
  return uint32(fields.length + 1) + String.fromCharCode(kind) + fields;
}

export interface Name {
  readonly number: number;
  readonly inode: string;
  readonly long: boolean;
}

export function nameString({ number, inode, long }: Name): string {
  return uint32(number) + String.fromCharCode(long ? 1 : 0, inode.length) + inode;
}

/** Reads the fields of a frame to the client. */
export class FrameFields {
  readonly #frame: Buffer;
  readonly #end: number;
  #at: number;

  constructor(frame: Buffer, at: number, end: number) {
    this.#frame = frame;
    this.#at = at;
    this.#end = end;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    return this.#frame[this.#advance(1)]!;
  }

  uint16(): number {
    return this.#frame.readUInt16BE(this.#advance(2));
  }

  uint32(): number {
    return this.#frame.readUInt32BE(this.#advance(4));
  }

  text(length: number): string {
    const at = this.#advance(length);
    return length === 0 ? '' : this.#frame.toString('latin1', at, at + length);
  }

  name(): Name {
    const number = this.uint32();
    const long = this.byte() === 1;
    return { number, long, inode: this.text(this.byte()) };
  }

  #advance(length: number): number {
    const at = this.#at;
    if (at + length > this.#end) throw new ShapeTrouble('frame too short');
    this.#at = at + length;
    return at;
  }
}

const lengthField = 4;
/** Smaller frames share memory. */
const largeFrame = 16 << 10;

/** Cuts a stream into frames. One that crosses chunks is copied to memory of its own size as it comes, once. */
export class FrameCutter {
  readonly #limit: number;
  /** A length field that has not come whole. */
  readonly #field = Buffer.alloc(lengthField);
  #fieldBytes = 0;
  /** The frame at hand, its length field included, and how much of it has come. */
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `take` gets each whole frame: where its kind byte stands and where it ends. */
  feed(chunk: Buffer, take: (frame: Buffer, at: number, end: number) => void): void {
    let at = 0;
    if (this.#fieldBytes > 0) at = this.#readField(chunk);
    if (this.#frame !== undefined) at = this.#fill(chunk, at, take);
    while (chunk.length - at >= lengthField) {
      const whole = this.#whole(chunk, at);
      if (at + whole > chunk.length) break;
      take(chunk, at + lengthField, at + whole);
      at += whole;
    }
    if (at < chunk.length) this.#begin(chunk, at);
  }

  /** Bytes of the frame that begins at `at`, its length field included. */
  #whole(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length === 0 || length > this.#limit) throw new ShapeTrouble(`frame of ${length} bytes`);
    return lengthField + length;
  }

  /** A frame whose end is not in this chunk, or not even its length. */
  #begin(chunk: Buffer, at: number): void {
    if (chunk.length - at < lengthField) this.#fieldBytes = chunk.copy(this.#field, 0, at);
    else this.#filled = chunk.copy(this.#memory(this.#whole(chunk, at)), 0, at);
  }

  #memory(length: number): Buffer {
    if (length < largeFrame) return (this.#frame = Buffer.allocUnsafe(length));
    madeOutside(length);
    return (this.#frame = Buffer.allocUnsafeSlow(length));
  }

  /** The rest of a length field. */
  #readField(chunk: Buffer): number {
    const count = chunk.copy(this.#field, this.#fieldBytes, 0, Math.min(lengthField - this.#fieldBytes, chunk.length));
    this.#fieldBytes += count;
    if (this.#fieldBytes < lengthField) return count;
    this.#fieldBytes = 0;
    this.#filled = this.#field.copy(this.#memory(this.#whole(this.#field, 0)));
    return count;
  }

  #fill(chunk: Buffer, at: number, take: (frame: Buffer, at: number, end: number) => void): number {
    const frame = this.#frame!;
    const count = Math.min(frame.length - this.#filled, chunk.length - at);
    chunk.copy(frame, this.#filled, at, at + count);
    this.#filled += count;
    if (this.#filled === frame.length) {
      this.#frame = undefined;
      take(frame, lengthField, frame.length);
    }
    return at + count;
  }
}
