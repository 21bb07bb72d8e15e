/**
 * The tables that main.cf and master.cf name: do they open, and are the indexed ones as new as what they were made from?
 *
 * Tables behind a network are not asked. A table is told of once, at the first parameter that names it.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { Configuration } from '../../config/configuration.ts';
import type { MasterRow } from '../../config/master-cf.ts';
import { openTable } from '../../tables/open.ts';
import { cardOf } from '../../parameters/parameters.ts';
import type { TableContext } from '../../tables/table.ts';
import type { Known, Reporter } from './findings.ts';

export interface TableUse {
  readonly type: string;
  readonly name: string;
  /** Where the first use of it stands. */
  readonly known: Known;
}

/** Types whose tables are files, or nothing but their name. */
const local: ReadonlySet<string> = new Set([
  'btree', 'cdb', 'cidr', 'dbm', 'environ', 'hash', 'inline', 'lmdb', 'pcre', 'regexp', 'sdbm', 'sqlite', 'static', 'texthash', 'unix',
]);

const reference = /(?<![A-Za-z0-9_])(?:(inline):(\{[^{}]*\})|([a-z0-9]+):(\/[^\s,{}"']+))/g;

/** Tables in a text, `$name` expanded already; those within others too. */
export function tablesIn(text: string): { type: string; name: string }[] {
  return [...text.matchAll(reference)].map(([, inline, rules, type, name]) => ({ type: inline ?? type!, name: rules ?? name! })).filter(({ type }) => local.has(type));
}

/** Every table that main.cf sets, or a row's `-o`. */
export function tableUses(config: Configuration, rows: readonly MasterRow[]): TableUse[] {
  const found = new Map<string, TableUse>();
  const visit = (text: string, known: Known): void => {
    for (const { type, name } of tablesIn(text)) if (!found.has(`${type}:${name}`)) found.set(`${type}:${name}`, { type, name, known });
  };
  for (const [parameter, { file, line }] of config.settings) visit(textOf(config, parameter), { parameter, file, line });
  for (const { overrides, service, file, line } of rows) {
    const own = config.withOverrides(overrides);
    for (const [parameter] of overrides) visit(textOf(own, parameter), { parameter, service, file, line });
  }
  return [...found.values()];
}

function textOf(config: Configuration, parameter: string): string {
  if (cardOf(parameter)?.kind === 'raw') return '';
  try {
    return config.text(parameter);
  } catch (error) {
    if (error instanceof ConfigurationError) return '';
    throw error;
  }
}

export function checkTables(config: Configuration, rows: readonly MasterRow[], reporter: Reporter): void {
  for (const use of tableUses(config, rows)) checkTable(use, config, reporter);
}

/** A table of this parameter belongs to postalias(1). */
export function isAliasParameter(parameter: string | undefined): boolean {
  return parameter === 'alias_maps' || parameter === 'alias_database';
}

/** Its tables are made by the programs that use them. */
export function isCacheParameter(parameter: string | undefined): boolean {
  return parameter !== undefined && /_cache_(?:map|database)$|^address_verify_map$/.test(parameter);
}

function checkTable({ type, name, known }: TableUse, config: Configuration, reporter: Reporter): void {
  const make = `${isAliasParameter(known.parameter) ? 'postalias' : 'postmap'} ${type}:${name}`;
  const withFix = (text: string): string => (/ is older than source file /.test(text) ? `${text} (run "${make}")` : text);
  const context: TableContext = {
    parameter: (parameter) => config.text(parameter), environment: process.env,
    warn: (text) => reporter.report('warning', withFix(text), known), error: (text) => reporter.report('error', text, known),
  };
  if (!isCacheParameter(known.parameter)) openTable(`${type}:${name}`, context).close();
}
