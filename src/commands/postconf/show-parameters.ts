// Prints parameters of main.cf: all of some classes, or those that are named.
import type { Console } from './output.ts';
import { expandOrEnd } from './expansion.ts';
import { jsonLine, layOutWords } from './layout.ts';
import type { Flag } from './options.ts';
import type { ParameterClass, ParameterTable, TableEntry } from './table.ts';
import { Fatal } from './output.ts';
import { cardOf } from '../../parameters/parameters.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import { nearestName } from '../../text/nearest.ts';
import { knownNames } from './table.ts';

export interface Show {
  readonly table: ParameterTable;
  readonly console: Console;
  readonly flags: ReadonlySet<Flag>;
}

/** Which names are printed when none is asked for. `ours`: parameters that Postfix does not have. */
export type ClassChoice = ReadonlySet<ParameterClass | 'ours'>;

const allClasses: ClassChoice = new Set(['builtin', 'service', 'user'] as const);

export function parseClasses(text: string | undefined): ClassChoice {
  if (text === undefined) return allClasses;
  const chosen = new Set<ParameterClass | 'ours'>();
  for (const word of splitList(text)) {
    const name = lowerAscii(word);
    if (name === 'all') for (const each of allClasses) chosen.add(each);
    else if (name === 'builtin' || name === 'service' || name === 'user' || name === 'ours') chosen.add(name);
    else throw new Fatal(`unknown -C option value "${word}" in "${text}" (known are builtin, service, user, ours, all)`);
  }
  return chosen;
}

export function showParameters(show: Show, classes: ClassChoice, names: readonly string[]): void {
  const { table, console } = show;
  if (names.length === 0) {
    const chosen = [...table.entries].filter(([name, entry]) => isChosen(name, entry, classes));
    for (const [name, entry] of chosen.sort(byName)) showParameter(show, name, entry);
    return;
  }
  for (const name of names) {
    const entry = table.entries.get(name);
    if (entry) showParameter(show, name, entry);
    else console.warn(`${name}: unknown parameter${didYouMean(name, table)}`);
  }
}

function isChosen(name: string, entry: TableEntry, classes: ClassChoice): boolean {
  return classes.has(entry.class) || (classes.has('ours') && cardOf(name)?.ours === true);
}

export function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function showParameter({ table, console, flags }: Show, name: string, { raw }: TableEntry): void {
  const written = table.lookup(name, undefined, flags.has('n'));
  if (written === undefined) return;
  const fold = flags.has('f');
  if (flags.has('H')) return console.print(layOutWords(name, fold));
  const value = flags.has('x') && !raw ? expandOrEnd(table, console, written) : written;
  if (flags.has('j')) console.print(jsonLine(name, value));
  else console.print(layOutWords(flags.has('h') ? value : `${name} = ${value}`, fold));
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(name: string, table: ParameterTable): string {
  const near = nearestName(name, knownNames(table));
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
