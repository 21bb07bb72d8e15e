/** Looking at files with a user's rights. uid 0 is nobody in particular: then it is done with our own. */
import fs from 'node:fs';
import { DeliveryFailure, pathBytes } from '../../delivery/failure.ts';
import { asUser } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';

export function actAs<T>({ uid, gid }: { uid: number; gid: number }, work: () => T): T {
  return uid === 0 ? work() : asUser({ uid, gid }, work);
}

const { O_RDONLY, O_NONBLOCK } = fs.constants;
const chunkSize = 64 << 10;

/**
 * The lines of a file, cut where they are longer than `limit`. The file is opened at once, with the user's rights and without
 * waiting for what is no file; trouble throws. Trouble while reading is a DeliveryFailure. Lines come with their ends: an unclosed quote
 * goes on to there.
 */
export function linesOf(path: string, user: { uid: number; gid: number }, limit: number): Generator<string, void, undefined> {
  const fd = actAs(user, () => fs.openSync(pathBytes(path), O_RDONLY | O_NONBLOCK));
  if (fs.fstatSync(fd).isFile()) return readLines(fd, limit);
  fs.closeSync(fd);
  throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
}

function* readLines(fd: number, limit: number): Generator<string, void, undefined> {
  const chunk = Buffer.alloc(chunkSize);
  let rest = '';
  try {
    for (let count = readInto(fd, chunk); count > 0; count = readInto(fd, chunk)) {
      const lines = (rest + chunk.toString('latin1', 0, count)).split(/(?<=\n)/);
      rest = lines.at(-1)!.endsWith('\n') ? '' : lines.pop()!;
      for (const line of lines) yield* cut(line, limit);
      while (rest.length > limit) {
        yield rest.slice(0, limit);
        rest = rest.slice(limit);
      }
    }
    if (rest !== '') yield rest;
  } finally {
    fs.closeSync(fd);
  }
}

function readInto(fd: number, chunk: Buffer): number {
  try {
    return fs.readSync(fd, chunk);
  } catch (error) {
    throw new DeliveryFailure({ dsn: '4.3.0', text: `error reading forwarding file: ${errorText(error)}` });
  }
}

function* cut(line: string, limit: number): Generator<string, void, undefined> {
  for (let at = 0; at === 0 || at < line.length; at += limit) yield line.slice(at, at + limit);
}
