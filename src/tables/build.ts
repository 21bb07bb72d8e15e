/**
 * From a text file to an index: what postmap and postalias are for.
 *
 * The index is complete and on disk before it gets its name, so that no reader ever meets half of one. As root the work is done
 * with the rights of the source file's owner. Bad and doubled lines are warned of with file and line; what cannot be done at all
 * throws BuildTrouble, in Postfix's words.
 */
import { closeSync, openSync, readFileSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { asUser, isRoot } from '../host/identity.ts';
import { changeLmdb, writeLmdb, type LmdbChange } from '../host/lmdb-writer.ts';
import { errorText } from '../host/libc.ts';
import { lowerAscii } from '../text/ascii.ts';
import { foldCase } from '../text/utf8.ts';
import { writeCdb } from './cdb.ts';
import { indexFile, type IndexType } from './indexed.ts';
import { replaceFile } from './replace-file.ts';
import type { SourceEntry, SourceOptions } from './source.ts';
import type { Duplicates } from './table.ts';
import { encodeFiles } from './value-file.ts';

export class BuildTrouble extends Error {}

export interface BuildOptions {
  readonly index: IndexType;
  readonly duplicates: Duplicates;
  readonly fold: boolean;
  readonly utf8: boolean;
  readonly nul?: 'with' | 'without' | undefined;
  readonly valueIsFile?: boolean | undefined;
  /** As root, work as the owner of the source. */
  readonly asOwner: boolean;
  /** Take away the rights that group and others do not have on the source. */
  readonly savePermissions: boolean;
  /** lmdb_map_size */
  readonly mapSize: number;
  /** Reads the text form. */
  readonly parse: (text: string, options: SourceOptions) => Iterable<SourceEntry>;
  /** An entry that is added behind those of the source, in place of one with its key. */
  readonly last?: readonly [string, string] | undefined;
  readonly warn: (text: string) => void;
  /** Is told of lines read and entries written, where somebody looks on. */
  readonly progress?: BuildProgress | undefined;
}

export interface BuildProgress {
  /** So many steps in all. */
  expect(total: number): void;
  step(count: number): void;
}

const pathBytes = (path: string): Buffer => Buffer.from(path, 'latin1');

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BuildTrouble) throw error;
    throw new BuildTrouble(`${what}: ${errorText(error)}`);
  }
}

/** Can the text be read? What is wrong with it is told before what is wrong with the index. */
export function checkSource(path: string): void {
  attempt(`open ${path}`, () => closeSync(openSync(pathBytes(path), 'r')));
}

/** Make FILE.lmdb or FILE.cdb from FILE. */
export function buildIndex(path: string, options: BuildOptions): void {
  const text = attempt(`open ${path}`, () => readFileSync(pathBytes(path), 'latin1'));
  const source = attempt(`fstat ${path}`, () => statSync(pathBytes(path)));
  const target = indexFile(path, options.index);
  asSourceOwner(path, source, options, () => {
    const lines = options.progress ? countLines(text) : 0;
    options.progress?.expect(2 * lines);
    const entries = collect(text, path, options);
    // Lines that are no entries have been half of their way.
    options.progress?.expect(lines + entries.size);
    attempt(`open database ${target}`, () => writeIndex(target, entries, source, options));
  });
}

function writeIndex(target: string, entries: Map<string, string>, source: Stats, options: BuildOptions): void {
  const withNul = options.nul === undefined ? options.index === 'lmdb' : options.nul === 'with';
  const { mapSize, progress } = options;
  const written = progress && (() => progress.step(1));
  const sorted = options.index === 'lmdb' ? inOrderOfKeys(entries) : entries;
  try {
    replaceFile(target, newFile(target, source, options), (fd, temporary) => {
      if (options.index === 'cdb') writeCdb(fd, written ? counted(sorted, written) : sorted, withNul);
      else writeLmdb(temporary, sorted, { mapSize, withNul, written });
    });
  } catch (error) {
    // Who may not write in the directory may still write into the index that is there.
    const { code } = error as NodeJS.ErrnoException;
    if (options.index !== 'lmdb' || (code !== 'EACCES' && code !== 'EROFS') || !statSync(pathBytes(target), { throwIfNoEntry: false })) throw error;
    changeLmdb(target, [...sorted], { mapSize, withNul, replace: true, clear: true });
  }
}

function* counted<T>(entries: Iterable<T>, written: () => void): Generator<T, void, undefined> {
  for (const entry of entries) {
    yield entry;
    written();
  }
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** The order of bytes, in which LMDB keeps keys. Pairs are made one by one: there may be millions. */
function inOrderOfKeys(entries: ReadonlyMap<string, string>): Iterable<readonly [string, string]> {
  const keys = [...entries.keys()].sort();
  return { *[Symbol.iterator]() { for (const key of keys) yield [key, entries.get(key)!] as const; } };
}

/** An index that exists keeps its owner and rights, else they follow from the source. */
function newFile(target: string, source: Stats, options: BuildOptions): { mode: number; owner?: { uid: number; gid: number } } {
  const old = statSync(pathBytes(target), { throwIfNoEntry: false });
  const mode = old ? old.mode & 0o777 : modeLike(source, options);
  return old && isRoot() ? { mode, owner: { uid: old.uid, gid: old.gid } } : { mode };
}

function modeLike(source: Stats, options: BuildOptions): number {
  return options.savePermissions && source.isFile() ? 0o644 & ~(~source.mode & 0o077) : 0o644;
}

/** Postfix, so that what root builds for a user can harm nobody but that user. */
function asSourceOwner(path: string, source: Stats, options: BuildOptions, work: () => void): void {
  if (!options.asOwner || process.getuid?.() !== 0) return work();
  if (source.uid !== 0) return asUser({ uid: source.uid, gid: source.gid }, work);
  const directory = dirname(path);
  if (attempt(`stat ${directory}`, () => statSync(pathBytes(directory))).uid !== 0) {
    options.warn(
      `Creating root-owned database file(s) ${path}.* in non-root-owned directory ${directory}. Files ${path}, ${path}.*, and ` +
        `directory ${directory} should have the same owner. Please fix ownership to avoid a privilege-escalation attack.`,
    );
  }
  work();
}

/** Entries by folded key, the doubled ones settled. */
function collect(text: string, file: string, options: BuildOptions): Map<string, string> {
  const { duplicates, warn, progress } = options;
  const entries = new Map<string, string>();
  const fold = foldOf(options);
  let seen = 0;
  for (const { key, value, line } of options.parse(text, { file, utf8: options.utf8, warn })) {
    progress?.step(line - seen);
    seen = line;
    const folded = fold(key);
    const known = entries.has(folded);
    if (known && duplicates === 'warn') warn(`${file}, line ${line}: duplicate entry: "${folded}"`);
    if (known && duplicates !== 'replace') continue;
    const stored = storedValue(value, `${file}, line ${line}`, options);
    if (stored !== undefined) entries.set(folded, stored);
  }
  if (options.last) entries.set(...options.last);
  return entries;
}

function foldOf({ fold, utf8 }: BuildOptions): (key: string) => string {
  return !fold ? (key) => key : utf8 ? foldCase : lowerAscii;
}

function storedValue(value: string, where: string, options: BuildOptions): string | undefined {
  if (!options.valueIsFile) return value;
  try {
    return encodeFiles(value);
  } catch (error) {
    options.warn(`${where}: ${(error as Error).message}: skipping this entry`);
    return undefined;
  }
}

/** Add the entries of a text to an index that stays in place (it is made when it is missing). */
export function addToIndex(path: string, text: string, file: string, options: BuildOptions): void {
  const target = updatable(path, options.index);
  const fold = foldOf(options);
  const lines = new Map<string, number>();
  const changes: LmdbChange[] = [];
  for (const { key, value, line } of options.parse(text, { file, utf8: options.utf8, warn: options.warn })) {
    const folded = fold(key);
    const stored = storedValue(value, `${file}, line ${line}`, options);
    if (stored === undefined) continue;
    changes.push([folded, stored]);
    lines.set(folded, line);
  }
  const kept = (key: string): void => {
    if (options.duplicates === 'warn') options.warn(`${file}, line ${lines.get(key)}: duplicate entry: "${key}"`);
  };
  const change = { mapSize: options.mapSize, withNul: options.nul !== 'without' };
  attempt(`open database ${target}`, () => {
    changeLmdb(target, changes, { ...change, replace: options.duplicates === 'replace', kept });
    if (options.last) changeLmdb(target, [options.last], { ...change, replace: true });
  });
}

/** Remove keys from an index in place; returns those that were there. */
export function removeFromIndex(path: string, keys: readonly string[], options: Pick<BuildOptions, 'index' | 'fold' | 'utf8' | 'mapSize'>): string[] {
  const target = updatable(path, options.index);
  const fold = foldOf(options as BuildOptions);
  const removed: string[] = [];
  attempt(`open database ${target}`, () => {
    statSync(pathBytes(target));
    changeLmdb(target, keys.map((key) => [fold(key), undefined]), { mapSize: options.mapSize, replace: false, removed: (key) => removed.push(key) });
  });
  return removed;
}

function updatable(path: string, index: IndexType): string {
  if (index === 'cdb') throw new BuildTrouble('dict_cdb_open: inappropriate open flags for cdb database - specify O_RDONLY or O_WRONLY|O_CREAT|O_TRUNC');
  return indexFile(path, index);
}
