/**
 * Which mail goes out next: a pure machine, without clock, disk or network.
 *
 * Entries (recipients of one message for one destination) wait in order of arrival at their destination. Transports take turns, and
 * so do the destinations of a transport, so that one slow destination never holds up another; and mail that is tried for the first time
 * takes turns with mail that was tried before, so that no amount of old mail holds up what is new. How many deliveries to a
 * destination may run at once is learnt from success and failure; a destination that fails a whole cohort is dead for a
 * while, and what waits for it is given back to be deferred without trying. qmgr(8), "STRATEGIES".
 */
import type { Dsn } from '../../ipc/deliver.ts';
import { Destination, initialWindow, kindOf, kinds, kindsTurned, Transport, type Entry, type Kind, type TransportRules } from './destination.ts';
import { Wakes } from './wakes.ts';

export type { Entry, TransportRules } from './destination.ts';

/** How many deliveries of a transport make sense at once: in all, and of mail that was tried before. At least one each. */
export interface Room { readonly all: number; readonly again: number }

export interface SchedulerRules {
  transport(name: string): TransportRules;
  /** Asked whenever one could begin. Say `roomier` when it grows otherwise than by a delivery's end. */
  room(transport: string): Room;
  /** minimal_backoff_time in milliseconds: how long a dead destination stays dead. */
  readonly deadTime: number;
  /** transport_retry_time in milliseconds: how long a transport whose agent is not there is left alone. */
  readonly retryTime: number;
  /** Dead destinations that are remembered; beyond, the one that has been dead for longest is tried again. */
  readonly deadLimit: number;
}

/** Deliveries that follow each other within this time are back to back, milliseconds. */
const backToBack = 1000;
/** A destination whose mail is done is remembered for a moment: more may come, and its connections are still open. */
const afterglow = 2000;

export class Scheduler<T> {
  readonly #rules: SchedulerRules;
  readonly #transports = new Map<string, Transport<T>>();
  readonly #line: Transport<T>[] = [];
  readonly #wakes: Wakes<'dead' | 'absent' | 'afterglow'>;

  constructor(rules: SchedulerRules) {
    this.#rules = rules;
    this.#wakes = new Wakes({ dead: rules.deadTime, absent: rules.retryTime, afterglow });
  }

  /** Why an entry for this destination would be deferred at once; undefined: it is tried. */
  suspended(transport: string, queue: string): Dsn | undefined {
    const known = this.#transports.get(transport);
    return known?.dead ?? known?.destinations.get(queue)?.dead;
  }

  add(entry: Entry<T>): void {
    const transport = this.#transport(entry.transport);
    const destination = this.#destination(transport, entry.queue);
    destination[kindOf(entry)].todo.push(entry);
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
    transport.busy[kindOf(entry)]--;
    destination.lastDone = this.#wakes.now;
    if (failure === undefined) this.#succeeded(transport, destination);
    else if (destination.dead === undefined) this.#failed(transport, destination, failure);
    const given = destination.dead === undefined ? [] : destination.giveBack();
    this.#enqueue(transport, destination);
    this.#forget(transport, destination);
    return given;
  }

  /** The transport's agent is not there or breaks down: all its mail comes back, and it is left alone for a while. */
  transportFailed(name: string, failure: Dsn): Entry<T>[] {
    const transport = this.#transport(name);
    if (transport.dead === undefined) this.#wakes.after('absent', () => { transport.dead = undefined; });
    transport.dead = failure;
    return [...transport.destinations.values()].flatMap((destination) => destination.giveBack());
  }

  /** The transport's agents have room for more now. */
  roomier(name: string): void {
    const transport = this.#transports.get(name);
    if (transport !== undefined) this.#standInLine(transport);
  }

  /** postqueue -f: dead destinations and transports are tried again at once; with names (postqueue -i) only this one. */
  revive(name?: string, queue?: string): void {
    for (const transport of this.#transports.values()) {
      if (name !== undefined && transport.name !== name) continue;
      transport.dead = undefined;
      const { destinations } = transport;
      for (const each of queue === undefined ? destinations.keys() : [queue]) {
        const destination = destinations.get(each);
        if (destination !== undefined) this.#alive(transport, destination);
      }
    }
  }

  expire(now: number): void {
    this.#wakes.expire(now);
  }

  deadline(): number | undefined {
    return this.#wakes.deadline();
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
    if (destination.isReady) {
      for (const kind of kinds) {
        const lane = destination[kind];
        if (lane.inLine || lane.todo.length === 0) continue;
        lane.inLine = true;
        transport.lines[kind].push(lane);
      }
    }
    this.#standInLine(transport);
  }

  #standInLine(transport: Transport<T>): void {
    if (transport.inLine || (transport.lines.fresh.length === 0 && transport.lines.again.length === 0)) return;
    transport.inLine = true;
    this.#line.push(transport);
  }

  #take(transport: Transport<T>): Entry<T> | undefined {
    const { all, again } = this.#rules.room(transport.name);
    const { busy, turn } = transport;
    if (busy.fresh + busy.again >= all) return undefined;
    for (const kind of turn === 'fresh' ? kinds : kindsTurned) {
      const entry = kind === 'again' && busy.again >= again ? undefined : this.#takeFrom(transport, kind);
      if (entry === undefined) continue;
      transport.turn = kind === 'fresh' ? 'again' : 'fresh';
      return entry;
    }
    return undefined;
  }

  #takeFrom(transport: Transport<T>, kind: Kind): Entry<T> | undefined {
    const line = transport.lines[kind];
    for (let lane = line.shift(); lane !== undefined; lane = line.shift()) {
      const { destination } = lane;
      lane.inLine = false;
      const entry = destination.isReady ? lane.todo.shift() : undefined;
      if (entry === undefined) continue;
      destination.busy++;
      transport.busy[kind]++;
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
    const isBackToBack = destination.lastDone + backToBack >= this.#wakes.now;
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
      // One that died again meanwhile has another end to wait for.
      this.#wakes.after('dead', () => {
        if (destination.dead === failure) this.#alive(transport, destination);
      });
      this.#wakes.limit('dead', this.#rules.deadLimit);
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
    if (!destination.isIdle || destination.dead !== undefined || destination.leaving) return;
    destination.leaving = true;
    this.#wakes.after('afterglow', () => {
      destination.leaving = false;
      if (!destination.isIdle || destination.dead !== undefined) return;
      if (destination.lastDone + afterglow > this.#wakes.now) this.#forget(transport, destination);
      else transport.destinations.delete(destination.name);
    });
  }
}

/** postconf(5) *_concurrency_*_feedback: a number, number / concurrency, or number / sqrt_concurrency. */
export function parseFeedback(text: string): ((window: number) => number) | undefined {
  const parts = /^\s*([0-9]*\.?[0-9]+)\s*(?:\/\s*(concurrency|sqrt_concurrency)\s*)?$/.exec(text);
  const value = Number(parts?.[1]);
  if (parts === null || value < 0 || value > 1) return undefined;
  if (parts[2] === undefined) return () => value;
  return parts[2] === 'concurrency' ? (window) => value / window : (window) => value / Math.sqrt(window);
}
