/**
 * Reading Berkeley DB files, hash and btree, that another Postfix has left: without libdb, and without ever writing.
 *
 * Formats: hash versions 8 to 10, btree versions 8 to 10, either byte order; no encryption, no duplicates of one key. While
 * Postfix rebuilds a file it holds an exclusive flock: a look-up then fails and is temporary trouble. Every look-up reads the
 * pages it needs anew, so that changes in place are seen.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { tryLock } from '../host/locks.ts';

const magic = { hash: 0x061561, btree: 0x053162 } as const;
const metaSize = 512;
const headerSize = 26;
const itemKind = { here: 1, elsewhere: 3 } as const;
const pageKind = { internal: 3, leaf: 5, overflow: 7 } as const;
const deleted = 0x80;

export class BerkeleyTrouble extends Error {}

const damaged = (): BerkeleyTrouble => new BerkeleyTrouble('not a Berkeley DB file, or a damaged one');

/** Numbers in the byte order of the file. */
class Bytes {
  readonly buffer: Buffer;
  readonly #swapped: boolean;

  constructor(buffer: Buffer, swapped: boolean) {
    this.buffer = buffer;
    this.#swapped = swapped;
  }

  u32(at: number): number {
    return this.#swapped ? this.buffer.readUInt32BE(at) : this.buffer.readUInt32LE(at);
  }

  u16(at: number): number {
    return this.#swapped ? this.buffer.readUInt16BE(at) : this.buffer.readUInt16LE(at);
  }
}

class Page extends Bytes {
  readonly next: number;
  readonly entries: number;
  readonly free: number;
  readonly kind: number;

  constructor(buffer: Buffer, swapped: boolean) {
    super(buffer, swapped);
    this.next = this.u32(16);
    this.entries = this.u16(20);
    this.free = this.u16(22);
    this.kind = buffer[25]!;
    if (headerSize + 2 * this.entries > buffer.length) throw damaged();
  }

  offset(item: number): number {
    const at = this.u16(headerSize + 2 * item);
    if (at < headerSize || at >= this.buffer.length) throw damaged();
    return at;
  }
}

export class BerkeleyReader {
  readonly #fd: number;
  #nul: 'try' | 'with' | 'without';
  #swapped = false;
  #pageSize = 0;
  #pageLimit = 0;

  constructor(path: string, nul: 'try' | 'with' | 'without' = 'try') {
    this.#fd = openSync(Buffer.from(path, 'latin1'), 'r');
    this.#nul = nul;
    try {
      this.#locked(() => this.#meta());
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get(key: string): string | undefined {
    return this.#locked(() => {
      const meta = this.#meta();
      if (this.#nul !== 'without') {
        const value = this.#find(meta, Buffer.from(`${key}\0`, 'latin1'));
        if (value !== undefined) this.#nul = 'with';
        if (value !== undefined || this.#nul === 'with') return value;
      }
      const value = this.#find(meta, Buffer.from(key, 'latin1'));
      if (value !== undefined) this.#nul = 'without';
      return value;
    });
  }

  /** All entries, in the order of the file's pages. */
  entries(): [string, string][] {
    return this.#locked(() => {
      this.#meta();
      const found: [string, string][] = [];
      for (let number = 1; number <= this.#pageLimit; number++) {
        const page = this.#page(number);
        if (page.kind === pageKind.leaf) found.push(...this.#pairs(page, leafItem));
        else if (page.kind === 2 || page.kind === 13) found.push(...this.#pairs(page, hashItem));
      }
      return found;
    });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #locked<T>(work: () => T): T {
    if (!tryLock(this.#fd, 'flock', 'shared')) throw new BerkeleyTrouble('the file is locked: it is being rebuilt');
    try {
      return work();
    } finally {
      tryLock(this.#fd, 'flock', 'none');
    }
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#fd, bytes, 0, length, at) !== length) throw damaged();
    return bytes;
  }

  #meta(): Bytes {
    const buffer = this.#read(0, metaSize);
    const known: readonly number[] = Object.values(magic);
    this.#swapped = !known.includes(buffer.readUInt32LE(12));
    const meta = new Bytes(buffer, this.#swapped);
    const version = meta.u32(16);
    this.#pageSize = meta.u32(20);
    this.#pageLimit = meta.u32(32);
    const sound = known.includes(meta.u32(12)) && version >= 8 && version <= 10 && this.#pageSize >= metaSize && this.#pageSize <= 65536;
    if (!sound || buffer[24] !== 0) throw damaged();
    return meta;
  }

  #page(number: number): Page {
    if (number === 0 || number > this.#pageLimit) throw damaged();
    return new Page(this.#read(number * this.#pageSize, this.#pageSize), this.#swapped);
  }

  #find(meta: Bytes, key: Buffer): string | undefined {
    return meta.u32(12) === magic.hash ? this.#findHash(meta, key) : this.#findTree(meta, key);
  }

  #findHash(meta: Bytes, key: Buffer): string | undefined {
    let number = bucketPage(meta, key);
    if (number === 0) throw damaged();
    for (let seen = 0; number !== 0; seen++) {
      if (seen > this.#pageLimit) throw damaged();
      const page = this.#page(number);
      for (let item = 0; item + 1 < page.entries; item += 2) {
        if (this.#item(hashItem(page, item)).equals(key)) return cString(this.#item(hashItem(page, item + 1)));
      }
      number = page.next;
    }
    return undefined;
  }

  #findTree(meta: Bytes, key: Buffer): string | undefined {
    let page = this.#page(meta.u32(88));
    for (let depth = 0; page.kind === pageKind.internal; depth++) {
      if (depth > 64 || page.entries === 0) throw damaged();
      let [low, high] = [0, page.entries - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.#item(branchItem(page, middle)).compare(key) <= 0) low = middle;
        else high = middle - 1;
      }
      page = this.#page(page.u32(page.offset(low) + 4));
    }
    if (page.kind !== pageKind.leaf) throw damaged();
    for (let item = 0; item + 1 < page.entries; item += 2) {
      const stored = leafItem(page, item);
      if (!stored.gone && this.#item(stored).equals(key)) return cString(this.#item(leafItem(page, item + 1)));
    }
    return undefined;
  }

  *#pairs(page: Page, itemOf: (page: Page, item: number) => Item): Generator<[string, string]> {
    for (let item = 0; item + 1 < page.entries; item += 2) {
      const key = itemOf(page, item);
      if (!key.gone) yield [cString(this.#item(key)), cString(this.#item(itemOf(page, item + 1)))];
    }
  }

  #item(item: Item): Buffer {
    if (item.bytes) return item.bytes;
    const parts: Buffer[] = [];
    let [number, left] = [item.page, item.length];
    while (left > 0) {
      const page = this.#page(number);
      if (page.kind !== pageKind.overflow || page.free === 0) throw damaged();
      parts.push(page.buffer.subarray(headerSize, headerSize + Math.min(page.free, left)));
      left -= page.free;
      number = page.next;
    }
    return Buffer.concat(parts);
  }
}

/** A key or a value: here, or on pages of its own. */
interface Item {
  readonly bytes?: Buffer;
  readonly page: number;
  readonly length: number;
  readonly gone: boolean;
}

const here = (bytes: Buffer, gone = false): Item => ({ bytes, page: 0, length: bytes.length, gone });
const elsewhere = (page: Page, at: number, gone = false): Item => ({ page: page.u32(at + 4), length: page.u32(at + 8), gone });

function hashItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const end = item === 0 ? page.buffer.length : page.offset(item - 1);
  const kind = page.buffer[at];
  if (kind === itemKind.here && end > at) return here(page.buffer.subarray(at + 1, end));
  if (kind === itemKind.elsewhere && end >= at + 12) return elsewhere(page, at);
  throw damaged();
}

function leafItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const kind = page.buffer[at + 2]!;
  const gone = (kind & deleted) !== 0;
  if ((kind & ~deleted) === itemKind.here) return here(page.buffer.subarray(at + 3, at + 3 + page.u16(at)), gone);
  if ((kind & ~deleted) === itemKind.elsewhere && at + 12 <= page.buffer.length) return elsewhere(page, at, gone);
  throw damaged();
}

/** The key of an entry of an inner page: a length, a kind, a page number, a count, and the key. A long key is described there. */
function branchItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const kind = page.buffer[at + 2]! & ~deleted;
  if (kind === itemKind.here) return here(page.buffer.subarray(at + 12, at + 12 + page.u16(at)));
  if (kind === itemKind.elsewhere && at + 24 <= page.buffer.length) return elsewhere(page, at + 12);
  throw damaged();
}

/** Where the chain of a key's bucket begins: linear hashing over Fowler, Noll and Vo's hash. */
function bucketPage(meta: Bytes, key: Buffer): number {
  let hash = 0;
  for (const byte of key) hash = (Math.imul(hash, 16777619) ^ byte) >>> 0;
  const [maximum, high, low] = [meta.u32(72), meta.u32(76), meta.u32(80)];
  let bucket = (hash & high) >>> 0;
  if (bucket > maximum) bucket = (bucket & low) >>> 0;
  const generation = bucket === 0 ? 0 : 32 - Math.clz32(bucket);
  return bucket + meta.u32(96 + 4 * generation);
}

function cString(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
