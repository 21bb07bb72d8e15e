/** What the scheduler remembers of transports and destinations, and what waits for them. No decisions are made here. */
import type { Dsn } from '../../ipc/deliver.ts';
import { Line } from './line.ts';

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

/** One delivery request to be: `T` is what the caller needs to know of it. */
export interface Entry<T> {
  readonly transport: string;
  /** Name of the destination queue: nexthop, or user@nexthop where recipients go one by one. */
  readonly queue: string;
  /** The message was tried before. */
  readonly again: boolean;
  readonly load: T;
  /** Set when the entry is taken: may the agent use, may it keep an open connection? */
  reuse?: { readonly load: boolean; readonly store: boolean };
}

/** What waits for a destination: of new mail, or of mail that was tried before. */
class Lane<T> {
  readonly destination: Destination<T>;
  readonly todo = new Line<Entry<T>>();
  /** Stands in its transport's line of those that have something to do. */
  inLine = false;

  constructor(destination: Destination<T>) {
    this.destination = destination;
  }
}

export type Kind = 'fresh' | 'again';

export class Destination<T> {
  readonly name: string;
  readonly fresh = new Lane<T>(this);
  readonly again = new Lane<T>(this);
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

  constructor(name: string, window: number) {
    this.name = name;
    this.window = window;
  }

  get isReady(): boolean {
    return this.dead === undefined && this.busy < this.window;
  }

  get isIdle(): boolean {
    return this.fresh.todo.length === 0 && this.again.todo.length === 0 && this.busy === 0;
  }

  /** What waits, which then waits here no more. */
  giveBack(): Entry<T>[] {
    return [...this.fresh.todo.empty(), ...this.again.todo.empty()];
  }
}

export class Transport<T> {
  readonly name: string;
  readonly rules: TransportRules;
  readonly destinations = new Map<string, Destination<T>>();
  /** Lanes whose destinations are ready for more. */
  readonly lines: { readonly [K in Kind]: Line<Lane<T>> } = { fresh: new Line(), again: new Line() };
  turn: Kind = 'fresh';
  readonly busy: { [K in Kind]: number } = { fresh: 0, again: 0 };
  dead: Dsn | undefined;
  inLine = false;

  constructor(name: string, rules: TransportRules) {
    this.name = name;
    this.rules = rules;
  }
}

export const kinds: readonly Kind[] = ['fresh', 'again'];
export const kindsTurned: readonly Kind[] = ['again', 'fresh'];

export function kindOf<T>({ again }: Entry<T>): Kind {
  return again ? 'again' : 'fresh';
}

export function initialWindow({ initialConcurrency, concurrencyLimit }: TransportRules): number {
  return concurrencyLimit > 0 ? Math.min(initialConcurrency, concurrencyLimit) : initialConcurrency;
}
