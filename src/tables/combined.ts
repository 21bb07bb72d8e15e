/**
 * Tables made of tables: unionmap (all answers, joined by commas), pipemap (each answer is the next one's key), and randmap,
 * which picks one of the values in its name. The least trusted member decides whether the whole is trusted.
 */
import { randomInt } from 'node:crypto';
import { splitListGroups } from '../text/ascii.ts';
import { chain, type MaybePromise } from '../text/maybe.ts';
import { braceContent } from './braces.ts';
import type { TableDriver, TableKind, Treatment } from './driver.ts';
import type { LookupTable, TableContext, TableOptions, TableOwner } from './table.ts';
import { encodeFiles } from './value-file.ts';

export type Opener = (typeAndName: string) => LookupTable;

type Combine = (tables: readonly LookupTable[], key: string) => MaybePromise<string | undefined>;

function union(tables: readonly LookupTable[], key: string, at = 0, found: string[] = []): MaybePromise<string | undefined> {
  if (at === tables.length) return found.length > 0 ? found.join(',') : undefined;
  return chain(tables[at]!.find(key), (value) => union(tables, key, at + 1, value === undefined ? found : [...found, value]));
}

function pipe(tables: readonly LookupTable[], key: string, at = 0): MaybePromise<string | undefined> {
  if (at === tables.length) return key;
  return chain(tables[at]!.find(key), (value) => (value === undefined ? undefined : pipe(tables, value, at + 1)));
}

export const unionKind = (name: string, open: Opener): TableKind => combinedKind('unionmap', name, open, union);
export const pipeKind = (name: string, open: Opener): TableKind => combinedKind('pipemap', name, open, pipe);

function combinedKind(type: string, name: string, openOne: Opener, combine: Combine): TableKind {
  const names = splitListGroups(braceContent(name) ?? '');
  const bad = names.length === 0 || names.some((one) => !one.includes(':'));
  const tables = bad ? [] : names.map(openOne);
  const open = (): TableDriver => {
    if (bad) throw new Error(`bad syntax: "${type}:${name}"; need "${type}:{type:name...}"`);
    return { find: (key) => combine(tables, key), close: () => tables.forEach((table) => table.close()) };
  };
  return { open, fixed: tables[0]?.fixed ?? false, owner: leastTrusted(tables), keepsCase: true };
}

function leastTrusted(tables: readonly LookupTable[]): TableOwner {
  return tables.map((table) => table.owner).find((owner) => !owner.trusted) ?? { trusted: true, uid: undefined };
}

export function randomKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const open = (): TableDriver => {
    const values = splitListGroups(braceContent(name) ?? '');
    if (values.length === 0) throw new Error(`bad syntax: "randmap:${name}"; need "randmap:{value...}"`);
    const replies = options.valueIsFile ? values.map(encodeFiles) : values;
    return { find: () => replies[context.random?.(replies.length) ?? randomInt(replies.length)] };
  };
  return { open, fixed: false, owner: { trusted: true, uid: undefined } };
}
