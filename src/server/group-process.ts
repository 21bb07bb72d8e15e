/**
 * A process of the mail system: opens the services of its order, drops what it may not keep, serves, and comes to its end.
 *
 * The order of things is the security of things: everything is opened while the process may still open it, then directory
 * descriptors are closed, the root directory changes, the user changes, and only then the first stranger is heard.
 */
import { closeSync, fstatSync } from 'node:fs';
import { Configuration, type Override } from '../config/configuration.ts';
import { becomeUser } from '../host/identity.ts';
import { changeRoot, openDescriptors, openFileLimit } from '../host/process.ts';
import { loadLate } from '../host/late.ts';
import { trimMemory } from '../host/memory.ts';
import { startWatchdog } from '../host/watchdog.ts';
import { createDirectory } from '../ipc/link.ts';
import { createLog, type Log, type LogSink } from '../log/log.ts';
import type { QueueStore } from '../queue/store.ts';
import { FileSink } from '../log/sinks.ts';
import { sinkOf } from '../log/target.ts';
import type { Clock } from './clock.ts';
import type { Daemon, Service } from './daemon.ts';
import { Ending } from './ending.ts';
import { Lifetime, totalUses } from './lifetime.ts';
import { LoneLock } from './lone-lock.ts';
import type { ProcessOrder, Report, ServiceOrder, Word } from './order.ts';
import { queueOf } from './process-queue.ts';
import { ServiceRun, type Host } from './service-run.ts';
import { Slots } from './slots.ts';

export interface Surroundings {
  readonly clock: Clock;
  readonly report: (report: Report) => void;
  readonly load: (program: string) => Promise<Daemon>;
  readonly exit: (status: number) => never;
}

/** Milliseconds that a stopping mail system waits for work under way; master waits a little longer. */
const stopPatience = 3000;
/** Milliseconds that a client of an ending process has to make its first request. */
const welcome = 500;
/** Descriptors that a process needs besides its clients' (a quarter of few). An idle client costs one; while many cost more, new ones wait. */
const reserve = 100;
/** Milliseconds of quiet after which memory is given back. */
const quiet = 5000;
/** How often a broken connection to another service is made again before the mail at hand is deferred. */
const connectionRetries = 10;

/** A service of the order cannot be opened; the others can. */
class ServiceFailed extends Error {}

export class GroupProcess {
  readonly #order: ProcessOrder;
  readonly #surroundings: Surroundings;
  readonly #sink: LogSink;
  readonly #log: Log;
  readonly #base: Configuration;
  readonly #ending = new Ending();
  readonly #slots = new Slots();
  readonly #local = new Map<string, object>();
  readonly #runs = new Map<number, ServiceRun>();
  readonly #used = new Set<ServiceRun>();
  readonly #lifetime: Lifetime;
  readonly #indexes = new Map<ServiceOrder, number>();
  /** Clients that our descriptors are enough for, if nothing else wants any. */
  readonly #means = clientDescriptors(openFileLimit());
  #store: QueueStore | undefined;
  #opening: number | undefined;
  #ended = false;
  #released = false;
  #trimmed = false;
  #waiting: (() => void) | undefined;
  /** How long the event loop may stand still: the shortest time that a service of ours allows, milliseconds. */
  #watch = Infinity;

  constructor(order: ProcessOrder, surroundings: Surroundings) {
    this.#order = order;
    this.#surroundings = surroundings;
    this.#sink = sinkOf(order.log, 'services');
    // Until main.cf is read nobody knows syslog_name.
    let name = 'postfix';
    this.#log = this.#createLog(`${name}/${order.title}`);
    this.#base = new Configuration(order.configDirectory, new Map(order.settings));
    name = this.#base.get('syslog_name');
    this.#log = this.#createLog(`${name}/${order.title}`);
    const max = { idle: this.#base.get('max_idle'), use: this.#base.get('max_use') };
    const limits = order.services.map(({ limit }) => limit);
    this.#lifetime = new Lifetime({
      idle: order.resident ? 0 : max.idle * 1000,
      uses: order.resident ? 0 : totalUses(max.use, limits, this.#base.get('default_process_limit')),
    }, surroundings.clock.monotonic());
  }

  get log(): Log {
    return this.#log;
  }

  /** Open, drop, serve. */
  async run(): Promise<void> {
    for (const [index, service] of this.#order.services.entries()) await this.#open(index, service);
    if (this.#runs.size === 0) this.#exit(1);
    this.#drop();
    if (this.#ended) return;
    // Mail that a process that died has left is in the queue again before the first client is heard.
    await this.#store?.residents?.recover();
    await Promise.all([...this.#runs.values()].map((run) => run.start()));
    this.#surroundings.report({ kind: 'ready' });
    startWatchdog(this.#watch);
    this.#settle();
  }

  word(word: Word): void {
    if (word.kind === 'wake') return this.#runs.get(word.service)?.wake();
    if (word.kind === 'drain') this.#releaseLog();
    void this.#end(word.kind === 'stop' ? stopPatience : this.#base.get('daemon_timeout') * 1000);
  }

  /** The file may be rotated while we finish our work, which can take hours: what we still have to say master writes. */
  #releaseLog(): void {
    const { log } = this.#order;
    if (log.kind !== 'descriptor' || !(this.#sink instanceof FileSink) || this.#released) return;
    this.#released = true;
    this.#sink.redirect((lines) => this.#surroundings.report({ kind: 'log', lines }));
    closeSync(log.fd);
  }

  /** Master is gone, or the process was told to end by a signal. */
  stop(): void {
    void this.#end(stopPatience);
  }

  /** Our own fault: say so and end. */
  panic(error: unknown): never {
    this.#opening = undefined;
    return this.#log.panic((error as Error | undefined)?.stack?.replaceAll('\n', ' ') ?? String(error));
  }

  #createLog(tag: string): Log {
    return createLog(this.#sink, tag, process.pid, (status) => this.#exit(status));
  }

  #exit(status: number): never {
    if (this.#opening !== undefined && this.#order.services.length > 1) throw new ServiceFailed();
    this.#sink.flush();
    return this.#surroundings.exit(status);
  }

  async #open(index: number, ordered: ServiceOrder): Promise<void> {
    const { row } = ordered;
    const order = { ...ordered, limit: withinMeans(ordered.limit, this.#means) };
    this.#indexes.set(order, index);
    const log = this.#serviceLog(order);
    this.#opening = index;
    try {
      const lock = order.alone ? new LoneLock(row, this.#surroundings.clock) : undefined;
      const service = await this.#openService(order, log);
      if (service.calls !== undefined && row.type !== 'inet') this.#local.set(row.service, service.calls);
      const run = new ServiceRun(order, service, log, this.#host(), lock);
      if (run.taking !== undefined) this.#local.set(row.service, run.taking);
      this.#runs.set(index, run);
    } catch (error) {
      this.#opening = undefined;
      this.#openFailed(index, log, error as Error);
    }
    this.#opening = undefined;
  }

  async #openService(order: ServiceOrder, log: Log): Promise<Service> {
    const daemon = await this.#surroundings.load(order.row.program);
    const config = this.#base.withOverrides(rowOverrides(order));
    const services = createDirectory({
      local: this.#local, log,
      limits: { timeout: config.get('ipc_timeout') * 1000, idle: config.get('ipc_idle') * 1000, retries: connectionRetries },
    });
    const { clock } = this.#surroundings;
    this.#watch = Math.min(this.#watch, watchOf(order.row.program, config) * 1000);
    return daemon.open({ row: order.row, config, log, clock, services, store: this.#queue(), restart: (reason) => this.#restart(log, reason) });
  }

  /** One for all services of the process. */
  #queue(): QueueStore {
    this.#store ??= queueOf(this.#order.services, this.#base, this.#surroundings.clock, this.#log);
    return this.#store;
  }

  #serviceLog(order: ServiceOrder): Log {
    let name = this.#base.get('syslog_name');
    try {
      name = this.#base.withOverrides(rowOverrides(order)).get('syslog_name');
    } catch {
      // said when the service is opened
    }
    return this.#createLog(`${name}/${order.row.program}`);
  }

  /** One row that cannot be served must not take the others along; alone in its process it ends it, as in Postfix. */
  #openFailed(index: number, log: Log, error: Error): void {
    if (!(error instanceof ServiceFailed)) {
      const { row } = this.#order.services[index]!;
      const unexpected = error.name === 'ConfigurationError' || (error as NodeJS.ErrnoException).syscall !== undefined ? error.message : error.stack ?? error.message;
      try {
        this.#opening = index;
        log.fatal(`${row.file}: line ${row.line}: service "${row.service}": ${unexpected}`);
      } catch (failed) {
        if (!(failed instanceof ServiceFailed)) throw failed;
      } finally {
        this.#opening = undefined;
      }
    }
    for (const fd of this.#order.services[index]!.descriptors) closeSync(fd);
    this.#surroundings.report({ kind: 'failed', service: index });
  }

  #host(): Host {
    const { clock } = this.#surroundings;
    return {
      clock, slots: this.#slots, ending: this.#ending, firstSpare: this.#means,
      numbered: this.#order.services.length > 1 || this.#order.services[0]?.limit !== 1,
      used: (run) => this.#countUse(run),
      occupied: (run, taken) => this.#occupied(run, taken),
      full: (run) => this.#surroundings.report({ kind: 'full', service: this.#indexOf(run) }),
    };
  }

  #indexOf(run: ServiceRun): number {
    return this.#indexes.get(run.order)!;
  }

  #countUse(run: ServiceRun): void {
    this.#lifetime.used(this.#surroundings.clock.monotonic());
    this.#trimmed = false;
    if (this.#used.has(run)) return;
    this.#used.add(run);
    this.#surroundings.report({ kind: 'served', service: this.#indexOf(run) });
  }

  #occupied(_run: ServiceRun, taken: boolean): void {
    if (this.#order.oneClient && !this.#ended) this.#surroundings.report({ kind: taken ? 'taken' : 'available' });
    if (taken) return;
    this.#lifetime.active(this.#surroundings.clock.monotonic());
    if (this.#ended) this.#waiting?.();
    else if (this.#lifetime.wornOut) void this.#end(this.#base.get('daemon_timeout') * 1000);
  }

  #drop(): void {
    const { chroot, user } = this.#order;
    const root = process.cwd();
    for (const fd of openDescriptors()) if (fd > 2 && isDirectory(fd)) closeSync(fd);
    if (chroot) {
      loadLate();
      changeRoot(root);
    }
    if (user !== undefined) becomeUser(user);
  }

  #restart(log: Log, reason: string): void {
    if (this.#ended) return;
    log.info(reason);
    void this.#end(this.#base.get('daemon_timeout') * 1000);
  }

  /** Look now and then whether there is anything left to stay for. */
  #settle(): void {
    if (this.#ended) return;
    const now = this.#surroundings.clock.monotonic();
    const idle = [...this.#runs.values()].every((run) => run.idle);
    if (!idle) this.#lifetime.active(now);
    const left = this.#lifetime.idleLeft(now);
    if (idle && left === 0) return void this.#end(stopPatience);
    if (idle && !this.#trimmed) {
      this.#trimmed = true;
      trimMemory();
    }
    this.#surroundings.clock.after(Math.min(left ?? quiet, quiet), () => this.#settle());
  }

  /** The end, at most `patience` milliseconds away. Asked again, the shorter patience holds. */
  async #end(patience: number): Promise<void> {
    this.#surroundings.clock.after(patience, () => this.#exit(0));
    if (this.#ended) {
      if (patience <= stopPatience) await this.#store?.residents?.retire(true);
      return;
    }
    this.#ended = true;
    for (const run of this.#runs.values()) run.close();
    this.#forgetLone();
    this.#surroundings.report({ kind: 'retiring' });
    await this.#newcomers(patience);
    this.#ending.request();
    await Promise.all([...this.#runs.values()].map((run) => run.drain(patience <= stopPatience).catch((error) => this.panic(error))));
    await this.#clientsGone();
    this.#exit(0);
  }

  /** What only one process may serve is another's from now on: sessions that are still here reach it through its socket. */
  #forgetLone(): void {
    for (const { order } of this.#runs.values()) if (order.alone && order.row.type !== 'inet') this.#local.delete(order.row.service);
  }

  /** Who was accepted just now has not yet said what they want: they are served, not turned away. */
  #newcomers(patience: number): Promise<void> {
    if (this.#slots.count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#surroundings.clock.after(Math.min(welcome, patience / 10), resolve));
  }

  #clientsGone(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = () => {
        if ([...this.#runs.values()].every((run) => run.clients === 0)) setImmediate(resolve);
      };
      this.#waiting();
    });
  }
}

/** `-o` settings and the two names that stand for the row itself. */
function rowOverrides({ row }: ServiceOrder): Override[] {
  return [['process_name', row.program], ['service_name', row.service], ...row.overrides];
}

function clientDescriptors(allowed: number): number {
  return Math.max(1, allowed - Math.min(reserve, Math.ceil(allowed / 4)));
}

/** A process without descriptors would have to turn clients away; better they wait in the kernel's queue. */
function withinMeans(limit: number, means: number): number {
  return limit === 0 ? means : Math.min(limit, means);
}

function isDirectory(fd: number): boolean {
  try {
    return fstatSync(fd).isDirectory();
  } catch {
    return false;
  }
}

/** After how many seconds of standing still a program is ended. */
export function watchOf(program: string, config: Configuration): number {
  if (program === 'postscreen') return config.get('postscreen_watchdog_timeout');
  if (program === 'postlogd') return config.get('postlogd_watchdog_timeout');
  return /^[no]?qmgr$/.test(program) ? config.get('qmgr_daemon_timeout') : config.get('daemon_timeout');
}
