/**
 * What is remembered of clients between their sessions: postscreen_cache_map, opened with the rights of mail_owner while this process may
 * still open it, and written in batches, since every write waits for the disk.
 *
 * Trouble with the table is a warning; the client counts as unknown. After `close` nothing is known and nothing kept.
 */
import { asUser } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import type { View } from '../../parameters/parameters.ts';
import { dueTests, parseStamps } from '../../protocol/postscreen/stamps.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import type { Tools } from '../../server/daemon.ts';
import { Sweep } from '../../tables/cache-sweep.ts';
import { keptCache, type KeptCache } from '../../tables/cache.ts';
import type { TableContext } from '../../tables/table.ts';
import { isPending } from '../../text/maybe.ts';

export const memoryParameters = ['postscreen_cache_map', 'postscreen_cache_cleanup_interval', 'postscreen_cache_retention_time', 'data_directory', 'mail_owner'] as const;

/** Milliseconds in which what is to be written gathers. */
const gathering = 200;

export class Memory {
  readonly #tools: Tools;
  readonly #view: View<typeof memoryParameters>;
  readonly #enabled: number;
  readonly #unwritten = new Map<string, string>();
  /** What others were asked to write. */
  readonly #writing = new Set<Promise<void>>();
  #cache: KeptCache | undefined;
  #sweep: Sweep | undefined;
  #timer: { cancel(): void } | undefined;

  /** `enabled`: tests that are switched on. Ends the process, as Postfix does, when the table cannot be opened. */
  constructor(tools: Tools, context: TableContext, enabled: number) {
    const view = tools.config.view(memoryParameters);
    this.#tools = tools;
    this.#view = view;
    this.#enabled = enabled;
    if (view.postscreen_cache_map !== '') this.#cache = this.#open(context);
  }

  /** Once the service is ours alone. */
  start(): void {
    const { postscreen_cache_cleanup_interval: interval } = this.#view;
    const cache = this.#cache;
    if (cache === undefined || interval <= 0) return;
    const { clock, log } = this.#tools;
    this.#sweep = new Sweep(cache, { log, clock, interval, keeps: (entry) => this.#keeps(entry) });
    this.#sweep.start().catch((error: Error) => log.warning(error.message));
  }

  async find(address: string): Promise<string | undefined> {
    const cache = this.#cache;
    if (cache === undefined) return undefined;
    const unwritten = this.#unwritten.get(address);
    if (unwritten !== undefined) return unwritten;
    try {
      return await cache.find(address);
    } catch (error) {
      this.#tools.log.warning(`${cache.name}: cache lookup for '${address}' failed due to error: ${errorText(error)}`);
      return undefined;
    }
  }

  save(address: string, entry: string): void {
    const cache = this.#cache;
    if (cache === undefined) return;
    if (cache.putAll === undefined) return this.#put([[address, entry]], () => cache.put(address, entry));
    this.#unwritten.set(address, entry);
    this.#timer ??= this.#tools.clock.after(gathering, () => this.#write());
  }

  /** Resolves when all is written. */
  async close(): Promise<void> {
    this.#sweep?.stop();
    this.#write();
    const cache = this.#cache;
    this.#cache = undefined;
    await Promise.all(this.#writing);
    cache?.close();
  }

  #open(context: TableContext): KeptCache {
    const { postscreen_cache_map: map, data_directory: directory, mail_owner: name } = this.#view;
    const { log } = this.#tools;
    try {
      const { uid, gid } = process.geteuid!() === 0 ? mailOwner(this.#tools.config) : { uid: process.geteuid!(), gid: process.getegid!() };
      return asUser({ uid, gid }, () => keptCache(map, { uid, name, directory }, context));
    } catch (error) {
      return log.fatal(`postscreen_cache_map: ${map}: ${errorText(error)}`);
    }
  }

  #write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const putAll = this.#cache?.putAll;
    const entries = [...this.#unwritten];
    this.#unwritten.clear();
    if (putAll !== undefined && entries.length > 0) this.#put(entries, () => putAll(entries));
  }

  #put(entries: readonly (readonly [string, string])[], put: () => void | Promise<void>): void {
    const name = this.#cache?.name;
    const trouble = (error: unknown): void => {
      for (const [address] of entries) this.#tools.log.warning(`${name}: could not update entry for ${address}: ${errorText(error)}`);
    };
    try {
      const done = put();
      if (!isPending(done)) return;
      const settled = done.catch(trouble).finally(() => this.#writing.delete(settled));
      this.#writing.add(settled);
    } catch (error) {
      trouble(error);
    }
  }

  /** Kept until all its results expired a while ago: a client that comes back before is not told as new. */
  #keeps(entry: string): boolean {
    const now = Math.floor(this.#tools.clock.now() / 1000);
    return dueTests(parseStamps(entry), this.#enabled, now - this.#view.postscreen_cache_retention_time) === 0;
  }
}
