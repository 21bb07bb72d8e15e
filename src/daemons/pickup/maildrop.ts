/**
 * The maildrop: every complete file in it becomes a message of the queue, and goes away when that message is durable.
 *
 * A file that cannot be taken now (cleanup refuses for a while, no permission to read it) stays for the next round; one that
 * is no message is removed with a warning, as by Postfix. What is not ready or no plain file is passed over; of the latter a warning
 * is given once.
 *
 * Into a maildrop with Postfix's mode only postdrop(1) can write, which has checked what it wrote. Where every user may write
 * (docs/decisions/local-submission.md), the same checks are made here.
 */
import { closeSync, constants, statSync, unlinkSync, type Stats } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { cleanupDetail, cleanupFlag, cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { readyFile } from '../../queue/open-ok.ts';
import type { QueuePaths } from '../../queue/queue-paths.ts';
import { RecordFile } from '../../queue/record-file.ts';
import type { QueueStore } from '../../queue/store.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { LocalMessage, malformed, type OwnName, type Progress } from './message.ts';
import { openMaildropFile, type NotOpened, type Opened } from './open-file.ts';
import { SubmittedMessage } from './submitted.ts';

export interface MaildropSetup {
  readonly store: QueueStore;
  readonly paths: QueuePaths;
  readonly cleanup: Cleanup;
  readonly log: Log;
  readonly own: OwnName;
  /** What is asked of cleanup for new mail. */
  readonly flags: number;
  readonly lineLimit: number;
  readonly queueDirectory: string;
  readonly ownerUid: number;
  readonly submitters: Submitters;
  now(): number;
}

/** What takes the records of a file. */
type Taker = Pick<SubmittedMessage, 'take' | 'full' | 'drained'>;

type Fate = 'remove' | 'keep';

/** Files under way at once: they share the disk's commits. */
const together = 16;
/** Warnings of files that are in nobody's way; past this many the oldest may be said again. */
const rememberedWarnings = 1000;
/** How Postfix's log numbers what is no record: the end of the file, and a malformed record. */
const noRecord = -1;
const badRecord = -2;
const hour = 3_600_000;
const day = 24 * hour;

export class Maildrop {
  readonly #setup: MaildropSetup;
  readonly #warned = new Set<string>();

  constructor(setup: MaildropSetup) {
    this.#setup = setup;
  }

  /** Look through the directory until nothing more can be taken from it. */
  async empty(): Promise<void> {
    while (await this.#round() > 0);
  }

  /** How many files went away. Ends early when cleanup is out of reach. */
  async #round(): Promise<number> {
    let removed = 0;
    for await (const entries of this.#setup.store.scan('maildrop', together)) {
      const fates = await Promise.all(entries.map(({ queueId }) => this.#one(queueId)));
      removed += fates.filter((fate) => fate === 'remove').length;
      if (fates.includes('stop')) return 0;
    }
    return removed;
  }

  async #one(queueId: string): Promise<Fate | 'stop'> {
    const file = readyFile(this.#setup.paths, 'maildrop', queueId, (text) => this.#warnOnce(text), this.#setup.now());
    if (file === undefined) return 'keep';
    try {
      const fate = await this.#pickUp(file.path, queueId, file.status);
      return fate === 'remove' && this.#remove(file.path) ? 'remove' : 'keep';
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      this.#setup.log.warning(`${file.path}: ${error.message} -- will try again later`);
      return 'stop';
    }
  }

  async #pickUp(path: string, queueId: string, status: Stats): Promise<Fate> {
    const opened = openMaildropFile(path, status);
    if ('reason' in opened) return this.#cannotOpen(path, opened);
    try {
      return await this.#forward(path, queueId, opened);
    } finally {
      closeSync(opened.fd);
    }
  }

  #cannotOpen(path: string, { code, reason }: NotOpened): Fate {
    if (code !== 'ENOENT') this.#warnOnce(`open input file ${path}: ${reason}`);
    if (code !== 'EACCES') return 'remove';
    this.#warnOnce(`if this file was created by Postfix < 1.1, then you may have to chmod a+r ${this.#setup.queueDirectory}/${path}`);
    return 'keep';
  }

  async #forward(path: string, queueId: string, { fd, status }: Opened): Promise<Fate> {
    const { cleanup, ownerUid, flags, log, own, lineLimit, submitters } = this.#setup;
    const { uid } = status;
    const isRequeued = uid === ownerUid && (status.mode & constants.S_IROTH) === 0;
    const isUnchecked = uid !== ownerUid && this.#anyoneMayWrite();
    if (isUnchecked && !await this.#welcome(uid)) return 'remove';
    // Mail that was in the queue before has been through its Milters.
    const wanted = isRequeued ? flags & ~(cleanupFlag.milter | cleanupFlag.autoUtf8) : flags;
    const session = await cleanup.open({ flags: wanted, lineEnd: 'lf' });
    const origin = { uid, arrival: this.#believable(status.mtimeMs, session.queueId, path), requeuedFrom: isRequeued ? queueId : undefined };
    const message = new LocalMessage(session, origin, own, (text) => log.info(text));
    const taker = isUnchecked ? new SubmittedMessage(message, { uid, submitters, warn: (text) => log.warning(text) }) : message;
    return this.#copy(new RecordFile(fd, { maximumLength: lineLimit, followPointers: !isUnchecked }), taker, session, path, uid);
  }

  #anyoneMayWrite(): boolean {
    return (statSync(this.#setup.paths.top('maildrop')).mode & constants.S_IWOTH) !== 0;
  }

  async #welcome(uid: number): Promise<boolean> {
    const name = await this.#setup.submitters.refused(uid);
    if (name !== undefined) this.#setup.log.warning(`User ${name}(${uid}) is not allowed to submit mail`);
    return name === undefined;
  }

  async #copy(file: RecordFile, taker: Taker, session: CleanupSession, path: string, uid: number): Promise<Fate> {
    for (;;) {
      const step = file.next();
      const progress: Progress = step.kind === 'record' ? await taker.take(step.record)
        : malformed(`uid=${uid}: unexpected or malformed record type ${step.kind === 'bad' ? badRecord : noRecord}`);
      if (progress === 'complete') return this.#fate(await session.end(), path, session.queueId);
      if (progress !== 'more') {
        session.abort();
        this.#setup.log.warning(progress.log);
        return progress.status & cleanupStatus.write ? 'keep' : 'remove';
      }
      if (taker.full) await taker.drained();
    }
  }

  /** A file from the future is as old as we say; one that lay for long is told of. */
  #believable(mtime: number, queueId: string, path: string): number {
    const now = this.#setup.now();
    if (mtime > now + 2 * hour) {
      this.#setup.log.warning(`${queueId}: message ${path} dated ${Math.floor((mtime - now) / 1000)} seconds into the future`);
      return now;
    }
    if (mtime < now - day) this.#setup.log.warning(`${queueId}: message ${path} has been queued for ${Math.floor((now - mtime) / day)} days`);
    return mtime;
  }

  /** A refusal with a reason was logged by cleanup itself. */
  #fate({ status, reason }: CleanupReply, path: string, queueId: string): Fate {
    if (status === cleanupStatus.ok) return 'remove';
    if (reason === '') this.#setup.log.warning(`${path}: error writing ${queueId}: ${cleanupDetail(status).text}`);
    return status & (cleanupStatus.bad | cleanupStatus.noRecipients) ? 'remove' : 'keep';
  }

  #remove(path: string): boolean {
    try {
      unlinkSync(path);
      return true;
    } catch (error) {
      this.#setup.log.warning(`remove ${path}: ${errorText(error)}`);
      return false;
    }
  }

  #warnOnce(text: string): void {
    if (this.#warned.has(text)) return;
    if (this.#warned.size >= rememberedWarnings) this.#warned.delete(this.#warned.values().next().value!);
    this.#warned.add(text);
    this.#setup.log.warning(text);
  }
}
