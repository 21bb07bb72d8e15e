/**
 * Have one deferred message tried now: what flush(8) does for `postqueue -i`, and for each message of a site.
 *
 * Its time becomes now, with `revives` (which is usual) a permission bit asks qmgr to forget that its destinations are dead, and it moves to
 * incoming; the caller triggers qmgr. False when there is no such message.
 */
import { closeSync, constants, fchmodSync, fstatSync, futimesSync, openSync } from 'node:fs';
import { errorText } from '../host/libc.ts';
import { moveFile } from './file-writer.ts';
import { ownerMask, readyMode, unthrottleMode } from './open-ok.ts';
import type { QueuePaths } from './queue-paths.ts';

export interface FlushOptions { readonly now?: number; readonly revives?: boolean }

export function flushMessage(paths: QueuePaths, queueId: string, warn: (text: string) => void, { now = Date.now(), revives = true }: FlushOptions = {}): boolean {
  for (const queue of ['deferred', 'incoming'] as const) {
    const path = paths.path(queue, queueId);
    try {
      if (!prepare(path, now, revives)) return false;
      if (queue !== 'incoming') moveFile(path, paths.path('incoming', queueId));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warn(`flush ${path}: ${errorText(error)}`);
    }
  }
  return false;
}

function prepare(path: string, now: number, revives: boolean): boolean {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || status.nlink !== 1 || (status.mode & ownerMask) !== readyMode) return false;
    futimesSync(fd, now / 1000, now / 1000);
    if (revives) fchmodSync(fd, (status.mode & 0o7777) | unthrottleMode);
    return true;
  } finally {
    closeSync(fd);
  }
}
