/**
 * From `type:name` to a table.
 *
 * openTable never throws for a table that is missing or misspelt: it tells the trouble once and returns a table whose
 * look-ups throw TableTrouble, so that what does not need the table goes on. Equal tables of one context are shared; each
 * openTable wants its close().
 */
import { lowerAscii } from '../text/ascii.ts';
import { hasLmdb } from '../host/lmdb.ts';
import { hasPcre2 } from '../host/pcre2.ts';
import { unionKind, pipeKind, randomKind } from './combined.ts';
import { cidrKind } from './cidr.ts';
import { debugKind } from './debug.ts';
import { OpenedTable, type TableKind, type Treatment } from './driver.ts';
import { cdbKind, indexedKind, lmdbKind, servingType } from './indexed.ts';
import { environKind, failKind, inlineKind, internalKind, nisKind, staticKind, texthashKind } from './memory-tables.ts';
import { pcreKind } from './pcre.ts';
import { regexpKind } from './regexp.ts';
import { sqliteKind } from './sqlite.ts';
import { serverKinds } from './server/kinds.ts';
import { isOpenedInPlace, proxiedName, proxyKind } from './server/proxy.ts';
import type { LookupTable, TableContext, TableOptions } from './table.ts';
import { unixKind } from './unix.ts';

export type MakeKind = (name: string, treatment: Treatment, context: TableContext, options: TableOptions) => TableKind;

const kinds = new Map<string, MakeKind>([
  ['cdb', cdbKind],
  ['cidr', cidrKind],
  ['debug', (name, _treatment, context, options) => debugKind(name, (one) => openTable(one, context, options), context)],
  ['environ', environKind],
  ['fail', failKind],
  ['inline', inlineKind],
  ['internal', internalKind],
  ['lmdb', lmdbKind],
  ['nis', nisKind],
  ['pcre', pcreKind],
  ['pipemap', (name, _treatment, context, options) => pipeKind(name, (one) => openTable(one, context, options))],
  ['randmap', randomKind],
  ['regexp', regexpKind],
  ['sqlite', sqliteKind],
  ['static', staticKind],
  ['texthash', texthashKind],
  ['unionmap', (name, _treatment, context, options) => unionKind(name, (one) => openTable(one, context, options))],
  ['unix', unixKind],
  ['proxy', proxyKind],
  ...serverKinds,
]);

/** Types that need a library of the system: listed only where it is installed. */
const libraryOf = new Map([['lmdb', hasLmdb], ['pcre', hasPcre2]]);

/** The types that can be opened, sorted: what `postconf -m` lists. */
export function tableTypes(): string[] {
  const present = [...kinds.keys()].filter((type) => libraryOf.get(type)?.() ?? true);
  return [...present, 'btree', 'dbm', 'hash', 'sdbm'].sort();
}

/** Split at the first colon; undefined when a half is missing. */
export function splitTypeAndName(typeAndName: string): [string, string] | undefined {
  const colon = typeAndName.indexOf(':');
  return colon < 1 || colon === typeAndName.length - 1 ? undefined : [typeAndName.slice(0, colon), typeAndName.slice(colon + 1)];
}

const shared = new WeakMap<TableContext, Map<string, Shared>>();

export function openTable(typeAndName: string, context: TableContext, options: TableOptions = {}): LookupTable {
  const parts = splitTypeAndName(typeAndName);
  if (parts?.[0] === 'proxy' && (context.opensProxied || isOpenedInPlace(parts[1], options))) return openTable(proxiedName(parts[1]), context, options);
  const treatment = { fold: options.fold ?? true, utf8: options.utf8 ?? lowerAscii(context.parameter('smtputf8_enable')) === 'yes' };
  const key = JSON.stringify([typeAndName, treatment, options.nul, options.valueIsFile, options.noSubstitution, options.sensitive, options.written, options.duplicates]);
  let tables = shared.get(context);
  if (!tables) shared.set(context, (tables = new Map()));
  const known = tables.get(key);
  if (known) return known.again();
  const [type, name] = parts ?? [typeAndName, ''];
  const kind = parts ? kindOf(type, name, treatment, context, options) : broken(`open dictionary: expecting "type:name" form instead of "${typeAndName}"`);
  const opened = new Shared(new OpenedTable(type, name, kind, treatment, context), () => tables.delete(key));
  tables.set(key, opened);
  return opened;
}

function kindOf(type: string, name: string, treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const make = kinds.get(type);
  if (make) return make(name, treatment, context, options);
  const index = servingType(type, context);
  return index ? indexedKind(type, index, name, options) : broken(`unsupported dictionary type: ${type}`);
}

/** A table that cannot be: pattern, so that nobody asks it for parts of an address, as Postfix has it. */
function broken(reason: string): TableKind {
  const open = (): never => {
    throw new Error(reason);
  };
  return { open, fixed: false, owner: { trusted: true, uid: undefined } };
}

/** A table with several holders: the last one's close() closes it. */
class Shared implements LookupTable {
  readonly #table: OpenedTable;
  readonly #forget: () => void;
  #holders = 1;
  readonly type: string;
  readonly name: string;
  readonly fixed: boolean;

  constructor(table: OpenedTable, forget: () => void) {
    this.#table = table;
    this.#forget = forget;
    this.type = table.type;
    this.name = table.name;
    this.fixed = table.fixed;
  }

  again(): this {
    this.#holders++;
    return this;
  }

  get owner() {
    return this.#table.owner;
  }

  find(key: string) {
    return this.#table.find(key);
  }

  entries() {
    return this.#table.entries();
  }

  update(key: string, value: string) {
    return this.#table.update(key, value);
  }

  remove(key: string) {
    return this.#table.remove(key);
  }

  changed(): boolean {
    return this.#table.changed();
  }

  close(): void {
    if (--this.#holders > 0) return;
    this.#forget();
    this.#table.close();
  }
}
