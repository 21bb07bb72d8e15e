/**
 * Looking whether a message stands in a mailbox already, because the process that appended it died before it could say so.
 *
 * The first line (From_) has a date of its own at each attempt; all that follows must be the same, byte for byte.
 */
import fs from 'node:fs';
import { asUser } from '../host/identity.ts';
import { pathBytes, type Rights } from './failure.ts';

/** 'whole': the message begins at `start` and is complete; 'part': the file ends within it; 'other': something else stands there. */
export type Tail = 'whole' | 'part' | 'other';

const newline = 0x0a;
/** A From_ line is no longer than this. */
const firstLineLimit = 4096;

/** `written`: the descriptor that appends; the file is opened once more for reading, and must be the same. */
export async function compareTail(path: string, rights: Rights, written: number, start: number, message: AsyncIterable<Buffer>): Promise<Tail> {
  if (!Number.isSafeInteger(start) || start < 0) return 'other';
  let fd: number;
  try {
    fd = asUser(rights, () => fs.openSync(pathBytes(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK));
  } catch {
    return 'other';
  }
  try {
    const [one, other] = [fs.fstatSync(fd), fs.fstatSync(written)];
    return one.dev === other.dev && one.ino === other.ino ? await compare(fd, start, one.size, message) : 'other';
  } finally {
    fs.closeSync(fd);
  }
}

async function compare(fd: number, start: number, size: number, message: AsyncIterable<Buffer>): Promise<Tail> {
  let at = afterFirstLine(fd, start);
  if (at === undefined) return 'other';
  let inFirstLine = true;
  for await (const chunk of message) {
    const rest = inFirstLine ? chunk.subarray(chunk.indexOf(newline) + 1) : chunk;
    inFirstLine = false;
    const stands = Buffer.alloc(Math.min(rest.length, Math.max(size - at, 0)));
    fs.readSync(fd, stands, 0, stands.length, at);
    if (!stands.equals(rest.subarray(0, stands.length))) return 'other';
    if (stands.length < rest.length) return 'part';
    at += rest.length;
  }
  return 'whole';
}

/** Undefined: no From_ line stands there. */
function afterFirstLine(fd: number, start: number): number | undefined {
  const head = Buffer.alloc(firstLineLimit);
  const length = fs.readSync(fd, head, 0, head.length, start);
  const end = head.subarray(0, length).indexOf(newline);
  return end < 0 || head.toString('latin1', 0, 5) !== 'From ' ? undefined : start + end + 1;
}
