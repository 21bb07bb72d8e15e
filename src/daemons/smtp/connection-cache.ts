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

/** What is remembered about it here. */
interface Held {
  readonly kept: Kept;
  /** When it is left, milliseconds of the ticker; undefined: it is busy. */
  due: number | undefined;
}

export class ConnectionCache {
  private readonly ticker: Ticker;
  private readonly patience: number;
  private readonly known = new Map<Connection, Held>();
  private readonly byKey = new Map<string, Held[]>();
  private idle = 0;
  private timer: { cancel(): void } | undefined;

  constructor(ticker: Ticker, seconds: number) {
    this.ticker = ticker;
    this.patience = seconds * 1000;
  }

  /** Idle connections. */
  get size(): number {
    return this.idle;
  }

  /**
   * A connection for this key. One that is busy and quick is better than an idle one: what follows the message at hand directly
   * costs neither side a round trip, and connections that nobody needs come to their end. An idle one is then the caller's.
   */
  take(key: string): Kept | undefined {
    const all = this.byKey.get(key);
    if (all === undefined) return undefined;
    let found: Held | undefined;
    for (let at = all.length - 1; at >= 0; at--) {
      const held = all[at]!;
      const { connection } = held.kept;
      if (connection.room > 0) return held.kept;
      if (found === undefined && held.due !== undefined && connection.usable) found = held;
    }
    if (found !== undefined) this.rouse(found);
    return found?.kept;
  }

  /** It is nobody's now. */
  keep(kept: Kept): void {
    const { connection } = kept;
    if (this.idle >= idleLimit) {
      this.forget(connection);
      return connection.quit();
    }
    const held = this.register(kept);
    if (held.due === undefined) this.idle++;
    held.due = this.ticker.monotonic() + this.patience;
    this.timer ??= this.ticker.after(this.patience, () => this.expire(), true);
  }

  /** Leave all servers. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const { kept, due } of [...this.known.values()]) if (due !== undefined) this.leave(kept.connection);
  }

  private rouse(held: Held): void {
    if (held.due !== undefined) this.idle--;
    held.due = undefined;
  }

  private register(kept: Kept): Held {
    const { connection, keys } = kept;
    const before = this.known.get(connection);
    if (before !== undefined && before.kept.keys.destination === keys.destination && before.kept.keys.endpoint === keys.endpoint) return before;
    if (before !== undefined) this.forget(connection);
    const held: Held = { kept, due: undefined };
    this.known.set(connection, held);
    for (const key of namesOf(keys)) {
      const same = this.byKey.get(key);
      if (same === undefined) this.byKey.set(key, [held]);
      else same.push(held);
    }
    connection.onGone = () => this.forget(connection);
    return held;
  }

  private forget(connection: Connection): void {
    const held = this.known.get(connection);
    if (held === undefined) return;
    this.known.delete(connection);
    this.rouse(held);
    for (const key of namesOf(held.kept.keys)) {
      const rest = this.byKey.get(key)!.filter((each) => each !== held);
      if (rest.length === 0) this.byKey.delete(key);
      else this.byKey.set(key, rest);
    }
  }

  private leave(connection: Connection): void {
    this.forget(connection);
    connection.quit();
  }

  // A timer that is early is cheaper than one that is made anew for every message: it looks again when it fires.
  private expire(): void {
    const now = this.ticker.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const { kept, due } of [...this.known.values()]) {
      if (due !== undefined && due <= now) this.leave(kept.connection);
      else if (due !== undefined) next = Math.min(next, due);
    }
    this.timer = next === Number.POSITIVE_INFINITY ? undefined : this.ticker.after(next - now, () => this.expire(), true);
  }
}

function namesOf({ destination, endpoint }: CacheKeys): string[] {
  return destination === '' ? [endpoint] : [destination, endpoint];
}
