/**
 * What takes the records of a local user's message, one by one: the socket of pickup(8), the maildrop, or pickup itself.
 *
 * `finish` answers status 0 only when the message is durable.
 */
import { cleanupDetail } from '../ipc/cleanup.ts';
import type { SubmissionOutcome } from '../ipc/submission.ts';

export interface Outlet {
  /** '' when it is not told. */
  readonly queueId: string;
  put(type: number, payload?: string | Buffer): void;
  /** To be awaited now and then, with much to put. */
  drained(): Promise<void>;
  /** After the end record. */
  finish(): Promise<SubmissionOutcome>;
  abort(): void;
}

/** No way leads to the queue, now. */
export class NoOutlet extends Error {
  /** Only because this user may not write to the maildrop. */
  readonly denied: boolean;

  constructor(text: string, denied: boolean) {
    super(text);
    this.denied = denied;
  }
}

/** What the user is told of an outcome that is not 0. */
export function outcomeText({ status, reason }: SubmissionOutcome): string {
  return reason === '' ? cleanupDetail(status).text : reason;
}
