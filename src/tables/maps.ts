/**
 * Several tables in order, as in `virtual_alias_maps = hash:/etc/postfix/virtual, pcre:...`: the first that knows the key wins.
 *
 * A table that cannot be asked ends the search: `find` throws TableTrouble, after the log has been told. The empty key is
 * never found; an empty value is the operator's mistake and trouble of kind 'config'.
 */
import { splitListGroups } from '../text/ascii.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { openTable } from './open.ts';
import { TableTrouble, type LookupTable, type TableContext, type TableOptions } from './table.ts';

export class Maps {
  /** What the log calls the whole: the parameter's name. */
  readonly title: string;
  readonly tables: readonly LookupTable[];
  readonly #context: TableContext;

  constructor(title: string, tables: readonly LookupTable[], context: TableContext) {
    this.title = title;
    this.tables = tables;
    this.#context = context;
  }

  /** No table at all: nothing will ever be found. */
  get isEmpty(): boolean {
    return this.tables.length === 0;
  }

  /** The value of a key. With `partial` (the key is a piece of an address) pattern tables are passed over. */
  find(key: string, partial = false): MaybePromise<string | undefined> {
    return key === '' ? undefined : this.#findFrom(0, key, partial);
  }

  /** Look at every table's file now; true when one was opened again. */
  changed(): boolean {
    return this.tables.map((table) => table.changed()).includes(true);
  }

  close(): void {
    for (const table of this.tables) table.close();
  }

  #findFrom(first: number, key: string, partial: boolean): MaybePromise<string | undefined> {
    for (let at = first; at < this.tables.length; at++) {
      const table = this.tables[at]!;
      if (partial && !table.fixed) continue;
      let value: MaybePromise<string | undefined>;
      try {
        value = table.find(key);
      } catch (error) {
        throw this.#told(error, table, key);
      }
      if (isPending(value)) return this.#await(value, at, key, partial);
      if (value !== undefined) return this.#notEmpty(value, key);
    }
    return undefined;
  }

  async #await(pending: Promise<string | undefined>, at: number, key: string, partial: boolean): Promise<string | undefined> {
    let value: string | undefined;
    try {
      value = await pending;
    } catch (error) {
      throw this.#told(error, this.tables[at]!, key);
    }
    return value === undefined ? this.#findFrom(at + 1, key, partial) : this.#notEmpty(value, key);
  }

  #notEmpty(value: string, key: string): string {
    if (value !== '') return value;
    const text = `${this.title} lookup of ${key} returns an empty string result`;
    this.#context.warn(text);
    this.#context.warn(`${this.title} should return NO RESULT in case of NOT FOUND`);
    throw new TableTrouble(this.title, text, 'config');
  }

  #told(error: unknown, table: LookupTable, key: string): unknown {
    if (!(error instanceof TableTrouble)) return error;
    if (error.message.includes(' is unavailable. ')) this.#context.warn(error.message);
    this.#context.warn(`${table.type}:${table.name} lookup error for "${key}"`);
    return error;
  }
}

/** Open the tables of a list ("type:name, type:name ..."; braces keep an item together). */
export function openMaps(list: string, context: TableContext, title = list, options: TableOptions = {}): Maps {
  return new Maps(title, splitListGroups(list).map((one) => openTable(one, context, options)), context);
}
