/**
 * What mysql and pgsql tables have in common: the query (as it stands, or built of the old settings), and what becomes of its rows.
 */
import { joinResults, type Expansion, type Template } from './expansion.ts';
import type { Parts } from './common.ts';
import type { Settings } from './settings.ts';

/** Columns of rows, as bytes; null is SQL's NULL. */
export type Rows = readonly (readonly (string | null)[])[];

/** Values of settings that were all there was before `query`. */
export function builtQuery(settings: Settings): string {
  const [table, field, where] = ['table', 'select_field', 'where_field'].map((name) => settings.required(name));
  return `SELECT ${field} FROM ${table} WHERE ${where}='%s' ${settings.text('additional_conditions')}`;
}

export interface SqlTable {
  readonly expansion: Expansion;
  readonly query: Template;
  readonly result: Template;
  readonly limit: number;
}

export function sqlTable({ settings, expansion }: Parts, query: string): SqlTable {
  return {
    expansion,
    query: expansion.parse(query, 'query'),
    result: expansion.parse(settings.text('result_format', '%s', 1), 'result'),
    limit: settings.number('expansion_limit', 0),
  };
}

export function sqlResult({ expansion, result, limit }: SqlTable, rows: Rows, key: string): string | undefined {
  return joinResults(expansion, result, rows.flat(), key, limit);
}
