/**
 * LMDB files as Postfix writes them, through the system's liblmdb.
 *
 * One file, one unnamed database, no lock file: whoever reads takes a shared fcntl lock for the moment of the look-up,
 * whoever writes an exclusive one, so that no page is reused under a reader. Keys and values are byte strings; they are stored
 * with a trailing NUL, and looked for with it, then without. LmdbTrouble tells what the library said ("MDB_INVALID: ...").
 */
import { addressOf, bind, bindNow, copyBytes, errnoText, library, stableBuffer, type Native } from './libc.ts';
import { waitForLock } from './locks.ts';

const soname = 'liblmdb.so.0';
const mdb = (prototype: string) => bind(prototype, soname);

const envCreate = mdb('int mdb_env_create(void *env)');
const envMapSize = mdb('int mdb_env_set_mapsize(void *env, size_t size)');
const envOpen = mdb('int mdb_env_open(void *env, const void *path, uint32_t flags, uint32_t mode)');
const envFd = mdb('int mdb_env_get_fd(void *env, void *fd)');
const envSync = mdb('int mdb_env_sync(void *env, int force)');
const envClose = mdb('void mdb_env_close(void *env)');
const txnBegin = mdb('int mdb_txn_begin(void *env, void *parent, uint32_t flags, void *txn)');
const txnCommit = mdb('int mdb_txn_commit(void *txn)');
const txnAbort = mdb('void mdb_txn_abort(void *txn)');
const dbiOpen = mdb('int mdb_dbi_open(void *txn, const void *name, uint32_t flags, void *dbi)');
const dropAll = mdb('int mdb_drop(void *txn, uint32_t dbi, int andDelete)');
const putOne = mdb('int mdb_put(void *txn, uint32_t dbi, void *key, void *value, uint32_t flags)');
const deleteOne = mdb('int mdb_del(void *txn, uint32_t dbi, void *key, void *value)');
const cursorOpen = mdb('int mdb_cursor_open(void *txn, uint32_t dbi, void *cursor)');
const cursorGet = mdb('int mdb_cursor_get(void *cursor, void *key, void *value, int operation)');
const cursorClose = mdb('void mdb_cursor_close(void *cursor)');
const strerror = mdb('const char *mdb_strerror(int status)');

/** What each look-up calls, with addresses as numbers: that is a third of its time. */
interface ReadCalls {
  readonly reset: Native;
  readonly renew: Native;
  readonly get: Native;
  readonly copy: Native;
}

let readCalls: ReadCalls | undefined;

function bindReadCalls(): ReadCalls {
  return {
    reset: bindNow('void mdb_txn_reset(uintptr_t txn)', soname),
    renew: bindNow('int mdb_txn_renew(uintptr_t txn)', soname),
    get: bindNow('int mdb_get(uintptr_t txn, uint32_t dbi, uintptr_t key, uintptr_t value)', soname),
    copy: bindNow('void *memcpy(uintptr_t into, uintptr_t from, size_t length)'),
  };
}

const flags = { noSubdirectory: 0x4000, noSync: 0x10000, readOnly: 0x20000, noLock: 0x400000 } as const;
const put = { keep: 0x10, append: 0x20000 } as const;
const cursor = { first: 0, next: 8 } as const;
const status = { exists: -30799, notFound: -30798, mapFull: -30792, mapResized: -30785, badSize: -30781 } as const;

/** The longest key of an LMDB file, NUL included. */
export const longestLmdbKey = 511;

export class LmdbTrouble extends Error {
  readonly status: number;
  constructor(code: number) {
    super(code > 0 ? errnoText(code) : String(strerror(code)));
    this.status = code;
  }
}

function must(code: number): void {
  if (code !== 0) throw new LmdbTrouble(code);
}

/** Is the library installed? */
export function hasLmdb(): boolean {
  try {
    library(soname);
    return true;
  } catch {
    return false;
  }
}

/** A pointer that the library fills in. */
function outPointer(call: (slot: Buffer) => number): bigint {
  const slot = stableBuffer(8);
  must(call(slot));
  return slot.readBigUInt64LE(0);
}

/** Two MDB_val at 0 and 16, and the bytes of the key from 32 on; longer values have memory of their own. */
class Pair {
  readonly area = stableBuffer(32 + longestLmdbKey + 1);
  readonly key = this.area.subarray(0, 16);
  readonly value = this.area.subarray(16, 32);
  #text = stableBuffer(4096);

  constructor() {
    this.area.writeBigUInt64LE(addressOf(this.area) + 32n, 8);
  }

  /** False: no such key can be stored. */
  setKey(text: string, withNul: boolean): boolean {
    const length = text.length + (withNul ? 1 : 0);
    if (length > longestLmdbKey || length === 0) return false;
    this.area.write(text, 32, 'latin1');
    this.area[32 + text.length] = 0;
    this.area.writeUInt32LE(length, 0);
    return true;
  }

  setValue(text: string, withNul: boolean): void {
    if (text.length + 1 > this.#text.length) this.#text = stableBuffer(2 * text.length + 1);
    this.#text.write(text, 0, 'latin1');
    this.#text[text.length] = 0;
    this.value.writeUInt32LE(text.length + (withNul ? 1 : 0), 0);
    this.value.writeBigUInt64LE(addressOf(this.#text), 8);
  }

  textOf(part: Buffer): string {
    const text = copyBytes(part.readBigUInt64LE(8), Number(part.readBigUInt64LE(0))).toString('latin1');
    const end = text.indexOf('\0');
    return end < 0 ? text : text.slice(0, end);
  }
}

interface Open {
  env: bigint;
  fd: number;
}

function openFile(path: string, mode: number, extra: number, mapSize?: number): Open {
  if (!hasLmdb()) throw new Error(`the LMDB library (${soname}) is not installed; install it (Debian: liblmdb0) or set default_database_type = cdb`);
  const env = outPointer((slot) => envCreate(slot));
  try {
    if (mapSize !== undefined) must(envMapSize(env, mapSize));
    must(envOpen(env, Buffer.from(`${path}\0`, 'latin1'), flags.noSubdirectory | flags.noLock | extra, mode));
    const slot = stableBuffer(8);
    must(envFd(env, slot));
    return { env, fd: slot.readInt32LE(0) };
  } catch (error) {
    envClose(env);
    throw error;
  }
}

function openDatabase(txn: bigint): number {
  const slot = stableBuffer(8);
  must(dbiOpen(txn, null, 0, slot));
  return slot.readUInt32LE(0);
}

/** Does the file have NULs at the end of keys? Not known before the first hit. */
type Nul = 'try' | 'with' | 'without';

/** An LMDB file opened for looking things up. */
export class LmdbReader {
  readonly #open: Open;
  readonly #txn: bigint;
  readonly #txnAddress: number;
  readonly #dbi: number;
  readonly #pair = new Pair();
  /** Where the key and the value of the pair are described. */
  readonly #at: number;
  readonly #calls: ReadCalls;
  #copy = stableBuffer(4096);
  #copyAddress = Number(addressOf(this.#copy));
  #nul: Nul;
  #closed = false;

  constructor(path: string, nul: Nul = 'try') {
    this.#open = openFile(path, 0, flags.readOnly);
    this.#nul = nul;
    this.#at = Number(addressOf(this.#pair.area));
    this.#calls = readCalls ??= bindReadCalls();
    try {
      this.#txn = outPointer((slot) => txnBegin(this.#open.env, null, flags.readOnly, slot));
      this.#txnAddress = Number(this.#txn);
      this.#dbi = openDatabase(this.#txn);
      this.#calls.reset(this.#txnAddress);
    } catch (error) {
      envClose(this.#open.env);
      throw error;
    }
  }

  get(key: string): string | undefined {
    this.#begin();
    try {
      if (this.#nul !== 'without' && this.#getOne(key, true)) {
        this.#nul = 'with';
        return this.#value();
      }
      if (this.#nul === 'with' || !this.#getOne(key, false)) return undefined;
      this.#nul = 'without';
      return this.#value();
    } finally {
      this.#end();
    }
  }

  /** All entries, in the order of their keys. */
  *entries(): Generator<[string, string]> {
    this.#begin();
    let all: [string, string][];
    try {
      all = this.#all();
    } finally {
      this.#end();
    }
    yield* all;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    txnAbort(this.#txn);
    envClose(this.#open.env);
  }

  #getOne(key: string, withNul: boolean): boolean {
    if (!this.#pair.setKey(key, withNul)) return false;
    const code = this.#calls.get(this.#txnAddress, this.#dbi, this.#at, this.#at + 16) as number;
    if (code === status.notFound || code === status.badSize) return false;
    must(code);
    return true;
  }

  #all(): [string, string][] {
    const at = outPointer((slot) => cursorOpen(this.#txn, this.#dbi, slot));
    const found: [string, string][] = [];
    const key = stableBuffer(16);
    try {
      for (let operation: number = cursor.first; ; operation = cursor.next) {
        const code = cursorGet(at, key, this.#pair.value, operation);
        if (code === status.notFound) return found;
        must(code);
        found.push([this.#pair.textOf(key), this.#pair.textOf(this.#pair.value)]);
      }
    } finally {
      cursorClose(at);
    }
  }

  /** Copied out of the file's pages while the lock holds. */
  #value(): string {
    const { value } = this.#pair;
    const length = value.readUInt32LE(0);
    if (length > this.#copy.length) {
      this.#copy = stableBuffer(2 * length);
      this.#copyAddress = Number(addressOf(this.#copy));
    }
    this.#calls.copy(this.#copyAddress, value.readUInt32LE(8) + value.readUInt32LE(12) * 2 ** 32, length);
    const end = this.#copy.indexOf(0);
    return this.#copy.toString('latin1', 0, end < 0 ? length : Math.min(end, length));
  }

  #begin(): void {
    if (this.#closed) throw new Error('panic: look-up in a closed LMDB file');
    waitForLock(this.#open.fd, 'ofd', 'shared');
    try {
      this.#renew();
    } catch (error) {
      waitForLock(this.#open.fd, 'ofd', 'none');
      throw error;
    }
  }

  #end(): void {
    this.#calls.reset(this.#txnAddress);
    waitForLock(this.#open.fd, 'ofd', 'none');
  }

  /** Another process may have made the file larger than what we have mapped. */
  #renew(): void {
    const code = this.#calls.renew(this.#txnAddress) as number;
    if (code !== status.mapResized) return must(code);
    must(envMapSize(this.#open.env, 0));
    must(this.#calls.renew(this.#txnAddress) as number);
  }
}

/** One change: a value to store, or `undefined` to remove the key. */
export type LmdbChange = readonly [key: string, value: string | undefined];

export interface ChangeOptions {
  /** Least size of the file's address space in bytes (lmdb_map_size). */
  readonly mapSize: number;
  /** A stored value gives way to a new one. */
  readonly replace: boolean;
  /** Remove everything before. */
  readonly clear?: boolean;
  readonly withNul?: boolean;
  /** Of a file that is made. */
  readonly mode?: number;
  readonly kept?: (key: string) => void;
  readonly removed?: (key: string) => void;
}

/**
 * Apply changes to a file in place, in one transaction. `replace` says whether a stored value gives way; those that did not are
 * given to `kept`, removed keys to `removed`. The file grows as needed.
 */
export function changeLmdb(path: string, changes: readonly LmdbChange[], options: ChangeOptions): void {
  for (let size = options.mapSize; ; size *= 2) {
    const notes: (() => void)[] = [];
    const file = openFile(path, options.mode ?? 0o644, 0, size);
    try {
      waitForLock(file.fd, 'ofd', 'exclusive');
      transaction(file.env, (txn, dbi, pair) => {
        if (options.clear) must(dropAll(txn, dbi, 0));
        for (const change of changes) applyChange(txn, dbi, pair, change, options, notes);
      });
      for (const note of notes) note();
      return;
    } catch (error) {
      if (!isFull(error)) throw error;
    } finally {
      envClose(file.env);
    }
  }
}

/**
 * A file that is kept open for changes: in a jail, and where many come. It is made when it is missing, with mode 0600. The file that
 * was opened is the one that is changed, whatever gets its name later.
 */
export class LmdbWriter {
  readonly #open: Open;
  #size: number;
  #closed = false;

  constructor(path: string, mapSize: number) {
    this.#size = mapSize;
    this.#open = openFile(path, 0o600, 0, mapSize);
  }

  /** In one transaction, on disk when this returns. */
  change(changes: readonly LmdbChange[]): void {
    if (this.#closed) throw new Error('panic: change of a closed LMDB file');
    waitForLock(this.#open.fd, 'ofd', 'exclusive');
    try {
      while (!this.#try(changes)) must(envMapSize(this.#open.env, this.#size *= 2));
    } finally {
      waitForLock(this.#open.fd, 'ofd', 'none');
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    envClose(this.#open.env);
  }

  /** False: the file's address space is too small. */
  #try(changes: readonly LmdbChange[]): boolean {
    try {
      transaction(this.#open.env, (txn, dbi, pair) => {
        for (const change of changes) applyChange(txn, dbi, pair, change, { mapSize: this.#size, replace: true }, []);
      });
      return true;
    } catch (error) {
      if (error instanceof LmdbTrouble && error.status === status.mapResized) {
        must(envMapSize(this.#open.env, 0));
        return this.#try(changes);
      }
      if (!isFull(error)) throw error;
      return false;
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof LmdbTrouble && error.status === status.mapFull;
}

function applyChange(txn: bigint, dbi: number, pair: Pair, [key, value]: LmdbChange, options: ChangeOptions, notes: (() => void)[]): void {
  if (value === undefined) {
    const gone = [true, false].some((withNul) => pair.setKey(key, withNul) && isGone(deleteOne(txn, dbi, pair.key, null)));
    if (gone) notes.push(() => options.removed?.(key));
    return;
  }
  const withNul = options.withNul ?? true;
  if (!pair.setKey(key, withNul)) throw new LmdbTrouble(status.badSize);
  pair.setValue(value, withNul);
  const code = putOne(txn, dbi, pair.key, pair.value, options.replace ? 0 : put.keep);
  if (code === status.exists) notes.push(() => options.kept?.(key));
  else must(code);
}

function isGone(code: number): boolean {
  if (code === status.notFound) return false;
  must(code);
  return true;
}

function transaction(env: bigint, work: (txn: bigint, dbi: number, pair: Pair) => void): void {
  const txn = outPointer((slot) => txnBegin(env, null, 0, slot));
  try {
    work(txn, openDatabase(txn), new Pair());
  } catch (error) {
    txnAbort(txn);
    throw error;
  }
  must(txnCommit(txn));
}

export interface WriteOptions {
  readonly mapSize: number;
  readonly withNul?: boolean;
  readonly mode?: number;
  /** Called behind each entry. */
  readonly written?: (() => void) | undefined;
}

/**
 * Write a new file from entries whose keys are distinct and in byte order. The file at `path` must be empty or missing; it is
 * on disk when this returns. It can be read by nobody before: give it its name afterwards.
 */
export function writeLmdb(path: string, entries: Iterable<readonly [string, string]>, options: WriteOptions): void {
  let bytes = 0;
  for (const [key, value] of entries) bytes += key.length + value.length + 32;
  for (let size = Math.max(options.mapSize, roundUp(bytes * 2)); ; size *= 2) {
    const file = openFile(path, options.mode ?? 0o644, flags.noSync, size);
    try {
      transaction(file.env, (txn, dbi, pair) => appendAll(txn, dbi, pair, entries, options));
      must(envSync(file.env, 1));
      return;
    } catch (error) {
      if (!isFull(error)) throw error;
    } finally {
      envClose(file.env);
    }
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / 65536) * 65536;
}

function appendAll(txn: bigint, dbi: number, pair: Pair, entries: Iterable<readonly [string, string]>, { withNul = true, written }: WriteOptions): void {
  for (const [key, value] of entries) {
    if (!pair.setKey(key, withNul)) throw new LmdbTrouble(status.badSize);
    pair.setValue(value, withNul);
    must(putOne(txn, dbi, pair.key, pair.value, put.append));
    written?.();
  }
}
