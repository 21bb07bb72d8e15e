/**
 * What postsuper(1) does to single files: remove, rename, mark as expired. A file that is gone meanwhile is no trouble and gives
 * false; other trouble ends the command.
 */
import { closeSync, constants, fchmodSync, fstatSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { moveFile } from '../../queue/file-writer.ts';
import { expireMode, ownerMask, readyMode } from '../../queue/open-ok.ts';
import type { Voice } from '../voice.ts';

function absent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

export function removeFile(path: string, voice: Voice): boolean {
  return attempt(() => unlinkSync(path), `remove file ${path}`, voice);
}

export function removeDirectory(path: string, voice: Voice): boolean {
  return attempt(() => rmdirSync(path), `remove directory ${path}`, voice);
}

export function renameFile(from: string, to: string, voice: Voice): boolean {
  return attempt(() => moveFile(from, to), `rename file ${from} as ${to}`, voice);
}

function attempt(change: () => void, what: string, voice: Voice): boolean {
  try {
    change();
    return true;
  } catch (error) {
    return absent(error) ? false : voice.fatal(`${what}: ${errorText(error)}`);
  }
}

/** Set the mode bit that asks for the message's return. False: not a complete message, or marked already. */
export function expireFile(path: string, voice: Voice): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!absent(error)) voice.warning(`expire file ${path}: ${errorText(error)}`);
    return false;
  }
  try {
    return expireOpen(fd, path, voice);
  } finally {
    closeSync(fd);
  }
}

// The content is not looked at: what is changed must at least be a file of its own, not a link to one outside of the queue.
function expireOpen(fd: number, path: string, voice: Voice): boolean {
  const status = fstatSync(fd);
  const { mode, nlink } = status;
  const trouble = !status.isFile() ? 'not a regular file' : nlink !== 1 ? `file has ${nlink} hard links` : '';
  if (trouble !== '') {
    voice.warning(`expire file ${path}: ${trouble}`);
    return false;
  }
  if ((mode & ownerMask) !== readyMode || (mode & expireMode) !== 0) return false;
  try {
    fchmodSync(fd, (mode | expireMode) & 0o7777);
    return true;
  } catch (error) {
    voice.warning(`expire file ${path}: cannot set permission: ${errorText(error)}`);
    return false;
  }
}
