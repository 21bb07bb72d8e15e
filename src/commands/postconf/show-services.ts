// Prints master.cf: whole rows (-M), single columns (-F), or the parameters that rows set (-P) or see (-PP).
import { columnCount } from '../../config/master-cf.ts';
import { expandOrEnd } from './expansion.ts';
import { foldLimit, indent, jsonLine, layOutWords } from './layout.ts';
import { Fatal } from './output.ts';
import { fieldIndex, matches, parsePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';
import { fieldNames, isOption } from './service-rows.ts';
import type { ServiceRow } from './service-rows.ts';
import type { ClassChoice, Show } from './show-parameters.ts';

type Visit = (row: ServiceRow, pattern: Pattern | undefined) => boolean;

function visitRows({ console }: Show, rows: readonly ServiceRow[], patterns: readonly Pattern[], visit: Visit): void {
  const unmatched = new Set(patterns);
  for (const row of rows) {
    if (patterns.length === 0) visit(row, undefined);
    for (const pattern of patterns)
      if (matches(pattern, row.fields[0]!, row.fields[1]!) && visit(row, pattern)) unmatched.delete(pattern);
  }
  for (const { raw } of unmatched) console.warn(`unmatched request: "${raw}"`);
}

function parsePatterns(operands: readonly string[], most: number, complaint: string): Pattern[] {
  return operands.map((operand) => {
    const pattern = parsePattern(operand, 1, most);
    if (!pattern) throw new Fatal(complaint);
    return pattern;
  });
}

export function showEntries(show: Show, rows: readonly ServiceRow[], operands: readonly string[]): void {
  const patterns = parsePatterns(operands, 2, '-M option requires service_name[/type]');
  visitRows(show, rows, patterns, (row) => {
    const fields = shownFields(show, row);
    if (show.flags.has('j')) show.console.print(jsonLine(row.nameSpace, jsonRow(fields)));
    else show.console.print(layOutRow(fields, show.flags.has('f')));
    return true;
  });
}

// With -x the values behind -o are expanded.
function shownFields({ table, console, flags }: Show, row: ServiceRow): readonly string[] {
  if (!flags.has('x')) return row.fields;
  const fields = [...row.fields];
  for (let at = columnCount; isOption(fields[at]); at++)
    if (fields[at] === '-o' && fields[at + 1] !== undefined) fields[++at] = expandOrEnd(table, console, fields[at]!, row);
  return fields;
}

const columns = [0, 11, 17, 25, 33, 41, 49, 57];

/** A row as `postconf -M` prints it, with its newline. */
export function layOutRow(fields: readonly string[], fold: boolean): string {
  let text = '';
  for (const [index, field] of fields.slice(0, columnCount).entries())
    text = (index === 0 ? text : `${text} `.padEnd(columns[index]!)) + field;
  return `${text}${layOutArguments(fields, text.length, fold)}\n`;
}

// An option with a value stands on a line of its own when lines are folded; other arguments fill the lines.
function layOutArguments(fields: readonly string[], length: number, fold: boolean, valueMargin = 3): string {
  let result = '';
  for (const { text, size, hasValue } of argumentItems(fields, valueMargin)) {
    if (hasValue) length = foldLimit;
    if (length > indent.length) {
      const fits = !fold || length + 1 + size < foldLimit;
      result += fits ? ' ' : `\n${indent}`;
      length = fits ? length + 1 : indent.length;
    }
    result += text;
    length = hasValue ? foldLimit : length + text.length;
  }
  return result;
}

interface ArgumentItem {
  readonly text: string;
  /** What folding reckons with. */
  readonly size: number;
  readonly hasValue: boolean;
}

function* argumentItems(fields: readonly string[], valueMargin: number): Generator<ArgumentItem> {
  let options = true;
  for (let at = columnCount; at < fields.length; at++) {
    const word = fields[at]!;
    options &&= isOption(word);
    const value = options && word[1] === 'o' ? fields[at + 1] : undefined;
    if (value !== undefined) {
      at++;
      const size = word.length + value.length + valueMargin + (hasBlank(value) ? 2 : 0);
      yield { text: `${word} ${inBraces(value)}`, size, hasValue: true };
    } else yield { text: options ? word : inBraces(word), size: word.length, hasValue: false };
  }
}

function hasBlank(word: string): boolean {
  return /[ \t\r\n]/.test(word);
}

function inBraces(word: string): string {
  return hasBlank(word) ? `{${word}}` : word;
}

// In JSON no line is folded; Postfix puts braces there around arguments, but not around the values of options.
function jsonRow(fields: readonly string[], from = 0): string {
  return [...fields.slice(from, columnCount), ...Array.from(argumentItems(fields, 0), ({ text }) => text)].join(' ');
}

export function showFields(show: Show, rows: readonly ServiceRow[], operands: readonly string[]): void {
  const patterns = parsePatterns(operands, 3, '-F option requires service_name[/type[/field]]');
  const wanted = new Map(patterns.map((pattern) => [pattern, fieldIndex(pattern.parts[2]!)]));
  visitRows(show, rows, patterns, (row, pattern) => {
    const only = pattern && wanted.get(pattern);
    for (const index of only === undefined ? fieldNames.keys() : [only]) showField(show, row, index);
    return true;
  });
}

function showField(show: Show, row: ServiceRow, index: number): void {
  const { console, flags } = show;
  const fields = shownFields(show, row);
  const [name, value] = [`${row.nameSpace}/${fieldNames[index]}`, fields[index]!];
  const isCommand = index === columnCount - 1;
  if (flags.has('j')) return console.print(jsonLine(name, isCommand ? jsonRow(fields, index) : value));
  if (flags.has('H')) return console.print(`${name}\n`);
  let text = flags.has('h') ? '' : `${name} = `;
  let length = text.length;
  if (length > 0 && length + value.length > foldLimit) {
    text += `\n${indent}`;
    length = indent.length;
  }
  text += value;
  console.print(`${text}${isCommand ? layOutArguments(fields, length + value.length, flags.has('f'), 1) : ''}\n`);
}

export function showServiceParameters(show: Show, rows: readonly ServiceRow[], classes: ClassChoice, operands: readonly string[]): void {
  const patterns = parsePatterns(operands, 3, '-P option requires service_name[/type[/parameter]]');
  visitRows(show, rows, patterns, (row, pattern) => {
    const values = show.flags.has('PP') ? visibleParameters(show, row, pattern ? undefined : classes) : row.parameters;
    const wanted = pattern?.parts[2] ?? '*';
    if (!values) return false;
    if (wanted === '*') {
      for (const name of [...values.keys()].sort()) showServiceParameter(show, row, name, values.get(name)!);
      return true;
    }
    const value = values.get(wanted);
    if (value !== undefined) showServiceParameter(show, row, wanted, value);
    return value !== undefined;
  });
}

/** What this service sees: its own settings, main.cf's, and defaults. */
function visibleParameters({ table }: Show, row: ServiceRow, classes: ClassChoice | undefined): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, entry] of table.entries)
    if (!classes || classes.has(entry.class)) values.set(name, table.lookup(name, row) ?? '');
  for (const [name, value] of row.parameters ?? []) if (!values.has(name)) values.set(name, value);
  return values;
}

function showServiceParameter({ table, console, flags }: Show, row: ServiceRow, parameter: string, written: string): void {
  const name = `${row.nameSpace}/${parameter}`;
  const fold = flags.has('f');
  if (flags.has('H')) return console.print(layOutWords(name, fold));
  const value = flags.has('x') ? expandOrEnd(table, console, written, row) : written;
  if (flags.has('j')) console.print(jsonLine(name, value));
  else console.print(layOutWords(flags.has('h') ? value : `${name} = ${value}`, fold));
}
