/**
 * `name.lock`: the lock that all programs that deliver to or read mailboxes understand.
 *
 * Ours says who holds it (process id, host, boot id), so that the lock of a process that died is broken at once; one that does not
 * say is broken when it is older than stale_lock_time. Waiting is asking again after a pause, a bounded number of times. What its
 * holder was about to do can be noted in it, for whoever has to break it.
 */
import fs from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { asUser } from '../host/identity.ts';
import { errorText } from '../host/libc.ts';
import { bootId } from '../host/process.ts';
import type { View } from '../parameters/parameters.ts';
import { DeliveryFailure, pathBytes, statusOfError, type Rights } from './failure.ts';

/** deliver_lock_attempts, deliver_lock_delay and stale_lock_time; times in milliseconds. */
export interface LockPatience {
  readonly attempts: number;
  readonly delay: number;
  readonly stale: number;
  /** Waits; given so that tests need not. */
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The parameters that say how long to try. */
export const lockParameters = ['deliver_lock_attempts', 'deliver_lock_delay', 'stale_lock_time'] as const;

/** Patience as main.cf has it. */
export function lockPatience(parameters: View<typeof lockParameters>, now: () => number): LockPatience {
  return {
    attempts: parameters.deliver_lock_attempts, delay: parameters.deliver_lock_delay * 1000, stale: parameters.stale_lock_time * 1000,
    sleep: (milliseconds) => pause(milliseconds), now,
  };
}

/** A pause somewhere around the delay, so that two who wait do not stay in step. */
export function jittered(delay: number): number {
  return delay * (0.5 + Math.random());
}

let ownMark: string | undefined;

function mark(): string {
  return (ownMark ??= `${process.pid} ${hostname()} ${bootId()}\n`);
}

/** A lock that we hold. */
export class Dotlock {
  /** What the holder that died had noted, when we broke its lock; '' else. */
  readonly left: string;
  readonly #lock: string;
  readonly #rights: Rights;
  readonly #fd: number;

  constructor(lock: string, rights: Rights, fd: number, left: string) {
    this.#lock = lock;
    this.#rights = rights;
    this.#fd = fd;
    this.left = left;
  }

  /** One line for a successor. */
  note(text: string): void {
    try {
      fs.writeSync(this.#fd, `${text}\n`);
    } catch { /* a full disk: then there is no note */ }
  }

  release(): void {
    fs.closeSync(this.#fd);
    try {
      asUser(this.#rights, () => fs.unlinkSync(pathBytes(this.#lock)));
    } catch { /* someone broke it: nothing is left to do */ }
  }
}

/** Take the lock of `path` with these rights, or throw a DeliveryFailure; `otherwise` is the status for unforeseen errors. */
export async function takeDotlock(path: string, rights: Rights, patience: LockPatience, otherwise: string): Promise<Dotlock> {
  const lock = `${path}.lock`;
  for (let left = patience.attempts; ; left--) {
    const taken = asUser(rights, () => tryDotlock(lock, patience));
    if ('fd' in taken) return new Dotlock(lock, rights, taken.fd, taken.left);
    if (taken.code !== 'EEXIST' || left <= 1) {
      const dsn = taken.code === 'EEXIST' ? '4.2.0' : statusOfError(taken, otherwise);
      throw new DeliveryFailure({ dsn, text: `unable to create lock file ${lock}: ${errorText(taken)}` }, taken.code);
    }
    await patience.sleep(jittered(patience.delay));
  }
}

type Attempt = { readonly fd: number; readonly left: string } | NodeJS.ErrnoException;

/** One attempt; a stale lock is removed and the place taken in the same breath. */
function tryDotlock(lock: string, patience: LockPatience): Attempt {
  const first = create(lock, '');
  if ('fd' in first || first.code !== 'EEXIST') return first;
  const left = removeStale(lock, patience);
  return left === undefined ? first : create(lock, left);
}

function create(lock: string, left: string): Attempt {
  let fd: number;
  try {
    fd = fs.openSync(pathBytes(lock), fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, 0o444);
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  try {
    fs.writeSync(fd, mark());
  } catch { /* a full disk: the lock holds without saying whose it is */ }
  return { fd, left };
}

/** What was noted in a lock that is gone now; undefined: it holds. */
function removeStale(lock: string, { stale, now }: LockPatience): string | undefined {
  try {
    const status = fs.lstatSync(pathBytes(lock));
    const dead = deadOwner(lock, status);
    if (now() <= status.ctimeMs + stale && dead === undefined) return undefined;
    fs.unlinkSync(pathBytes(lock));
    return dead ?? '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? '' : undefined;
  }
}

/** What an owner that is dead had noted. Only a lock of ours tells; what is not readable or looks different is taken to be alive. */
function deadOwner(lock: string, status: fs.Stats): string | undefined {
  if (!status.isFile() || status.size === 0 || status.size > 512) return undefined;
  try {
    const [, pid, host, boot, note = ''] = /^([0-9]+) (\S+) (\S+)\n(?:([^\n]*)\n)?$/.exec(fs.readFileSync(pathBytes(lock), 'latin1')) ?? [];
    if (pid === undefined || host !== hostname()) return undefined;
    return boot !== bootId() || !isAlive(Number(pid)) ? note : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
