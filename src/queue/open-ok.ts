/**
 * May this file of the queue be opened? What Postfix's mail_open_ok(3) asks before every look into a queue file.
 *
 * A file that is still being written is not ready, one that went away is absent, and what is no regular file is someone's trick
 * or mistake. Nothing throws; what an operator should hear of is handed to `warn`.
 */
import { lstatSync, type Stats } from 'node:fs';
import { errorText } from '../host/libc.ts';
import { queueIdOk } from './queue-id.ts';
import type { QueuePaths } from './queue-paths.ts';

export const ownerMask = 0o700;
export const readyMode = 0o700;
/** postsuper -e: the message is to be returned at the next attempt. */
export const expireMode = 0o010;
/** postqueue -i: its destinations are no longer to count as dead. */
export const unthrottleMode = 0o040;

export interface ReadyFile { readonly path: string; readonly status: Stats }

/** Longer than a rename takes: only then are two links worth a warning. */
const linkPatience = 60_000;

/** The file of a queue id when it is complete; else undefined. `now` is in milliseconds. */
export function readyFile(paths: QueuePaths, queue: string, queueId: string, warn: (text: string) => void, now = Date.now()): ReadyFile | undefined {
  if (!queueIdOk(queueId)) return undefined;
  const path = paths.path(queue, queueId);
  const status = lookAt(path, warn);
  if (status === undefined) return undefined;
  if (!status.isFile()) {
    warn(`${path}: uid ${status.uid}: not a regular file`);
    return undefined;
  }
  if ((status.mode & ownerMask) !== readyMode) return undefined;
  if (status.nlink > 1 && status.ctimeMs < now - linkPatience) warn(`${path}: uid ${status.uid}: file has ${status.nlink} links`);
  return { path, status };
}

function lookAt(path: string, warn: (text: string) => void): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warn(`${path}: ${errorText(error)}`);
    return undefined;
  }
}
