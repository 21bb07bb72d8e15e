/**
 * Opening a file that someone else may have put in our way (safe_open(3)): no symbolic links but root's own, no file with a
 * second name, no directory, and nothing that was exchanged while we looked.
 *
 * Synchronous, to be run within asUser(). Refusals are Errors with errno `code` and Postfix's text, without the path.
 */
import fs from 'node:fs';
import { dirname } from 'node:path';
import { errorText } from '../host/libc.ts';
import { pathBytes } from './failure.ts';

export interface OpenedFile {
  readonly fd: number;
  readonly status: fs.Stats;
  readonly created: boolean;
}

/** Why a file was not opened. */
export class OpenRefusal extends Error {
  readonly code: string;

  constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
}

function refusal(error: unknown, text: string): OpenRefusal {
  return new OpenRefusal((error as NodeJS.ErrnoException).code ?? 'EIO', `${text}: ${errorText(error)}`);
}

/** Open an existing file or create one, with `flags` of open(2) beside O_CREAT and O_EXCL. `owner`: who gets a new file. */
export function safeOpen(path: string, flags: number, mode: number, owner?: { uid: number; gid: number }): OpenedFile {
  try {
    return openExisting(path, flags);
  } catch (error) {
    if ((error as OpenRefusal).code !== 'ENOENT') throw error;
  }
  try {
    return openNew(path, flags, mode, owner);
  } catch (error) {
    if ((error as OpenRefusal).code !== 'EEXIST') throw error;
  }
  return openExisting(path, flags);
}

/** Open a file that must exist. */
export function openExisting(path: string, flags: number): OpenedFile {
  let fd: number;
  try {
    fd = fs.openSync(pathBytes(path), flags);
  } catch (error) {
    throw refusal(error, 'cannot open file');
  }
  try {
    const status = fs.fstatSync(fd);
    check(path, status);
    return { fd, status, created: false };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function check(path: string, status: fs.Stats): void {
  if (status.nlink !== 1) throw new OpenRefusal('EPERM', `file has ${status.nlink} hard links`);
  if (status.isDirectory()) throw new OpenRefusal('EISDIR', 'file is a directory');
  let named: fs.Stats;
  try {
    named = fs.lstatSync(pathBytes(path));
  } catch (error) {
    throw new OpenRefusal('EPERM', `file status changed unexpectedly: ${errorText(error)}`);
  }
  if (named.isSymbolicLink()) {
    if (named.uid === 0 && rootOwns(dirname(path))) return;
    throw new OpenRefusal('EPERM', 'file is a symbolic link');
  }
  if (named.dev !== status.dev || named.ino !== status.ino || named.nlink !== status.nlink || named.mode !== status.mode)
    throw new OpenRefusal('EPERM', 'file status changed unexpectedly');
}

/** A link of root's counts only where nobody else could have made or moved it. */
function rootOwns(directory: string): boolean {
  try {
    const status = fs.statSync(pathBytes(directory));
    return status.uid === 0 && (status.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

function openNew(path: string, flags: number, mode: number, owner?: { uid: number; gid: number }): OpenedFile {
  let fd: number;
  try {
    fd = fs.openSync(pathBytes(path), flags | fs.constants.O_CREAT | fs.constants.O_EXCL, mode);
  } catch (error) {
    throw refusal(error, 'cannot create file exclusively');
  }
  try {
    if (owner !== undefined) fs.fchownSync(fd, owner.uid, owner.gid);
    return { fd, status: fs.fstatSync(fd), created: true };
  } catch (error) {
    fs.closeSync(fd);
    throw refusal(error, 'cannot change file ownership');
  }
}
