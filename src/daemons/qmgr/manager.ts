/**
 * The queue manager's parts put together: feeds, resolves, schedules, delivers, concludes.
 *
 * Nothing here decides alone what is lost or kept: a message leaves the queue only through lifecycle.ts, after every recipient was
 * marked done by an agent or reported. Trouble with a file is a warning and a later attempt; a corrupt file goes to corrupt/.
 */
import fs from 'node:fs';
import { bounceService } from '../../ipc/bounce.ts';
import { noDsn, type DeliveryAgent, type DeliveryReply, type Dsn } from '../../ipc/deliver.ts';
import { AgentTrouble, DeliverPool } from '../../ipc/deliver-pool.ts';
import { Outcome } from '../../delivery/outcome.ts';
import { Reports, reportParameters } from '../../delivery/reports.ts';
import { quote822Local } from '../../message/address.ts';
import { storeFor } from '../../queue/file-store.ts';
import { readyFile } from '../../queue/open-ok.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { CorruptFile, QueueTrouble, type QueueStore } from '../../queue/store.ts';
import type { Tools } from '../../server/daemon.ts';
import type { Timer } from '../../server/clock.ts';
import { Feeder, type Candidate } from './feeder.ts';
import { conclude, type LifecycleTools } from './lifecycle.ts';
import { groupRecipients, requestFor, type ActiveMessage, type Batch, type RouteRules } from './message.ts';
import { routeRules, transportRules } from './rules.ts';
import { Scheduler, type Entry } from './scheduler.ts';

const parameters = [
  ...reportParameters, 'qmgr_message_active_limit', 'minimal_backoff_time', 'maximal_backoff_time', 'maximal_queue_lifetime', 'bounce_queue_lifetime',
  'queue_run_delay', 'transport_retry_time', 'hash_queue_names', 'hash_queue_depth',
  'enable_long_queue_ids', 'ipc_timeout',
] as const;

/** Files looked at in one turn of the event loop. */
const feedBatch = 50;
/** How long idle connections to agents are kept, milliseconds: longer than a burst, shorter than an agent's max_idle. */
const agentIdle = 5_000;
/** How long deliveries under way are waited for when the next queue manager is waiting, milliseconds. */
const drainPatience = 1_000;
const suspendedText = 'delivery temporarily suspended: ';

export class Manager {
  readonly #tools: Tools;
  readonly #view;
  readonly #store: QueueStore;
  readonly #paths: QueuePaths;
  readonly #feeder: Feeder;
  readonly #scheduler: Scheduler<Batch>;
  readonly #active = new Map<string, ActiveMessage>();
  readonly #pools = new Map<string, DeliverPool>();
  readonly #routes: RouteRules;
  readonly #lifecycle: LifecycleTools;
  readonly #reports: Reports;
  /** Queues whose next scan takes mail whether it is due or not. */
  readonly #ignoringTimes = new Set<'incoming' | 'deferred'>();
  #underWay = 0;
  #concluding = 0;
  #feeding = false;
  /** Before `start` and after `drain` the queue is another process's. */
  #phase: 'waiting' | 'working' | 'draining' | 'over' = 'waiting';
  #settled: (() => void) | undefined;
  #timer: Timer | undefined;
  #timerDue = Infinity;
  #rescan: Timer | undefined;

  constructor(tools: Tools) {
    const { config, log, clock, services } = tools;
    const view = config.view(parameters);
    this.#tools = tools;
    this.#view = view;
    this.#store = storeFor(view, '', () => clock.now());
    this.#paths = new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth });
    this.#feeder = new Feeder(this.#store);
    this.#scheduler = new Scheduler<Batch>({
      transport: (name) => transportRules(name, tools),
      deadTime: view.minimal_backoff_time * 1000, retryTime: view.transport_retry_time * 1000,
    });
    this.#routes = routeRules(tools);
    this.#reports = new Reports({ parameters: config.view(reportParameters), clock, services, statusFilter: undefined, fastFlush: undefined }, log);
    this.#lifecycle = {
      log, store: this.#store, now: () => clock.now(),
      bounce: services.connect(bounceService, view.bounce_service_name),
      defer: services.connect(bounceService, view.defer_service_name),
      trace: services.connect(bounceService, view.trace_service_name),
      hasLog: (queueId, name) => fs.existsSync(this.#paths.path(name, queueId)),
      rules: {
        minimalBackoff: view.minimal_backoff_time, maximalBackoff: view.maximal_backoff_time,
        queueLifetime: view.maximal_queue_lifetime, bounceLifetime: view.bounce_queue_lifetime,
      },
    };
  }

  /** What an earlier queue manager left active is new mail again; then everything is looked at. */
  start(): void {
    this.#phase = 'working';
    for (const { queueId } of [...this.#store.list('active')]) this.#renew(queueId);
    this.scanIncoming();
    this.scanDeferred();
    this.#runDeferred();
  }

  /** Mail is on its way. */
  get busy(): boolean {
    return this.#active.size > 0 || this.#feeder.isScanning;
  }

  scanIncoming(): void {
    this.#feeder.request('incoming', this.#ignoringTimes.delete('incoming'));
    this.#feed();
  }

  scanDeferred(): void {
    this.#feeder.request('deferred', this.#ignoringTimes.delete('deferred'));
    this.#feed();
  }

  ignoreTimes(): void {
    this.#ignoringTimes.add('incoming').add('deferred');
  }

  revive(): void {
    this.#scheduler.revive();
    this.#schedule();
  }

  /**
   * No new deliveries; those under way are waited for, but not for long: the next queue manager waits for us, and all mail with it.
   * An agent that is still at work then goes on without us. It holds a lock on the message and marks recipients done itself;
   * the next queue manager leaves the message alone until the lock is gone.
   */
  async drain(): Promise<void> {
    this.#phase = 'draining';
    this.#timer?.cancel();
    const patience = this.#tools.clock.after(drainPatience, () => this.#letGo());
    if (this.#underWay > 0 || this.#concluding > 0) await new Promise<void>((resolve) => { this.#settled = resolve; });
    patience.cancel();
    this.#phase = 'over';
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

  /** Due now: a message that was taken before its time has a time stamp in the future. */
  #renew(queueId: string): void {
    try {
      this.#store.stamp(queueId, 'active', this.#tools.clock.now());
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
    }
    this.#move(queueId, 'active', 'incoming');
  }

  #runDeferred(): void {
    this.#tools.clock.after(this.#view.queue_run_delay * 1000, () => {
      if (this.#phase !== 'working') return;
      this.scanDeferred();
      this.#runDeferred();
    }, true);
  }

  /** Take in what the scans offer, as long as there is room among the active. */
  #feed(): void {
    if (this.#feeding || this.#phase !== 'working') return;
    for (let count = 0; count < feedBatch && this.#active.size < this.#view.qmgr_message_active_limit; count++) {
      const candidate = this.#feeder.next();
      if (candidate === undefined) return;
      this.#take(candidate);
    }
    if (!this.#feeder.isScanning || this.#active.size >= this.#view.qmgr_message_active_limit) return;
    this.#feeding = true;
    setImmediate(() => {
      this.#feeding = false;
      this.#feed();
    });
  }

  #take({ queue, queueId, all }: Candidate): void {
    if (this.#active.has(queueId)) return;
    const { clock, log } = this.#tools;
    const file = readyFile(this.#paths, queue, queueId, (text) => log.warning(text), clock.now());
    if (file === undefined || (!all && file.status.mtimeMs > clock.now() + 500)) return;
    if (!this.#move(queueId, queue, 'active')) return;
    const read = this.#read(queueId);
    if (read === undefined) return;
    this.#active.set(queueId, read.message);
    void this.#begin(read.message, read.unthrottle);
  }

  #move(queueId: string, from: 'incoming' | 'deferred' | 'active', to: 'active' | 'incoming' | 'corrupt' | 'deferred'): boolean {
    try {
      this.#store.move(queueId, from, to);
      return true;
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
      if (error.code !== 'ENOENT') this.#tools.log.warning(error.message);
      return false;
    }
  }

  /** The envelope of a file that is in the active queue now; undefined: it was put out of the way. */
  #read(queueId: string): { message: ActiveMessage; unthrottle: boolean } | undefined {
    try {
      const file = this.#store.open('active', queueId, { write: true, lock: 'exclusive' });
      try {
        const envelope = file.envelope();
        for (const warning of file.warnings) this.#tools.log.warning(`${queueId}: ${warning}`);
        // The log of the last attempt is about recipients that are tried again now: this attempt writes its own.
        if (!file.forcedExpire) this.#store.removeLog(queueId, 'defer');
        const { unthrottle, forcedExpire } = file;
        if (unthrottle) file.clearUnthrottle();
        return { message: { queueId, envelope, activeSince: this.#tools.clock.now(), forcedExpire, open: 0, deferred: false }, unthrottle };
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
      if (this.#move(queueId, 'active', 'corrupt')) log.warning(`saving corrupt file "${queueId}" from queue "active" to queue "corrupt"`);
    } else if (error instanceof QueueTrouble) {
      if (error.code === 'ENOENT') return;
      if (error.code === 'EAGAIN') return this.#stillDelivered(queueId);
      log.warning(error.message);
      this.#wait(queueId);
    } else throw error;
  }

  /** An agent of an earlier queue manager is at it: looked at again when it may have ended. qmgr_active(3). */
  #stillDelivered(queueId: string): void {
    const { clock, log } = this.#tools;
    const wait = this.#view.transport_retry_time * 1000;
    log.info(`${queueId}: skipped, still being delivered`);
    try {
      this.#store.stamp(queueId, 'active', clock.now() + wait);
    } catch { /* then it is looked at sooner */ }
    this.#move(queueId, 'active', 'incoming');
    this.#scanLater(wait);
  }

  #scanLater(wait: number): void {
    this.#rescan ??= this.#tools.clock.after(wait + 1000, () => {
      this.#rescan = undefined;
      this.scanIncoming();
    }, true);
  }

  /** Cannot be read now (no descriptors, I/O error): later. */
  #wait(queueId: string): void {
    try {
      this.#store.stamp(queueId, 'active', this.#tools.clock.now() + this.#view.minimal_backoff_time * 1000);
    } catch { /* then it is tried sooner */ }
    this.#move(queueId, 'active', 'deferred');
  }

  async #begin(message: ActiveMessage, unthrottle: boolean): Promise<void> {
    const { envelope, queueId } = message;
    const { log } = this.#tools;
    const sender = envelope.sender ? quote822Local(envelope.sender) : '';
    const left = envelope.recipients.filter(({ done }) => !done).length;
    log.info(`${queueId}: from=<${sender}>, size=${envelope.size?.contentLength ?? 0}, nrcpt=${left} (queue active)`);
    message.open = 1; // held until all entries are in
    // The operator wants it returned: the last attempt's log says why, and nothing is tried again.
    if (message.forcedExpire && this.#lifecycle.hasLog(queueId, 'defer')) {
      message.deferred = true;
      return this.#close(message);
    }
    try {
      const { entries, discarded } = await groupRecipients(message, this.#routes);
      for (const recipient of discarded) await this.#direct(message, [recipient], (outcome) => outcome.sent(recipient, { dsn: '2.0.0', text: 'undeliverable postmaster notification discarded', relay: 'none' }));
      if (unthrottle) for (const { transport, queue } of entries) this.#scheduler.revive(transport, queue);
      for (const entry of entries) this.#add(entry);
    } catch (error) {
      log.warning(`${queueId}: ${(error as Error).message}`);
      message.deferred = true;
    }
    this.#close(message);
    this.#schedule();
  }

  #add(entry: Entry<Batch>): void {
    entry.load.message.open++;
    const reason = this.#scheduler.suspended(entry.transport, entry.queue);
    if (reason === undefined) this.#scheduler.add(entry);
    else this.#suspend(entry, reason);
  }

  /** Not tried now: the retry agent records it, as it records every temporary failure that has no agent of its own. */
  #suspend(entry: Entry<Batch>, reason: Dsn): void {
    const { message, recipients } = entry.load;
    const retry = 'retry';
    if (entry.transport !== retry && this.#scheduler.suspended(retry, '') === undefined) {
      const nexthop = `${reason.status} ${reason.reason}`;
      this.#scheduler.add({ transport: retry, queue: nexthop, load: { message, nexthop, recipients } });
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

  async #deliver(entry: Entry<Batch>): Promise<void> {
    this.#underWay++;
    const [reply, error] = await this.#ask(entry);
    this.#underWay--;
    // Too late: the message belongs to the next queue manager.
    if (this.#phase === 'over') return;
    if (reply !== undefined) this.#answered(entry, reply);
    else this.#agentFailed(entry, error);
    this.#settle();
    this.#schedule();
  }

  async #ask(entry: Entry<Batch>): Promise<[reply: DeliveryReply | undefined, error?: unknown]> {
    try {
      return [await this.#agent(entry.transport).deliver(requestFor(entry.load, entry.reuse))];
    } catch (error) {
      return [undefined, error];
    }
  }

  #agent(transport: string): Pick<DeliveryAgent, 'deliver'> {
    const near = this.#tools.services.local(transport) as Partial<DeliveryAgent> | undefined;
    if (near?.deliver !== undefined) return near as DeliveryAgent;
    let pool = this.#pools.get(transport);
    if (pool === undefined) {
      pool = new DeliverPool(this.#tools.services.path('private', transport), { timeout: this.#view.ipc_timeout * 1000, idle: agentIdle });
      this.#pools.set(transport, pool);
    }
    return pool;
  }

  #answered(entry: Entry<Batch>, { status, hop }: DeliveryReply): void {
    const { message } = entry.load;
    if (status !== 0) message.deferred = true;
    this.#scheduler.expire(this.#tools.clock.monotonic());
    const failure = status !== 0 && hop.status !== '' ? { ...hop, reason: suspendedText + (hop.reason || 'unknown error') } : undefined;
    for (const given of this.#scheduler.finished(entry, failure)) this.#suspend(given, failure!);
    this.#close(message);
  }

  /** No agent, or it broke down with the request in its hand: these recipients wait, and so does the whole transport. */
  #agentFailed(entry: Entry<Batch>, error: unknown): void {
    const { log } = this.#tools;
    const isAbsent = error instanceof AgentTrouble && error.unavailable;
    const failure = { ...noDsn, status: '4.3.0', reason: isAbsent ? 'mail transport unavailable' : 'unknown mail transport error' };
    log.warning(isAbsent
      ? `connect to transport private/${entry.transport}: ${(error as Error).message}`
      : `transport ${entry.transport} failure -- see a previous warning/fatal/panic logfile record for the problem description`);
    const waiting = this.#scheduler.transportFailed(entry.transport, failure);
    for (const given of [...this.#scheduler.finished(entry, undefined), ...waiting]) this.#suspend(given, failure);
    this.#suspend(entry, failure);
  }

  /** One entry (or the hold of #begin) is done with; the last one concludes the message. */
  #close(message: ActiveMessage): void {
    if (--message.open > 0 || this.#phase === 'over') return;
    void this.#conclude(message);
  }

  async #conclude(message: ActiveMessage): Promise<void> {
    this.#concluding++;
    try {
      await conclude(message, this.#lifecycle);
    } catch (error) {
      this.#tools.log.warning(`${message.queueId}: ${(error as Error).message}`);
      this.#wait(message.queueId);
    }
    this.#concluding--;
    this.#active.delete(message.queueId);
    this.#settle();
    this.#feed();
  }
}
