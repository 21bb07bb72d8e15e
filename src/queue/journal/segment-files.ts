/** What the journal's parts ask of the file system, in a few words each. Errors of the file system throw where not said otherwise. */
import { closeSync, constants, openSync, readSync, statSync, unlinkSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { tryLock } from '../../host/locks.ts';

const writeAsync = promisify(write);
const takeFlags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** All bytes of a file. */
export function readWhole(fd: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (let count = -1; at < size && count !== 0; at += count) count = readSync(fd, bytes, at, size - at, at);
  return bytes.subarray(0, at);
}

/** Write all of it. Rejects with the error of the file system. */
export async function writeFully(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await writeAsync(fd, bytes, at, bytes.length - at, position + at)).bytesWritten;
}

/** Open what is no symbolic link for reading and writing; undefined when that cannot be: `warn` hears of it, unless there is nothing. */
export function openIfThere(path: string, warn?: (text: string) => void): number | undefined {
  try {
    return openSync(path, takeFlags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warn?.(`cannot look for mail in the journal: ${(error as Error).message}`);
    return undefined;
  }
}

/** Does the path still lead to this file? */
export function samePath(path: string, inode: bigint): boolean {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino === inode;
}

/** Does someone hold an exclusive lock on it? */
export function isLocked(path: string): boolean {
  const fd = openIfThere(path);
  if (fd === undefined) return false;
  try {
    return !tryLock(fd, 'flock', 'exclusive');
  } finally {
    closeSync(fd);
  }
}

export function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch { /* gone already, or it will be found again */ }
}
