/**
 * The logs below flush/: for each site the queue ids of messages that were deferred for it, one per line.
 *
 * One thing is done with a log at a time, here and (by flock) in other processes. A long log is worked on in portions, between which
 * others get their turn. Ids may stand there more than once, and of messages that are gone: neither does any harm. Errors of the
 * file system throw (or reject), but for files that are not there.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, statSync, unlinkSync, utimesSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { errorText } from '../../host/libc.ts';
import { waitForLock } from '../../host/locks.ts';
import { flushMessage } from '../../queue/flush-message.ts';
import { makeDirectories, type QueuePaths } from '../../queue/queue-paths.ts';
import { QueueScan } from '../../queue/queue-scan.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import type { QueueName } from '../../queue/store.ts';

export interface SiteLogOptions {
  readonly paths: QueuePaths;
  readonly warn: (text: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Ids that are remembered so that each message is moved once; beyond that a message may be looked for again. */
const rememberedIds = 10_000;
/** Messages that are moved before others get their turn. */
const portion = 100;
const readSize = 64 * 1024;

export class SiteLogs {
  readonly #options: SiteLogOptions;
  /** Logs that are being worked on. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: SiteLogOptions) {
    this.#options = options;
  }

  /** Note that this message waits for the site. */
  add(name: string, queueId: string): Promise<void> {
    return this.#alone(name, async () => {
      const fd = this.#open(name, constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY)!;
      try {
        waitForLock(fd, 'flock', 'exclusive');
        writeSync(fd, `${queueId}\n`, null, 'latin1');
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Move the messages of the log to incoming, due now. `begun` runs before the first one moves. False: the log is not there, or empty. */
  send(name: string, begun: () => void): Promise<boolean> {
    return this.#alone(name, async () => {
      const fd = this.#open(name, constants.O_RDWR);
      if (fd === undefined) return false;
      try {
        waitForLock(fd, 'flock', 'exclusive');
        begun();
        const any = await this.#moveAll(fd, name);
        if (any) ftruncateSync(fd, 0);
        this.#stamp(name);
        return any;
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Move what was not asked for during `age` seconds, and forget logs that were empty for `purge` seconds. True: something was moved. */
  async refresh(age: number, purge: number): Promise<boolean> {
    let any = false;
    for (const name of this.#names()) {
      const status = this.#status(name);
      if (status === undefined) continue;
      const now = this.#options.now();
      if (status.size > 0) any = (status.atimeMs + age * 1000 < now && await this.send(name, () => undefined)) || any;
      else if (status.mtimeMs + purge * 1000 < now) this.#remove(name);
    }
    return any;
  }

  *#names(): Generator<string> {
    const { paths } = this.#options;
    const scan = new QueueScan('flush' as QueueName, paths.top('flush'), paths.depth('flush') === 0);
    for (let entry = scan.next(); entry !== undefined; entry = scan.next()) if (queueIdOk(entry.queueId)) yield entry.queueId;
  }

  #status(name: string): { size: number; atimeMs: number; mtimeMs: number } | undefined {
    const path = this.#options.paths.path('flush', name);
    try {
      return statSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#options.warn(`stat ${path}: ${errorText(error)}`);
      return undefined;
    }
  }

  #remove(name: string): void {
    try {
      unlinkSync(this.#options.paths.path('flush', name));
    } catch (error) {
      this.#options.warn(`remove logfile ${name}: ${errorText(error)}`);
    }
  }

  /** A log that was read is fresh, also where the file system does not say so (noatime). */
  #stamp(name: string): void {
    const now = this.#options.now() / 1000;
    try {
      utimesSync(this.#options.paths.path('flush', name), now, now);
    } catch {
      // It is read again sooner than need be.
    }
  }

  #open(name: string, flags: number): number | undefined {
    const path = this.#options.paths.path('flush', name);
    const safe = flags | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    try {
      return regular(openSync(path, safe, 0o600), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if ((flags & constants.O_CREAT) === 0) return undefined;
      makeDirectories(path);
      return regular(openSync(path, safe, 0o600), path);
    }
  }

  async #moveAll(fd: number, name: string): Promise<boolean> {
    const { paths, warn, now } = this.#options;
    const known = new Set<string>();
    let lines = 0;
    for (const id of queueIds(fd)) {
      lines++;
      if (!queueIdOk(id)) {
        warn(`bad queue id "${id.slice(0, 30)}..." in fast flush logfile ${name}`);
        continue;
      }
      if (known.has(id)) continue;
      if (known.size < rememberedIds) known.add(id);
      flushMessage(paths, id, warn, { now: now(), revives: false });
      if (lines % portion === 0) await turn();
    }
    return lines > 0;
  }

  /** After what is under way with this log, whatever becomes of that. */
  #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(name);
    const mine = before === undefined ? work() : before.then(work, work);
    const settled = mine.then(() => undefined, () => undefined).finally(() => {
      if (this.#busy.get(name) === settled) this.#busy.delete(name);
    });
    this.#busy.set(name, settled);
    return mine;
  }
}

/** A queue directory is ours alone, but a link or a device there is nothing that we made. */
function regular(fd: number, path: string): number {
  const status = fstatSync(fd);
  if (status.isFile() && status.nlink === 1) return fd;
  closeSync(fd);
  throw new Error(`open fast flush logfile ${path}: not a regular file with one name`);
}

/** The lines of the log, each cut to what a queue id can be at most. */
function* queueIds(fd: number): Generator<string> {
  const block = Buffer.allocUnsafe(readSize);
  let rest = '';
  for (let at = 0, length = readSync(fd, block, 0, readSize, at); length > 0; length = readSync(fd, block, 0, readSize, at)) {
    at += length;
    const lines = (rest + block.toString('latin1', 0, length)).split('\n');
    rest = lines.pop()!.slice(0, readSize);
    yield* lines;
  }
  if (rest !== '') yield rest;
}
