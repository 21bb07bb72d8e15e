/**
 * verify(8): knows which addresses mail gets to, and finds out about others with probes.
 *
 * It answers at once: with what it knows, or that a probe is under way. A cache that cannot be used is told as a temporary failure of every
 * address, and tried again at the next request. Writing to the cache may take as long as the disk does, so the row has a process of its own.
 */
import { zoneAt } from '../../host/zone.ts';
import { internalMailFlags, internalMailParameters } from '../../ipc/internal-mail.ts';
import type { Calls } from '../../ipc/service.ts';
import { serveCalls } from '../../ipc/serve.ts';
import { probeStatus, verifyService } from '../../ipc/verify.ts';
import { probeSender, probeSenderTrouble, type ProbeSenderRules } from '../../message/probe-sender.ts';
import type { View } from '../../parameters/parameters.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { tableContext, type TableContext } from '../../tables/table.ts';
import { printable } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { memoryCache, tableCache, type Cache } from '../../tables/cache.ts';
import { counts, parseEntry, renderEntry, unknown, wantsProbe, type Entry, type Lives } from './entry.ts';
import { postProbe } from './probe.ts';
import { Sweep } from '../../tables/cache-sweep.ts';

const parameters = [
  'address_verify_map', 'address_verify_sender', 'address_verify_sender_ttl', 'address_verify_positive_expire_time', 'address_verify_positive_refresh_time',
  'address_verify_negative_expire_time', 'address_verify_negative_refresh_time', 'address_verify_negative_cache', 'address_verify_cache_cleanup_interval',
  'address_verify_pending_request_limit', 'cleanup_service_name', 'data_directory', 'mail_name', 'mail_owner', 'myhostname', ...internalMailParameters,
] as const;

export const daemon: Daemon = {
  card: {
    name: 'verify',
    summary: 'finds out which addresses mail gets to',
    group: 'tables',
    calls: ['cleanup'],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'verify    unix  -       -       n       -       1       verify',
    standards: [],
  },
  open: (tools) => new Verify(tools),
};

type VerifyCalls = Calls<typeof verifyService>;
interface Known { readonly status: number; readonly recipient_status: number; readonly reason: string }

/** Status of a request, not of an address. */
const requestStatus = { ok: 0, bad: -2 } as const;

const statusNames: ReadonlySet<number> = new Set([probeStatus.ok, probeStatus.defer, probeStatus.bounce]);

class Verify implements Service {
  readonly calls: VerifyCalls;
  readonly #tools: Tools;
  readonly #view: View<typeof parameters>;
  readonly #context: TableContext;
  readonly #lives: Lives;
  readonly #sender: ProbeSenderRules;
  readonly #flags: number;
  #cache: Cache | undefined;
  #sweep: Sweep | undefined;
  /** Probes on their way to cleanup. */
  readonly #posting = new Set<string>();
  #draining: (() => void) | undefined;

  constructor(tools: Tools) {
    const view = tools.config.view(parameters);
    this.#tools = tools;
    this.#view = view;
    this.#context = tableContext(tools.config, tools.log, tools.restart);
    this.#lives = {
      positiveExpire: view.address_verify_positive_expire_time, positiveRefresh: view.address_verify_positive_refresh_time,
      negativeExpire: view.address_verify_negative_expire_time, negativeRefresh: view.address_verify_negative_refresh_time,
    };
    this.#sender = { sender: view.address_verify_sender, life: view.address_verify_sender_ttl };
    const trouble = probeSenderTrouble(view.address_verify_sender);
    if (trouble !== undefined) tools.log.fatal(trouble);
    this.#flags = internalMailFlags(view, 'verify');
    this.calls = { update: (request) => this.#update(request), query: ({ address }) => this.#query(address) };
    zoneAt(tools.clock.now()); // reads the zone's file, which a chroot may lack
  }

  /** Not before: the cache is made and opened with the rights of mail_owner. */
  start(): void {
    this.#opened();
  }

  client({ socket, log, ending }: Session): Promise<void> {
    return serveCalls(socket, verifyService, this.calls, log, ending);
  }

  /** What is in memory only is worth staying for. */
  busy(): boolean {
    return this.#view.address_verify_map === '' || this.#posting.size > 0;
  }

  async drain(): Promise<void> {
    this.#sweep?.stop();
    if (this.#posting.size > 0) await new Promise<void>((resolve) => { this.#draining = resolve; });
  }

  #opened(): Cache | undefined {
    if (this.#cache !== undefined) return this.#cache;
    const { address_verify_map: map, address_verify_cache_cleanup_interval: interval, data_directory: directory, mail_owner: name } = this.#view;
    const { log, clock } = this.#tools;
    try {
      this.#cache = map === '' ? memoryCache() : tableCache(map, { uid: process.geteuid!(), name, directory }, this.#context);
    } catch (error) {
      log.warning(`${map} is unavailable. ${(error as Error).message}`);
      return undefined;
    }
    if (interval > 0) {
      this.#sweep = new Sweep(this.#cache, { log, clock, interval, keeps: (raw) => this.#keeps(raw) });
      this.#sweep.start().catch((error: Error) => log.warning(error.message));
    }
    return this.#cache;
  }

  #keeps(raw: string): boolean {
    const entry = this.#parsed(raw);
    return entry !== undefined && counts(entry, this.#now(), this.#lives);
  }

  #parsed(raw: string): Entry | undefined {
    const entry = parseEntry(raw);
    if (entry === undefined) this.#tools.log.warning(`bad address verify table entry: ${raw.slice(0, 100)}`);
    return entry;
  }

  /** A failed probe does not take a good address away: that one is probed again when it is asked for. */
  #update({ address, recipient_status: status, reason }: { address: string; recipient_status: number; reason: string }): MaybePromise<{ status: number }> {
    const done = { status: requestStatus.ok };
    if (!statusNames.has(status)) {
      this.#tools.log.warning(`bad recipient status ${status} for recipient ${keyOf(address)}`);
      return { status: requestStatus.bad };
    }
    const key = keyOf(address);
    const entry = { status, probed: 0, updated: this.#now(), text: printable(reason, '?', this.#view.smtputf8_enable) };
    if (status === probeStatus.ok) return chain(this.#put(key, entry), () => done);
    return chain(this.#find(key), (found) => {
      const isGood = typeof found === 'object' && Number.parseInt(found.raw, 10) === probeStatus.ok;
      return isGood ? done : chain(this.#put(key, entry), () => done);
    });
  }

  #query(address: string): MaybePromise<Known> {
    return chain(this.#find(keyOf(address)), (found) => {
      if (found === 'trouble') return { status: requestStatus.ok, recipient_status: probeStatus.defer, reason: 'Address verification status unavailable' };
      return this.#answer(address, found?.raw);
    });
  }

  #answer(address: string, raw: string | undefined): MaybePromise<Known> {
    const now = this.#now();
    const parsed = raw === undefined ? undefined : this.#parsed(raw);
    const entry = parsed !== undefined && counts(parsed, now, this.#lives) ? parsed : unknown;
    const known = { status: requestStatus.ok, recipient_status: entry.status, reason: entry.text };
    const purged = raw !== undefined && entry === unknown && !this.#view.address_verify_negative_cache ? this.#remove(keyOf(address)) : true;
    return chain(purged, () => (wantsProbe(entry, now, this.#lives) ? chain(this.#probe(address, entry, now), () => known) : known));
  }

  /** Noted first, so that the next query does not send another; when the note cannot be made none is sent. */
  #probe(address: string, entry: Entry, now: number): MaybePromise<void> {
    const key = keyOf(address);
    if (this.#posting.has(key) || this.#posting.size >= this.#view.address_verify_pending_request_limit) return;
    this.#posting.add(key);
    const noted = entry.updated > 0 || this.#view.address_verify_negative_cache ? this.#put(key, { ...entry, probed: now }) : true;
    return chain(noted, (ok) => {
      if (ok) void this.#post(address, entry, now).finally(() => this.#posted(key));
      else this.#posted(key);
    });
  }

  #posted(key: string): void {
    this.#posting.delete(key);
    if (this.#posting.size === 0) this.#draining?.();
  }

  /** What did not get on its way is not waited for. */
  async #post(address: string, entry: Entry, now: number): Promise<void> {
    const { services, clock, log } = this.#tools;
    const { cleanup_service_name: service, myhostname: hostname, mail_name: mailName } = this.#view;
    const facts = { sender: probeSender(this.#sender, now), recipient: address, hostname, mailName, flags: this.#flags, now: clock.now() };
    try {
      const status = await postProbe(services.cleanup(service), facts);
      if (status === 0) return;
      log.warning(`probe of ${printable(address)}: ${service} service refused it with status ${status}`);
    } catch (error) {
      log.warning(`probe of ${printable(address)}: ${(error as Error).message}`);
    }
    if (entry.updated > 0) await this.#put(keyOf(address), entry);
    else await this.#remove(keyOf(address));
  }

  #find(key: string): MaybePromise<{ readonly raw: string } | undefined | 'trouble'> {
    return this.#with<{ readonly raw: string } | undefined | 'trouble'>((cache) => chain(cache.find(key), (raw) => (raw === undefined ? undefined : { raw })), 'trouble',
      (cache) => `${cache.name}: cache lookup for '${key}' failed due to error`);
  }

  #put(key: string, entry: Entry): MaybePromise<boolean> {
    return this.#with((cache) => chain(cache.put(key, renderEntry(entry)), () => true), false, (cache) => `${cache.name}: could not update entry for ${key}`);
  }

  #remove(key: string): MaybePromise<boolean> {
    return this.#with((cache) => chain(cache.remove([key]), () => true), false, (cache) => `${cache.name}: could not delete entry for ${key}`);
  }

  /** Trouble with the cache is a warning and the answer `failed`. */
  #with<T>(work: (cache: Cache) => MaybePromise<T>, failed: T, text: (cache: Cache) => string): MaybePromise<T> {
    const cache = this.#opened();
    if (cache === undefined) return failed;
    const trouble = (error: unknown): T => {
      this.#tools.log.warning(`${text(cache)}: ${(error as Error).message}`);
      return failed;
    };
    try {
      const answer = work(cache);
      return isPending(answer) ? answer.catch(trouble) : answer;
    } catch (error) {
      return trouble(error);
    }
  }

  #now(): number {
    return Math.floor(this.#tools.clock.now() / 1000);
  }
}

/** The colons of IPv6 addresses would be taken for others in some tables. */
function keyOf(address: string): string {
  return address.replaceAll(':', '_');
}
