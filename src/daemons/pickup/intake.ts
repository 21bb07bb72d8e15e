/**
 * One message of one user, record by record, to cleanup(8): checked, counted against the size limit, and refused at most once.
 *
 * Nothing is kept unless `end` answers status 0. What comes after a refusal is passed over.
 */
import { cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import type { Log } from '../../log/log.ts';
import { recordType } from '../../message/record.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { LocalMessage, type OwnName, type Progress, type Refusal } from './message.ts';
import { SubmittedMessage } from './submitted.ts';

export interface IntakeSetup {
  readonly cleanup: Cleanup;
  readonly own: OwnName;
  readonly flags: number;
  /** message_size_limit; 0: none. */
  readonly sizeLimit: number;
  readonly submitters: Submitters;
  now(): number;
}

export class Intake {
  readonly #setup: IntakeSetup;
  readonly #log: Log;
  readonly #uid: number;
  readonly #message: SubmittedMessage;
  #session: CleanupSession | undefined;
  #refusal: Refusal | undefined;
  #size = 0;
  readonly queueId: string;

  private constructor(setup: IntakeSetup, log: Log, uid: number, session: CleanupSession) {
    const arrival = setup.now();
    const message = new LocalMessage(session, { uid, arrival }, setup.own, (text) => log.info(text));
    message.take({ type: recordType.time, data: Buffer.from(`${Math.floor(arrival / 1000)} ${Math.floor((arrival % 1000) * 1000)}`) });
    this.#setup = setup;
    this.#log = log;
    this.#uid = uid;
    this.#session = session;
    this.queueId = session.queueId;
    this.#message = new SubmittedMessage(message, { uid, submitters: setup.submitters, warn: (text) => log.warning(text) });
  }

  /** Rejects with ServiceTrouble when cleanup is out of reach. */
  static async open(setup: IntakeSetup, log: Log, uid: number): Promise<Intake> {
    return new Intake(setup, log, uid, await setup.cleanup.open({ flags: setup.flags, lineEnd: 'lf' }));
  }

  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** 'complete' after the end record. */
  take(record: { readonly type: number; readonly data: Buffer }): MaybePromise<Progress> {
    if (this.#refusal !== undefined) return this.#refusal;
    const { sizeLimit } = this.#setup;
    this.#size += record.data.length + 2;
    if (sizeLimit > 0 && this.#size > sizeLimit) return this.refuse({ status: cleanupStatus.size, reason: '', log: `uid=${this.#uid}: File too large` });
    return chain(this.#message.take(record), (progress) => (progress === 'more' || progress === 'complete' ? progress : this.refuse(progress)));
  }

  /** Enough is waiting: await drained() before the next. */
  get full(): boolean {
    return this.#refusal === undefined && this.#message.full;
  }

  drained(): Promise<void> {
    return this.#message.drained();
  }

  /** After 'complete'. */
  end(): Promise<CleanupReply> {
    const session = this.#session!;
    this.#session = undefined;
    return session.end();
  }

  refuse(refusal: Refusal): Refusal {
    if (this.#refusal === undefined) {
      this.#refusal = refusal;
      this.abort();
      if (refusal.log !== '') this.#log.warning(refusal.log);
    }
    return this.#refusal;
  }

  abort(): void {
    this.#session?.abort();
    this.#session = undefined;
  }
}
