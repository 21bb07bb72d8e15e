/**
 * The files that services in the jail (chroot) need are copies, made once: are they still what the originals are, and root's own?
 *
 * Links are not followed: what they lead to inside of the jail is another file's matter, and outside of it nobody's.
 */
import { closeSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { tree } from './ownership.ts';

const directories = ['bin', 'etc', 'lib', 'sbin', 'usr'];

/** Files that are looked at: a jail is small, a mounted directory is not. */
const enough = 100_000;

export function* jailWarnings(jail: string, outside = ''): Generator<string, void, undefined> {
  for (const name of directories) {
    const copies: string[] = [];
    let seen = 0;
    for (const [path, stats] of tree(`${jail}/${name}`)) {
      if (++seen > enough) break;
      if (stats.uid !== 0) yield `not owned by root: ${path}`;
      if (stats.isFile()) copies.push(path);
    }
    for (const path of copies) {
      const original = outside + path.slice(jail.length);
      if (isOther(path, original)) yield `${path} and ${original} differ`;
    }
  }
}

function isOther(copy: string, original: string): boolean {
  const found = status(original);
  if (found === undefined || !found.isFile()) return false;
  return found.size !== status(copy)?.size || !sameBytes(copy, original);
}

function status(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

const chunkSize = 1 << 16;

function sameBytes(one: string, other: string): boolean {
  const fds: number[] = [];
  try {
    for (const path of [one, other]) fds.push(openSync(path, 'r'));
    const [first, second] = [Buffer.alloc(chunkSize), Buffer.alloc(chunkSize)];
    for (;;) {
      const length = readSync(fds[0]!, first);
      if (length !== readSync(fds[1]!, second) || first.compare(second, 0, length, 0, length) !== 0) return false;
      if (length === 0) return true;
    }
  } catch {
    return true; // who may not read it cannot say that it differs
  } finally {
    fds.forEach(closeSync);
  }
}
