/**
 * Tables that live in memory: texthash (read from a text file), inline (written in main.cf), internal, static, environ, fail.
 */
import { readFileSync } from 'node:fs';
import { isAscii, isWhite, lowerAscii, splitListGroups, trimLeft, trimWhite } from '../text/ascii.ts';
import { encodeUtf8, foldCase, isUtf8 } from '../text/utf8.ts';
import { errorText } from '../host/libc.ts';
import { braceContent, insideBraces } from './braces.ts';
import type { TableDriver, TableKind, Treatment } from './driver.ts';
import { endOfKey, sourceEntries } from './source.ts';
import { TableTrouble, type TableContext, type TableOptions } from './table.ts';
import { encodeFiles } from './value-file.ts';

const ours = { trusted: true, uid: undefined } as const;

function folding({ fold, utf8 }: Treatment): (key: string) => string {
  return !fold ? (key) => key : utf8 ? foldCase : lowerAscii;
}

function mapDriver(map: Map<string, string>): TableDriver {
  return { find: (key) => map.get(key), entries: () => map };
}

/** texthash(5). A key that is there twice makes the table useless, unless the options say otherwise: which of the two was meant nobody knows. */
export function texthashKind(name: string, treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const open = (): TableDriver => {
    let text: string;
    try {
      text = readFileSync(Buffer.from(name, 'latin1'), 'latin1');
    } catch (error) {
      throw new Error(`open database ${name}: ${errorText(error)}`);
    }
    return mapDriver(readText(text, name, treatment, context, options));
  };
  return { open, fixed: true, file: name, changes: 'half written' };
}

function readText(text: string, file: string, treatment: Treatment, context: TableContext, options: TableOptions): Map<string, string> {
  const map = new Map<string, string>();
  const fold = folding(treatment);
  const warn = (line: string) => context.warn(line);
  for (const { key, value, line } of sourceEntries(text, { file, utf8: treatment.utf8, warn, ignoring: true })) {
    const folded = fold(key);
    if (map.has(folded) && options.duplicates !== 'replace') {
      const mistake = `${file}, line ${line}: duplicate entry: "${key}"`;
      if (options.duplicates === undefined) throw new Error(mistake);
      if (options.duplicates === 'warn') warn(mistake);
      continue;
    }
    try {
      map.set(folded, options.valueIsFile ? encodeFiles(value) : value);
    } catch (error) {
      warn(`${file}, line ${line}: ${(error as Error).message}: skipping this entry`);
    }
  }
  return map;
}

/** `inline:{ key = value, { key = text with spaces } }`: the last of equal keys holds. */
export function inlineKind(name: string, treatment: Treatment, _context: TableContext, options: TableOptions): TableKind {
  const need = `"inline:${name}"; need "inline:{name=${options.valueIsFile ? 'filename' : 'value'}...}"`;
  const open = (): TableDriver => {
    if (treatment.utf8 && !isAscii(name) && !isUtf8(name)) throw new Error(`bad UTF-8 syntax: ${need}`);
    const content = braceContent(name);
    if (content === undefined) throw new Error(`bad syntax: ${need}`);
    const map = new Map<string, string>();
    const fold = folding(treatment);
    try {
      for (const item of splitListGroups(content)) {
        const [key, value] = nameAndValue(item.startsWith('{') ? insideBraces(item) : item);
        map.set(fold(key), options.valueIsFile ? encodeFiles(value) : value);
      }
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${need}`);
    }
    if (map.size === 0) throw new Error(`empty table: ${need}`);
    return mapDriver(map);
  };
  return { open, fixed: true, owner: ours };
}

/** `name = value`; the name may be quoted and keeps its quotes. */
function nameAndValue(item: string): [string, string] {
  const text = trimLeft(item);
  if (text === '') throw new Error('no key found; expected format: key = value');
  const end = endOfKey(text, (code) => isWhite(code) || code === 61);
  if (end < 0) throw new Error(`unbalanced '"'`);
  const rest = trimLeft(text.slice(end));
  if (!rest.startsWith('=')) throw new Error("missing '=' after attribute name");
  return [text.slice(0, end), trimWhite(rest.slice(1))];
}

/** `static:value` or `static:{ value with spaces }`: every key is found. */
export function staticKind(name: string, _treatment: Treatment, _context: TableContext, options: TableOptions): TableKind {
  const open = (): TableDriver => {
    let value = name;
    if (name.startsWith('{')) {
      try {
        value = insideBraces(name);
      } catch (error) {
        throw new Error(`bad static:name syntax: ${(error as Error).message}`);
      }
    }
    if (options.valueIsFile) value = encodeFiles(value);
    return { find: () => value };
  };
  return { open, fixed: true, owner: ours };
}

/** The environment of the process, or the one in the context. */
export function environKind(_name: string, _treatment: Treatment, context: TableContext): TableKind {
  const find = (key: string): string | undefined => {
    const value = (context.environment ?? process.env)[key];
    return typeof value === 'string' ? encodeUtf8(value) : undefined;
  };
  return { open: () => ({ find }), fixed: true, owner: ours };
}

/** Every look-up fails: for tests of what then happens. */
export function failKind(name: string): TableKind {
  const find = (): never => {
    throw new TableTrouble(`fail:${name}`, `fail:${name}: this table always fails`);
  };
  return { open: () => ({ find }), fixed: false, owner: ours };
}

/** `nis:` has no domain here, and then answers as Postfix's does: nothing is found, and one warning says why. */
export function nisKind(_name: string, _treatment: Treatment, context: TableContext): TableKind {
  const open = (): TableDriver => {
    context.warn('dict_nis_init: NIS domain name not set - NIS lookups disabled');
    return { find: () => undefined };
  };
  return { open, fixed: true, owner: ours };
}

/** A table filled by the program itself. */
export function internalKind(): TableKind {
  return { open: () => mapDriver(new Map()), fixed: true, owner: ours };
}
