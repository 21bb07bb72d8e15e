/**
 * Where a daemon keeps what it has found out about others: a table of the operator's choice (address_verify_map, postscreen_cache_map),
 * or memory.
 *
 * A table that cannot be used makes `open` throw and operations throw or reject; nothing is thought unknown then. Keys are taken as
 * they are, in upper and lower case.
 */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { LmdbReader } from '../host/lmdb-reader.ts';
import { LmdbWriter } from '../host/lmdb-writer.ts';
import type { MaybePromise } from '../text/maybe.ts';
import { indexFile, servingType } from './indexed.ts';
import { splitTypeAndName } from './open.ts';
import type { LookupTable, TableContext } from './table.ts';
import { openWritten } from './written.ts';

export interface Cache {
  /** For the log. */
  readonly name: string;
  find(key: string): MaybePromise<string | undefined>;
  put(key: string, value: string): MaybePromise<void>;
  remove(keys: readonly string[]): MaybePromise<void>;
  /** Everything in it. Throws when the type of table cannot tell. */
  entries(): Iterable<readonly [string, string]> | AsyncIterable<readonly [string, string]>;
}

/** Entries in memory, the oldest of which go when there are more. */
const memoryLimit = 500_000;

export function memoryCache(limit = memoryLimit, name = 'internal:verify'): Omit<Cache, 'entries'> & { entries(): Iterable<readonly [string, string]> } {
  const known = new Map<string, string>();
  return {
    name,
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
  const name = placeOf(map, owner, context);
  const { table, written } = openWritten(name, context, { fold: false });
  return {
    name,
    find: (key) => table.find(key),
    put: (key, value) => written.update(key, value),
    remove: (keys) => written.removeAll(keys),
    entries: () => entriesOf(name, table, context),
  };
}

function entriesOf(name: string, table: LookupTable, context: TableContext): ReturnType<Cache['entries']> {
  const [type, inner] = splitTypeAndName(name) ?? ['', ''];
  if (type === 'proxy') return proxied(inner, context);
  if (table.entries === undefined) throw new Error(`a table of type ${type} cannot tell what is in it; switch the cleanup off`);
  return table.entries();
}

async function* proxied(name: string, context: TableContext): AsyncGenerator<readonly [string, string]> {
  const { proxyEntries } = await import('./server/proxy.ts');
  yield* proxyEntries(name, context, 'proxywrite');
}

/**
 * The same, opened once for all time: its file is neither looked for nor opened again, so that the process may go to jail. Call it with
 * the rights of the owner.
 */
export function keptCache(map: string, owner: Owner, context: TableContext): KeptCache {
  const name = placeOf(map, owner, context);
  const [type, base] = splitTypeAndName(name) ?? ['', ''];
  if (servingType(type, context) !== 'lmdb') return { ...tableCache(map, owner, context), putAll: undefined, close: () => undefined };
  const file = indexFile(base, 'lmdb');
  // Makes it, and takes over what another Postfix left under that name.
  if (!existsSync(Buffer.from(file, 'latin1'))) openWritten(name, context, { fold: false }).table.close();
  const writer = new LmdbWriter(file, Number(context.parameter('lmdb_map_size')) || 16 << 20);
  const reader = new LmdbReader(file);
  return {
    name,
    find: (key) => reader.get(key),
    put: (key, value) => writer.change([[key, value]]),
    putAll: (entries) => writer.change([...entries]),
    remove: (keys) => writer.change(keys.map((key) => [key, undefined])),
    entries: () => reader.entries(),
    close: () => {
      reader.close();
      writer.close();
    },
  };
}

export interface KeptCache extends Cache {
  /** Many in one go, for tables that can. */
  readonly putAll: ((entries: Iterable<readonly [string, string]>) => void) | undefined;
  close(): void;
}

const placeOf = (map: string, owner: Owner, context: TableContext): string =>
  redirected(map.includes(':') ? map : `${context.parameter('default_database_type')}:${map}`, owner, context);

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
