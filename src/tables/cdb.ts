/**
 * Constant data bases (cdb): a reader and a writer of D. J. Bernstein's file format, as tinycdb and Postfix use it.
 *
 * The file is 256 (position, slots) pairs, then the records (key length, value length, key, value), then 256 hash tables of
 * (hash, position) slots; numbers are 32 bits, little-endian. Postfix stores keys without a trailing NUL. A file is never
 * changed, only replaced.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const headerSize = 2048;
/** Files up to this are read whole: nobody writes into a cdb file, and then a look-up costs no system call. */
const wholeUpTo = 4 << 20;
/** Bytes of a record, and slots of a table, that one read takes in: mostly all that is needed. */
const guess = 512;
const slotsAtOnce = 8;

function hashOf(key: Buffer, length = key.length): number {
  let hash = 5381;
  for (let at = 0; at < length; at++) hash = Math.imul(hash, 33) ^ key[at]!;
  return hash >>> 0;
}

export class CdbReader {
  readonly #fd: number;
  readonly #size: number;
  readonly #header: Buffer;
  /** The file, when it is small. */
  readonly #whole: Buffer | undefined;
  #nul: 'try' | 'with' | 'without';
  #key = Buffer.allocUnsafeSlow(256);
  readonly #slots = Buffer.allocUnsafeSlow(slotsAtOnce * 8);
  readonly #record = Buffer.allocUnsafeSlow(guess);

  /** Throws Node's own Error when the file cannot be read, and one with a message when it is no cdb. */
  constructor(path: string, nul: 'try' | 'with' | 'without' = 'try') {
    this.#fd = openSync(Buffer.from(path, 'latin1'), 'r');
    this.#nul = nul;
    try {
      this.#size = fstatSync(this.#fd).size;
      if (this.#size <= wholeUpTo) this.#whole = this.#read(0, this.#size);
      this.#header = this.#read(0, headerSize);
      this.#checkHeader();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get(key: string): string | undefined {
    if (this.#nul !== 'without') {
      const value = this.#find(this.#keyBytes(key, 1));
      if (value !== undefined) this.#nul = 'with';
      if (value !== undefined || this.#nul === 'with') return value;
    }
    const value = this.#find(this.#keyBytes(key, 0));
    if (value !== undefined) this.#nul = 'without';
    return value;
  }

  /** The key in memory that the next one uses again; returns how long it is. */
  #keyBytes(key: string, nuls: 0 | 1): number {
    const length = key.length + nuls;
    if (length > this.#key.length) this.#key = Buffer.allocUnsafeSlow(2 * length);
    this.#key.write(key, 0, 'latin1');
    if (nuls === 1) this.#key[key.length] = 0;
    return length;
  }

  /** All entries in the order in which they were written. */
  *entries(): Generator<[string, string]> {
    const end = this.#header.readUInt32LE(0);
    for (let at = headerSize; at + 8 <= end; ) {
      const lengths = this.#read(at, 8);
      const [keyLength, valueLength] = [lengths.readUInt32LE(0), lengths.readUInt32LE(4)];
      const record = this.#read(at + 8, keyLength + valueLength);
      yield [cString(record.subarray(0, keyLength)), cString(record.subarray(keyLength))];
      at += 8 + keyLength + valueLength;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The format has no mark of its own: see that every table it names lies in the file. */
  #checkHeader(): void {
    for (let at = 0; at < headerSize; at += 8) {
      const table = this.#header.readUInt32LE(at);
      if (table < headerSize || table + 8 * this.#header.readUInt32LE(at + 4) > this.#size) throw new Error('not a cdb file, or a damaged one');
    }
  }

  #read(at: number, length: number): Buffer {
    if (length > this.#size || at + length > this.#size) throw new Error('not a cdb file, or a damaged one');
    if (this.#whole) return this.#whole.subarray(at, at + length);
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#fd, bytes, 0, length, at) !== length) throw new Error('not a cdb file, or a damaged one');
    return bytes;
  }

  #find(keyLength: number): string | undefined {
    const hash = hashOf(this.#key, keyLength);
    const entry = (hash & 255) * 8;
    const table = this.#header.readUInt32LE(entry);
    const slots = this.#header.readUInt32LE(entry + 4);
    for (let tried = 0, slot = slots === 0 ? 0 : (hash >>> 8) % slots; tried < slots; ) {
      const count = Math.min(slotsAtOnce, slots - slot);
      const pairs = this.#part(this.#slots, table + slot * 8, count * 8);
      for (let index = 0; index < count && tried < slots; index++, tried++) {
        const at = pairs.from + index * 8;
        const record = pairs.bytes.readUInt32LE(at + 4);
        if (record === 0) return undefined;
        if (pairs.bytes.readUInt32LE(at) !== hash) continue;
        const value = this.#valueAt(record, keyLength);
        if (value !== undefined) return value;
      }
      slot = slot + count === slots ? 0 : slot + count;
    }
    return undefined;
  }

  /** Part of the file: where it lies in memory, or read into `into`. */
  #part(into: Buffer, at: number, length: number): { bytes: Buffer; from: number } {
    if (at + length > this.#size) throw new Error('not a cdb file, or a damaged one');
    if (this.#whole) return { bytes: this.#whole, from: at };
    if (readSync(this.#fd, into, 0, length, at) !== length) throw new Error('not a cdb file, or a damaged one');
    return { bytes: into, from: 0 };
  }

  #valueAt(at: number, keyLength: number): string | undefined {
    const first = Math.min(guess, this.#size - at);
    if (first < 8) throw new Error('not a cdb file, or a damaged one');
    const { bytes, from } = this.#part(this.#record, at, first);
    if (bytes.readUInt32LE(from) !== keyLength) return undefined;
    const valueLength = bytes.readUInt32LE(from + 4);
    const length = 8 + keyLength + valueLength;
    const record = length > first ? this.#part(Buffer.allocUnsafe(this.#fits(at, length)), at, length) : { bytes, from };
    const key = record.from + 8;
    if (record.bytes.compare(this.#key, 0, keyLength, key, key + keyLength) !== 0) return undefined;
    return cString(record.bytes, key + keyLength, key + keyLength + valueLength);
  }

  #fits(at: number, length: number): number {
    if (at + length > this.#size) throw new Error('not a cdb file, or a damaged one');
    return length;
  }
}

function cString(bytes: Buffer, from = 0, to = bytes.length): string {
  const text = bytes.toString('latin1', from, to);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** Fill an open, empty file. Equal keys: the first is what look-ups find. Files end at 4 GB. */
export function writeCdb(fd: number, entries: Iterable<readonly [string, string]>, withNul = false): void {
  const out = new Output(fd);
  const tables: { hash: number; at: number }[][] = Array.from({ length: 256 }, () => []);
  const end = withNul ? '\0' : '';
  out.add(Buffer.alloc(headerSize));
  for (const [key, value] of entries) {
    const record = Buffer.from(`${key}${end}${value}${end}`, 'latin1');
    const keyLength = key.length + end.length;
    const hash = hashOf(record.subarray(0, keyLength));
    tables[hash & 255]!.push({ hash, at: out.size });
    out.add(numbers(keyLength, record.length - keyLength));
    out.add(record);
  }
  const header = Buffer.concat(tables.map((table) => writeTable(table, out)));
  out.flush();
  writeSync(fd, header, 0, headerSize, 0);
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  values.forEach((value, at) => bytes.writeUInt32LE(value, at * 4));
  return bytes;
}

/** One hash table, twice as many slots as entries; returns its pair of the header. */
function writeTable(table: { hash: number; at: number }[], out: Output): Buffer {
  const slots = table.length * 2;
  const bytes = Buffer.alloc(slots * 8);
  for (const { hash, at } of table) {
    let slot = (hash >>> 8) % slots;
    while (bytes.readUInt32LE(slot * 8 + 4) !== 0) slot = (slot + 1) % slots;
    bytes.writeUInt32LE(hash, slot * 8);
    bytes.writeUInt32LE(at, slot * 8 + 4);
  }
  const pair = numbers(out.size, slots);
  out.add(bytes);
  return pair;
}

/** Collects small pieces into large writes. */
class Output {
  readonly #fd: number;
  #parts: Buffer[] = [];
  #waiting = 0;
  size = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#waiting += bytes.length;
    this.size += bytes.length;
    if (this.size > 0xffffffff) throw new Error('more than 4 GB: too large for a cdb file');
    if (this.#waiting > 1 << 20) this.flush();
  }

  flush(): void {
    const bytes = Buffer.concat(this.#parts);
    const start = this.size - this.#waiting;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done, bytes.length - done, start + done);
    this.#parts = [];
    this.#waiting = 0;
  }
}
