/**
 * Constant data bases (cdb): a reader and a writer of D. J. Bernstein's file format, as tinycdb and Postfix use it.
 *
 * The file is 256 (position, slots) pairs, then the records (key length, value length, key, value), then 256 hash tables of
 * (hash, position) slots; numbers are 32 bits, little-endian. Postfix stores keys without a trailing NUL. A file is never
 * changed, only replaced.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const headerSize = 2048;
const guess = 512;

function hashOf(key: Buffer): number {
  let hash = 5381;
  for (const byte of key) hash = (Math.imul(hash, 33) ^ byte) >>> 0;
  return hash;
}

export class CdbReader {
  readonly #fd: number;
  readonly #size: number;
  readonly #header: Buffer;
  #nul: 'try' | 'with' | 'without';

  /** Throws Node's own Error when the file cannot be read, and one with a message when it is no cdb. */
  constructor(path: string, nul: 'try' | 'with' | 'without' = 'try') {
    this.#fd = openSync(Buffer.from(path, 'latin1'), 'r');
    this.#nul = nul;
    try {
      this.#size = fstatSync(this.#fd).size;
      this.#header = this.#read(0, headerSize);
      this.#checkHeader();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get(key: string): string | undefined {
    if (this.#nul !== 'without') {
      const value = this.#find(Buffer.from(`${key}\0`, 'latin1'));
      if (value !== undefined) this.#nul = 'with';
      if (value !== undefined || this.#nul === 'with') return value;
    }
    const value = this.#find(Buffer.from(key, 'latin1'));
    if (value !== undefined) this.#nul = 'without';
    return value;
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
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#fd, bytes, 0, length, at) !== length) throw new Error('not a cdb file, or a damaged one');
    return bytes;
  }

  #find(key: Buffer): string | undefined {
    const hash = hashOf(key);
    const entry = (hash & 255) * 8;
    const table = this.#header.readUInt32LE(entry);
    const slots = this.#header.readUInt32LE(entry + 4);
    for (let tried = 0, slot = slots === 0 ? 0 : (hash >>> 8) % slots; tried < slots; tried++, slot = (slot + 1) % slots) {
      const pair = this.#read(table + slot * 8, 8);
      const at = pair.readUInt32LE(4);
      if (at === 0) return undefined;
      if (pair.readUInt32LE(0) !== hash) continue;
      const value = this.#valueAt(at, key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #valueAt(at: number, key: Buffer): string | undefined {
    let record = this.#read(at, Math.min(guess, this.#size - at));
    if (record.length < 8) throw new Error('not a cdb file, or a damaged one');
    const [keyLength, valueLength] = [record.readUInt32LE(0), record.readUInt32LE(4)];
    if (keyLength !== key.length) return undefined;
    const length = 8 + keyLength + valueLength;
    if (length > record.length) record = this.#read(at, length);
    if (record.compare(key, 0, keyLength, 8, 8 + keyLength) !== 0) return undefined;
    return cString(record.subarray(8 + keyLength, length));
  }
}

function cString(bytes: Buffer): string {
  const text = bytes.toString('latin1');
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
