/**
 * What tests of tables share: a context that listens, and SQLite files.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TableContext } from './table.ts';

/** A context with a clock of its own, and all that is said to it. Errors have `error: ` in front. */
export function contextOf(parameters: Record<string, string> = {}) {
  const said: string[] = [];
  const clock = { now: Date.now() };
  const context: TableContext = {
    parameter: (name) => new Map(Object.entries({ smtputf8_enable: 'yes', default_database_type: 'lmdb', ...parameters })).get(name) ?? '',
    warn: (text) => said.push(text),
    error: (text) => said.push(`error: ${text}`),
    now: () => clock.now,
    environment: {},
  };
  return { context, said, clock };
}

let databases = 0;

/** A file with a table of rows (name, value), and the settings of a table that asks it. Rows are byte strings. */
export function sqliteRows(folder: string, rows: readonly (readonly [string, string])[]): { path: string; config: string } {
  const path = join(folder, `rows${databases++}.db`);
  const opened = new DatabaseSync(path);
  opened.exec('create table rows (name text primary key, value text)');
  const insert = opened.prepare('insert into rows values (?, ?)');
  for (const row of rows) insert.run(...row.map((text) => Buffer.from(text, 'latin1').toString('utf8')));
  opened.close();
  const config = `${path}.cf`;
  writeFileSync(config, `dbpath = ${path}\nquery = SELECT value FROM rows WHERE name = '%s'\n`);
  return { path, config };
}
