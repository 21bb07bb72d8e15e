/**
 * Removes from a cache what no longer counts, every so often (address_verify_cache_cleanup_interval, postscreen_cache_cleanup_interval).
 * When that was done last is remembered in the cache itself, under a key of Postfix's, so that a process that ends early goes on where it
 * was. Other work has its turns meanwhile.
 */
import type { Log } from '../log/log.ts';
import type { Cache } from './cache.ts';

interface Timer { cancel(): void }

/** What this needs of a clock: milliseconds since the epoch, and timers. */
export interface SweepClock {
  now(): number;
  after(milliseconds: number, run: () => void, idle?: boolean): Timer;
}

/** Under which key the cache keeps the time of its last cleanup. */
export const lastSweepKey = '_LAST_CACHE_CLEANUP_COMPLETED_';

export interface SweepTools {
  readonly log: Log;
  readonly clock: SweepClock;
  /** Seconds. */
  readonly interval: number;
  keeps(raw: string): boolean;
}

/** Entries that are looked at in one turn. */
const turnSize = 500;

export class Sweep {
  readonly #cache: Cache;
  readonly #tools: SweepTools;
  #timer: Timer | undefined;
  #stopped = false;
  #retained = 0;
  #dropped = 0;

  constructor(cache: Cache, tools: SweepTools) {
    this.#cache = cache;
    this.#tools = tools;
  }

  /** Rejects when the cache cannot be asked. */
  async start(): Promise<void> {
    const { interval } = this.#tools;
    const last = Number.parseInt((await this.#cache.find(lastSweepKey)) ?? '', 10) || 0;
    this.#arm(Math.min(Math.max(last + interval - this.#now(), 0), interval));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#retained > 0 || this.#dropped > 0) this.#tell('partial');
  }

  #arm(seconds: number): void {
    this.#timer = this.#tools.clock.after(seconds * 1000, () => void this.#run(), true);
  }

  async #run(): Promise<void> {
    try {
      await this.#all();
      if (this.#stopped) return;
      this.#tell('full');
      await this.#cache.put(lastSweepKey, String(this.#now()));
    } catch (error) {
      this.#tools.log.warning(`${this.#cache.name}: cache cleanup scan terminated due to error: ${(error as Error).message}`);
      this.#tell('partial');
    }
    this.#arm(this.#tools.interval);
  }

  async #all(): Promise<void> {
    let old: (readonly [string, string])[] = [];
    let seen = 0;
    for await (const entry of this.#cache.entries()) {
      if (entry[0] === lastSweepKey) continue;
      if (this.#tools.keeps(entry[1])) this.#retained++;
      else old.push(entry);
      if (++seen % turnSize > 0) continue;
      await this.#drop(old);
      old = [];
      await new Promise<void>((resolve) => { this.#timer = this.#tools.clock.after(0, resolve); });
      if (this.#stopped) return;
    }
    await this.#drop(old);
  }

  /** What was changed since it was read stays. */
  async #drop(old: readonly (readonly [string, string])[]): Promise<void> {
    const keys: string[] = [];
    for (const [key, raw] of old) {
      const found = this.#cache.find(key);
      if ((typeof found === 'object' ? await found : found) === raw) keys.push(key);
    }
    if (keys.length > 0) await this.#cache.remove(keys);
    this.#dropped += keys.length;
    this.#retained += old.length - keys.length;
  }

  #tell(extent: 'full' | 'partial'): void {
    this.#tools.log.info(`cache ${this.#cache.name} ${extent} cleanup: retained=${this.#retained} dropped=${this.#dropped} entries`);
    this.#retained = this.#dropped = 0;
  }

  #now(): number {
    return Math.floor(this.#tools.clock.now() / 1000);
  }
}
