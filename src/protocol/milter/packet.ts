/**
 * Packets of the Milter protocol: length (32 bits, big-endian, the type included), type, fields.
 *
 * Reading is bounded: a packet may have `packetLimit` bytes, but for pieces of a new body, which are handed on as they come and never
 * gathered. What is beyond a bound, or of no length, is the step `bad`, for good. Nothing throws, however the bytes are cut.
 */

/** Most that libmilter can be told to send in one packet. */
export const packetLimit = 1 << 20;
/** The most that any packet may claim (Postfix's bound). */
export const partsLimit = 0x3fff_ffff;

const bodyCode = 0x62;

export type Packet =
  | { readonly kind: 'packet'; readonly code: string; readonly bytes: Buffer }
  /** A piece of a packet with a new body; `last`: the packet ends here. */
  | { readonly kind: 'body'; readonly bytes: Buffer; readonly last: boolean }
  /** In words of the log. */
  | { readonly kind: 'bad'; readonly trouble: string };

const nothing = Buffer.alloc(0);

export class PacketReader {
  #chunks: Buffer[] = [];
  #length = 0;
  /** Bytes of a body packet that are still to come. */
  #body = -1;
  #bad: Packet | undefined;

  feed(chunk: Buffer): void {
    if (chunk.length === 0 || this.#bad !== undefined) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Has something of a packet come that is not complete? */
  get isBegun(): boolean {
    return this.#length > 0 || this.#body >= 0;
  }

  next(): Packet | undefined {
    if (this.#bad !== undefined) return this.#bad;
    if (this.#body >= 0) return this.#bodyPart();
    if (this.#length < 4) return undefined;
    const length = this.#peek(4).readUInt32BE();
    if (length < 1) return this.#fail(`bad packet length: ${length}`);
    if (this.#length < 5) return length > partsLimit ? this.#fail(`unreasonable packet length: ${length} > ${partsLimit}`) : undefined;
    const head = this.#peek(5);
    const isBody = head[4] === bodyCode;
    const limit = isBody ? partsLimit : packetLimit;
    if (length > limit) return this.#fail(`unreasonable packet length: ${length} > ${limit}`);
    if (isBody) {
      this.#take(5);
      this.#body = length - 1;
      return this.#bodyPart();
    }
    if (this.#length < 4 + length) return undefined;
    this.#take(4);
    const bytes = this.#take(length);
    return { kind: 'packet', code: String.fromCharCode(bytes[0]!), bytes: bytes.subarray(1) };
  }

  #bodyPart(): Packet | undefined {
    if (this.#body > 0 && this.#length === 0) return undefined;
    const bytes = this.#body === 0 ? nothing : this.#take(Math.min(this.#body, this.#chunks[0]!.length));
    this.#body -= bytes.length;
    const last = this.#body === 0;
    if (last) this.#body = -1;
    return { kind: 'body', bytes, last };
  }

  #fail(trouble: string): Packet {
    this.#chunks = [];
    this.#length = 0;
    return (this.#bad = { kind: 'bad', trouble });
  }

  #peek(count: number): Buffer {
    if (this.#chunks[0]!.length < count) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  #take(count: number): Buffer {
    const first = this.#peek(count);
    this.#length -= count;
    if (first.length === count) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(count);
    return first.subarray(0, count);
  }
}

/** A packet to send; fields are byte strings or buffers, one behind the other. */
export function packet(code: string, ...fields: readonly (string | Buffer)[]): Buffer {
  let length = 1;
  for (const field of fields) length += field.length;
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeUInt32BE(length);
  bytes.write(code, 4, 'latin1');
  let at = 5;
  for (const field of fields) at += typeof field === 'string' ? bytes.write(field, at, 'latin1') : field.copy(bytes, at);
  return bytes;
}

/** Text as it stands in a field: a NUL ends it, so none can be within it. */
export function textField(text: string): string {
  const nul = text.indexOf('\0');
  return `${nul < 0 ? text : text.slice(0, nul)}\0`;
}

export function number32(value: number): string {
  return String.fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

export function number16(value: number): string {
  return String.fromCharCode((value >>> 8) & 0xff, value & 0xff);
}

/** Takes the fields of a packet apart; what is not there is undefined, and then `trouble` says why. */
export class Fields {
  trouble: string | undefined;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number32(): number {
    if (this.left < 4) return this.#fail('input packet too short for network long', 0);
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  text(): string {
    if (this.left < 1) return this.#fail('packet too short for string', '');
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) return this.#fail('missing string null terminator', '');
    const text = this.#bytes.toString('latin1', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** Nothing may be left. */
  end(): void {
    if (this.trouble === undefined && this.left > 0) this.#fail(`left-over data ${this.left} bytes`, 0);
  }

  #fail<T>(trouble: string, instead: T): T {
    this.trouble ??= trouble;
    this.#at = this.#bytes.length;
    return instead;
  }
}
