/**
 * Locks on open files: flock(2), which belongs to the open file, and fcntl(2), which belongs to the process, or ('ofd') to the
 * open file; the two fcntl kinds keep each other out.
 *
 * Mind with fcntl locks: closing ANY descriptor of the same file in this process gives the lock up, and two parts of one
 * process never keep each other out. No thread waits but in waitForLock: elsewhere waiting is asking again after a pause.
 */
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { addressOf, bind, bindNow, lastErrno, stableBuffer, systemError, type Native } from './libc.ts';

export type LockStyle = 'flock' | 'fcntl' | 'ofd';
export type LockStrength = 'exclusive' | 'shared' | 'none';

const { EAGAIN, EACCES } = constants.errno;
const flock = bind('int flock(int fd, int operation)');

const flockOperations = { shared: 1, exclusive: 2, none: 8 } as const;
const flockNoWait = 4;
const fcntlTypes = { shared: 0, exclusive: 1, none: 2 } as const;
const setLock = { fcntl: 6, ofd: 37 } as const;
const setLockWaiting = { fcntl: 7, ofd: 38 } as const;

/** struct flock over the whole file: made once, the kernel does not write into it. */
interface WholeFile { readonly bytes: Buffer; readonly address: number }

const wholeFiles = new Map<LockStrength, WholeFile>();
let fcntlNow: Native | undefined;

function wholeFile(strength: LockStrength): WholeFile {
  let lock = wholeFiles.get(strength);
  if (lock) return lock;
  const bytes = stableBuffer(32);
  bytes.writeInt16LE(fcntlTypes[strength], 0);
  wholeFiles.set(strength, (lock = { bytes, address: Number(addressOf(bytes)) }));
  return lock;
}

/** By its address: to find out where a buffer lies takes longer than the call. */
function fcntlLock(fd: number, command: number, address: number): number {
  fcntlNow ??= bindNow('int fcntl(int fd, int command, uintptr_t lock)');
  return fcntlNow(fd, command, address) as number;
}

function lockWholeFile(fd: number, command: number, strength: LockStrength): number {
  return fcntlLock(fd, command, wholeFile(strength).address);
}

/** Take (or with 'none' give up) a lock now. False when someone else holds it; other trouble throws. */
export function tryLock(fd: number, style: LockStyle, strength: LockStrength): boolean {
  const result =
    style === 'flock' ? flock(fd, flockOperations[strength] | flockNoWait) : lockWholeFile(fd, setLock[style], strength);
  if (result >= 0) return true;
  const errno = lastErrno();
  if (errno === EAGAIN || errno === EACCES) return false;
  throw systemError(style, errno);
}

/** struct flock over one byte: of its 32-bit words the first is the type (from the start of the file), 2 and 3 the offset, 4 the length. */
let oneByte: { readonly fields: Int32Array; readonly address: number } | undefined;

function makeOneByte(): NonNullable<typeof oneByte> {
  const bytes = stableBuffer(32);
  const fields = new Int32Array(bytes.buffer, bytes.byteOffset, 8);
  fields[4] = 1;
  return { fields, address: Number(addressOf(bytes)) };
}

/**
 * A lock ('ofd') on one byte: of many things in one file each can be held by itself. Processes that open the file anew keep each
 * other out; within one open file the last word counts. False when someone else holds it; other trouble throws.
 */
export function tryLockByte(fd: number, offset: number, strength: LockStrength): boolean {
  const { fields, address } = oneByte ??= makeOneByte();
  fields[0] = fcntlTypes[strength];
  fields[2] = offset % 2 ** 32;
  fields[3] = Math.floor(offset / 2 ** 32);
  if (fcntlLock(fd, setLock.ofd, address) >= 0) return true;
  const errno = lastErrno();
  if (errno === EAGAIN || errno === EACCES) return false;
  throw systemError('ofd', errno);
}

/**
 * Take a lock, blocking the whole thread until it is free: for commands, and for locks that are never held longer than one
 * small write.
 */
export function waitForLock(fd: number, style: LockStyle, strength: LockStrength): void {
  for (;;) {
    const result = style === 'flock' ? flock(fd, flockOperations[strength]) : lockWholeFile(fd, setLockWaiting[style], strength);
    if (result >= 0) return;
    if (lastErrno() !== constants.errno.EINTR) throw systemError(style, lastErrno());
  }
}

export interface LockPatience {
  /** How often to ask in all. */
  attempts: number;
  /** Milliseconds between two times. */
  delay: number;
  /** Stands in for the clock in tests. */
  sleep?: (milliseconds: number) => Promise<unknown>;
}

/** Ask again and again, as `deliver_lock_attempts` and `deliver_lock_delay` say. False when it never came free. */
export async function lockPatiently(fd: number, style: LockStyle, strength: LockStrength, patience: LockPatience): Promise<boolean> {
  for (let left = patience.attempts; left > 0; left--) {
    if (tryLock(fd, style, strength)) return true;
    if (left > 1) await (patience.sleep ?? pause)(patience.delay);
  }
  return false;
}
