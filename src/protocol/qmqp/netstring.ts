/**
 * Netstrings: a length, a colon, so many bytes, a comma. QMQP is made of them. Pure; nothing throws but for a mistake of the caller.
 */
const [colon, comma, zero, nine] = [58, 44, 48, 57];

/** The parts one behind another as one netstring: bytes and byte strings. */
export function netstring(...parts: readonly (Buffer | string)[]): Buffer {
  const content = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
  const length = content.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.from(`${length}:`), ...content, Buffer.from(',')]);
}

/** Why bytes are no netstring. */
export type NetstringTrouble = 'format' | 'size';

/**
 * Reads one netstring from bytes that come in pieces. With `keep` its content is collected; otherwise bytes are only counted, and its
 * terminator is not looked at.
 */
export class NetstringReader {
  readonly #limit: number;
  readonly #keep: boolean;
  #length = -1;
  #digits = 0;
  #left = 0;
  readonly #parts: Buffer[] = [];
  trouble: NetstringTrouble | undefined;

  /** @param limit largest content, in bytes */
  constructor(limit: number, keep: boolean) {
    this.#limit = limit;
    this.#keep = keep;
  }

  /** True when the netstring is complete, or can be none (`trouble`). What follows it is passed over. */
  receive(bytes: Buffer): boolean {
    let at = 0;
    while (this.#digits >= 0 && at < bytes.length) if (this.#lengthByte(bytes[at++]!)) return true;
    if (this.#digits >= 0) return false;
    const taken = Math.min(this.#left, bytes.length - at);
    this.#left -= taken;
    if (this.#keep && taken > 0) this.#parts.push(Buffer.from(bytes.subarray(at, at + taken)));
    if (this.#left > 0) return false;
    if (this.#keep && bytes[at + taken - 1] !== comma) this.trouble = 'format';
    return true;
  }

  /** What is in the netstring. */
  get content(): Buffer {
    return Buffer.concat(this.#parts).subarray(0, this.#length);
  }

  #lengthByte(code: number): boolean {
    if (code === colon && this.#digits > 0) {
      this.#digits = -1;
      this.#left = this.#length + 1;
      return false;
    }
    if (code < zero || code > nine) this.trouble = 'format';
    else {
      this.#length = Math.max(this.#length, 0) * 10 + code - zero;
      this.#digits++;
      if (this.#length > this.#limit) this.trouble = 'size';
    }
    return this.trouble !== undefined;
  }
}

/** First byte of a QMQP server's reply: taken, try again later, never. */
export const qmqpStatus = { ok: 'K', retry: 'Z', hard: 'D' } as const;
