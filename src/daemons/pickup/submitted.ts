/**
 * A message whose records come straight from a user: checked as postdrop(1) would before they count for anything.
 *
 * Used for submission over the socket, and for files of the maildrop.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { recordText, recordType } from '../../message/record.ts';
import { SubmissionFilter } from '../../message/submission.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { TableTrouble } from '../../tables/table.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import { malformed, type LocalMessage, type Progress, type Refusal } from './message.ts';

export interface UserCheck {
  readonly uid: number;
  readonly submitters: Submitters;
  /** The time was written by postdrop(1), which nobody gets past. */
  readonly mayTellTime?: boolean;
  warn(text: string): void;
}

export class SubmittedMessage {
  readonly #message: LocalMessage;
  readonly #user: UserCheck;
  readonly #filter = new SubmissionFilter();

  constructor(message: LocalMessage, user: UserCheck) {
    this.#message = message;
    this.#user = user;
  }

  get full(): boolean {
    return this.#message.full;
  }

  drained(): Promise<void> {
    return this.#message.drained();
  }

  take(record: { readonly type: number; readonly data: Buffer }): MaybePromise<Progress> {
    const { uid, warn, mayTellTime } = this.#user;
    if (mayTellTime && record.type === recordType.time && !this.#filter.begun) return this.#message.take(record);
    const step = this.#filter.take(record);
    if (step.kind === 'refuse') return malformed(`uid=${uid}: ${step.reason}`);
    if (step.kind === 'drop') {
      if (step.warning !== undefined) warn(`uid=${uid}: ${step.warning}`);
      return 'more';
    }
    if (this.#filter.ended && !this.#filter.isComplete) return malformed(`uid=${uid}: message without sender or recipient`);
    const data = typeof step.payload === 'string' ? Buffer.from(step.payload, 'latin1') : step.payload;
    return step.type === recordType.sender ? this.#sender(data) : this.#message.take({ type: step.type, data });
  }

  #sender(data: Buffer): MaybePromise<Progress> {
    const sender = recordText({ data });
    const decide = (may: boolean): Progress => (may ? this.#message.take({ type: recordType.sender, data }) : this.#refused(sender));
    try {
      const may = this.#user.submitters.maySendAs(this.#user.uid, sender);
      return isPending(may) ? may.then(decide, tableTrouble) : decide(may);
    } catch (error) {
      return tableTrouble(error);
    }
  }

  #refused(sender: string): Refusal {
    const reason = `not authorized to use sender='${sender}'`;
    return { status: cleanupStatus.denied, reason, log: `uid=${this.#user.uid}: ${reason}` };
  }
}

function tableTrouble(error: unknown): Refusal {
  if (!(error instanceof TableTrouble)) throw error;
  const reason = `local_login_sender_maps table lookup error for '${error.table}'`;
  return { status: cleanupStatus.write, reason, log: `${reason}: ${error.message}` };
}
