/**
 * Appending a message to a mailbox of the old kind, or to any file (mbox_open(3), mail_copy(3)).
 *
 * All that touches the file is done with the rights of the recipient: opening and locking synchronously, writing chunk by chunk as
 * they come. A message is there as a whole and on disk, or not at all: after an error the file has its old length again.
 * Deliveries of this process to the same path wait for each other in order; others are kept out by the locks. When a process dies
 * on the way, its lock file says which delivery it was and where it began to write: the next attempt of that delivery finds its
 * message there and does not append it again, or takes half of it away first (resumed.ts).
 */
import fs from 'node:fs';
import { dirname } from 'node:path';
import { ConfigurationError } from '../config/configuration-error.ts';
import { asUser } from '../host/identity.ts';
import { tryLock, type LockStyle } from '../host/locks.ts';
import type { Log } from '../log/log.ts';
import { splitList } from '../text/ascii.ts';
import { isWhole, piecesOf, type MessageCopy } from './content.ts';
import { jittered, takeDotlock, type Dotlock, type LockPatience } from './dotlock.ts';
import { DeliveryFailure, failureOf, pathBytes, refusalToActAs, statusOfError, type Failure, type Rights } from './failure.ts';
import { compareTail, endsLine } from './resumed.ts';
import { OpenRefusal, safeOpen, type OpenedFile } from './safe-open.ts';

/** Which locks to take: the value of mailbox_delivery_lock, virtual_mailbox_lock. */
export interface MailboxLocks {
  readonly flock: boolean;
  readonly fcntl: boolean;
  readonly dotlock: boolean;
}

const lockNames = ['flock', 'fcntl', 'dotlock'];

/** Reads the parameter's value; an unknown name is a ConfigurationError in Postfix's words. */
export function parseMailboxLocks(parameter: string, value: string): MailboxLocks {
  const names = splitList(value).map((name) => name.toLowerCase());
  const bad = names.find((name) => !lockNames.includes(name));
  if (bad !== undefined) throw new ConfigurationError(`unknown ${parameter} value "${bad}" in "${value}"`, undefined, `known are ${lockNames.join(', ')}`);
  if (names.length === 0) throw new ConfigurationError(`parameter ${parameter} specifies no applicable mailbox locking method`);
  return { flock: names.includes('flock'), fcntl: names.includes('fcntl'), dotlock: names.includes('dotlock') };
}

/** Is a limit for mailboxes one that every message fits in? Throws ConfigurationError. 0 is no limit. */
export function checkSizeLimit(parameter: string, limit: number, messageLimit: number): void {
  if (limit <= 0) return;
  if (messageLimit <= 0) throw new ConfigurationError(`configuration error: ${parameter} is limited but message_size_limit is unlimited`);
  if (limit < messageLimit) throw new ConfigurationError(`configuration error: ${parameter} is smaller than message_size_limit`);
}

export interface MailboxTarget {
  readonly path: string;
  /** Rights to create and lock the file with; usually the recipient's, or those of the spool directory. */
  readonly openAs: Rights;
  /** Rights to write with. */
  readonly writeAs: Rights;
  /** Who gets the file when it is new and `openAs` is someone else. */
  readonly owner?: Rights | undefined;
  readonly locks: MailboxLocks;
  /** No lock file is no hindrance (files in directories the recipient cannot write to). */
  readonly dotlockMayFail?: boolean;
  /** mailbox_size_limit in bytes; 0: none. */
  readonly sizeLimit: number;
  /** Status for trouble that is neither a full disk nor a lock: 5.2.0 or 4.2.0. */
  readonly otherwise: string;
  /** Looks at what was opened; a Failure ends the delivery. */
  readonly accept?: (status: fs.Stats) => Failure | undefined;
  /** The delivery's name (delivery-key.ts); absent: it is not known again. */
  readonly key?: string | undefined;
  /** Told where in the file the message begins, before it is written. */
  readonly begins?: ((offset: number) => void) | undefined;
}

/** Mailboxes whose broken locks are remembered. */
const leftLimit = 1000;
const inputOutput = { type: 'x-unix', text: 'input/output error' } as const;

/** Delivers to mailboxes; one per service, because deliveries to the same file take turns. */
export class Mailboxes {
  readonly #log: Log;
  readonly #patience: LockPatience;
  readonly #turns = new Map<string, Promise<unknown>>();
  /** What owners of broken locks had noted, by mailbox: their delivery may come later than others. */
  readonly #left = new Map<string, string>();

  constructor(log: Log, patience: LockPatience) {
    this.#log = log;
    this.#patience = patience;
  }

  /** Undefined: the message is in the file, and on disk when it is a regular one. */
  async append(target: MailboxTarget, message: () => MessageCopy): Promise<Failure | undefined> {
    const refusal = refusalToActAs(target.openAs) ?? refusalToActAs(target.writeAs);
    if (refusal !== undefined) return refusal;
    try {
      await this.#inTurn(target.path, () => this.#locked(target, message));
      return undefined;
    } catch (error) {
      return failureOf(error, 'delivery failed', '4.3.0').failure;
    }
  }

  async #inTurn(path: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(path) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#turns.set(path, mine);
    try {
      await mine;
    } finally {
      if (this.#turns.get(path) === mine) this.#turns.delete(path);
    }
  }

  async #locked(target: MailboxTarget, message: () => MessageCopy): Promise<void> {
    const dotlock = await this.#dotlock(target);
    try {
      if (dotlock !== undefined && dotlock.left !== '') this.#remember(target.path, dotlock.left);
      await this.#withFile(target, message, dotlock);
    } finally {
      dotlock?.release();
    }
  }

  #remember(path: string, note: string): void {
    if (this.#left.size >= leftLimit) this.#left.clear();
    this.#left.set(path, note);
  }

  // The lock file comes before the open, so that nothing silly is locked we look first: /dev/null needs no lock.
  async #dotlock(target: MailboxTarget): Promise<Dotlock | undefined> {
    if (!target.locks.dotlock || !asUser(target.openAs, () => isFileOrNothing(target.path))) return undefined;
    try {
      return await takeDotlock(target.path, target.openAs, this.#patience, target.otherwise);
    } catch (error) {
      if (!target.dotlockMayFail || (error as DeliveryFailure).code === 'EEXIST') throw error;
      this.#log.warning((error as Error).message);
      return undefined;
    }
  }

  async #withFile(target: MailboxTarget, message: () => MessageCopy, dotlock: Dotlock | undefined): Promise<void> {
    const opened = openTarget(target);
    try {
      if (opened.status.isFile()) await this.#lockFile(target, opened.fd);
      const refused = target.accept?.(opened.status);
      if (refused !== undefined) throw new DeliveryFailure(refused);
      if (!(await this.#isThere(opened, target, message))) await write(opened, target, message(), dotlock);
      if (opened.created) await syncDirectory(dirname(target.path), target.openAs);
    } finally {
      fs.closeSync(opened.fd);
    }
  }

  /** Did a process whose lock was broken append this very message? What it had appended of it is taken away. */
  async #isThere(opened: OpenedFile, { key, path, openAs }: MailboxTarget, message: () => MessageCopy): Promise<boolean> {
    const [name, start] = this.#left.get(path)?.split(' ') ?? [];
    if (key === undefined || name !== key || !opened.status.isFile()) return false;
    this.#left.delete(path);
    const found = await compareTail({ path, rights: openAs, fd: opened.fd }, Number(start), piecesOf(message()));
    if (found === 'part') fs.ftruncateSync(opened.fd, Number(start));
    if (found === 'whole') await sync(opened.fd);
    return found === 'whole';
  }

  async #lockFile(target: MailboxTarget, fd: number): Promise<void> {
    if (target.locks.flock) await this.#kernelLock(fd, 'flock', target.otherwise);
    // Kept per open file and not per process: other deliveries of this process are others, too.
    if (target.locks.fcntl) await this.#kernelLock(fd, 'ofd', target.otherwise);
    // A mail reader may have put a new file in the place of the one we waited for.
    if (fs.fstatSync(fd).nlink === 1) return;
    this.#log.warning(`${target.path}: file status changed unexpectedly`);
    throw new DeliveryFailure({ dsn: '4.2.0', text: 'target file status changed unexpectedly' });
  }

  async #kernelLock(fd: number, style: LockStyle, otherwise: string): Promise<void> {
    const { attempts, delay, sleep } = this.#patience;
    for (let left = attempts; ; left--) {
      try {
        if (tryLock(fd, style, 'exclusive')) return;
      } catch (error) {
        throw failureOf(error, 'unable to lock for exclusive access', otherwise);
      }
      if (left <= 1) throw new DeliveryFailure({ dsn: '4.2.0', text: 'unable to lock for exclusive access: Resource temporarily unavailable' }, 'EAGAIN');
      await sleep(jittered(delay));
    }
  }
}

function isFileOrNothing(path: string): boolean {
  try {
    return fs.statSync(pathBytes(path)).isFile();
  } catch {
    return true;
  }
}

const { O_APPEND, O_WRONLY, O_NONBLOCK } = fs.constants;

function openTarget({ path, openAs, owner, otherwise }: MailboxTarget): OpenedFile {
  try {
    return asUser(openAs, () => safeOpen(path, O_APPEND | O_WRONLY | O_NONBLOCK, 0o600, owner));
  } catch (error) {
    if (!(error instanceof OpenRefusal)) throw failureOf(error, 'cannot open file', otherwise);
    throw new DeliveryFailure({ dsn: statusOfError(error, otherwise), text: error.message }, error.code);
  }
}

async function write(opened: OpenedFile, target: MailboxTarget, message: MessageCopy, dotlock: Dotlock | undefined): Promise<void> {
  const regular = opened.status.isFile();
  const before = regular ? fs.fstatSync(opened.fd).size : 0;
  const { key, path, openAs: rights } = target;
  // Half a message is left where the power went: ours must not become a part of it.
  const isTorn = regular && key !== undefined && !endsLine({ path, rights, fd: opened.fd }, before);
  const start = isTorn ? before + torn.length : before;
  target.begins?.(start);
  if (regular && key !== undefined) dotlock?.note(`${key} ${start}`);
  try {
    if (isTorn) asUser(target.writeAs, () => writeAll(opened.fd, torn));
    await writeCopy(opened.fd, message, target.writeAs, regular ? target.sizeLimit : 0, start);
    if (regular) await sync(opened.fd);
  } catch (error) {
    if (regular) restore(opened.fd, before);
    throw asWriteFailure(error);
  }
}

/** Ends a line, and a message. */
const torn = Buffer.from('\n\n');

/** The file as it was; if even that fails, nothing more can be done. */
function restore(fd: number, size: number): void {
  try {
    fs.ftruncateSync(fd, size);
  } catch { /* as Postfix: the undo is not complained about */ }
}

/** A file system's refusal as Postfix words it. */
export function asWriteFailure(error: unknown): DeliveryFailure {
  if (error instanceof DeliveryFailure) return error;
  const failure = failureOf(error, 'error writing message', '5.3.0');
  return new DeliveryFailure({ ...failure.failure, diagnostic: inputOutput }, failure.code);
}

/**
 * Write a message to an open file with someone's rights, so that quota count: the size a file may reach is `sizeLimit`
 * (0: no limit), beginning at `before`.
 */
export async function writeCopy(fd: number, message: MessageCopy, rights: Rights, sizeLimit: number, before: number): Promise<void> {
  if (isWhole(message)) return asUser(rights, () => writeWhole(fd, message, sizeLimit, before));
  let size = before;
  for await (const chunk of message) {
    size += chunk.length;
    if (sizeLimit > 0 && size > sizeLimit) throw tooLarge();
    asUser(rights, () => writeAll(fd, chunk));
  }
}

/** The same for a message in memory, and with the rights that we have now. */
export function writeWhole(fd: number, pieces: readonly Buffer[], sizeLimit: number, before: number): void {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (sizeLimit > 0 && before + length > sizeLimit) throw tooLarge();
  const written = length === 0 ? 0 : fs.writevSync(fd, pieces);
  if (written < length) writeAll(fd, Buffer.concat(pieces).subarray(written));
}

function tooLarge(): NodeJS.ErrnoException {
  return Object.assign(new Error('File too large'), { code: 'EFBIG', errno: -27 });
}

function writeAll(fd: number, chunk: Buffer): void {
  for (let at = 0; at < chunk.length;) at += fs.writeSync(fd, chunk, at);
}

/** fsync without holding up the others. */
export function sync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve())));
}

/** Makes the name of a new file durable. What a file system cannot do, or the user may not open, is not asked for. */
export async function syncDirectory(path: string, rights: Rights): Promise<void> {
  let fd: number;
  try {
    fd = asUser(rights, () => fs.openSync(pathBytes(path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY));
  } catch {
    return;
  }
  try {
    await sync(fd);
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    fs.closeSync(fd);
  }
}

