/**
 * LMDB files as Postfix writes them, through the system's liblmdb: opening one, and keys and values as the library wants them. Looking
 * things up is in lmdb-reader.ts, changing them in lmdb-writer.ts.
 *
 * One file, one unnamed database, no lock file: whoever reads takes a shared fcntl lock for the moment of the look-up,
 * whoever writes an exclusive one, so that no page is reused under a reader. Keys and values are byte strings; they are stored
 * with a trailing NUL, and looked for with it, then without. LmdbTrouble tells what the library said ("MDB_INVALID: ...").
 */
import { addressOf, bind, copyBytes, errnoText, library, stableBuffer } from './libc.ts';

export const soname = 'liblmdb.so.0';
export const mdb = (prototype: string) => bind(prototype, soname);

const envCreate = mdb('int mdb_env_create(void *env)');
export const envMapSize = mdb('int mdb_env_set_mapsize(void *env, size_t size)');
const envOpen = mdb('int mdb_env_open(void *env, const void *path, uint32_t flags, uint32_t mode)');
const envFd = mdb('int mdb_env_get_fd(void *env, void *fd)');
export const envClose = mdb('void mdb_env_close(void *env)');
export const txnBegin = mdb('int mdb_txn_begin(void *env, void *parent, uint32_t flags, void *txn)');
export const txnAbort = mdb('void mdb_txn_abort(void *txn)');
const dbiOpen = mdb('int mdb_dbi_open(void *txn, const void *name, uint32_t flags, void *dbi)');
const strerror = mdb('const char *mdb_strerror(int status)');

export const flags = { noSubdirectory: 0x4000, noSync: 0x10000, readOnly: 0x20000, noLock: 0x400000 } as const;
export const status = { exists: -30799, notFound: -30798, mapFull: -30792, mapResized: -30785, badSize: -30781 } as const;

/** The longest key of an LMDB file, NUL included. */
export const longestLmdbKey = 511;

export class LmdbTrouble extends Error {
  readonly status: number;
  constructor(code: number) {
    super(code > 0 ? errnoText(code) : String(strerror(code)));
    this.status = code;
  }
}

/** Throws LmdbTrouble for any status but zero. */
export function must(code: number): void {
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
export function outPointer(call: (slot: Buffer) => number): bigint {
  const slot = stableBuffer(8);
  must(call(slot));
  return slot.readBigUInt64LE(0);
}

/** Two MDB_val at 0 and 16, and the bytes of the key from 32 on; longer values have memory of their own. */
export class Pair {
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

export interface Open {
  env: bigint;
  fd: number;
}

export function openFile(path: string, mode: number, extra: number, mapSize?: number): Open {
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

export function openDatabase(txn: bigint): number {
  const slot = stableBuffer(8);
  must(dbiOpen(txn, null, 0, slot));
  return slot.readUInt32LE(0);
}
