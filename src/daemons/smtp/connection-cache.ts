/**
 * Open connections by destination and by server: those that wait for further mail, kept for a short time and left politely, and
 * those that are busy now and may take another message behind the one they have.
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

export class ConnectionCache {
  private readonly ticker: Ticker;
  private readonly seconds: number;
  /** When each idle connection is left; the first of them soonest. */
  private readonly idle = new Map<Connection, number>();
  private readonly known = new Map<Connection, Kept>();
  private readonly byKey = new Map<string, Kept[]>();
  private timer: { cancel(): void } | undefined;

  constructor(ticker: Ticker, seconds: number) {
    this.ticker = ticker;
    this.seconds = seconds;
  }

  /** Idle connections. */
  get size(): number {
    return this.idle.size;
  }

  /**
   * A connection for this key. One that is busy and quick is better than an idle one: what follows the message at hand directly
   * costs neither side a round trip, and connections that nobody needs come to their end. An idle one is then the caller's.
   */
  take(key: string): Kept | undefined {
    const all = this.byKey.get(key);
    if (all === undefined) return undefined;
    let found: Kept | undefined;
    for (let at = all.length - 1; at >= 0; at--) {
      const kept = all[at]!;
      if (kept.connection.room > 0) return kept;
      if (found === undefined && kept.connection.usable && this.idle.has(kept.connection)) found = kept;
    }
    if (found !== undefined) this.idle.delete(found.connection);
    if (this.idle.size === 0) this.disarm();
    return found;
  }

  /** It is nobody's now. */
  keep(kept: Kept): void {
    const { connection } = kept;
    if (this.idle.size >= idleLimit) {
      this.forget(connection);
      return connection.quit();
    }
    this.register(kept);
    this.idle.delete(connection);
    this.idle.set(connection, this.ticker.monotonic() + this.seconds * 1000);
    this.arm();
  }

  /** Leave all servers. */
  close(): void {
    for (const connection of [...this.idle.keys()]) this.leave(connection);
  }

  private register(kept: Kept): void {
    const { connection, keys } = kept;
    const before = this.known.get(connection);
    if (before !== undefined && before.keys.destination === keys.destination && before.keys.endpoint === keys.endpoint) return;
    if (before !== undefined) this.forget(connection);
    this.known.set(connection, kept);
    for (const key of namesOf(keys)) {
      const same = this.byKey.get(key);
      if (same === undefined) this.byKey.set(key, [kept]);
      else same.push(kept);
    }
    connection.onGone = () => this.forget(connection);
  }

  private forget(connection: Connection): void {
    const kept = this.known.get(connection);
    if (kept === undefined) return;
    this.known.delete(connection);
    this.idle.delete(connection);
    if (this.idle.size === 0) this.disarm();
    for (const key of namesOf(kept.keys)) {
      const rest = this.byKey.get(key)!.filter((each) => each !== kept);
      if (rest.length === 0) this.byKey.delete(key);
      else this.byKey.set(key, rest);
    }
  }

  private leave(connection: Connection): void {
    this.forget(connection);
    connection.quit();
  }

  private arm(): void {
    if (this.timer !== undefined) return;
    const [due] = this.idle.values();
    if (due === undefined) return;
    this.timer = this.ticker.after(Math.max(due - this.ticker.monotonic(), 0), () => this.expire(), true);
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private expire(): void {
    this.timer = undefined;
    const now = this.ticker.monotonic();
    for (const [connection, due] of this.idle) {
      if (due > now) break;
      this.leave(connection);
    }
    this.arm();
  }
}

function namesOf({ destination, endpoint }: CacheKeys): string[] {
  return destination === '' ? [endpoint] : [destination, endpoint];
}
