/**
 * What became of the recipients of one request, who is left, and why: the judgement of every failure, and its report.
 *
 * While `finalServer` is false temporary failures are only logged and their recipients stay left; hard failures count at
 * once. Every report goes through the Outcome of the delivery.
 */
import type { Delivery } from '../../delivery/agent.ts';
import type { Report } from '../../delivery/reports.ts';
import type { Recipient, Times } from '../../ipc/deliver.ts';
import type { Why } from '../../network/destination.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Failure } from '../../protocol/smtp-client/steps.ts';
import type { Connection, Sink } from './connection.ts';
import type { Settings } from './settings.ts';
import { withoutSuccessReport } from './transaction.ts';

const nobody: readonly Recipient[] = [];
const noReason: Why = { status: '4.3.0', reason: 'server unavailable or unable to receive mail' };

export class Ledger {
  left: readonly Recipient[];
  /** Why the recipients that are left have not been delivered. */
  why: Failure | undefined;
  /** No server follows: temporary failures count. */
  finalServer = false;
  /** Some server took part in an orderly way: the destination as a whole is not to blame. */
  complete = false;
  /** A connection that is lost may be made again without TLS: its recipients stay left. */
  repeatsLost = false;
  /** That has happened. */
  wasLost = false;
  /** What log lines say behind `tls=`. */
  tls = '';
  private connectionDone = 0;
  private blamed = false;
  private readonly delivery: Delivery;
  private readonly settings: Settings;
  private readonly clock: { now(): number };

  constructor(delivery: Delivery, settings: Settings, clock: { now(): number }) {
    this.delivery = delivery;
    this.settings = settings;
    this.clock = clock;
    this.left = delivery.request.recipients;
  }

  /** The message is handed over to this connection, for everybody who is left. */
  round(connection: Connection): Sink {
    return new Round(this, connection, this.left);
  }

  /** Its turn there has come. */
  begin(): void {
    this.connectionDone = this.clock.now() / 1000;
  }

  /** The server's turn is over: what follows has times of its own. */
  turnOver(): void {
    this.connectionDone = 0;
  }

  delivered(recipients: readonly Recipient[], connection: Connection, reuseCount: number, status: string, text: string): MaybePromise<void> {
    const { peer, settings: { dialect } } = connection.options;
    const { offersDsn } = connection;
    const report: Report = {
      dsn: status, text, relay: peer.nameAddressPort, diagnostic: { type: 'smtp', text }, remote: { type: 'dns', name: peer.host },
      action: dialect === 'lmtp' && this.settings.flags.final && !offersDsn ? 'delivered' : 'relayed',
      times: this.times(), reuseCount, tls: this.tls,
    };
    let pending: Promise<unknown>[] | undefined;
    for (const recipient of recipients) {
      const reported = this.reportSent(recipient, offersDsn ? withoutSuccessReport(recipient) : recipient, report);
      if (isPending(reported)) (pending ??= []).push(reported);
    }
    this.drop(recipients);
    return pending && Promise.all(pending).then(() => {});
  }

  // The Outcome marks the recipient that it was asked about; the report may concern a copy with other wishes.
  private reportSent(original: Recipient, shown: Recipient, report: Report): MaybePromise<unknown> {
    return original === shown ? this.delivery.outcome.sent(original, report) : this.reportCopy(original, shown, report);
  }

  private reportCopy(original: Recipient, shown: Recipient, report: Report): MaybePromise<unknown> {
    const { outcome, request } = this.delivery;
    return chain(outcome.reports.sent(request, shown, report), (settled) => outcome.settle(original, settled));
  }

  /** The recipients' failure at one server; `relay` names it. */
  async fail(recipients: readonly Recipient[], failure: Failure, relay: string, reuseCount = 0): Promise<void> {
    this.why = failure;
    if (this.isRepeated(failure) || this.passes(failure)) {
      this.delivery.log.info(`${this.delivery.request.queueId}: ${failure.reason}`);
      return;
    }
    if (failure.scope !== 'recipient' && this.connectionDone === 0) this.connectionDone = this.clock.now() / 1000;
    const report = this.failureReport(failure, relay, reuseCount);
    let deferred = false;
    for (const recipient of recipients) if (!(await this.delivery.outcome.failed(recipient, report))) deferred = true;
    this.drop(recipients);
    if (failure.scope === 'site' && deferred && !this.complete && !this.blamed) {
      this.blamed = true;
      this.delivery.outcome.unreachable(report);
    }
  }

  private isRepeated({ status, remoteMta }: Failure): boolean {
    const isLost = this.repeatsLost && status === '4.4.2' && remoteMta === '';
    this.wasLost ||= isLost;
    return isLost;
  }

  /** Does it leave hope, with the servers that follow? */
  private passes({ status, softUntilLast }: Failure): boolean {
    const hard = status.startsWith('5');
    return !this.finalServer && (!hard || softUntilLast || this.settings.softBounce);
  }

  private failureReport(failure: Failure, relay: string, reuseCount: number): Report {
    return {
      dsn: failure.status, text: failure.reason, relay, times: this.times(), reuseCount, tls: this.tls,
      diagnostic: failure.diagnostic === '' ? undefined : { type: failure.diagnosticType ?? 'smtp', text: failure.diagnostic },
      remote: failure.remoteMta === '' ? undefined : { type: 'dns', name: failure.remoteMta },
    };
  }

  private times(): Times {
    const { incomingArrival, activeArrival, agentHandoff } = this.delivery.request.times;
    return { incomingArrival, activeArrival, agentHandoff, connectionDone: this.connectionDone, deliveryDone: this.clock.now() / 1000 };
  }

  private drop(recipients: readonly Recipient[]): void {
    if (recipients.length === this.left.length) {
      this.left = nobody;
      return;
    }
    const gone = new Set(recipients);
    this.left = this.left.filter((recipient) => !gone.has(recipient));
  }

  blame(why: Why): void {
    this.why = { ...why, remoteMta: '', diagnostic: '', scope: 'site', softUntilLast: false };
  }

  /** What looks like a mistake of the operator must not cost anybody mail: a hard failure there is a temporary one. */
  excuse(parameter: string): void {
    if (!this.why?.status.startsWith('5')) return;
    this.delivery.log.warning(`${parameter} configuration problem`);
    this.why = { ...this.why, status: '4.3.5' };
  }

  /** Whoever is left fails for the last reason known. */
  async settleRest(): Promise<void> {
    if (this.left.length === 0) return;
    if (!this.why) this.blame(noReason);
    this.finalServer = true;
    await this.fail(this.left, this.why!, 'none');
  }

  /** Hand whoever is left to another transport. */
  async passRest(passOn: (recipient: Recipient) => Promise<boolean>): Promise<void> {
    for (const recipient of this.left) this.delivery.outcome.settle(recipient, await passOn(recipient));
    this.left = [];
  }
}

/** One server's turn. Numbers are places in the list of those who were left when it began. */
class Round implements Sink {
  private readonly ledger: Ledger;
  private readonly connection: Connection;
  private readonly recipients: readonly Recipient[];
  private reuse = 0;

  constructor(ledger: Ledger, connection: Connection, recipients: readonly Recipient[]) {
    this.ledger = ledger;
    this.connection = connection;
    this.recipients = recipients;
  }

  begun(reuse: number): void {
    this.reuse = reuse;
    this.ledger.begin();
  }

  delivered(numbers: readonly number[], status: string, text: string): MaybePromise<void> {
    return this.ledger.delivered(this.named(numbers), this.connection, this.reuse, status, text);
  }

  failed(numbers: readonly number[], failure: Failure): Promise<void> {
    return this.ledger.fail(this.named(numbers), failure, this.connection.options.peer.nameAddressPort, this.reuse);
  }

  private named(numbers: readonly number[]): readonly Recipient[] {
    return numbers.length === this.recipients.length ? this.recipients : numbers.map((number) => this.recipients[number]!);
  }
}
