/**
 * The queue manager's parts put together: feeds, resolves, schedules, delivers, concludes.
 *
 * Nothing here decides alone what is lost or kept: a message leaves the queue only through lifecycle.ts, after every recipient was
 * marked done by an agent or reported. Trouble with a file is a warning and a later attempt; a corrupt file goes to corrupt/.
 */
import { noDsn, type DeliveryAgent, type DeliveryReply, type Dsn } from '../../ipc/deliver.ts';
import { AgentTrouble, DeliverPool } from '../../ipc/deliver-pool.ts';
import { Outcome } from '../../delivery/outcome.ts';
import { Reports, reportParameters } from '../../delivery/reports.ts';
import type { EnvelopeRecipient } from '../../message/envelope.ts';
import { quote822Local } from '../../message/address.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { QueueStore } from '../../queue/store.ts';
import type { Tools } from '../../server/daemon.ts';
import { fastFlushSites } from '../../tables/lists.ts';
import { tableContext } from '../../tables/table.ts';
import type { Timer } from '../../server/clock.ts';
import { ActiveQueue, Intake } from './intake.ts';
import { QueueFiles, type TakenFile } from './queue-files.ts';
import { conclude, finish, type LifecycleTools } from './lifecycle.ts';
import { activeMessage, fillUp, firstRecipients, groupRecipients, requestFor, type ActiveMessage, type Batch, type Grouping, type RouteRules } from './message.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import { crowdRules, lifecycleTools, recipientLimitOf, routeRules, transportRules } from './rules.ts';
import { Scheduler, type Entry, type Mail, type Room } from './scheduler.ts';

const parameters = [
  ...reportParameters, 'qmgr_message_active_limit', 'minimal_backoff_time', 'maximal_backoff_time', 'maximal_queue_lifetime', 'bounce_queue_lifetime', 'disable_verp_bounces',
  'queue_run_delay', 'transport_retry_time', 'hash_queue_names', 'hash_queue_depth',
  'enable_long_queue_ids', 'daemon_timeout', 'address_verify_pending_request_limit', 'qmgr_message_recipient_limit', 'qmgr_message_recipient_minimum',
  'confirm_delay_cleared', 'disable_verp_bounces', 'qmgr_clog_warn_time', 'helpful_warnings', 'destination_concurrency_feedback_debug', 'smtputf8_enable', 'qmgr_ipc_timeout',
] as const;

/** Deliveries at once by an agent in this process: as many as the disk may do at a time, and some. */
const nearRoom = { all: 50, again: 45 } as const;
/** How long idle connections to agents are kept, milliseconds: longer than a burst, shorter than an agent's max_idle. */
const agentIdle = 5_000;
/** How long deliveries under way are waited for when the next queue manager is waiting, milliseconds. */
const drainPatience = 1_000;
/** Recipients that are read at once, so that no turn takes long. */
const chunkLimit = 5000;
const suspendedText = 'delivery temporarily suspended: ';

export class Manager {
  readonly #tools: Tools;
  readonly #view;
  readonly #store: QueueStore;
  readonly #files: QueueFiles;
  readonly #scheduler: Scheduler<Batch, ActiveMessage>;
  readonly #active = new ActiveQueue();
  readonly #intake: Intake;
  readonly #pools = new Map<string, DeliverPool>();
  readonly #routes: RouteRules;
  readonly #lifecycle: LifecycleTools;
  readonly #reports: Reports;
  readonly #recipientLimit: number;
  #underWay = 0;
  #concluding = 0;
  /** Before `start` and after `drain` the queue is another process's. */
  #phase: 'waiting' | 'working' | 'draining' | 'over' = 'waiting';
  #settled: (() => void) | undefined;
  #timer: Timer | undefined;
  #timerDue = Infinity;

  constructor(tools: Tools) {
    const { config, log, clock, services } = tools;
    const view = config.view(parameters);
    this.#tools = tools;
    this.#view = view;
    this.#store = tools.store;
    this.#recipientLimit = recipientLimitOf(view, log);
    const paths = new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth });
    this.#files = new QueueFiles({
      store: this.#store, paths, log, clock, retryTime: view.transport_retry_time, backoff: view.minimal_backoff_time, scanIncoming: () => this.#intake.scanIncoming(),
      firstRecipients: () => this.#firstRecipients(),
    });
    this.#intake = new Intake({
      store: this.#store, files: this.#files, active: this.#active, clock, log,
      activeLimit: view.qmgr_message_active_limit, backoff: view.minimal_backoff_time, runDelay: view.queue_run_delay,
      isWorking: () => this.#phase === 'working',
      begin: (queueId, taken, again) => this.#begin(queueId, taken, again),
    });
    this.#scheduler = new Scheduler<Batch, ActiveMessage>({
      transport: (name) => transportRules(name, tools),
      room: (name) => this.#room(name),
      deadTime: view.minimal_backoff_time * 1000, retryTime: view.transport_retry_time * 1000, deadLimit: view.qmgr_message_active_limit,
      ...crowdRules(tools, view, this.#active),
      debug: view.destination_concurrency_feedback_debug ? (text) => log.info(text) : undefined,
    });
    this.#routes = { ...routeRules(tools), tooManyProbes: () => this.#active.probes > view.address_verify_pending_request_limit };
    this.#reports = new Reports({ parameters: config.view(reportParameters), clock, services, statusFilter: undefined, fastFlush: fastFlushSites(config, tableContext(config, log, tools.restart)) }, log);
    this.#lifecycle = lifecycleTools(tools, view, paths, (queueId) => this.#files.isSpoiled(queueId));
  }

  start(): void {
    this.#phase = 'working';
    this.#intake.start();
  }

  /** Mail is on its way. */
  get busy(): boolean {
    return this.#active.size > 0 || this.#intake.isWaiting;
  }

  scanIncoming(): void {
    this.#intake.scanIncoming();
  }

  scanDeferred(): void {
    this.#intake.scanDeferred();
  }

  ignoreTimes(): void {
    this.#intake.ignoreTimes();
  }

  revive(): void {
    this.#intake.flush();
    this.#scheduler.revive();
    this.#schedule();
  }

  file(): void {
    void this.#store.residents?.file();
  }

  /**
   * No new deliveries; those under way are waited for, but not for long: the next queue manager waits for us, and all mail with it.
   * An agent that is still at work then goes on without us. It holds a lock on the message and marks recipients done itself;
   * the next queue manager leaves the message alone until the lock is gone.
   */
  async drain(final: boolean): Promise<void> {
    this.#phase = 'draining';
    this.#timer?.cancel();
    const patience = this.#tools.clock.after(drainPatience, () => this.#letGo());
    if (this.#underWay > 0 || this.#concluding > 0) await new Promise<void>((resolve) => { this.#settled = resolve; });
    patience.cancel();
    this.#phase = 'over';
    await this.#store.residents?.retire(final);
    for (const pool of this.#pools.values()) pool.close();
  }

  #letGo(): void {
    this.#phase = 'over';
    this.#settle();
  }

  #settle(): void {
    if (this.#concluding > 0) return;
    if (this.#phase === 'over' || (this.#phase === 'draining' && this.#underWay === 0)) this.#settled?.();
  }

  /** qmgr_message_recipient_limit is for all messages together; each may have a few in any case. */
  #firstRecipients(): number {
    const { qmgr_message_recipient_minimum: minimum } = this.#view;
    return Math.min(Math.max(this.#recipientLimit - this.#scheduler.recipients, minimum), chunkLimit);
  }

  #begin(queueId: string, { envelope: known, forcedExpire, unthrottle, flushed }: TakenFile, again: boolean): void {
    const { log, clock } = this.#tools;
    const { confirm_delay_cleared: confirmDelay, qmgr_message_recipient_minimum: recipientMinimum } = this.#view;
    const envelope = firstRecipients(known, this.#firstRecipients());
    const message = activeMessage(queueId, envelope, { forcedExpire, again, flushed, unthrottle, confirmDelay, recipientMinimum }, clock.now());
    this.#active.add(message);
    const sender = envelope.sender ? quote822Local(envelope.sender) : '';
    log.info(`${queueId}: from=<${sender}>, size=${envelope.size?.contentLength ?? 0}, nrcpt=${envelope.size?.recipientCount ?? envelope.recipients.length} (queue active)`);
    message.open = 1; // held until all entries are in
    // The operator wants it returned: the last attempt's log says why, and nothing is tried again.
    if (message.forcedExpire && this.#lifecycle.hasLog(queueId, 'defer')) {
      message.deferred = true;
      message.rest = undefined;
      return this.#close(message);
    }
    this.#route(message, envelope.recipients, (grouping) => this.#enter(message, grouping));
  }

  #route(message: ActiveMessage, recipients: readonly EnvelopeRecipient[], enter: (grouping: Grouping) => void): void {
    let grouping: MaybePromise<Grouping>;
    try {
      grouping = groupRecipients(message, recipients, this.#routes);
    } catch (error) {
      return this.#unroutable(message, error as Error);
    }
    if (!isPending(grouping)) return enter(grouping);
    void grouping.then(enter, (error: Error) => this.#unroutable(message, error));
  }

  /** Neither these nor those that are not read yet can be dealt with now. */
  #unroutable(message: ActiveMessage, error: Error): void {
    this.#tools.log.warning(`${message.queueId}: ${error.message}`);
    this.#breakOff(message);
  }

  #breakOff(message: ActiveMessage): void {
    message.deferred = message.incomplete = true;
    message.rest = undefined;
    this.#scheduler.refilled(message.mail, false, 0);
    this.#close(message);
    this.#schedule();
  }

  #enter(message: ActiveMessage, { entries, discarded }: Grouping): void {
    this.#scheduler.expire(this.#tools.clock.monotonic());
    if (discarded.length > 0) this.#discard(message, discarded);
    this.#revive(message, entries);
    for (const entry of entries) this.#add(entry);
    this.#close(message);
    this.#schedule();
  }

  #revive({ unthrottle }: ActiveMessage, entries: Grouping['entries']): void {
    if (unthrottle) for (const { transport, queue } of entries) this.#scheduler.revive(transport, queue);
  }

  /** More of the recipients of a message, as many as there is room for. */
  #refill({ message, limit, count, unread }: Mail<Batch, ActiveMessage>): void {
    // The next queue manager finds the message, and all of them in it.
    if (this.#phase !== 'working' || message.rest === undefined) return;
    message.open++;
    const chunk = this.#files.recipients(message.queueId, message.rest, Math.min(Math.max(limit - count, 1), chunkLimit));
    if (chunk === undefined) return this.#breakOff(message);
    const { recipients, more } = chunk;
    message.rest = more ? { ...message.rest, after: recipients.at(-1)!.offset } : undefined;
    this.#route(message, recipients, (grouping) => this.#enterMore(message, grouping, more, unread - recipients.length));
  }

  /** Into entries that wait already, as far as these have room. */
  #enterMore(message: ActiveMessage, { entries, discarded }: Grouping, more: boolean, unread: number): void {
    this.#revive(message, entries);
    for (const entry of entries) {
      const last = this.#scheduler.waiting(message.mail, entry.transport, entry.queue);
      if (last !== undefined) this.#scheduler.grow(last, fillUp(last, entry, this.#routes));
      if (entry.size > 0) this.#add(entry);
    }
    this.#scheduler.refilled(message.mail, more, unread);
    this.#enter(message, { entries: [], discarded });
  }

  #discard(message: ActiveMessage, recipients: Batch['recipients']): void {
    message.open++;
    const report = { dsn: '2.0.0', text: 'undeliverable postmaster notification discarded', relay: 'none' };
    void this.#direct(message, recipients, (outcome) => outcome.all('sent', report)).then(() => this.#close(message));
  }

  #add(entry: Entry<Batch, ActiveMessage>): void {
    entry.load.message.open++;
    const reason = this.#scheduler.suspended(entry.transport, entry.queue);
    if (reason === undefined) this.#scheduler.add(entry);
    else this.#suspend(entry, reason);
  }

  /** Not tried now: the retry agent records it, as it records every temporary failure that has no agent of its own. */
  #suspend(entry: Entry<Batch, ActiveMessage>, reason: Dsn): void {
    const { message, recipients } = entry.load;
    const retry = 'retry';
    if (entry.transport !== retry && this.#scheduler.suspended(retry, '') === undefined) {
      const nexthop = `${reason.status} ${reason.reason}`;
      // One line for all reasons: there may be as many as destinations.
      this.#scheduler.add({ transport: retry, queue: '', mail: message.mail, size: recipients.length, load: { message, nexthop, recipients } });
      return;
    }
    void this.#direct(message, recipients, (outcome) => outcome.all('deferred', { dsn: reason.status, text: reason.reason, relay: 'none' })).then(() => this.#close(message));
  }

  /** Record something about recipients without an agent. */
  async #direct(message: ActiveMessage, recipients: Batch['recipients'], record: (outcome: Outcome) => unknown): Promise<void> {
    const request = requestFor({ message, nexthop: '', recipients });
    try {
      const file = this.#store.open('active', message.queueId, { write: true });
      const outcome = new Outcome({ request, reports: this.#reports, log: this.#tools.log, file, relay: 'none' });
      await record(outcome);
      file.close();
      if (outcome.reply().status !== 0) message.deferred = true;
    } catch (error) {
      this.#tools.log.warning(`${message.queueId}: ${(error as Error).message}`);
      message.deferred = true;
    }
  }

  /** Start every delivery that may start now. */
  #schedule(): void {
    if (this.#phase !== 'working') return;
    this.#scheduler.expire(this.#tools.clock.monotonic());
    for (let entry = this.#scheduler.next(); entry !== undefined; entry = this.#scheduler.next()) void this.#deliver(entry);
    for (const mail of this.#scheduler.wanting()) this.#refill(mail);
    this.#arm();
  }

  #arm(): void {
    const due = this.#scheduler.deadline();
    if (due === undefined || due >= this.#timerDue) return;
    this.#timer?.cancel();
    this.#timerDue = due;
    this.#timer = this.#tools.clock.after(Math.max(due - this.#tools.clock.monotonic(), 0), () => {
      this.#timerDue = Infinity;
      this.#schedule();
    }, true);
  }

  async #deliver(entry: Entry<Batch, ActiveMessage>): Promise<void> {
    const { queueId } = entry.load.message;
    const place = this.#store.residents?.place(queueId) ?? '';
    this.#underWay++;
    if (place !== '') this.#store.residents!.taken(queueId);
    const [reply, error] = await this.#ask(entry, place);
    this.#underWay--;
    if (place !== '') this.#store.residents!.released(queueId);
    // Too late: the message belongs to the next queue manager.
    if (this.#phase === 'over') return;
    if (reply !== undefined) this.#answered(entry, reply);
    else this.#agentFailed(entry, error);
    this.#settle();
    this.#schedule();
  }

  async #ask(entry: Entry<Batch, ActiveMessage>, place: string): Promise<[reply: DeliveryReply | undefined, error?: unknown]> {
    try {
      return [await this.#agent(entry.transport).deliver(requestFor(entry.load, place, entry.reuse, this.#view.smtputf8_enable))];
    } catch (error) {
      return [undefined, error];
    }
  }

  #agent(transport: string): Pick<DeliveryAgent, 'deliver'> {
    const near = this.#tools.services.local(transport) as Partial<DeliveryAgent> | undefined;
    if (near?.deliver !== undefined) return near as DeliveryAgent;
    let pool = this.#pools.get(transport);
    if (pool === undefined) {
      pool = new DeliverPool(this.#tools.services.path('private', transport), { timeout: this.#view.daemon_timeout * 1000, idle: agentIdle }, () => this.#roomier(transport));
      this.#pools.set(transport, pool);
    }
    return pool;
  }

  #room(transport: string): Room {
    const agent = this.#agent(transport);
    return agent instanceof DeliverPool ? agent.room : nearRoom;
  }

  #roomier(transport: string): void {
    this.#scheduler.roomier(transport);
    this.#schedule();
  }

  #answered(entry: Entry<Batch, ActiveMessage>, { status, hop, logs }: DeliveryReply): void {
    const { message } = entry.load;
    message.logs |= logs;
    if (status !== 0) message.deferred = true;
    this.#scheduler.expire(this.#tools.clock.monotonic());
    const failure = status !== 0 && hop.status !== '' ? { ...hop, reason: suspendedText + (hop.reason || 'unknown error') } : undefined;
    for (const given of this.#scheduler.finished(entry, failure)) this.#suspend(given, failure!);
    this.#close(message);
  }

  /** No agent, or it broke down with the request in its hand: these recipients wait, and so does the whole transport. */
  #agentFailed(entry: Entry<Batch, ActiveMessage>, error: unknown): void {
    const { log } = this.#tools;
    const isAbsent = error instanceof AgentTrouble && error.unavailable;
    const failure = { ...noDsn, status: '4.3.0', reason: isAbsent ? 'mail transport unavailable' : 'unknown mail transport error' };
    log.warning(isAbsent
      ? `connect to transport private/${entry.transport}: ${(error as Error).message}`
      : `transport ${entry.transport} failure -- see a previous warning/fatal/panic logfile record for the problem description`);
    const waiting = isAbsent ? this.#scheduler.transportFailed(entry.transport, failure) : [];
    const given = this.#scheduler.finished(entry, isAbsent ? undefined : { ...failure, reason: suspendedText + failure.reason });
    for (const each of [...given, ...waiting]) this.#suspend(each, this.#scheduler.suspended(each.transport, each.queue) ?? failure);
    this.#suspend(entry, failure);
  }

  /** One entry (or the hold of #begin) is done with; the last one concludes the message. */
  #close(message: ActiveMessage): void {
    if (--message.open > 0 || this.#phase === 'over') return;
    if (message.rest !== undefined) return this.#goOn(message);
    if (!finish(message, this.#lifecycle)) return void this.#conclude(message);
    this.#active.remove(message);
    if (this.#intake.isWaiting) this.#intake.feed();
  }

  /** All that was read of it is dealt with. */
  #goOn({ mail }: ActiveMessage): void {
    if (mail.refilling) return;
    mail.refilling = true;
    setImmediate(() => this.#refill(mail));
  }

  async #conclude(message: ActiveMessage): Promise<void> {
    this.#concluding++;
    try {
      await conclude(message, this.#lifecycle);
    } catch (error) {
      this.#tools.log.warning(`${message.queueId}: ${(error as Error).message}`);
      if (this.#store.residents?.has(message.queueId) === true) this.#intake.later(message.queueId);
      else this.#files.wait(message.queueId);
    }
    this.#concluding--;
    this.#active.remove(message);
    this.#settle();
    this.#intake.feed();
  }
}
