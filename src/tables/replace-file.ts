/**
 * A new version of a file, beside the old one until it is complete and on disk, then in its place by rename.
 *
 * Two programs that replace the same file wait for each other. On trouble the old file stays and the new one is removed; the
 * error is Node's.
 */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, fsyncSync, ftruncateSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { waitForLock } from '../host/locks.ts';

export interface NewFile {
  /** Permission bits of the new file. */
  readonly mode: number;
  /** Owner, when it shall not be us. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

const pathBytes = (path: string): Buffer => Buffer.from(path, 'latin1');

/** `fill` writes the empty file, through the descriptor or by its temporary name. */
export function replaceFile(path: string, file: NewFile, fill: (fd: number, temporary: string) => void): void {
  const temporary = `${path}.tmp`;
  const fd = openLocked(temporary);
  try {
    ftruncateSync(fd, 0);
    fill(fd, temporary);
    takeOver(fd, file);
    fsyncSync(fd);
    renameSync(pathBytes(temporary), pathBytes(path));
    syncDirectory(dirname(path));
  } catch (error) {
    if (isNamed(fd, temporary)) unlinkSync(pathBytes(temporary));
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** While we wait for the lock its holder renames the file away: then the name is for us to make again. */
function openLocked(temporary: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  for (;;) {
    const fd = openSync(pathBytes(temporary), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    waitForLock(fd, 'flock', 'exclusive');
    if (isNamed(fd, temporary)) {
      const { nlink } = fstatSync(fd);
      if (fstatSync(fd).isFile() && nlink === 1) return fd;
      unlinkSync(pathBytes(temporary)); // a link to somebody's file: not ours to write into
    }
    closeSync(fd);
  }
}

function isNamed(fd: number, path: string): boolean {
  const opened = fstatSync(fd);
  const named = statSync(pathBytes(path), { throwIfNoEntry: false });
  return named !== undefined && named.dev === opened.dev && named.ino === opened.ino;
}

function takeOver(fd: number, { mode, owner }: NewFile): void {
  const own = fstatSync(fd);
  if (owner && (own.uid !== owner.uid || own.gid !== owner.gid)) fchownSync(fd, owner.uid, owner.gid);
  fchmodSync(fd, mode);
}

function syncDirectory(path: string): void {
  const fd = openSync(pathBytes(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
