/**
 * Owners and permissions of the mail system's directories, as Postfix's script checks them.
 *
 * The maildrop is not entered (anyone may put files there) and a directory that cannot be read is passed over.
 */
import { lstatSync, readdirSync, type Stats } from 'node:fs';

interface Who { readonly uid: number; readonly name: string }

export interface OwnershipSettings {
  readonly queueDirectory: string;
  readonly configDirectory: string;
  readonly dataDirectory: string;
  readonly root: Who;
  readonly owner: Who;
  /** Absent when an ordinary user runs everything. */
  readonly group: { readonly gid: number; readonly name: string } | undefined;
}

/** Files looked at below one directory: a queue may hold more than anybody wants to read about. */
const enough = 100_000;

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** The file and what is below it; links are not followed. */
export function* tree(path: string, depth = 20): Generator<[string, Stats]> {
  const found = look(path);
  if (found === undefined) return;
  yield [path, found];
  if (!found.isDirectory() || depth === 0) return;
  let names: string[] = [];
  try {
    names = readdirSync(path);
  } catch {
    return;
  }
  for (const name of names) yield* tree(`${path}/${name}`, depth - 1);
}

function* alone(path: string): Generator<[string, Stats]> {
  const found = look(path);
  if (found !== undefined) yield [path, found];
}

const ownedTrees = ['saved', 'incoming', 'active', 'defer', 'deferred', 'bounce', 'hold', 'trace', 'corrupt', 'public', 'private', 'flush'];

export function ownershipWarnings(settings: OwnershipSettings): string[] {
  const { queueDirectory: queue, configDirectory, dataDirectory, root, owner, group } = settings;
  const warnings: string[] = [];
  const notOwned = (files: Iterable<[string, Stats]>, who: Who): void => {
    for (const [path, { uid }] of limited(files)) if (uid !== who.uid) warnings.push(`not owned by ${who.name}: ${path}`);
  };
  const writable = (files: Iterable<[string, Stats]>): void => {
    for (const [path, stats] of limited(files))
      if (!stats.isSymbolicLink() && (stats.mode & 0o022) !== 0) warnings.push(`group or other writable: ${path}`);
  };
  for (const files of [() => alone(queue), () => alone(`${queue}/pid`), () => tree(configDirectory)]) {
    notOwned(files(), root);
    writable(files());
  }
  notOwned(tree(dataDirectory), owner);
  writable(tree(dataDirectory));
  for (const name of ownedTrees) notOwned(withoutSockets(tree(`${queue}/${name}`)), owner);
  notOwned(alone(`${queue}/maildrop`), owner);
  if (group !== undefined) for (const name of ['public', 'maildrop'])
    for (const [path, { gid, mode }] of alone(`${queue}/${name}`)) if (gid !== group.gid && !isForUsers(mode)) warnings.push(`not owned by group ${group.name}: ${path}`);
  for (const [path, stats] of limited(tree(`${queue}/corrupt`))) if (stats.isFile()) warnings.push(`damaged message: ${path}`);
  return warnings;
}

/** A maildrop that every user may write to is the mail owner's group's. */
function isForUsers(mode: number): boolean {
  return (mode & 0o7777) === 0o3733;
}

function* limited<T>(items: Iterable<T>): Generator<T> {
  let count = 0;
  for (const item of items) {
    if (count++ === enough) return;
    yield item;
  }
}

function* withoutSockets(files: Iterable<[string, Stats]>): Generator<[string, Stats]> {
  for (const [path, stats] of files) if (!stats.isSocket() && !stats.isFIFO()) yield [path, stats];
}
