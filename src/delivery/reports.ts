/**
 * Saying what became of a recipient: in the mail log, to the services that write reports to senders, to verify and flush.
 *
 * Each method answers whether the recipient is settled (true: delivered or bounced, and the record of that was made) or must be
 * tried again (false). A service that is out of reach never loses mail: the recipient stays deferred. Nothing here throws or
 * rejects. Marking recipients done in the queue file is the Outcome's matter, not ours.
 */
import { existsSync } from 'node:fs';
import { dsnNotify, dsnValid, splitDsn } from '../message/dsn.ts';
import { bounceService } from '../ipc/bounce.ts';
import { deliveryLog, requestFlag, type Dsn, type Recipient, type Times } from '../ipc/deliver.ts';
import type { Directory } from '../ipc/directory.ts';
import { flushService, flushStatus } from '../ipc/flush.ts';
import { probeStatus, verifyService } from '../ipc/verify.ts';
import type { Log } from '../log/log.ts';
import type { View } from '../parameters/parameters.ts';
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import { lineHead, lineTail, type LineForm } from './log-line.ts';

/** What a program that reports on deliveries reads from main.cf. */
export const reportParameters = [
  'soft_bounce', 'bounce_service_name', 'defer_service_name', 'trace_service_name', 'address_verify_service_name',
  'address_verify_negative_cache', 'flush_service_name', 'delay_logging_resolution_limit', 'info_log_address_format',
] as const;

/** Names of the services reports call, for a daemon's card. */
export const reportServices = ['bounce', 'defer', 'trace', 'verify', 'flush'] as const;

/** What happened to one recipient. */
export interface Report {
  /** Enhanced status code: 2.0.0, 4.3.0, 5.1.1. */
  readonly dsn: string;
  /** Human text, for the log line's parentheses and the report to the sender. */
  readonly text: string;
  /** Who did it: the master.cf service name, `host[address]:port`, or `none`. Absent: what the Outcome was made with. */
  readonly relay?: string | undefined;
  /** For successes: delivered (default), relayed, expanded. */
  readonly action?: string | undefined;
  /** Diagnostic-Code: `smtp` and the reply, `x-unix` and the command's output. */
  readonly diagnostic?: { readonly type: string; readonly text: string } | undefined;
  /** Remote-MTA: `dns` and the host. */
  readonly remote?: { readonly type: string; readonly name: string } | undefined;
  readonly times?: Times | undefined;
  readonly reuseCount?: number | undefined;
  /** What the log line says behind `tls=`. */
  readonly tls?: string | undefined;
}

/** The message a report is about; a DeliveryRequest is one. `flags`: see requestFlag. */
export interface ReportedMessage {
  readonly queueId: string;
  readonly flags: number;
  readonly times: Times;
}

/** What a report for one recipient at once needs besides (bounce_one); a DeliveryRequest is one. */
export interface ReturnedMessage extends ReportedMessage {
  readonly queueName: string;
  readonly encoding: string;
  readonly smtputf8: number;
  readonly sender: string;
  readonly dsnEnvid: string;
  readonly dsnRet: number;
}

export interface ReportTools {
  readonly parameters: View<typeof reportParameters>;
  readonly clock: { now(): number };
  readonly services: Directory;
  /** *_delivery_status_filter: "status text" to its replacement. Trouble keeps the text as it is (and is the filter's to log). */
  readonly statusFilter?: { readonly title: string; find(text: string): MaybePromise<string | undefined> } | undefined;
  /** Is this destination one of fast_flush_domains? */
  readonly fastFlush?: ((domain: string) => MaybePromise<boolean>) | undefined;
}

const traceMask = requestFlag.mtaVerify | requestFlag.userVerify | requestFlag.record | requestFlag.recordDelaySent;

/** Is this a question where mail would go, with nothing to be delivered? */
export function isTraceOnly(flags: number): boolean {
  return (flags & (requestFlag.mtaVerify | requestFlag.userVerify)) !== 0;
}

/** How an address without relay is logged. */
export const noRelay = 'none';

type Calls = { append(request: object): MaybePromise<{ status: number }>; one(request: object): MaybePromise<{ status: number }> };

export class Reports {
  /** Which reports to the sender were begun here (bits of deliveryLog): nobody need look for others. */
  logs = 0;
  readonly #tools: ReportTools;
  readonly #log: Log;
  readonly #form: LineForm;
  #lastTail: { readonly report: Report; readonly outcome: string; readonly text: string } | undefined;

  constructor(tools: ReportTools, log: Log) {
    this.#tools = tools;
    this.#log = log;
    this.#form = {
      decimals: tools.parameters.delay_logging_resolution_limit,
      external: tools.parameters.info_log_address_format !== 'internal',
    };
  }

  /** Delivered; or, for a probe, deliverable. */
  sent(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    const final = this.#filtered(this.#checked('sent', '2', report));
    return isPending(final) ? this.#sentLater(message, recipient, final) : this.#sent(message, recipient, final);
  }

  // A function of its own: one that makes closures costs memory also when it makes none, and this is done for every recipient.
  async #sentLater(message: ReportedMessage, recipient: Recipient, final: Promise<Report>): Promise<boolean> {
    return this.#sent(message, recipient, await final);
  }

  /** Not now. Always false, but for a filter that makes it a bounce, and for probes. */
  deferred(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    return chain(this.#filtered(this.#checked('defer_append', '4', report)), (final) =>
      final.dsn.startsWith('5') ? this.#bounced(message, recipient, final) : this.#deferred(message, recipient, final));
  }

  /** Never. False while soft_bounce is on, or when the report could not be recorded. */
  bounced(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    return chain(this.#filtered(this.#checked('bounce_append', '5', report)), (final) =>
      final.dsn.startsWith('4') ? this.#deferred(message, recipient, final) : this.#bounced(message, recipient, final));
  }

  /** deferred() or bounced(), as the status says. */
  failed(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    return report.dsn.startsWith('4') ? this.deferred(message, recipient, report) : this.bounced(message, recipient, report);
  }

  /** As failed(), with a report of its own to `message.sender` (the owner of a list, say) instead of an entry in the log. */
  failedOne(message: ReturnedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (report.dsn.startsWith('4')) return this.deferred(message, recipient, report);
    return chain(this.#filtered(this.#checked('bounce_one', '5', report)), (final) =>
      final.dsn.startsWith('4') ? this.#deferred(message, recipient, final) : this.#bouncedOne(message, recipient, final));
  }

  /** A record for the sender who asked for one (NOTIFY=SUCCESS, sendmail -v, -bv). False: it could not be made. */
  trace(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    const { relay = noRelay } = report;
    const full = relay === noRelay ? report : { ...report, text: `delivery via ${relay}: ${report.text}` };
    const recorded = this.#append('trace', message, recipient, full);
    return chain(recorded, (ok) => {
      if (!ok) this.#failure(message, this.#tools.parameters.trace_service_name);
      else if (message.flags & requestFlag.userVerify) this.#line(message, recipient, report, report.action ?? '');
      return ok;
    });
  }

  #sent(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (isTraceOnly(message.flags)) return this.#probed(message, recipient, { ...report, action: 'deliverable' }, probeStatus.ok);
    const full = report.action ? report : { ...report, action: 'delivered' };
    const recorded = this.#recordSuccess(message, recipient, full);
    return isPending(recorded) ? this.#saySentLater(recorded, message, recipient, full) : this.#saySent(recorded, message, recipient, full);
  }

  async #saySentLater(recorded: Promise<boolean>, message: ReportedMessage, recipient: Recipient, report: Report): Promise<boolean> {
    return this.#saySent(await recorded, message, recipient, report);
  }

  #saySent(recorded: boolean, message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (!recorded) {
      const text = `${message.queueId}: ${this.#tools.parameters.trace_service_name} service failed`;
      return this.#deferred(message, recipient, { ...report, dsn: '4.3.0', text });
    }
    this.#line(message, recipient, report, 'sent');
    return true;
  }

  /** Who wants to hear of a success: `sendmail -v`, a sender who was told of a delay, NOTIFY=SUCCESS (RFC 3461 section 4.1). */
  #recordSuccess(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    const { flags } = message;
    const late = (flags & requestFlag.recordDelaySent) !== 0 && (recipient.dsnNotify === 0 || (recipient.dsnNotify & dsnNotify.delay) !== 0);
    const first = (flags & requestFlag.record) !== 0 || late ? this.trace(message, recipient, report) : true;
    return (recipient.dsnNotify & dsnNotify.success) === 0 ? first : this.#traceToo(first, message, recipient, report);
  }

  #traceToo(recorded: MaybePromise<boolean>, message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    return chain(recorded, (ok) => ok && this.trace(message, recipient, report));
  }

  #deferred(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (isTraceOnly(message.flags)) return this.#probed(message, recipient, { ...report, action: 'undeliverable' }, probeStatus.defer);
    const full = { ...report, action: 'delayed' };
    return chain(this.#append('defer', message, recipient, full), (ok) => {
      if (!ok) this.#failure(message, this.#tools.parameters.defer_service_name);
      this.#line(message, recipient, full, 'deferred');
      const traced = message.flags & requestFlag.record ? this.trace(message, recipient, full) : true;
      return chain(traced, () => chain(this.#tellFlush(message, recipient), () => false));
    });
  }

  #bounced(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (isTraceOnly(message.flags)) return this.#probed(message, recipient, { ...report, action: 'undeliverable' }, probeStatus.bounce);
    const { soft_bounce: soft } = this.#tools.parameters;
    const full = soft ? { ...report, dsn: `4${report.dsn.slice(1)}`, action: 'delayed' } : { ...report, action: 'failed' };
    return chain(this.#recordFailure(message, recipient, full, this.#append(soft ? 'defer' : 'bounce', message, recipient, full)), (ok) => {
      if (!ok) return this.#unrecorded(message, recipient, full);
      this.#line(message, recipient, full, soft ? 'SOFTBOUNCE' : 'bounced');
      return !soft;
    });
  }

  #bouncedOne(message: ReturnedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    if (isTraceOnly(message.flags) || this.#tools.parameters.soft_bounce) return this.#bounced(message, recipient, report);
    const full = { ...report, action: 'failed' };
    const request = {
      flags: message.flags & traceMask, queueName: message.queueName, queueId: message.queueId, encoding: message.encoding,
      smtputf8: message.smtputf8, sender: message.sender, dsnEnvid: message.dsnEnvid, dsnRet: message.dsnRet,
      relay: full.relay ?? noRelay, recipient, dsn: dsnOf(full),
    };
    const asked = this.#ask(this.#tools.parameters.bounce_service_name, (calls) => calls.one(request));
    return chain(this.#recordFailure(message, recipient, full, asked), (ok) => {
      if (!ok) return this.#unrecorded(message, recipient, full);
      this.#line(message, recipient, full, 'bounced');
      return true;
    });
  }

  #recordFailure(message: ReportedMessage, recipient: Recipient, report: Report, recorded: MaybePromise<boolean>): MaybePromise<boolean> {
    return (message.flags & requestFlag.record) === 0 ? recorded : this.#traceToo(recorded, message, recipient, report);
  }

  #unrecorded(message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    const { bounce_service_name: bounce, trace_service_name: trace } = this.#tools.parameters;
    return this.#deferred(message, recipient, { ...report, dsn: '4.3.0', text: `${bounce} or ${trace} service failure` });
  }

  /** A probe: verify(8) remembers it, or the user who asked is told. */
  #probed(message: ReportedMessage, recipient: Recipient, report: Report, status: number): MaybePromise<boolean> {
    if ((message.flags & requestFlag.mtaVerify) === 0) return this.trace(message, recipient, report);
    if (status !== probeStatus.ok && !this.#tools.parameters.address_verify_negative_cache) {
      this.#line(message, recipient, report, 'undeliverable-but-not-cached');
      return true;
    }
    return chain(this.#tellVerify(recipient, report, status), (ok) => {
      if (ok) this.#line(message, recipient, report, report.action ?? '');
      else this.#log.warning(`${message.queueId}: ${this.#tools.parameters.address_verify_service_name} service failure`);
      return ok;
    });
  }

  async #tellVerify(recipient: Recipient, report: Report, status: number): Promise<boolean> {
    const verify = this.#tools.services.connect(verifyService, this.#tools.parameters.address_verify_service_name);
    const addresses = new Set([recipient.originalAddress, recipient.address]);
    try {
      for (const address of addresses) {
        if (address === '') continue;
        const reply = await verify.update({ address, recipient_status: status, reason: report.text });
        if (reply.status !== 0) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  /** flush(8) remembers which messages wait for a destination that may be asked for (ETRN). */
  #tellFlush(message: ReportedMessage, recipient: Recipient): MaybePromise<void> {
    const { fastFlush } = this.#tools;
    const domain = recipient.address.slice(recipient.address.lastIndexOf('@') + 1);
    if (fastFlush === undefined || domain === '' || domain === recipient.address) return;
    return this.#askFlush(message, domain, fastFlush);
  }

  async #askFlush(message: ReportedMessage, site: string, fastFlush: (domain: string) => MaybePromise<boolean>): Promise<void> {
    const name = this.#tools.parameters.flush_service_name;
    try {
      if (!(await fastFlush(site))) return;
      if (!this.#isThere(name)) return this.#failure(message, name);
      const { status } = await this.#tools.services.connect(flushService, name).add({ site, queue_id: message.queueId });
      if (status !== flushStatus.ok && status !== flushStatus.denied) this.#failure(message, name);
    } catch {
      this.#failure(message, name);
    }
  }

  /** A hint is not worth waiting for a service whose row is missing. */
  #isThere(name: string): boolean {
    const { services } = this.#tools;
    return services.local(name) !== undefined || existsSync(services.path(flushService.area, name));
  }

  #append(log: keyof typeof deliveryLog, message: ReportedMessage, recipient: Recipient, report: Report): MaybePromise<boolean> {
    // Also when the service does not answer: it may have written all the same.
    this.logs |= deliveryLog[log];
    const request = {
      flags: message.flags & traceMask, queueId: message.queueId, relay: report.relay ?? noRelay, recipient, dsn: dsnOf(report),
    };
    return this.#ask(this.#tools.parameters[`${log}_service_name`], (calls) => calls.append(request));
  }

  #ask(service: string, ask: (calls: Calls) => MaybePromise<{ status: number }>): MaybePromise<boolean> {
    try {
      const answer = ask(this.#tools.services.connect(bounceService, service) as unknown as Calls);
      if (!isPending(answer)) return answer.status === 0;
      return answer.then(({ status }) => status === 0, () => false);
    } catch {
      return false;
    }
  }

  /** A status of the wrong class is a mistake of ours or a lie of the other side: corrected, with a warning. */
  #checked(caller: string, first: string, report: Report): Report {
    if (report.dsn.startsWith(first) && dsnValid(report.dsn) === report.dsn.length) return report;
    this.#log.warning(`${caller}: ignoring dsn code "${report.dsn}"`);
    return { ...report, dsn: `${first}.0.0` };
  }

  #filtered(report: Report): MaybePromise<Report> {
    const { statusFilter } = this.#tools;
    return statusFilter === undefined ? report : this.#askFilter(statusFilter, report);
  }

  #askFilter(statusFilter: NonNullable<ReportTools['statusFilter']>, report: Report): MaybePromise<Report> {
    try {
      const found = statusFilter.find(`${report.dsn} ${report.text}`);
      if (isPending(found)) return found.then((text) => this.#replaced(statusFilter.title, report, text), () => report);
      return this.#replaced(statusFilter.title, report, found);
    } catch {
      return report;
    }
  }

  #replaced(filter: string, report: Report, text: string | undefined): Report {
    if (text === undefined) return report;
    const success = report.dsn.startsWith('2');
    if (dsnValid(text) === 0 || text.startsWith('2') !== success) {
      this.#log.warning(`${filter}: bad status code: ${text}`);
      return report;
    }
    const split = splitDsn('5.0.0', text);
    return { ...report, dsn: split.status, text: split.text };
  }

  #failure(message: ReportedMessage, service: string): void {
    this.#log.warning(`${message.queueId}: ${service} service failure`);
  }

  #line(message: ReportedMessage, recipient: Recipient, report: Report, outcome: string): void {
    this.#log.info(lineHead(message.queueId, recipient, this.#form), this.#tail(message, report, outcome));
  }

  /** The recipients of one reply share a report that says when it came: the same words for all. */
  #tail(message: ReportedMessage, report: Report, outcome: string): string {
    const last = this.#lastTail;
    if (last !== undefined && last.report === report && last.outcome === outcome) return last.text;
    const times = report.times ?? message.times;
    const text = lineTail({
      relay: report.relay ?? noRelay, times,
      now: times.deliveryDone > 0 ? times.deliveryDone : this.#tools.clock.now() / 1000, reuseCount: report.reuseCount, tls: report.tls,
      status: report.dsn, outcome, text: report.text,
    }, this.#form);
    if (report.times !== undefined && report.times.deliveryDone > 0) this.#lastTail = { report, outcome, text };
    return text;
  }
}

/** A report in the shape that services take. */
export function dsnOf(report: Report): Dsn {
  return {
    status: report.dsn, action: report.action ?? '', reason: report.text,
    diagnosticType: report.diagnostic?.type ?? '', diagnosticText: report.diagnostic?.text ?? '',
    remoteMtaType: report.remote?.type ?? '', remoteMta: report.remote?.name ?? '',
  };
}
