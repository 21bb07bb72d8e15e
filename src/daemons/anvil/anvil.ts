/**
 * anvil(8): counts what clients do, for servers that limit how much one client may do.
 *
 * It decides nothing. What it knows is lost with its process, which therefore stays while there are clients to remember. Now and
 * then, and at the end, it tells the log what the most was.
 */
import { anvilService } from '../../ipc/anvil.ts';
import { serveCalls } from '../../ipc/serve.ts';
import type { Calls } from '../../ipc/service.ts';
import type { Timer } from '../../server/clock.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { asctime } from '../../text/asctime.ts';
import { Counters, type Event } from './counters.ts';

const parameters = ['anvil_rate_time_unit', 'anvil_status_update_time'] as const;

export const daemon: Daemon = {
  card: {
    name: 'anvil',
    summary: 'counts clients and their requests',
    group: 'queue',
    calls: [],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'anvil     unix  -       -       n       -       1       anvil',
    standards: [],
  },
  open: (tools) => new Anvil(tools),
};

type AnvilCalls = Calls<typeof anvilService>;

class Anvil implements Service {
  readonly calls: AnvilCalls;
  readonly #tools: Tools;
  readonly #counters: Counters;
  readonly #reportInterval: number;
  #expiry: Timer | undefined;
  #report: Timer | undefined;

  constructor(tools: Tools) {
    const view = tools.config.view(parameters);
    this.#tools = tools;
    this.#counters = new Counters(view.anvil_rate_time_unit);
    this.#reportInterval = view.anvil_status_update_time * 1000;
    this.calls = new Reporter(this.#counters, () => this.#now(), () => this.#arm()).calls;
    asctime(0); // reads the zone's file, which a chroot may lack
  }

  start(): void {
    this.#report = this.#tools.clock.after(this.#reportInterval, () => {
      this.#tell();
      this.start();
    }, true);
  }

  /** Each reporter has connections of its own; they are gone when it is. */
  async client({ socket, log, ending }: Session): Promise<void> {
    const reporter = new Reporter(this.#counters, () => this.#now(), () => this.#arm());
    await serveCalls(socket, anvilService, reporter.calls, log, ending);
    reporter.gone();
  }

  busy(): boolean {
    return this.#counters.size > 0;
  }

  drain(): void {
    this.#report?.cancel();
    this.#expiry?.cancel();
    this.#tell();
  }

  #now(): number {
    return Math.floor(this.#tools.clock.now() / 1000);
  }

  #tell(): void {
    for (const line of this.#counters.report((seconds) => asctime(seconds).slice(4, 19))) this.#tools.log.info(line);
  }

  #arm(): void {
    const due = this.#counters.nextExpiry;
    if (due === undefined || this.#expiry !== undefined) return;
    this.#expiry = this.#tools.clock.after(Math.max(0, due - this.#now()) * 1000, () => {
      this.#expiry = undefined;
      this.#counters.expire(this.#now());
      this.#arm();
    }, true);
  }
}

/** Somebody who reports events, and the connections that it reported and did not take back. */
class Reporter {
  readonly calls: AnvilCalls;
  readonly #open = new Map<string, number>();
  readonly #counters: Counters;
  readonly #now: () => number;
  readonly #changed: () => void;

  constructor(counters: Counters, now: () => number, changed: () => void) {
    this.#counters = counters;
    this.#now = now;
    this.#changed = changed;
    this.calls = {
      connect: ({ client }) => this.#connect(client),
      disconnect: ({ client }) => this.#disconnect(client),
      message: ({ client }) => this.#event(client, 'message'),
      recipient: ({ client }) => this.#event(client, 'recipient'),
      newtls: ({ client }) => this.#event(client, 'newtls'),
      auth: ({ client }) => this.#event(client, 'auth'),
      tlstrace: ({ client }) => this.#event(client, 'tlstrace'),
      lookup: ({ client }) => this.#lookup(client),
    };
  }

  gone(): void {
    for (const [client, count] of this.#open) for (let left = count; left > 0; left--) this.#counters.disconnect(client, this.#now());
    this.#open.clear();
    this.#changed();
  }

  #connect(client: string): { count: number; rate: number } {
    this.#open.set(client, (this.#open.get(client) ?? 0) + 1);
    return this.#counters.connect(client, this.#now());
  }

  #disconnect(client: string): object {
    const count = this.#open.get(client) ?? 0;
    if (count === 0) return {};
    if (count === 1) this.#open.delete(client);
    else this.#open.set(client, count - 1);
    this.#counters.disconnect(client, this.#now());
    this.#changed();
    return {};
  }

  #event(client: string, event: Exclude<Event, 'connection'>): { rate: number } {
    const rate = this.#counters.event(client, event, this.#now());
    this.#changed();
    return { rate };
  }

  #lookup(client: string) {
    const { count, rates } = this.#counters.lookup(client, this.#now());
    const { connection: rate, ...others } = rates;
    return { count, rate, ...others };
  }
}
