/**
 * The maildrop: every complete file in it becomes a message of the queue, and goes away when that message is durable.
 *
 * A file that cannot be taken now (cleanup refuses for a while, no permission to read it) stays for the next round; one that
 * is no message is removed with a warning, as by Postfix. What is not ready or no plain file is passed over; of the latter a warning
 * is given once (complaints.ts). Trouble with one file keeps no other from being taken.
 *
 * Into a maildrop with Postfix's mode only postdrop(1) can write, which has checked what it wrote; where every user may write
 * (docs/decisions/local-submission.md), nobody has. So the same checks are made here, of all that is not the mail system's own.
 */
import { closeSync, constants, statSync, unlinkSync, type Stats } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { errorText } from '../../host/libc.ts';
import { cleanupDetail, cleanupFlag, cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { readyFile } from '../../queue/open-ok.ts';
import type { QueuePaths } from '../../queue/queue-paths.ts';
import { RecordFile } from '../../queue/record-file.ts';
import { QueueTrouble, type QueueStore } from '../../queue/store.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { TableTrouble } from '../../tables/table.ts';
import { Complaints } from './complaints.ts';
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
/** Records of a file that are taken before others get a turn. */
const portion = 500;
/** How Postfix's log numbers what is no record: the end of the file, and a malformed record. */
const noRecord = -1;
const badRecord = -2;
const hour = 3_600_000;
const day = 24 * hour;

export class Maildrop {
  readonly #setup: MaildropSetup;
  readonly #complaints: Complaints;

  constructor(setup: MaildropSetup) {
    this.#setup = setup;
    this.#complaints = new Complaints((text) => setup.log.warning(text));
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
    this.#complaints.roundEnds();
    return removed;
  }

  async #one(queueId: string): Promise<Fate | 'stop'> {
    const file = readyFile(this.#setup.paths, 'maildrop', queueId, (text) => this.#complaints.say(text), this.#setup.now());
    if (file === undefined) return 'keep';
    try {
      const fate = await this.#pickUp(file.path, queueId, file.status);
      return fate === 'remove' && this.#remove(file.path) ? 'remove' : 'keep';
    } catch (error) {
      return this.#trouble(file.path, error);
    }
  }

  /** Cleanup or a table cannot be reached, or the queue takes nothing: the others wait too. A file that cannot be read waits alone. */
  #trouble(path: string, error: unknown): 'stop' | 'keep' {
    const text = `${path}: ${error instanceof Error ? error.message : String(error)} -- will try again later`;
    if (error instanceof ServiceTrouble || error instanceof QueueTrouble || error instanceof TableTrouble) {
      this.#setup.log.warning(text);
      return 'stop';
    }
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    this.#complaints.say(text);
    return 'keep';
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
    if (code !== 'ENOENT') this.#complaints.say(`open input file ${path}: ${reason}`);
    // It is not what it should be; all else (no descriptors, a disk) may pass.
    if (code === 'EPERM' || code === 'ELOOP') return 'remove';
    if (code !== 'EACCES') return 'keep';
    this.#complaints.say(`if this file was created by Postfix < 1.1, then you may have to chmod a+r ${this.#setup.queueDirectory}/${path}`);
    return 'keep';
  }

  async #forward(path: string, queueId: string, { fd, status }: Opened): Promise<Fate> {
    const { cleanup, ownerUid, flags, log, own, lineLimit, submitters } = this.#setup;
    const { uid } = status;
    const isRequeued = uid === ownerUid && (status.mode & constants.S_IROTH) === 0;
    const isOwn = uid === ownerUid;
    if (!isOwn && !await this.#welcome(uid)) return 'remove';
    // Mail that was in the queue before has been through its Milters.
    const wanted = isRequeued ? flags & ~(cleanupFlag.milter | cleanupFlag.autoUtf8) : flags;
    const session = await cleanup.open({ flags: wanted, lineEnd: 'lf' });
    const origin = { uid, arrival: this.#believable(status.mtimeMs, session.queueId, path), requeuedFrom: isRequeued ? queueId : undefined };
    const message = new LocalMessage(session, origin, own, (text) => log.info(text));
    const user = { uid, submitters, mayTellTime: !this.#anyoneMayWrite(), warn: (text: string) => log.warning(text) };
    const taker = isOwn ? message : new SubmittedMessage(message, user);
    try {
      return await this.#copy(new RecordFile(fd, { maximumLength: lineLimit, followPointers: isOwn }), taker, session, path, uid);
    } catch (error) {
      session.abort();
      throw error;
    }
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
    for (let count = 1; ; count++) {
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
      else if (count % portion === 0) await turn();
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
}
