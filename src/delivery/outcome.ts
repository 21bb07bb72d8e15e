/**
 * The outcome of one delivery request: what was reported for each recipient, what is marked done in the queue file, and the
 * answer to the queue manager.
 *
 *   await outcome.sent(recipient, { dsn: '2.0.0', text: 'delivered to mailbox' });
 *
 * A recipient is marked done only after its report was recorded. What cannot be recorded or marked stays deferred. Nothing
 * here throws or rejects.
 */
import { noDsn, type DeliveryReply, type DeliveryRequest, type Dsn, type Recipient } from '../ipc/deliver.ts';
import type { Log } from '../log/log.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { dsnOf, type Report, type Reports } from './reports.ts';

export type { Report } from './reports.ts';

/** Where recipients are marked done. With `doneAll` those of one turn are marked together. */
interface MarkedFile {
  done(offset: number): void;
  doneAll?(offsets: readonly number[]): void;
}

export interface OutcomeContext {
  readonly request: DeliveryRequest;
  readonly reports: Reports;
  readonly log: Log;
  /** The open queue file. */
  readonly file: MarkedFile;
  /** What log lines say behind `relay=` when a report does not: the service name, or 'none'. */
  readonly relay: string;
}

export class Outcome {
  readonly request: DeliveryRequest;
  readonly reports: Reports;
  readonly relay: string;
  readonly #log: Log;
  readonly #file: MarkedFile;
  /** Offsets of recipients that are to be marked done in this turn. */
  #marks: number[] = [];
  /** So many recipients in front have been reported, and these others. Most often reports come in order. */
  #front = 0;
  #others: Set<Recipient> | undefined;
  #status = 0;
  #hop: Dsn = noDsn;

  constructor({ request, reports, log, file, relay }: OutcomeContext) {
    this.request = request;
    this.reports = reports;
    this.relay = relay;
    this.#log = log;
    this.#file = file;
  }

  sent(recipient: Recipient, report: Report): MaybePromise<boolean> {
    return this.#settle(recipient, this.reports.sent(this.request, recipient, this.#full(report)));
  }

  deferred(recipient: Recipient, report: Report): MaybePromise<boolean> {
    return this.#settle(recipient, this.reports.deferred(this.request, recipient, this.#full(report)));
  }

  bounced(recipient: Recipient, report: Report): MaybePromise<boolean> {
    return this.#settle(recipient, this.reports.bounced(this.request, recipient, this.#full(report)));
  }

  /** bounced() for a status 5.x.x, else deferred(). */
  failed(recipient: Recipient, report: Report): MaybePromise<boolean> {
    return this.#settle(recipient, this.reports.failed(this.request, recipient, this.#full(report)));
  }

  /** The same outcome for every recipient that has none yet. */
  async all(verdict: 'sent' | 'deferred' | 'bounced' | 'failed', report: Report): Promise<void> {
    const { recipients } = this.request;
    for (let at = this.#front; at < recipients.length; at++) {
      if (at >= this.#front && !this.#others?.has(recipients[at]!)) await this[verdict](recipients[at]!, report);
    }
  }

  /** The recipient's part is over; `settled` false means try again later. For agents that report by themselves. */
  settle(recipient: Recipient, settled: boolean): boolean {
    if (this.request.recipients[this.#front] === recipient) this.#front++;
    else (this.#others ??= new Set()).add(recipient);
    if (settled && this.#mark(recipient)) return true;
    this.#status = -1;
    return false;
  }

  /** Has anything been said about this recipient? */
  isReported(recipient: Recipient): boolean {
    if (this.#others?.has(recipient)) return true;
    const at = this.request.recipients.indexOf(recipient);
    return at >= 0 && at < this.#front;
  }

  /** The destination as a whole is out of reach: the queue manager will not try it for a while. */
  unreachable(report: Report): void {
    this.#hop = dsnOf(report);
  }

  /** Has everything been said about every recipient? */
  get isComplete(): boolean {
    const { recipients } = this.request;
    if (recipients.length === 0) return false;
    for (let at = this.#front; at < recipients.length; at++) if (!this.#others?.has(recipients[at]!)) return false;
    return true;
  }

  reply(): DeliveryReply {
    this.#markAll();
    return { status: this.isComplete ? this.#status : -1, hop: this.#hop, logs: this.reports.logs };
  }

  #full(report: Report): Report {
    return report.relay === undefined ? { ...report, relay: this.relay } : report;
  }

  #settle(recipient: Recipient, settled: MaybePromise<boolean>): MaybePromise<boolean> {
    return isPending(settled) ? this.#settleLater(recipient, settled) : this.settle(recipient, settled);
  }

  async #settleLater(recipient: Recipient, settled: Promise<boolean>): Promise<boolean> {
    return this.settle(recipient, await settled);
  }

  // Offset 0 or -1: the recipient is not in this queue file (passed on by another agent, which marks it).
  #mark(recipient: Recipient): boolean {
    if (recipient.offset <= 0) return true;
    if (this.#file.doneAll === undefined || this.request.recipients.length === 1) return this.#done([recipient.offset]);
    if (this.#marks.length === 0) queueMicrotask(() => this.#markAll());
    this.#marks.push(recipient.offset);
    return true;
  }

  #markAll(): void {
    const marks = this.#marks;
    if (marks.length === 0) return;
    this.#marks = [];
    if (!this.#done(marks)) this.#status = -1;
  }

  #done(marks: readonly number[]): boolean {
    try {
      if (marks.length === 1) this.#file.done(marks[0]!);
      else this.#file.doneAll!(marks);
      return true;
    } catch (error) {
      this.#log.warning(`${this.request.queueId}: update queue file: ${(error as Error).message}`);
      return false;
    }
  }
}

