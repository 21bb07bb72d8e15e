/**
 * The queue manager's hold on messages: it takes them from where they wait, and puts them back when they cannot be dealt with now.
 *
 * Nothing here throws for what the disk or a file does: that is a warning, and the message waits, or is put into corrupt/.
 */
import type { Log } from '../../log/log.ts';
import type { Envelope } from '../../message/envelope.ts';
import { readyFile } from '../../queue/open-ok.ts';
import type { RecipientChunk, Rest } from '../../queue/queue-envelope.ts';
import type { QueuePaths } from '../../queue/queue-paths.ts';
import { CorruptFile, QueueTrouble, type QueueStore } from '../../queue/store.ts';
import type { Clock, Timer } from '../../server/clock.ts';
import type { Candidate } from './feeder.ts';

export interface QueueFilesTools {
  readonly store: QueueStore;
  readonly paths: QueuePaths;
  readonly log: Log;
  readonly clock: Clock;
  /** transport_retry_time and minimal_backoff_time, seconds. */
  readonly retryTime: number;
  readonly backoff: number;
  readonly scanIncoming: () => void;
  /** So many recipients of a message may be read at first. */
  readonly firstRecipients: () => number;
}

/** What a message says when it becomes active. */
export interface TakenFile { readonly envelope: Envelope; readonly forcedExpire: boolean; readonly unthrottle: boolean; readonly flushed: boolean }

export class QueueFiles {
  readonly #tools: QueueFilesTools;
  #rescan: Timer | undefined;

  constructor(tools: QueueFilesTools) {
    this.#tools = tools;
  }

  /** Make a file active that is due. Undefined: it is not, or it was put out of the way. */
  take({ queue, queueId, all, flush }: Candidate): TakenFile | undefined {
    const { clock, log, paths } = this.#tools;
    const file = readyFile(paths, queue, queueId, (text) => log.warning(text), clock.now());
    if (file === undefined || (!all && file.status.mtimeMs > clock.now() + 500)) return undefined;
    return this.#move(queueId, queue, 'active') ? this.#read(queueId, flush) : undefined;
  }

  /** A message that is no file. Undefined: it cannot be read. */
  arrival(queueId: string): Envelope | undefined {
    const { store, log } = this.#tools;
    try {
      const file = store.open('active', queueId);
      const envelope = file.envelope(this.#tools.firstRecipients());
      for (const warning of file.warnings) log.warning(`${queueId}: ${warning}`);
      file.close();
      return envelope;
    } catch (error) {
      log.warning(`${queueId}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** The next recipients of a message of which not all were read. Undefined: they cannot be had. */
  recipients(queueId: string, rest: Rest, most: number): RecipientChunk | undefined {
    const { store, log } = this.#tools;
    try {
      const file = store.open('active', queueId);
      try {
        return file.recipients(rest, most);
      } finally {
        file.close();
      }
    } catch (error) {
      log.warning(`${queueId}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** A delivery agent has said that this is no good queue file, by taking its mode away: it goes out of the way. */
  isSpoiled(queueId: string): boolean {
    const { paths, log, clock } = this.#tools;
    if (readyFile(paths, 'active', queueId, (text) => log.warning(text), clock.now()) !== undefined) return false;
    this.#setAside(queueId);
    return true;
  }

  #setAside(queueId: string): void {
    if (this.#move(queueId, 'active', 'corrupt')) this.#tools.log.warning(`saving corrupt file "${queueId}" from queue "active" to queue "corrupt"`);
  }

  /** New mail again, and due now: a message that was taken before its time has a time stamp in the future. */
  renew(queueId: string): void {
    this.#stamp(queueId, 0);
    this.#move(queueId, 'active', 'incoming');
  }

  /** Cannot be dealt with now (no descriptors, I/O error): later. */
  wait(queueId: string): void {
    this.#stamp(queueId, this.#tools.backoff);
    this.#move(queueId, 'active', 'deferred');
  }

  /** Due in so many seconds; when that cannot be written it is looked at sooner. */
  #stamp(queueId: string, wait: number): void {
    try {
      this.#tools.store.stamp(queueId, 'active', this.#tools.clock.now() + wait * 1000);
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
    }
  }

  #move(queueId: string, from: 'incoming' | 'deferred' | 'active', to: 'active' | 'incoming' | 'corrupt' | 'deferred'): boolean {
    try {
      this.#tools.store.move(queueId, from, to);
      return true;
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
      if (error.code !== 'ENOENT') this.#tools.log.warning(error.message);
      return false;
    }
  }

  /** The envelope of a file that is in the active queue now; undefined: it was put out of the way. */
  #read(queueId: string, flush: boolean): TakenFile | undefined {
    const { store, log } = this.#tools;
    try {
      const file = store.open('active', queueId, { write: true, lock: 'exclusive' });
      try {
        const envelope = file.envelope(this.#tools.firstRecipients());
        for (const warning of file.warnings) log.warning(`${queueId}: ${warning}`);
        // The log of the last attempt is about recipients that are tried again now: this attempt writes its own.
        if (!file.forcedExpire) store.removeLog(queueId, 'defer');
        const { unthrottle, forcedExpire } = file;
        if (unthrottle) file.clearUnthrottle();
        return { envelope, forcedExpire, unthrottle, flushed: flush || unthrottle };
      } finally {
        file.close();
      }
    } catch (error) {
      this.#unreadable(queueId, error);
      return undefined;
    }
  }

  #unreadable(queueId: string, error: unknown): void {
    const { log } = this.#tools;
    if (error instanceof CorruptFile) {
      log.warning(`${queueId}: ${error.message}`);
      this.#setAside(queueId);
    } else if (error instanceof QueueTrouble) {
      if (error.code === 'ENOENT') return;
      if (error.code === 'EAGAIN') return this.#stillDelivered(queueId);
      log.warning(error.message);
      this.wait(queueId);
    } else throw error;
  }

  /** An agent of an earlier queue manager is at it: looked at again when it may have ended. qmgr_active(3). */
  #stillDelivered(queueId: string): void {
    const { clock, log, retryTime, scanIncoming } = this.#tools;
    log.info(`${queueId}: skipped, still being delivered`);
    this.#stamp(queueId, retryTime);
    this.#move(queueId, 'active', 'incoming');
    this.#rescan ??= clock.after((retryTime + 1) * 1000, () => {
      this.#rescan = undefined;
      scanIncoming();
    }, true);
  }
}
