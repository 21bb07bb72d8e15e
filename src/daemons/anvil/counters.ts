/**
 * The memory of anvil(8): what each client did in the current time unit. A state machine without a clock: it is told the time.
 *
 * Rates are counted from a client's first event on and begin anew once a time unit has passed, as in Postfix: cheaper than a moving
 * average, and quick to notice a trespasser. A client without connections is forgotten after one time unit, so that the memory
 * follows the number of clients of the last one; `nextExpiry` says when there is something to forget. Times are whole seconds.
 */
export const events = ['connection', 'message', 'recipient', 'newtls', 'auth', 'tlstrace'] as const;
export type Event = (typeof events)[number];

interface Client {
  count: number;
  readonly rates: Record<Event, number>;
  start: number;
}

/** The highest value since the last report, and whose. */
interface Peak { value: number; client: string; when: number }

const noRates = (): Record<Event, number> => ({ connection: 0, message: 0, recipient: 0, newtls: 0, auth: 0, tlstrace: 0 });
const noPeak = (): Peak => ({ value: 0, client: '', when: 0 });

export class Counters {
  readonly #unit: number;
  readonly #clients = new Map<string, Client>();
  /** Clients without connections and when to forget them, the earliest first. */
  readonly #leaving = new Map<string, number>();
  #peaks = new Map<Event | 'count', Peak>();
  #size = { value: 0, when: 0 };

  /** @param unit anvil_rate_time_unit */
  constructor(unit: number) {
    this.#unit = unit;
  }

  /** Clients remembered now. */
  get size(): number {
    return this.#clients.size;
  }

  connect(name: string, now: number): { count: number; rate: number } {
    const client = this.#client(name, now);
    client.count++;
    this.#leaving.delete(name);
    const rate = this.#add(name, client, 'connection', now);
    this.#peak('count', client.count, name, now);
    return { count: client.count, rate };
  }

  /** False: no such connection is known (we are younger than it). */
  disconnect(name: string, now: number): boolean {
    const client = this.#clients.get(name);
    if (client === undefined || client.count === 0) return false;
    client.count--;
    if (client.count === 0) this.#leave(name, now);
    return true;
  }

  /** How often that is in this time unit. */
  event(name: string, event: Exclude<Event, 'connection'>, now: number): number {
    const known = this.#clients.has(name);
    const client = this.#client(name, now);
    if (!known) this.#leave(name, now);
    return this.#add(name, client, event, now);
  }

  lookup(name: string, now: number): { count: number; rates: Readonly<Record<Event, number>> } {
    const client = this.#clients.get(name);
    if (client === undefined) return { count: 0, rates: noRates() };
    const isStale = client.start + this.#unit < now;
    return { count: client.count, rates: isStale ? noRates() : client.rates };
  }

  /** When `expire` has something to forget. */
  get nextExpiry(): number | undefined {
    return this.#leaving.values().next().value;
  }

  expire(now: number): void {
    for (const [name, due] of this.#leaving) {
      if (due > now) return;
      this.#leaving.delete(name);
      this.#clients.delete(name);
    }
  }

  /** What was most, for the log; then the search for the most begins anew. */
  report(when: (seconds: number) => string): string[] {
    const lines: string[] = [];
    for (const kind of ['connection', 'count', ...events.slice(1)] as const) {
      const peak = this.#peaks.get(kind);
      if (peak === undefined) continue;
      const what = kind === 'count' ? `connection count ${peak.value}` : `${kind} rate ${peak.value}/${this.#unit}s`;
      lines.push(`statistics: max ${what} for (${peak.client}) at ${when(peak.when)}`);
    }
    if (this.#size.value > 0) lines.push(`statistics: max cache size ${this.#size.value} at ${when(this.#size.when)}`);
    this.#peaks = new Map();
    this.#size = { value: 0, when: 0 };
    return lines;
  }

  #client(name: string, now: number): Client {
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const client: Client = { count: 0, rates: noRates(), start: now };
    this.#clients.set(name, client);
    if (this.#clients.size > this.#size.value) this.#size = { value: this.#clients.size, when: now };
    return client;
  }

  #leave(name: string, now: number): void {
    this.#leaving.delete(name);
    this.#leaving.set(name, now + this.#unit);
  }

  #add(name: string, client: Client, event: Event, now: number): number {
    if (client.start + this.#unit < now) {
      Object.assign(client.rates, noRates());
      client.start = now;
    }
    const rate = ++client.rates[event];
    this.#peak(event, rate, name, now);
    return rate;
  }

  #peak(kind: Event | 'count', value: number, client: string, when: number): void {
    const peak = this.#peaks.get(kind) ?? noPeak();
    if (value <= peak.value) return;
    this.#peaks.set(kind, { value, client, when });
  }
}
