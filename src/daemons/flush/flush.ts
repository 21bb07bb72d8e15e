/**
 * flush(8): remembers which deferred messages wait for which site, so that a site that comes online (ETRN) has its mail tried at once.
 *
 * Only sites of fast_flush_domains are looked after. The logs are no more than a hint: qmgr(8) tries every message in its time, whether it is
 * noted here or not. A request that cannot be served is answered with "failed".
 */
import { flushService, flushStatus } from '../../ipc/flush.ts';
import type { Calls } from '../../ipc/service.ts';
import { serveCalls } from '../../ipc/serve.ts';
import { scanIncoming } from '../../ipc/trigger.ts';
import { flushMessage } from '../../queue/flush-message.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { domainsWithParents } from '../../tables/lists.ts';
import { tableContext } from '../../tables/table.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { SiteLogs } from './site-logs.ts';
import { siteName } from './site-name.ts';

const parameters = [
  'fast_flush_domains', 'fast_flush_refresh_time', 'fast_flush_purge_time', 'hash_queue_names', 'hash_queue_depth', 'queue_service_name',
] as const;

export const daemon: Daemon = {
  card: {
    name: 'flush',
    summary: 'has the deferred mail of one site tried at once',
    group: 'queue',
    calls: ['qmgr'],
    privileges: { user: 'mail_owner', network: false, writes: ['flush', 'incoming', 'deferred'] },
    row: 'flush     unix  n       -       n       1000?   0       flush',
    standards: ['RFC 1985'],
  },
  open: (tools) => new Flush(tools),
};

/** qmgr(8): forget that destinations are dead. */
const forgetDead = 'F';

class Flush implements Service {
  readonly calls: Calls<typeof flushService>;
  readonly #tools: Tools;
  readonly #paths: QueuePaths;
  readonly #logs: SiteLogs;
  readonly #isEligible: (site: string) => MaybePromise<boolean>;
  readonly #refreshTime: number;
  readonly #purgeTime: number;
  readonly #queue: string;
  /** Refreshing, which nobody waits for. */
  #refreshing: Promise<void> | undefined;

  constructor(tools: Tools) {
    const { config, log, clock } = tools;
    const view = config.view(parameters);
    this.#tools = tools;
    this.#refreshTime = view.fast_flush_refresh_time;
    this.#purgeTime = view.fast_flush_purge_time;
    this.#queue = view.queue_service_name;
    this.#paths = new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth });
    this.#logs = new SiteLogs({ paths: this.#paths, warn: (text) => log.warning(text), now: () => clock.now() });
    this.#isEligible = domainsWithParents('fast_flush_domains', config, tableContext(config, log, tools.restart));
    this.calls = {
      add: ({ site, queue_id: queueId }) => this.#answered(() => this.#add(site, queueId)),
      send_site: ({ site }) => this.#answered(() => this.#sendSite(site)),
      send_file: ({ queue_id: queueId }) => this.#answered(async () => this.#sendFile(queueId)),
      rfrsh: () => this.#refresh(this.#refreshTime),
      purge: () => this.#refresh(0),
    };
  }

  client({ socket, log, ending }: Session): Promise<void> {
    return serveCalls(socket, flushService, this.calls, log, ending);
  }

  /** Master's timer. */
  trigger(): void {
    this.#refresh(this.#refreshTime);
  }

  busy(): boolean {
    return this.#refreshing !== undefined;
  }

  async drain(): Promise<void> {
    await this.#refreshing;
  }

  async #answered(work: () => Promise<number>): Promise<{ status: number }> {
    try {
      return { status: await work() };
    } catch (error) {
      this.#tools.log.warning((error as Error).message);
      return { status: flushStatus.failed };
    }
  }

  async #add(site: string, queueId: string): Promise<number> {
    if (!queueIdOk(queueId)) return flushStatus.bad;
    return this.#ofSite(site, async (name) => this.#logs.add(name, queueId));
  }

  /** Destinations are unthrottled before any message moves: so those that turn out to be dead are found dead once, not for each message. */
  #sendSite(site: string): Promise<number> {
    return this.#ofSite(site, async (name) => {
      const any = await this.#logs.send(name, () => this.#wakeQueue(forgetDead));
      if (any) this.#wakeQueue(scanIncoming);
    });
  }

  async #ofSite(site: string, work: (name: string) => Promise<void>): Promise<number> {
    if (!await this.#isEligible(site)) return flushStatus.denied;
    const name = siteName(site);
    if (name === undefined) return flushStatus.denied;
    if (!queueIdOk(name)) return flushStatus.bad;
    await work(name);
    return flushStatus.ok;
  }

  #sendFile(queueId: string): number {
    if (!queueIdOk(queueId)) return flushStatus.bad;
    const moved = flushMessage(this.#paths, queueId, (text) => this.#tools.log.warning(text));
    if (moved) this.#wakeQueue(scanIncoming);
    return flushStatus.ok;
  }

  /** Whoever asked is not kept waiting. */
  #refresh(age: number): { status: number } {
    this.#refreshing ??= this.#refreshed(age).finally(() => { this.#refreshing = undefined; });
    return { status: flushStatus.ok };
  }

  async #refreshed(age: number): Promise<void> {
    try {
      if (await this.#logs.refresh(age, this.#purgeTime)) this.#wakeQueue(scanIncoming);
    } catch (error) {
      this.#tools.log.warning((error as Error).message);
    }
  }

  #wakeQueue(request: string): void {
    this.#tools.services.trigger('public', this.#queue, request);
  }
}
