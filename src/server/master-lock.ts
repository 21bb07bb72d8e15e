/**
 * One master per queue: pid/master.pid below the queue directory and master.lock in the data directory, locked while it lives.
 *
 * The file holds the process id right-justified in 32 columns, as Postfix writes it, so that scripts written for that can
 * read it. Errors are Error objects with the text of Postfix's log line.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { tryLock } from '../host/locks.ts';
import { errnoText, errorText } from '../host/libc.ts';
import os from 'node:os';

/** Opens, locks and signs the file; the lock lasts as long as the descriptor is open. */
export function takeMasterLock(path: string, pid: number): number {
  const trouble = (why: string): Error => new Error(`open lock file ${path}: ${why}`);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw trouble(`cannot open file: ${errorText(error)}`);
  }
  if (!tryLock(fd, 'flock', 'exclusive')) {
    closeSync(fd);
    throw trouble(`unable to set exclusive lock: ${errnoText(os.constants.errno.EAGAIN)}`);
  }
  writeSync(fd, `${String(pid).padStart(32)}\n`, 0, 'latin1');
  return fd;
}

/** Does a master run on this queue? A file that is missing or not locked says no; one that cannot be opened throws. */
export function isMasterRunning(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    return !tryLock(fd, 'flock', 'exclusive');
  } finally {
    closeSync(fd);
  }
}

/** The process id in the file; undefined when there is none. */
export function masterPid(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, 'latin1'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
