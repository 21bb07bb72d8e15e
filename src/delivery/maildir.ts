/**
 * Delivering to a Maildir: the message is written to tmp/, made durable, then linked into new/ under its final name.
 *
 * Everything is done with the recipient's rights; missing directories are made. A Maildir needs no locks. The file in tmp/ bears
 * the delivery's name: when a process dies before it could say that it had delivered, the next attempt finds that file linked into
 * new/ already, and does not deliver again.
 */
import fs from 'node:fs';
import { hostname } from 'node:os';
import { errorText } from '../host/libc.ts';
import { tryLock } from '../host/locks.ts';
import { asUserSoon } from '../host/user-turns.ts';
import type { Log } from '../log/log.ts';
import { isWhole, type MessageCopy } from './content.ts';
import { DeliveryFailure, failureOf, pathBytes, refusalToActAs, type Failure, type Rights } from './failure.ts';
import { asWriteFailure, sync, writeCopy, writeWhole } from './mailbox.ts';
import { NewNames } from './new-names.ts';

export interface MaildirTarget {
  /** Ends in '/'. */
  readonly path: string;
  readonly rights: Rights;
  /** Largest size of the file; 0: no limit. */
  readonly sizeLimit: number;
  /** Status for trouble that is no full disk: 5.2.0 or 4.2.0. */
  readonly otherwise: string;
  /** The delivery's name (delivery-key.ts); absent: it is not known again. */
  readonly key?: string | undefined;
}

/** Delivers to Maildirs; one per service, because it counts the names it gives. */
export class Maildirs {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #names = new NewNames();
  readonly #host = hostname();
  #count = 0;

  /** `now`: milliseconds since the epoch, with fraction. */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  async append(target: MaildirTarget, message: () => MessageCopy): Promise<Failure | undefined> {
    const refusal = refusalToActAs(target.rights);
    if (refusal !== undefined) return refusal;
    try {
      await this.#deliver(target, message());
      return undefined;
    } catch (error) {
      const failure = failureOf(error, 'delivery failed', '4.3.0');
      if (failure.code === 'EACCES') this.#hint(target, failure.message);
      return { ...failure.failure, text: `maildir delivery failed: ${failure.message}` };
    }
  }

  #hint({ rights }: MaildirTarget, text: string): void {
    this.#log.warning(`maildir access problem for UID/GID=${rights.uid}/${rights.gid}: ${text}`);
    this.#log.warning('perhaps you need to create the maildirs in advance');
  }

  // Three visits as the recipient, each together with other deliveries to that user: write, publish, tidy up.
  async #deliver(target: MaildirTarget, message: MessageCopy): Promise<void> {
    const { path, rights, otherwise } = target;
    const start = this.#now();
    const temporary = `${path}tmp/${target.key ?? `${Math.floor(start / 1000)}.P${process.pid}Q${++this.#count}`}.${this.#host}`;
    const draft = await asUserSoon(rights, () => begin(target, temporary, message));
    if (draft === undefined) {
      await this.#names.durable(`${path}new/`, rights);
      return asUserSoon(rights, () => this.#remove(temporary));
    }
    try {
      await complete(draft.fd, target, message);
      const name = `${path}new/${finalName(start, draft.status, this.#host)}`;
      await asUserSoon(rights, () => publish(path, temporary, name, otherwise));
      await this.#names.durable(`${path}new/`, rights);
    } finally {
      fs.closeSync(draft.fd);
      await asUserSoon(rights, () => this.#remove(temporary));
    }
  }

  #remove(temporary: string): void {
    try {
      fs.unlinkSync(pathBytes(temporary));
    } catch (error) {
      this.#log.warning(`remove ${temporary}: ${errorText(error)}`);
    }
  }
}

interface Draft { readonly fd: number; readonly status: fs.BigIntStats }

/** The file in tmp/, and in it the message if that is in memory. Undefined: an attempt whose process died had delivered it. */
function begin({ path, sizeLimit, otherwise }: MaildirTarget, temporary: string, message: MessageCopy): Draft | undefined {
  const fd = createIn(`${path}tmp/`, temporary, otherwise);
  if (fd === undefined) return undefined;
  try {
    if (isWhole(message)) writeWhole(fd, message, sizeLimit, 0);
    return { fd, status: fs.fstatSync(fd, { bigint: true }) };
  } catch (error) {
    fs.closeSync(fd);
    fs.unlinkSync(pathBytes(temporary));
    throw asWriteFailure(error);
  }
}

async function complete(fd: number, { rights, sizeLimit }: MaildirTarget, message: MessageCopy): Promise<void> {
  try {
    if (!isWhole(message)) await writeCopy(fd, message, rights, sizeLimit, 0);
    await sync(fd);
  } catch (error) {
    throw asWriteFailure(error);
  }
}

/** `time.VdeviceIinodeMmicroseconds.host`: unique on this host, whoever delivers. */
function finalName(now: number, { dev, ino }: fs.BigIntStats, host: string): string {
  const microseconds = Math.floor((now % 1000) * 1000);
  return `${Math.floor(now / 1000)}.V${dev.toString(16)}I${ino.toString(16)}M${microseconds}.${host}`;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

/** A new file, locked as long as it is open. Undefined: an attempt whose process died had delivered the message. */
function createIn(directory: string, path: string, otherwise: string): number | undefined {
  const create = (): number | undefined => {
    try {
      return createLocked(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    return isDelivered(path) ? undefined : createLocked(path);
  };
  return orWithDirectories(create, [directory], `create maildir file ${path}`, otherwise);
}

function createLocked(path: string): number {
  const fd = fs.openSync(pathBytes(path), O_WRONLY | O_CREAT | O_EXCL, 0o600);
  lockOrClose(fd, path);
  return fd;
}

/** What another attempt has left: true when it is in new/ too; else it is in nobody's way any more. */
function isDelivered(path: string): boolean {
  const fd = fs.openSync(pathBytes(path), O_RDONLY | O_NOFOLLOW);
  lockOrClose(fd, path);
  try {
    if (fs.fstatSync(fd).nlink > 1) return true;
    fs.unlinkSync(pathBytes(path));
    return false;
  } finally {
    fs.closeSync(fd);
  }
}

function lockOrClose(fd: number, path: string): void {
  if (tryLock(fd, 'flock', 'exclusive')) return;
  fs.closeSync(fd);
  throw new DeliveryFailure({ dsn: '4.2.0', text: `${path} is being delivered by another process` }, 'EAGAIN');
}

function publish(maildir: string, temporary: string, path: string, otherwise: string): void {
  const link = (): void => fs.linkSync(pathBytes(temporary), pathBytes(path));
  orWithDirectories(link, [`${maildir}cur/`, `${maildir}new/`], `create maildir file ${path}`, otherwise);
}

/** Try; when a directory is missing, make these and try once more. */
function orWithDirectories<T>(work: () => T, directories: string[], what: string, otherwise: string): T {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw failureOf(error, what, otherwise);
  }
  try {
    for (const directory of directories) fs.mkdirSync(pathBytes(directory), { recursive: true, mode: 0o700 });
    return work();
  } catch (error) {
    throw error instanceof DeliveryFailure ? error : failureOf(error, what, otherwise);
  }
}
