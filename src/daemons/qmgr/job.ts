/**
 * What the scheduler remembers of messages: a job for each transport that a message needs, in it a peer for each destination, in it the
 * entries that wait. No decisions are made here.
 *
 * Jobs of a track stand in one list, and `position` grows along it, so that any two can be compared at once.
 */
import type { Destination, Lane, Transport } from './destination.ts';
import { Line } from './line.ts';
import type { Track } from './track.ts';

/** One delivery request to be: `T` is what the caller needs to know of it, `M` of its message. */
export interface Entry<T, M = unknown> {
  readonly transport: string;
  /** Name of the destination queue: nexthop, or user@nexthop where recipients go one by one. */
  readonly queue: string;
  readonly mail: Mail<T, M>;
  readonly load: T;
  /** Recipients in it. Once it is the scheduler's, only `Scheduler.grow` changes it. */
  size: number;
  /** Set when the entry is taken: may the agent use, may it keep an open connection? */
  reuse?: { readonly load: boolean; readonly store: boolean };
  /** The scheduler's own. */
  peer?: Peer<T, M>;
}

/** A message, as far as it matters here. */
export class Mail<T, M = unknown> {
  readonly message: M;
  /** Was tried before. */
  readonly again: boolean;
  /** Number in the order of coming, and when that was; given with the first entry. */
  order = 0;
  queued = 0;
  /** There are recipients that have not been read, perhaps so many. */
  more = false;
  unread = 0;
  /** More of them are being read. */
  refilling = false;
  /** When that was last done. */
  refilled = 0;
  /** Recipients in hand, and how many there may be. */
  count = 0;
  limit: number;
  jobs: readonly Job<T, M>[] = none;

  /** @param minimum qmgr_message_recipient_minimum */
  constructor(message: M, again: boolean, minimum = 10) {
    this.message = message;
    this.again = again;
    this.limit = minimum;
  }
}

const none: readonly never[] = [];

/** Nearly all have one: an array that is pushed to has room for many. */
function withOneMore<V>(all: readonly V[], one: V): readonly V[] {
  if (all.length === 0) return [one];
  (all as V[]).push(one);
  return all;
}

/** Of so many peers on it is worth having a map of them. */
const mapFrom = 8;

export class Job<T, M = unknown> {
  readonly mail: Mail<T, M>;
  readonly transport: Transport<T, M>;
  readonly track: Track<T, M>;
  peers: readonly Peer<T, M>[] = none;
  #byDestination: Map<Destination<T, M>, Peer<T, M>> | undefined;
  /** Its place in the list of the track, while it is there. */
  listed = false;
  position = 0;
  before: Job<T, M> | undefined;
  behind: Job<T, M> | undefined;
  /** The job that it has preempted, and those that have preempted it; few ever have any. */
  parent: Job<T, M> | undefined;
  children: Set<Job<T, M>> | undefined;
  level = 0;
  /** Deliveries by which others may preempt it, and those that it has made. */
  slotsAvailable = 0;
  slotsUsed = 0;
  /** Entries that were put in, and that were taken out. */
  read = 0;
  selected = 0;
  /** Recipients in hand, and its share of those that the transport may have. */
  count = 0;
  limit = 0;
  /** Stands among those whose messages have recipients to be read. */
  waitsToRead = false;

  constructor(mail: Mail<T, M>, transport: Transport<T, M>, track: Track<T, M>) {
    this.mail = mail;
    this.transport = transport;
    this.track = track;
    mail.jobs = withOneMore(mail.jobs, this);
  }

  get hasEntries(): boolean {
    return this.selected < this.read;
  }

  /** Entries that it may come to have. */
  get most(): number {
    return this.read + this.mail.unread;
  }

  peer(destination: Destination<T, M>): Peer<T, M> | undefined {
    if (this.#byDestination !== undefined) return this.#byDestination.get(destination);
    return this.peers.find((peer) => peer.lane.destination === destination);
  }

  addPeer(lane: Lane<T, M>, turn: number): Peer<T, M> {
    const peer = new Peer<T, M>(this, lane, turn);
    this.peers = withOneMore(this.peers, peer);
    if (this.#byDestination === undefined && this.peers.length > mapFrom) this.#byDestination = new Map(this.peers.map((each) => [each.lane.destination, each]));
    else this.#byDestination?.set(lane.destination, peer);
    return peer;
  }

  /** Is there anything that could go now? */
  get isReady(): boolean {
    return this.hasEntries && this.peers.some(({ entries, lane }) => entries.length > 0 && lane.destination.isReady);
  }
}

/** What a job has for one destination. */
export class Peer<T, M = unknown> {
  readonly job: Job<T, M>;
  readonly lane: Lane<T, M>;
  readonly entries = new Line<Entry<T, M>>();
  /** Among the peers of a job the one with the lowest number goes first. */
  turn: number;
  /** Its place at the destination, while it has entries. */
  before: Peer<T, M> | undefined;
  behind: Peer<T, M> | undefined;

  constructor(job: Job<T, M>, lane: Lane<T, M>, turn: number) {
    this.job = job;
    this.lane = lane;
    this.turn = turn;
  }
}

/** Which of two peers goes first. */
export function comesFirst<T, M>(one: Peer<T, M>, other: Peer<T, M>): boolean {
  return one.job.position === other.job.position ? one.turn < other.turn : one.job.position < other.job.position;
}
