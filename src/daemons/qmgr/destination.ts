/** What the scheduler remembers of transports and destinations. No decisions are made here. */
import type { Dsn } from '../../ipc/deliver.ts';
import { type Entry, type Job, type Mail, type Peer } from './job.ts';
import { Track } from './track.ts';
import type { Feedback } from './feedback.ts';

/** postconf(5): the parameters of a transport. */
export interface TransportRules {
  readonly initialConcurrency: number;
  /** 0: no limit. */
  readonly concurrencyLimit: number;
  /** Cohorts in a row that must fail before a destination counts as dead; 0: never. */
  readonly failedCohortLimit: number;
  /** Change of the window per delivery, as a function of the window (1, 1/concurrency, 1/sqrt_concurrency). */
  readonly positiveFeedback: Feedback;
  readonly negativeFeedback: Feedback;
  /** Pause after each delivery to a destination, milliseconds; with one there are no two deliveries at once. */
  readonly destinationDelay: number;
  /** Pause before each delivery, whatever its destination; with one there are no two deliveries at once. */
  readonly transportDelay: number;
  /** Deliveries of a message after which it may be preempted by one with one delivery; below 2: never. */
  readonly slotCost: number;
  /** So many of them are lent in advance, and so many percent of the price are waived until later. */
  readonly slotLoan: number;
  readonly slotDiscount: number;
  /** A message that is not good for so many slots is not preempted. */
  readonly minimumSlots: number;
  /** Recipients in hand, and those that messages may have beyond that which preempt others. */
  readonly recipientLimit: number;
  readonly extraRecipients: number;
  /** More recipients of a message are read when so many may be, or so many milliseconds have passed. */
  readonly refillLimit: number;
  readonly refillDelay: number;
}

export type Kind = 'fresh' | 'again';

export const kinds: readonly Kind[] = ['fresh', 'again'];
export const kindsTurned: readonly Kind[] = ['again', 'fresh'];

export function kindOf<T, M>({ again }: Mail<T, M>): Kind {
  return again ? 'again' : 'fresh';
}

/** What waits for a destination, of new mail or of mail that was tried before: peers in the order of their jobs. */
export class Lane<T, M = unknown> {
  readonly destination: Destination<T, M>;
  readonly kind: Kind;
  /** Its place in the heap of its track; -1: none. */
  at = -1;
  first: Peer<T, M> | undefined;
  #last: Peer<T, M> | undefined;

  constructor(destination: Destination<T, M>, kind: Kind) {
    this.destination = destination;
    this.kind = kind;
  }

  /** Most come to the end. */
  add(peer: Peer<T, M>): void {
    const { position } = peer.job;
    let before = this.#last;
    while (before !== undefined && before.job.position > position) before = before.before;
    this.#put(peer, before);
  }

  /** The same for one that belongs near the front. */
  addFirst(peer: Peer<T, M>): void {
    let behind = this.first;
    while (behind !== undefined && behind.job.position < peer.job.position) behind = behind.behind;
    this.#put(peer, behind === undefined ? this.#last : behind.before);
  }

  #put(peer: Peer<T, M>, before: Peer<T, M> | undefined): void {
    const behind = before === undefined ? this.first : before.behind;
    peer.before = before;
    peer.behind = behind;
    if (before === undefined) this.first = peer;
    else before.behind = peer;
    if (behind === undefined) this.#last = peer;
    else behind.before = peer;
  }

  remove(peer: Peer<T, M>): void {
    if (peer.before === undefined) this.first = peer.behind;
    else peer.before.behind = peer.behind;
    if (peer.behind === undefined) this.#last = peer.before;
    else peer.behind.before = peer.before;
    peer.before = peer.behind = undefined;
  }
}

export class Destination<T, M = unknown> {
  readonly name: string;
  readonly fresh = new Lane<T, M>(this, 'fresh');
  readonly again = new Lane<T, M>(this, 'again');
  /** Entries that wait, and that are under way. */
  todo = 0;
  busy = 0;
  window: number;
  success = 0;
  failure = 0;
  failedCohorts = 0;
  dead: Dsn | undefined;
  /** Rests after a delivery (destinationDelay). */
  resting = false;
  /** When a delivery last ended, on the scale of `expire`. */
  lastDone = Number.NEGATIVE_INFINITY;
  /** Open connections are worth keeping: deliveries follow one another. Loading stays on once it was on. */
  reuse = noReuse;
  /** Will be forgotten unless mail comes. */
  leaving = false;
  /** Until then nothing more is said about how much waits here. */
  quietUntil = Number.NEGATIVE_INFINITY;

  constructor(name: string, window: number) {
    this.name = name;
    this.window = window;
  }

  get isReady(): boolean {
    return this.dead === undefined && this.busy < this.window && !this.resting;
  }

  get isIdle(): boolean {
    return this.todo === 0 && this.busy === 0 && !this.resting;
  }
}

export const noReuse: NonNullable<Entry<unknown>['reuse']> = { load: false, store: false };

export class Transport<T, M = unknown> {
  readonly name: string;
  readonly rules: TransportRules;
  readonly destinations = new Map<string, Destination<T, M>>();
  readonly tracks: { readonly [K in Kind]: Track<T, M> };
  turn: Kind = 'fresh';
  readonly busy: { [K in Kind]: number } = { fresh: 0, again: 0 };
  dead: Dsn | undefined;
  inLine = false;
  /** With a transportDelay: must wait, waits, may go, is at it. */
  pace: 'still' | 'waiting' | 'ready' | 'busy' = 'still';
  /** Recipients that may be had; below zero: of the extra ones that many are in use. */
  spare: number;
  /** Jobs whose messages have recipients to be read, in the order of coming: the first gets what is spare. */
  readonly unread: Job<T, M>[] = [];

  constructor(name: string, rules: TransportRules) {
    this.name = name;
    this.rules = rules;
    this.spare = rules.recipientLimit;
    this.tracks = { fresh: new Track(rules), again: new Track(rules) };
  }

  get hasReady(): boolean {
    return this.tracks.fresh.ready.first !== undefined || this.tracks.again.ready.first !== undefined;
  }
}

export function initialWindow({ initialConcurrency, concurrencyLimit, destinationDelay }: TransportRules): number {
  const limit = destinationDelay > 0 ? 1 : concurrencyLimit;
  return limit > 0 ? Math.min(initialConcurrency, limit) : initialConcurrency;
}
