// The rows of master.cf as postconf shows them: every row, duplicates too, columns as written, arguments in normal form.
// A row that is none throws Fatal in Postfix's words; nothing here cares what the columns mean.
import { splitListGroups } from '../../text/ascii.ts';
import type { Override } from '../../config/configuration.ts';
import { logicalLines } from '../../config/logical-lines.ts';
import type { Warn } from '../../config/logical-lines.ts';
import { splitNameValue } from '../../config/main-cf.ts';
import { normalizeArguments, showArguments } from '../../config/master-arguments.ts';
import { columnCount } from '../../config/master-cf.ts';
import { Fatal } from './output.ts';

export interface ServiceRow {
  /** The first line of the row in master.cf, from 1. */
  readonly line: number;
  /** `service/type`. */
  readonly nameSpace: string;
  readonly fields: readonly string[];
  /** `-o name=value`; of equal names the last holds. Undefined when there is none. */
  readonly parameters: Map<string, string> | undefined;
  /** process_name and service_name of the process that the row starts. */
  readonly readOnly: ReadonlyMap<string, string>;
}

export const fieldNames = ['service', 'type', 'private', 'unprivileged', 'chroot', 'wakeup', 'process_limit', 'command'] as const;

const blanks = ' \t\r\n';

export function parseServiceRows(text: string, file: string, warn: Warn): ServiceRow[] {
  return logicalLines(text, file, warn).map((line) => {
    const fields = splitRow(line.text, (words) => showArguments(words, (trouble) => warn(`master.cf: ${trouble}`)));
    if (typeof fields === 'string') throw new Fatal(`file ${file}: line ${line.first}: ${fields}`);
    return serviceRow(fields, line.first);
  });
}

/** Columns and arguments of one row, or what is wrong with it. Arguments that make no sense end the command, unless the caller has another use for them. */
export function splitRow(text: string, readArguments: (words: readonly string[]) => readonly string[] = normalForm): readonly string[] | string {
  const words = splitListGroups(text, blanks);
  if (words.length < columnCount) return 'bad field count';
  checkColumns(words, text);
  return [...words.slice(0, columnCount), ...readArguments(words.slice(columnCount))];
}

/** Arguments in normal form. */
export function normalForm(words: readonly string[]): readonly string[] {
  const normal = normalizeArguments(words);
  if ('trouble' in normal) throw new Fatal(`master.cf: ${normal.trouble}`);
  return normal.args;
}

export function splitWords(text: string): string[] {
  return splitListGroups(text, blanks);
}

export function serviceRow(fields: readonly string[], line: number): ServiceRow {
  const [service, type, command] = [fields[0]!, fields[1]!, fields[columnCount - 1]!];
  const processName = command.slice(command.lastIndexOf('/') + 1);
  const readOnly = new Map([['process_name', processName], ['service_name', service]]);
  const overrides = rowOverrides(fields);
  return { line, nameSpace: `${service}/${type}`, fields, parameters: overrides.length > 0 ? new Map(overrides) : undefined, readOnly };
}

/** Does an argument that starts here still belong to the daemon's options? */
export function isOption(word: string | undefined): word is string {
  return word !== undefined && word[0] === '-' && word !== '--';
}

function rowOverrides(fields: readonly string[]): Override[] {
  const overrides: Override[] = [];
  for (let at = columnCount; isOption(fields[at]); at++) {
    if (fields[at] !== '-o' || fields[at + 1] === undefined) continue;
    const pair = splitNameValue(fields[++at]!);
    if (typeof pair !== 'string') overrides.push(pair);
  }
  return overrides;
}

const knownTypes = ['unix', 'fifo', 'inet', 'pass', 'unix-dgram'];

/** `text` is what the complaint shows. */
export function checkColumns(words: readonly string[], text: string): void {
  const bad = (column: number): Fatal =>
    new Fatal(`invalid ${fieldNames[column]} field "${words[column]}" in "${text.replaceAll('\n', ' ')}"`);
  if (!knownTypes.includes(words[1]!)) throw bad(1);
  for (const column of [2, 3, 4]) if (!/^[yn-]$/.test(words[column]!)) throw bad(column);
  if (!/^(?:-|[0-9]*\??)$/.test(words[5]!)) throw bad(5);
  if (!/^(?:-|[0-9]*)$/.test(words[6]!)) throw bad(6);
}
