/**
 * Tables in index files made by postmap and postalias: lmdb and cdb, and the Berkeley DB types' names served by one of them.
 *
 * A Berkeley DB file that another Postfix left is read too; it counts while it is newer than an index of ours.
 */
import { statSync } from 'node:fs';
import { hasLmdb } from '../host/lmdb.ts';
import { LmdbReader } from '../host/lmdb-reader.ts';
import { errorText } from '../host/libc.ts';
import { BerkeleyReader } from './berkeley.ts';
import { CdbReader } from './cdb.ts';
import type { TableDriver, TableKind, Treatment } from './driver.ts';
import { TableTrouble, type TableContext, type TableOptions } from './table.ts';

export type IndexType = 'lmdb' | 'cdb';

/** Names that other builds of Postfix serve with Berkeley DB, dbm or sdbm. */
const otherNames = new Set(['hash', 'btree', 'dbm', 'sdbm']);

/**
 * The kind of index file behind a type name: lmdb and cdb themselves; hash, btree, dbm and sdbm are served by
 * `default_database_type` (and when that is one of them too, by lmdb, or cdb where liblmdb is missing).
 * Undefined: the type has no index file.
 */
export function servingType(type: string, context: TableContext): IndexType | undefined {
  if (type === 'lmdb' || type === 'cdb') return type;
  if (!otherNames.has(type)) return undefined;
  const named = context.parameter('default_database_type');
  return named === 'lmdb' || named === 'cdb' ? named : hasLmdb() ? 'lmdb' : 'cdb';
}

export function indexFile(name: string, index: IndexType): string {
  return `${name}.${index}`;
}

type Reader = LmdbReader | CdbReader | BerkeleyReader;

/** A table kind for an index file; `type` is the name it was asked for by. */
export function indexedKind(type: string, index: IndexType, name: string, options: TableOptions): TableKind {
  const file = (): string => (berkeleyTypes.has(type) ? newerOf(indexFile(name, index), `${name}.db`) : indexFile(name, index));
  const open = (): TableDriver => {
    const path = file();
    let reader: Reader;
    try {
      reader = path.endsWith('.db') ? new BerkeleyReader(path, options.nul) : new readers[index](path, options.nul);
    } catch (error) {
      throw new Error(`open database ${path}: ${errorText(error)}${hint(error, type, index, name)}`);
    }
    return driverOf(reader, `${type}:${name}`);
  };
  return { open, fixed: true, get file() { return file(); }, changes: index === 'lmdb' ? 'in place' : 'replaced', source: name };
}

const readers = { lmdb: LmdbReader, cdb: CdbReader } as const;

/** Types whose Berkeley DB file, left by another Postfix, is read when it is newer than ours, or alone. */
const berkeleyTypes = new Set(['hash', 'btree']);

function newerOf(ours: string, other: string): string {
  const [own, left] = [ours, other].map((path) => statSync(Buffer.from(path, 'latin1'), { throwIfNoEntry: false }));
  return left && (!own || left.mtimeMs > own.mtimeMs) ? other : ours;
}

function driverOf(reader: Reader, label: string): TableDriver {
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new TableTrouble(label, `error reading ${label}: ${errorText(error)}`);
    }
  };
  // A NUL is the end of a stored key: with one inside, a key could pass for another.
  return { find: (key) => (key.includes('\0') ? undefined : attempt(() => reader.get(key))), entries: () => attempt(() => reader.entries()), close: () => reader.close() };
}

/** Who asks for a Berkeley DB type does not expect a file of another type: say how to make it. */
function hint(error: unknown, type: string, index: IndexType, name: string): string {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && !/No such file/.test(errorText(error))) return '';
  return type === index ? '' : ` (type ${type} is served by ${index} here: run "postmap ${type}:${name}", or postalias for aliases)`;
}

export const lmdbKind = (name: string, _treatment: Treatment, _context: TableContext, options: TableOptions): TableKind =>
  indexedKind('lmdb', 'lmdb', name, options);

export const cdbKind = (name: string, _treatment: Treatment, _context: TableContext, options: TableOptions): TableKind =>
  indexedKind('cdb', 'cdb', name, options);
