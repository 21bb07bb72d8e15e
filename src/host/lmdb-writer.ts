/**
 * Writing LMDB files (lmdb.ts): changes in place under an exclusive lock, once or with a file that is kept open, and a new file made
 * from all of its entries. Each is one transaction, and on disk when the call returns; the file grows as needed.
 */
import { envClose, envMapSize, flags, LmdbTrouble, mdb, must, openDatabase, openFile, outPointer, Pair, status, txnAbort, txnBegin, type Open } from './lmdb.ts';
import { waitForLock } from './locks.ts';

const envSync = mdb('int mdb_env_sync(void *env, int force)');
const txnCommit = mdb('int mdb_txn_commit(void *txn)');
const dropAll = mdb('int mdb_drop(void *txn, uint32_t dbi, int andDelete)');
const putOne = mdb('int mdb_put(void *txn, uint32_t dbi, void *key, void *value, uint32_t flags)');
const deleteOne = mdb('int mdb_del(void *txn, uint32_t dbi, void *key, void *value)');
const put = { keep: 0x10, append: 0x20000 } as const;

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
