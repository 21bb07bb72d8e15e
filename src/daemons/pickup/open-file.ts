/**
 * Opening a file of the maildrop, which somebody else put there: a plain file with one name, looked at before and after it is
 * opened (safe_open(3)), never waited for (a FIFO), never followed (a symbolic link).
 */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { errorText } from '../../host/libc.ts';

const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

export interface Opened { readonly fd: number; readonly status: Stats }

/** `code` is an errno name; EPERM for what is not as it should be. */
export interface NotOpened { readonly code: string; readonly reason: string }

/** @param expected what lstat(2) said of the path */
export function openMaildropFile(path: string, expected: Stats): Opened | NotOpened {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    return { code, reason: code === 'ELOOP' ? 'file is a symbolic link' : `cannot open file: ${errorText(error)}` };
  }
  const status = fstatSync(fd);
  const reason = trouble(status, expected);
  if (reason === undefined) return { fd, status };
  closeSync(fd);
  return { code: 'EPERM', reason };
}

function trouble(status: Stats, expected: Stats): string | undefined {
  if (!status.isFile()) return 'file is not a regular file';
  if (status.nlink !== 1) return `file has ${status.nlink} hard links`;
  if (status.ino !== expected.ino || status.dev !== expected.dev || status.uid !== expected.uid) return 'file status changed unexpectedly';
  return undefined;
}
