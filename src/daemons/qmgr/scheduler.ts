/**
 * Which mail goes out next: a pure machine, without clock, disk or network.
 *
 * Entries (recipients of one message for one destination) wait in order of arrival at their destination. Transports take turns, and
 * so do the destinations of a transport, so that one slow destination never holds up another. How many deliveries to a
 * destination may run at once is learnt from success and failure; a destination that fails a whole cohort is dead for a
 * while, and what waits for it is given back to be deferred without trying. qmgr(8), "STRATEGIES".
 */
import type { Dsn } from '../../ipc/deliver.ts';

export interface TransportRules {
  readonly initialConcurrency: number;
  /** 0: no limit. */
  readonly concurrencyLimit: number;
  /** Cohorts in a row that must fail before a destination counts as dead; 0: never. */
  readonly failedCohortLimit: number;
  /** Change of the window per delivery, as a function of the window (1, 1/concurrency, 1/sqrt_concurrency). */
  readonly positiveFeedback: (window: number) => number;
  readonly negativeFeedback: (window: number) => number;
}

export interface SchedulerRules {
  transport(name: string): TransportRules;
  /** minimal_backoff_time in milliseconds: how long a dead destination stays dead. */
  readonly deadTime: number;
  /** transport_retry_time in milliseconds: how long a transport whose agent is not there is left alone. */
  readonly retryTime: number;
}

/** One delivery request to be: `T` is what the caller needs to know of it. */
export interface Entry<T> {
  readonly transport: string;
  /** Name of the destination queue: nexthop, or user@nexthop where recipients go one by one. */
  readonly queue: string;
  readonly load: T;
  /** Set when the entry is taken: may the agent use, may it keep an open connection? */
  reuse?: { readonly load: boolean; readonly store: boolean };
}

class Destination<T> {
  readonly name: string;
  readonly todo: Entry<T>[] = [];
  busy = 0;
  window: number;
  success = 0;
  failure = 0;
  failedCohorts = 0;
  dead: Dsn | undefined;
  /** When a delivery last ended, on the scale of `expire`. */
  lastDone = Number.NEGATIVE_INFINITY;
  /** Open connections are worth keeping: deliveries follow one another. Loading stays on once it was on. */
  reuse = { load: false, store: false };
  /** Will be forgotten unless mail comes. */
  leaving = false;
  /** Stands in its transport's line of destinations that have something to do. */
  inLine = false;

  constructor(name: string, window: number) {
    this.name = name;
    this.window = window;
  }

  get isReady(): boolean {
    return this.dead === undefined && this.todo.length > 0 && this.busy < this.window;
  }
}

class Transport<T> {
  readonly name: string;
  readonly rules: TransportRules;
  readonly destinations = new Map<string, Destination<T>>();
  readonly line: Destination<T>[] = [];
  dead: Dsn | undefined;
  inLine = false;

  constructor(name: string, rules: TransportRules) {
    this.name = name;
    this.rules = rules;
  }
}

/** Deliveries that follow each other within this time are back to back, milliseconds. */
const backToBack = 1000;
/** A destination whose mail is done is remembered for a moment: more may come, and its connections are still open. */
const afterglow = 2000;

interface Wake { readonly at: number; readonly run: () => void }

export class Scheduler<T> {
  readonly #rules: SchedulerRules;
  readonly #transports = new Map<string, Transport<T>>();
  readonly #line: Transport<T>[] = [];
  #wakes: Wake[] = [];
  #now = 0;

  constructor(rules: SchedulerRules) {
    this.#rules = rules;
  }

  /** Why an entry for this destination would be deferred at once; undefined: it is tried. */
  suspended(transport: string, queue: string): Dsn | undefined {
    const known = this.#transports.get(transport);
    return known?.dead ?? known?.destinations.get(queue)?.dead;
  }

  add(entry: Entry<T>): void {
    const transport = this.#transport(entry.transport);
    const destination = this.#destination(transport, entry.queue);
    destination.todo.push(entry);
    this.#enqueue(transport, destination);
  }

  /** The next entry to be delivered now; undefined: nothing can go. Each must come back through `finished`. */
  next(): Entry<T> | undefined {
    for (let tries = this.#line.length; tries > 0; tries--) {
      const transport = this.#line.shift()!;
      const entry = transport.dead === undefined ? this.#take(transport) : undefined;
      if (entry === undefined) {
        transport.inLine = false;
        continue;
      }
      this.#line.push(transport);
      return entry;
    }
    return undefined;
  }

  /** A delivery ended. With `failure` the destination as a whole was out of reach; what then waits for nothing comes back. */
  finished(entry: Entry<T>, failure?: Dsn): Entry<T>[] {
    const transport = this.#transport(entry.transport);
    const destination = this.#destination(transport, entry.queue);
    destination.busy--;
    destination.lastDone = this.#now;
    if (failure === undefined) this.#succeeded(transport, destination);
    else if (destination.dead === undefined) this.#failed(transport, destination, failure);
    const given = destination.dead === undefined ? [] : destination.todo.splice(0);
    this.#enqueue(transport, destination);
    this.#forget(transport, destination);
    return given;
  }

  /** The transport's agent is not there or breaks down: all its mail comes back, and it is left alone for a while. */
  transportFailed(name: string, failure: Dsn): Entry<T>[] {
    const transport = this.#transport(name);
    if (transport.dead === undefined) this.#wake(this.#rules.retryTime, () => { transport.dead = undefined; });
    transport.dead = failure;
    const given: Entry<T>[] = [];
    for (const destination of transport.destinations.values()) given.push(...destination.todo.splice(0));
    return given;
  }

  /** postqueue -f: dead destinations and transports are tried again at once; with names (postqueue -i) only this one. */
  revive(name?: string, queue?: string): void {
    for (const transport of this.#transports.values()) {
      if (name !== undefined && transport.name !== name) continue;
      transport.dead = undefined;
      for (const destination of transport.destinations.values())
        if (queue === undefined || destination.name === queue) this.#alive(transport, destination);
    }
  }

  expire(now: number): void {
    this.#now = now;
    const due = this.#wakes.filter(({ at }) => at <= now);
    if (due.length === 0) return;
    this.#wakes = this.#wakes.filter(({ at }) => at > now);
    for (const { run } of due) run();
  }

  deadline(): number | undefined {
    let first: number | undefined;
    for (const { at } of this.#wakes) if (first === undefined || at < first) first = at;
    return first;
  }

  /** Destinations that are remembered; for tests and statistics. */
  get size(): number {
    let size = 0;
    for (const { destinations } of this.#transports.values()) size += destinations.size;
    return size;
  }

  #transport(name: string): Transport<T> {
    let transport = this.#transports.get(name);
    if (transport === undefined) this.#transports.set(name, (transport = new Transport<T>(name, this.#rules.transport(name))));
    return transport;
  }

  #destination(transport: Transport<T>, name: string): Destination<T> {
    let destination = transport.destinations.get(name);
    if (destination === undefined) transport.destinations.set(name, (destination = new Destination<T>(name, initialWindow(transport.rules))));
    return destination;
  }

  #enqueue(transport: Transport<T>, destination: Destination<T>): void {
    if (!destination.inLine && destination.isReady) {
      destination.inLine = true;
      transport.line.push(destination);
    }
    if (!transport.inLine && transport.line.length > 0) {
      transport.inLine = true;
      this.#line.push(transport);
    }
  }

  #take(transport: Transport<T>): Entry<T> | undefined {
    while (transport.line.length > 0) {
      const destination = transport.line.shift()!;
      destination.inLine = false;
      if (!destination.isReady) continue;
      const entry = destination.todo.shift()!;
      destination.busy++;
      this.#pace(destination);
      entry.reuse = destination.reuse;
      this.#enqueue(transport, destination);
      return entry;
    }
    return undefined;
  }

  /**
   * Connections are kept once deliveries come back to back, not for a burst within the first window; they are kept no longer when
   * deliveries are neither concurrent nor back to back (postconf(5) smtp_connection_cache_on_demand).
   */
  #pace(destination: Destination<T>): void {
    const isBackToBack = destination.lastDone + backToBack >= this.#now;
    if (!destination.reuse.store && isBackToBack) destination.reuse = { load: true, store: true };
    else if (destination.reuse.store && !isBackToBack && destination.busy <= 1) destination.reuse = { load: true, store: false };
  }

  #succeeded({ rules }: Transport<T>, destination: Destination<T>): void {
    destination.failedCohorts = 0;
    if (destination.dead !== undefined) {
      destination.dead = undefined;
      destination.window = destination.busy > 0 ? destination.busy : initialWindow(rules);
      destination.success = destination.failure = 0;
      return;
    }
    const limit = rules.concurrencyLimit === 0 ? Infinity : rules.concurrencyLimit;
    // The window grows only while it is being used (qmgr(8), concurrency control).
    if (destination.window >= limit || destination.window >= destination.busy + 1 + rules.initialConcurrency) return;
    const feedback = rules.positiveFeedback(destination.window);
    destination.success += feedback;
    while (destination.success + feedback / 2 >= 1) {
      destination.window++;
      destination.success--;
      destination.failure = 0;
    }
    destination.window = Math.min(destination.window, limit);
  }

  #failed(transport: Transport<T>, destination: Destination<T>, failure: Dsn): void {
    const { rules } = transport;
    destination.failedCohorts += 1 / destination.window;
    if (rules.failedCohortLimit > 0 && destination.failedCohorts >= rules.failedCohortLimit) {
      destination.dead = failure;
      this.#wake(this.#rules.deadTime, () => this.#alive(transport, destination));
      return;
    }
    const feedback = rules.negativeFeedback(destination.window);
    destination.failure -= feedback;
    while (destination.failure - feedback / 2 < 0) {
      destination.window--;
      destination.success = 0;
      destination.failure++;
    }
    destination.window = Math.max(destination.window, 1);
  }

  #alive(transport: Transport<T>, destination: Destination<T>): void {
    destination.dead = undefined;
    destination.failedCohorts = 0;
    destination.window = initialWindow(transport.rules);
    this.#enqueue(transport, destination);
    this.#forget(transport, destination);
  }

  /** A destination without mail is forgotten after a moment, and what was learnt about it with it; a dead one is remembered until it is tried again. */
  #forget(transport: Transport<T>, destination: Destination<T>): void {
    if (destination.todo.length > 0 || destination.busy > 0 || destination.dead !== undefined || destination.leaving) return;
    destination.leaving = true;
    this.#wake(afterglow, () => {
      destination.leaving = false;
      if (destination.todo.length > 0 || destination.busy > 0 || destination.dead !== undefined) return;
      if (destination.lastDone + afterglow > this.#now) this.#forget(transport, destination);
      else transport.destinations.delete(destination.name);
    });
  }

  #wake(milliseconds: number, run: () => void): void {
    this.#wakes.push({ at: this.#now + milliseconds, run });
  }
}

function initialWindow({ initialConcurrency, concurrencyLimit }: TransportRules): number {
  return concurrencyLimit > 0 ? Math.min(initialConcurrency, concurrencyLimit) : initialConcurrency;
}

/** postconf(5) *_concurrency_*_feedback: a number, number / concurrency, or number / sqrt_concurrency. */
export function parseFeedback(text: string): ((window: number) => number) | undefined {
  const parts = /^\s*([0-9]*\.?[0-9]+)\s*(?:\/\s*(concurrency|sqrt_concurrency)\s*)?$/.exec(text);
  const value = Number(parts?.[1]);
  if (parts === null || value < 0 || value > 1) return undefined;
  if (parts[2] === undefined) return () => value;
  return parts[2] === 'concurrency' ? (window) => value / window : (window) => value / Math.sqrt(window);
}
