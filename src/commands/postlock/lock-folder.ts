/**
 * The locks of mailbox_delivery_lock on a file, taken as a delivery takes them: the lock file first, then the kernel's.
 *
 * Waits as deliver_lock_attempts and deliver_lock_delay say; a file that is missing is made. Trouble is an Error in Postfix's words.
 */
import { closeSync, constants, fstatSync, statSync } from 'node:fs';
import type { Configuration } from '../../config/configuration.ts';
import { takeDotlock, lockParameters, lockPatience, type Dotlock, type LockPatience } from '../../delivery/dotlock.ts';
import { parseMailboxLocks, type MailboxLocks } from '../../delivery/mailbox.ts';
import { safeOpen } from '../../delivery/safe-open.ts';
import { lockPatiently, type LockStyle } from '../../host/locks.ts';

export interface FolderLock { release(): void }

/** Status of trouble that is neither a full disk nor a lock; nobody hears it here. */
const otherwise = '5.2.0';
const noLocks: MailboxLocks = { flock: false, fcntl: false, dotlock: false };

/** @param style as for mailbox_delivery_lock, whose value holds when it is undefined; '' is no lock at all. */
export async function lockFolder(path: string, config: Configuration, style: string | undefined): Promise<FolderLock> {
  const locks = style === '' ? noLocks : parseMailboxLocks('mailbox_delivery_lock', style ?? config.get('mailbox_delivery_lock'));
  const patience = lockPatience(config.view(lockParameters), Date.now);
  const dotlock = locks.dotlock && isFileOrNothing(path) ? await takeDotlock(path, ourselves(), patience, otherwise) : undefined;
  try {
    const fd = await openAndLock(path, locks, patience);
    return { release: () => (closeSync(fd), dotlock?.release()) };
  } catch (error) {
    (dotlock as Dotlock | undefined)?.release();
    throw error;
  }
}

function ourselves(): { uid: number; gid: number } {
  return { uid: process.geteuid!(), gid: process.getegid!() };
}

/** Devices need no lock file. */
function isFileOrNothing(path: string): boolean {
  try {
    return statSync(Buffer.from(path, 'latin1')).isFile();
  } catch {
    return true;
  }
}

async function openAndLock(path: string, locks: MailboxLocks, patience: LockPatience): Promise<number> {
  const { fd } = safeOpen(path, constants.O_APPEND | constants.O_WRONLY, 0o600);
  try {
    if (locks.flock) await lockFile(fd, 'flock', patience);
    if (locks.fcntl) await lockFile(fd, 'fcntl', patience);
    if (fstatSync(fd).nlink !== 1 && fstatSync(fd).isFile()) throw new Error('target file status changed unexpectedly');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function lockFile(fd: number, style: LockStyle, { attempts, delay, sleep }: LockPatience): Promise<void> {
  if (!await lockPatiently(fd, style, 'exclusive', { attempts, delay, sleep })) throw new Error('unable to lock for exclusive access: Resource temporarily unavailable');
}
