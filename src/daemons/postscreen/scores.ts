/**
 * The scores of clients that are being tested: each DNS list is asked once for a client, however many sessions it has now.
 *
 * A score lives as long as a session wants it. A list that does not answer in time counts for nothing; its sessions sit out their
 * whole wait.
 */
import type { DnsblogCalls } from '../../ipc/dnsblog.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { Tally, type ListSite } from '../../protocol/postscreen/lists.ts';
import type { Clock } from '../../server/clock.ts';

export interface ScoreSources {
  readonly sites: readonly ListSite[];
  readonly dnsblog: DnsblogCalls;
  /** For the log. */
  readonly service: string;
  /** postscreen_dnsbl_timeout, seconds. */
  readonly timeout: number;
  readonly clock: Clock;
  warn(text: string): void;
}

interface Entry {
  readonly label: number;
  readonly tally: Tally;
  readonly waiting: Set<() => void>;
  pending: number;
  sessions: number;
}

/** One session's interest. */
export interface Interest {
  readonly tally: Tally;
  /** The session has what it wants, or is gone. */
  forget(): void;
}

export class Scores {
  readonly #sources: ScoreSources;
  readonly #entries = new Map<string, Entry>();
  #labels = 0;

  constructor(sources: ScoreSources) {
    this.#sources = sources;
  }

  /** Clients whose score is wanted now. */
  get size(): number {
    return this.#entries.size;
  }

  /** `ready` runs later, never at once, when all lists have answered. */
  want(address: string, ready: () => void): Interest {
    const entry = this.#entries.get(address) ?? this.#ask(address);
    entry.sessions++;
    let isWanted = true;
    const notify = (): void => { if (isWanted) ready(); };
    entry.waiting.add(notify);
    if (entry.pending === 0) setImmediate(notify);
    return {
      tally: entry.tally,
      forget: () => {
        if (!isWanted) return;
        isWanted = false;
        entry.waiting.delete(notify);
        if (--entry.sessions === 0 && this.#entries.get(address) === entry) this.#entries.delete(address);
      },
    };
  }

  #ask(address: string): Entry {
    const entry: Entry = { label: this.#labels++, tally: new Tally(), waiting: new Set(), pending: 0, sessions: 0 };
    this.#entries.set(address, entry);
    for (const site of this.#sources.sites) {
      entry.pending++;
      void this.#askOne(entry, site, address);
    }
    return entry;
  }

  async #askOne(entry: Entry, site: ListSite, address: string): Promise<void> {
    const { dnsblog, clock, timeout, warn, service } = this.#sources;
    let isLate = false;
    const timer = clock.after(timeout * 1000, () => {
      isLate = true;
      warn(`dnsblog reply timeout ${timeout}s for ${site.domain}`);
    }, true);
    try {
      const { rbl_addr: text, ttl } = await dnsblog.query({ rbl_domain: site.domain, client_address: address, label: entry.label });
      if (isLate) return;
      entry.tally.add(site, { addresses: text.split(' ').filter((word) => word !== ''), ttl });
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      if (isLate) return;
      warn(`psc_dnsbl_request: connect to private/${service} service: ${error.message}`);
    } finally {
      timer.cancel();
    }
    if (--entry.pending === 0) for (const notify of [...entry.waiting]) notify();
  }
}
