/**
 * What an attempt that was cut short has left in a mailbox: the process died before it could say that it had delivered, or the
 * power went while the message was on its way to the disk.
 *
 * Looking needs the right to read the file, which the recipient has; where it cannot be read, nothing is found.
 */
import fs from 'node:fs';
import { asUser } from '../host/identity.ts';
import { pathBytes, type Rights } from './failure.ts';

/** 'whole': the message begins at `start` and is complete; 'part': the file ends within it; 'other': something else stands there. */
export type Tail = 'whole' | 'part' | 'other';

/** An open mailbox: by name and rights, and the descriptor that appends to it. */
export interface Appended {
  readonly path: string;
  readonly rights: Rights;
  readonly fd: number;
}

const newline = 0x0a;
/** A From_ line is no longer than this. */
const firstLineLimit = 4096;

/** Is the message there already? Its first line (From_) has a date of its own at each attempt; the rest must be the same. */
export async function compareTail(mailbox: Appended, start: number, message: AsyncIterable<Buffer>): Promise<Tail> {
  const fd = Number.isSafeInteger(start) && start >= 0 ? openAgain(mailbox) : undefined;
  if (fd === undefined) return 'other';
  try {
    return await compare(fd, start, message);
  } finally {
    fs.closeSync(fd);
  }
}

/** Does what stands before `size` end with a line? What follows half a line would be part of it. */
export function endsLine(mailbox: Appended, size: number): boolean {
  const fd = size > 0 ? openAgain(mailbox) : undefined;
  if (fd === undefined) return true;
  const last = Buffer.alloc(1);
  const length = fs.readSync(fd, last, 0, 1, size - 1);
  fs.closeSync(fd);
  return length === 0 || last[0] === newline;
}

/** For reading; only if the name still leads to the same file. */
function openAgain({ path, rights, fd: written }: Appended): number | undefined {
  let fd: number;
  try {
    fd = asUser(rights, () => fs.openSync(pathBytes(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK));
  } catch {
    return undefined;
  }
  const [one, other] = [fs.fstatSync(fd), fs.fstatSync(written)];
  if (one.dev === other.dev && one.ino === other.ino) return fd;
  fs.closeSync(fd);
  return undefined;
}

async function compare(fd: number, start: number, message: AsyncIterable<Buffer>): Promise<Tail> {
  const { size } = fs.fstatSync(fd);
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
