/**
 * A table that a program changes: an index file is changed in place, each change on its own; other types do it themselves, or cannot.
 *
 * A file that is not there is made, before it is opened for looking up. Trouble with the file throws, now or as a rejection.
 */
import { existsSync } from 'node:fs';
import { changeLmdb, type LmdbChange } from '../host/lmdb-writer.ts';
import { foldCase } from '../text/utf8.ts';
import type { MaybePromise } from '../text/maybe.ts';
import { BerkeleyReader } from './berkeley.ts';
import { indexFile, servingType } from './indexed.ts';
import { openTable, splitTypeAndName } from './open.ts';
import type { LookupTable, TableContext, TableOptions } from './table.ts';

export interface Written {
  update(key: string, value: string): MaybePromise<void>;
  /** False: it was not there. */
  remove(key: string): MaybePromise<boolean>;
  /** Those that are not there do not matter. */
  removeAll(keys: readonly string[]): MaybePromise<void>;
}

/** `type:name` for looking up and for changing. Throws when a file that is missing cannot be made. */
export function openWritten(typeAndName: string, context: TableContext, options: TableOptions = {}): { readonly table: LookupTable; readonly written: Written } {
  const [type, name] = splitTypeAndName(typeAndName) ?? ['', ''];
  if (servingType(type, context) === 'lmdb') makeMissing(type, name, context);
  const table = openTable(typeAndName, context, { ...options, written: true });
  return { table, written: writtenTable(table, options.fold ?? true, context) };
}

function writtenTable(table: LookupTable, folds: boolean, context: TableContext): Written {
  if (servingType(table.type, context) !== 'lmdb') return {
    update: (key, value) => table.update!(key, value),
    remove: (key) => table.remove!(key),
    removeAll: async (keys) => {
      for (const key of keys) await table.remove!(key);
    },
  };
  const known = folds ? foldCase : (key: string) => key;
  const change = (changes: readonly LmdbChange[], removed?: () => void): void => {
    changeFile(indexFile(table.name, 'lmdb'), changes, context, removed);
    table.changed();
  };
  return {
    update: (key, value) => change([[known(key), value]]),
    remove: (key) => {
      let gone = false;
      change([[known(key), undefined]], () => { gone = true; });
      return gone;
    },
    removeAll: (keys) => change(keys.map((key) => [known(key), undefined])),
  };
}

function changeFile(path: string, changes: readonly LmdbChange[], context: TableContext, removed?: () => void): void {
  const mapSize = Number(context.parameter('lmdb_map_size')) || 16 << 20;
  changeLmdb(path, changes, { mapSize, replace: true, mode: 0o600, ...(removed ? { removed } : {}) });
}

/** Postfix makes a table that is not there when it is opened for writing. What it left in a Berkeley DB file is taken over. */
function makeMissing(type: string, name: string, context: TableContext): void {
  const path = indexFile(name, 'lmdb');
  const left = `${name}.db`;
  const takes = type !== 'lmdb' && !existsSync(Buffer.from(path, 'latin1')) && existsSync(Buffer.from(left, 'latin1'));
  changeFile(path, takes ? entriesOf(left, context) : [], context);
}

function entriesOf(path: string, context: TableContext): LmdbChange[] {
  try {
    const reader = new BerkeleyReader(path);
    try {
      return [...reader.entries()];
    } finally {
      reader.close();
    }
  } catch (error) {
    context.warn(`${path} is not taken over: ${(error as Error).message}`);
    return [];
  }
}
