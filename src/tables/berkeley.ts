/**
 * Reading Berkeley DB files, hash and btree, that another Postfix has left: without libdb, and without ever writing.
 *
 * Formats: hash versions 8 to 10, btree versions 8 to 10, either byte order; no encryption, no duplicates of one key. While
 * Postfix rebuilds a file it holds an exclusive flock: a look-up then fails and is temporary trouble. A change in place is seen at
 * once, or within 10 ms where the file had been left alone: pages of such a file are kept, up to a thousand.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { tryLock } from '../host/locks.ts';

const magic = { hash: 0x061561, btree: 0x053162 } as const;
const metaSize = 512;
const headerSize = 26;
const itemKind = { here: 1, elsewhere: 3 } as const;
const pageKind = { internal: 3, leaf: 5, overflow: 7 } as const;
const deleted = 0x80;
/** Pages that are kept, and for how many milliseconds a file must have been left alone before its pages are. */
const pagesKept = 1024;
const restsAfter = 2000;
/** Milliseconds for which the file is not looked at again: asking for its status costs more than a look-up. */
const lookAgainAfter = 10;

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
  #meta: Bytes | undefined;
  readonly #pages = new Map<number, Page>();
  /** The file as it was when the pages were read; -1: they are not kept. */
  #modified = -1;
  #size = -1;
  #hasRead = false;
  #nextLook = 0;

  constructor(path: string, nul: 'try' | 'with' | 'without' = 'try') {
    this.#fd = openSync(Buffer.from(path, 'latin1'), 'r');
    this.#nul = nul;
    try {
      this.#locked(() => this.#readMeta());
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get(key: string): string | undefined {
    this.#hasRead = false;
    return this.#isUnchanged() ? this.#getKept(key) : this.#getLocked(key);
  }

  #isUnchanged(): boolean {
    if (this.#modified < 0) return false;
    const now = performance.now();
    if (now < this.#nextLook && !this.#hasRead) return true;
    this.#nextLook = now + lookAgainAfter;
    const { mtimeMs, size } = fstatSync(this.#fd);
    return mtimeMs === this.#modified && size === this.#size;
  }

  /** Without a lock. If a page had to be read, the answer counts only when the file is then still the same. */
  #getKept(key: string): string | undefined {
    try {
      const found = this.#get(this.#meta!, key);
      if (!this.#hasRead || this.#isUnchanged()) return found;
    } catch (error) {
      if (this.#isUnchanged()) throw error;
    }
    return this.#getLocked(key);
  }

  #getLocked(key: string): string | undefined {
    return this.#locked(() => {
      this.#pages.clear();
      this.#meta = this.#readMeta();
      const { mtimeMs, size } = fstatSync(this.#fd);
      this.#modified = Date.now() - mtimeMs > restsAfter ? mtimeMs : -1;
      this.#size = size;
      return this.#get(this.#meta, key);
    });
  }

  #get(meta: Bytes, key: string): string | undefined {
    if (this.#nul !== 'without') {
      const value = this.#find(meta, Buffer.from(`${key}\0`, 'latin1'));
      if (value !== undefined) this.#nul = 'with';
      if (value !== undefined || this.#nul === 'with') return value;
    }
    const value = this.#find(meta, Buffer.from(key, 'latin1'));
    if (value !== undefined) this.#nul = 'without';
    return value;
  }

  /** All entries, in the order of the file's pages. */
  entries(): [string, string][] {
    return this.#locked(() => {
      this.#pages.clear();
      this.#modified = -1;
      this.#readMeta();
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
    this.#hasRead = true;
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#fd, bytes, 0, length, at) !== length) throw damaged();
    return bytes;
  }

  #readMeta(): Bytes {
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
    const known = this.#pages.get(number);
    if (known) return known;
    if (number === 0 || number > this.#pageLimit) throw damaged();
    const page = new Page(this.#read(number * this.#pageSize, this.#pageSize), this.#swapped);
    if (this.#pages.size >= pagesKept) this.#pages.clear();
    this.#pages.set(number, page);
    return page;
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
        const stored = hashItem(page, item);
        if (stored.length === key.length && this.#compare(stored, key) === 0) return cString(this.#item(hashItem(page, item + 1)));
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
        if (this.#compare(branchItem(page, middle), key) <= 0) low = middle;
        else high = middle - 1;
      }
      page = this.#page(page.u32(page.offset(low) + 4));
    }
    if (page.kind !== pageKind.leaf) throw damaged();
    const order = (pair: number): number => this.#compare(leafItem(page, 2 * pair), key);
    let [low, high] = [0, page.entries >> 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order(middle) < 0) low = middle + 1;
      else high = middle;
    }
    // An entry that was removed may stand beside the one that took its place.
    for (; 2 * low + 1 < page.entries && order(low) === 0; low++) {
      if (!leafItem(page, 2 * low).gone) return cString(this.#item(leafItem(page, 2 * low + 1)));
    }
    return undefined;
  }

  #compare(stored: Item, key: Buffer): number {
    const { buffer, at, length } = stored;
    return buffer ? buffer.compare(key, 0, key.length, at, at + length) : this.#item(stored).compare(key);
  }

  *#pairs(page: Page, itemOf: (page: Page, item: number) => Item): Generator<[string, string]> {
    for (let item = 0; item + 1 < page.entries; item += 2) {
      const key = itemOf(page, item);
      if (!key.gone) yield [cString(this.#item(key)), cString(this.#item(itemOf(page, item + 1)))];
    }
  }

  #item(item: Item): Buffer {
    if (item.buffer) return item.buffer.subarray(item.at, item.at + item.length);
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
  readonly buffer: Buffer | undefined;
  /** Where it begins in the buffer. */
  readonly at: number;
  readonly page: number;
  readonly length: number;
  readonly gone: boolean;
}

function here({ buffer }: Page, at: number, length: number, gone = false): Item {
  if (length < 0 || at + length > buffer.length) throw damaged();
  return { buffer, at, page: 0, length, gone };
}

const elsewhere = (page: Page, at: number, gone = false): Item => ({ buffer: undefined, at: 0, page: page.u32(at + 4), length: page.u32(at + 8), gone });

function hashItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const end = item === 0 ? page.buffer.length : page.offset(item - 1);
  const kind = page.buffer[at];
  if (kind === itemKind.here && end > at) return here(page, at + 1, end - at - 1);
  if (kind === itemKind.elsewhere && end >= at + 12) return elsewhere(page, at);
  throw damaged();
}

function leafItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const kind = page.buffer[at + 2]!;
  const gone = (kind & deleted) !== 0;
  if ((kind & ~deleted) === itemKind.here) return here(page, at + 3, page.u16(at), gone);
  if ((kind & ~deleted) === itemKind.elsewhere && at + 12 <= page.buffer.length) return elsewhere(page, at, gone);
  throw damaged();
}

/** The key of an entry of an inner page: a length, a kind, a page number, a count, and the key. A long key is described there. */
function branchItem(page: Page, item: number): Item {
  const at = page.offset(item);
  const kind = page.buffer[at + 2]! & ~deleted;
  if (kind === itemKind.here) return here(page, at + 12, page.u16(at));
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
