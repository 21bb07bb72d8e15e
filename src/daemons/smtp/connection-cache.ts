/**
 * Open connections that wait for further mail, by destination and by server: kept for a short time, used by one message at a
 * time, and left politely.
 *
 * Bounded by time (connection_cache_time_limit) and by number; nothing here waits or fails.
 */
import type { Ticker } from '../../network/ticker.ts';
import type { Connection } from './connection.ts';

/** More idle connections than this are not kept. */
const idleLimit = 1000;

export interface CacheKeys {
  /** Of the destination as the queue manager named it; '' when only the server's own key counts. */
  readonly destination: string;
  readonly endpoint: string;
}

/** What is known of a connection besides the connection. */
export interface Kept {
  readonly connection: Connection;
  readonly keys: CacheKeys;
  readonly address: string;
  readonly bestMx: boolean;
}

interface Place {
  readonly kept: Kept;
  readonly timer: { cancel(): void };
}

export class ConnectionCache {
  private readonly ticker: Ticker;
  private readonly seconds: number;
  private readonly idle = new Map<Connection, Place>();
  private readonly byKey = new Map<string, Set<Connection>>();

  constructor(ticker: Ticker, seconds: number) {
    this.ticker = ticker;
    this.seconds = seconds;
  }

  get size(): number {
    return this.idle.size;
  }

  /** A connection for this key, which is then the caller's. */
  take(key: string): Kept | undefined {
    for (const connection of this.byKey.get(key) ?? []) {
      const kept = this.remove(connection);
      if (kept?.connection.usable) return kept;
    }
    return undefined;
  }

  keep(kept: Kept): void {
    const { connection, keys } = kept;
    if (this.idle.size >= idleLimit) return connection.quit();
    const timer = this.ticker.after(this.seconds * 1000, () => {
      this.remove(connection);
      connection.quit();
    }, true);
    this.idle.set(connection, { kept, timer });
    for (const key of namesOf(keys)) {
      const same = this.byKey.get(key) ?? new Set();
      this.byKey.set(key, same.add(connection));
    }
    connection.onGone = () => { this.remove(connection); };
  }

  /** Leave all servers. */
  close(): void {
    for (const connection of [...this.idle.keys()]) {
      this.remove(connection);
      connection.quit();
    }
  }

  private remove(connection: Connection): Kept | undefined {
    const place = this.idle.get(connection);
    if (!place) return undefined;
    place.timer.cancel();
    this.idle.delete(connection);
    connection.onGone = () => {};
    for (const key of namesOf(place.kept.keys)) {
      const same = this.byKey.get(key);
      same?.delete(connection);
      if (same?.size === 0) this.byKey.delete(key);
    }
    return place.kept;
  }
}

function namesOf({ destination, endpoint }: CacheKeys): string[] {
  return destination === '' ? [endpoint] : [destination, endpoint];
}
