/**
 * Where results are kept: the table address_verify_map, or memory when it is empty.
 *
 * A table that cannot be used makes `open` throw and operations throw or reject; nothing is thought unknown then. Keys are taken as
 * they are, in upper and lower case.
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { splitTypeAndName } from '../../tables/open.ts';
import type { TableContext } from '../../tables/table.ts';
import { openWritten } from '../../tables/written.ts';
import type { MaybePromise } from '../../text/maybe.ts';

export interface Cache {
  /** For the log. */
  readonly name: string;
  find(key: string): MaybePromise<string | undefined>;
  put(key: string, value: string): MaybePromise<void>;
  remove(keys: readonly string[]): MaybePromise<void>;
  /** Everything in it. Throws when the type of table cannot tell. */
  entries(): Iterable<readonly [string, string]>;
}

/** Entries in memory, the oldest of which go when there are more. */
const memoryLimit = 500_000;

export function memoryCache(limit = memoryLimit): Cache {
  const known = new Map<string, string>();
  return {
    name: 'internal:verify',
    find: (key) => known.get(key),
    put(key, value) {
      known.delete(key);
      known.set(key, value);
      if (known.size > limit) known.delete(known.keys().next().value!);
    },
    remove(keys) {
      for (const key of keys) known.delete(key);
    },
    entries: () => known.entries(),
  };
}

/** `map` is not empty. */
export function tableCache(map: string, owner: Owner, context: TableContext): Cache {
  const name = redirected(map.includes(':') ? map : `${context.parameter('default_database_type')}:${map}`, owner, context);
  const { table, written } = openWritten(name, context, { fold: false });
  return {
    name,
    find: (key) => table.find(key),
    put: (key, value) => written.update(key, value),
    remove: (keys) => written.removeAll(keys),
    entries: () => table.entries!(),
  };
}

export interface Owner {
  readonly uid: number;
  readonly name: string;
  /** data_directory */
  readonly directory: string;
}

/** Types that are files. */
const fileTypes: ReadonlySet<string> = new Set(['hash', 'btree', 'dbm', 'lmdb', 'cdb', 'sdbm', 'dbz']);

/** What strangers cause to be written does not belong in a directory of root's: it goes to data_directory. data_directory, postconf(5). */
function redirected(map: string, owner: Owner, context: TableContext): string {
  const [type, name] = splitTypeAndName(map) ?? ['', ''];
  const directory = path.dirname(name);
  const status = fileTypes.has(type) ? statSync(Buffer.from(directory, 'latin1'), { throwIfNoEntry: false }) : undefined;
  if (status === undefined || status.uid === owner.uid) return map;
  context.warn(`request to update table ${map} in non-${owner.name} directory ${directory}`);
  context.warn(`redirecting the request to ${owner.name}-owned data_directory ${owner.directory}`);
  return `${type}:${owner.directory}/${path.basename(name)}`;
}
