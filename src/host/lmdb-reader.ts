/** Looking things up in an LMDB file (lmdb.ts), under a shared lock for the moment of each look-up. */
import { addressOf, bindNow, stableBuffer, type Native } from './libc.ts';
import { envClose, envMapSize, flags, mdb, must, openDatabase, openFile, outPointer, Pair, soname, status, txnAbort, txnBegin, type Open } from './lmdb.ts';
import { waitForLock } from './locks.ts';

const cursorOpen = mdb('int mdb_cursor_open(void *txn, uint32_t dbi, void *cursor)');
const cursorGet = mdb('int mdb_cursor_get(void *cursor, void *key, void *value, int operation)');
const cursorClose = mdb('void mdb_cursor_close(void *cursor)');
const cursor = { first: 0, next: 8 } as const;

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
