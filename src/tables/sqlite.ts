/**
 * sqlite_table(5): answers of a query to an SQLite file, through Node's own SQLite.
 *
 * The query is prepared once, with a bound value for each piece of it that holds `%s` or its like, in quotes or not: a key is data
 * whatever is in it. The file is opened read-only; rows that another program changes are seen at the next look-up, a file that
 * takes its place within a second. Whatever SQLite complains of is trouble.
 */
import { statSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { errorText } from '../host/libc.ts';
import { hasChangedRoot } from '../host/process.ts';
import { decodeUtf8, encodeUtf8 } from '../text/utf8.ts';
import type { TableKind, Treatment } from './driver.ts';
import { settingsKind, type Answers, type Parts } from './server/common.ts';
import { joinResults, type Expansion, type Template } from './server/expansion.ts';
import { builtQuery } from './server/sql.ts';
import type { TableContext } from './table.ts';

/** Milliseconds to wait for somebody who writes. */
const lockWait = 100;
const lookAtFileEvery = 1000;

export function sqliteKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('sqlite', name, context, (parts) => new SqliteTable(parts));
}

class SqliteTable implements Answers {
  readonly #parts: Parts;
  readonly #path: string;
  readonly #query: BoundQuery;
  readonly #result: Template;
  readonly #limit: number;
  #database: DatabaseSync | undefined;
  #statement: StatementSync;
  #file: string;
  #nextLook: number;

  constructor(parts: Parts) {
    const { settings, expansion, label, context } = parts;
    this.#parts = parts;
    this.#path = settings.text('dbpath', '', 1);
    const query = settings.given('query') ?? builtQuery(settings);
    this.#query = bindQuery(query, expansion, (part) => context.warn(`${label}: query >${query}< contains >${part}< without the recommended '' quotes`));
    this.#result = expansion.parse(settings.text('result_format', '%s', 1), 'result');
    this.#limit = settings.number('expansion_limit', 0);
    this.#file = this.#identity();
    this.#nextLook = this.#now() + lookAtFileEvery;
    this.#statement = this.#open();
  }

  find(key: string): string | undefined {
    if (this.#now() >= this.#nextLook) this.#look();
    const values: string[] = [];
    for (const template of this.#query.values) {
      const value = this.#parts.expansion.query(template, key);
      if (value === undefined) return undefined;
      values.push(decodeUtf8(value)!);
    }
    const statement = this.#statement;
    // With a limit the rows are taken one by one: there may be a million behind it.
    const rows = this.#limit > 0 ? statement.iterate(...values) : statement.all(...values);
    return joinResults(this.#parts.expansion, this.#result, firstColumns(rows as Iterable<unknown>), key, this.#limit);
  }

  close(): void {
    this.#database?.close();
    this.#database = undefined;
  }

  #now(): number {
    return this.#parts.context.now?.() ?? Date.now();
  }

  #open(): StatementSync {
    const { label } = this.#parts;
    const path = decodeUtf8(this.#path);
    if (path === undefined) throw new Error(`${label}: the file name ${this.#path} is not UTF-8`);
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    try {
      const options = { readOnly: true, timeout: lockWait, enableDoubleQuotedStringLiterals: true };
      this.#database = new DatabaseSync(path, options);
    } catch (error) {
      throw new Error(`${label}: open database ${this.#path}: ${(error as Error).message}: ${this.#whyNot()}`);
    }
    try {
      const statement = this.#database.prepare(this.#query.text);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      return statement;
    } catch (error) {
      this.close();
      throw new Error(`${label}: SQL prepare failed: ${encodeUtf8((error as Error).message)}`);
    }
  }

  #whyNot(): string {
    try {
      return statSync(Buffer.from(this.#path, 'latin1')).isFile() ? 'Permission denied' : 'not a file';
    } catch (error) {
      return errorText(error);
    }
  }

  #identity(): string {
    const found = statSync(Buffer.from(this.#path, 'latin1'), { throwIfNoEntry: false });
    return found ? `${found.dev}:${found.ino}` : '';
  }

  /** Somebody may have put another file in the place of ours. From a jail it cannot be seen. */
  #look(): void {
    this.#nextLook = this.#now() + lookAtFileEvery;
    if (hasChangedRoot()) return;
    const file = this.#identity();
    if (file === this.#file && this.#database) return;
    this.#file = '';
    this.close();
    this.#statement = this.#open();
    this.#file = file;
  }
}

function* firstColumns(rows: Iterable<unknown>): Generator<string | null> {
  for (const row of rows) yield columnText((row as unknown[])[0]);
}

/** As SQLite itself would write it. */
function columnText(value: unknown): string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return cString(Buffer.from(value).toString('latin1'));
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value);
  const text = String(value);
  if (text.includes('\ufffd')) throw new Error('a value is not UTF-8');
  return cString(encodeUtf8(text));
}

function cString(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

interface BoundQuery {
  readonly text: string;
  readonly values: readonly Template[];
}

/** A text in quotes (doubled ones stay inside), a place-holder outside of them, or anything else. */
const piece = /'(?:[^']|'')*'|"(?:[^"]|"")*"|%[^]|[^'"%]+|[^]/g;

/** `select a from b where c = '%u' and d = '%d'` with a question mark for each text that depends on the key. */
function bindQuery(query: string, expansion: Expansion, unquoted: (part: string) => void): BoundQuery {
  expansion.parse(query, 'query'); // for its complaint, about the whole
  const values: Template[] = [];
  const text = query.replace(piece, (part) => {
    const quote = part[0] === "'" || part[0] === '"' ? part[0] : '';
    const inside = quote === '' ? part : part.slice(1, -1).replaceAll(quote + quote, quote);
    if (!inside.includes('%') || (quote === '' && part[0] !== '%')) return part;
    const template = expansion.parse(inside, 'query');
    if (!template.isDynamic) return part.replaceAll('%%', '%');
    if (quote !== "'") unquoted(/%[A-Za-z0-9]/.exec(inside)![0]);
    values.push(template);
    return '?';
  });
  return { text: decodeUtf8(text) ?? text, values };
}
