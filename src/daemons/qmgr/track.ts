/**
 * The jobs of a transport in the order in which they have their turn: as they came, but for those that have preempted another one and
 * stand in front of it; and the lanes that have something of them to send.
 */
import type { Lane, TransportRules } from './destination.ts';
import { type Job, type Peer } from './job.ts';
import { ReadyLanes } from './ready.ts';

export class Track<T, M = unknown> {
  readonly rules: TransportRules;
  readonly ready = new ReadyLanes<T, M>();
  /** Jobs in the list. */
  length = 0;
  #first: Job<T, M> | undefined;
  #last: Job<T, M> | undefined;
  #turns = 0;
  /** Whom the job `current` could be preempted by, as was found in that second. */
  found: { readonly current: Job<T, M>; readonly candidate: Job<T, M> | undefined; readonly second: number } | undefined;

  constructor(rules: TransportRules) {
    this.rules = rules;
  }

  /** A number for the peer that is to go last among those of its job. */
  turn(): number {
    return ++this.#turns;
  }

  /** In the order of coming. Those that have preempted others are passed by. */
  add(job: Job<T, M>): void {
    let before = this.#last;
    while (before !== undefined && (before.parent !== undefined || before.mail.order > job.mail.order)) before = before.before;
    this.#put(job, before);
    job.listed = true;
    this.length++;
  }

  /** To the place in front of another, with all that it has waiting. */
  moveBefore(job: Job<T, M>, behind: Job<T, M>): void {
    const waiting = job.peers.filter(({ entries }) => entries.length > 0);
    // Out of the heap as long as it is the order that the heap knows.
    for (const peer of waiting) this.#leave(peer);
    this.#cut(job);
    this.#put(job, behind.before);
    for (const peer of waiting) {
      peer.lane.addFirst(peer);
      this.ready.update(peer.lane);
    }
  }

  #leave(peer: Peer<T, M>): void {
    const { lane } = peer;
    lane.remove(peer);
    this.ready.update(lane);
  }

  remove(job: Job<T, M>): void {
    for (const child of job.children ?? []) child.parent = undefined;
    job.children = undefined;
    if (this.found?.candidate === job || this.found?.current === job) this.found = undefined;
    this.#cut(job);
    job.listed = false;
    this.length--;
  }

  /** A peer has entries again. */
  enter(peer: Peer<T, M>): void {
    peer.turn = this.turn();
    peer.lane.add(peer);
    this.ready.update(peer.lane);
    this.found = undefined;
  }

  /** It has none any more, or its turn is over. */
  taken(peer: Peer<T, M>): void {
    peer.turn = this.turn();
    if (peer.entries.length === 0) peer.lane.remove(peer);
  }

  /** Its destination is ready for more, or is not, or it begins with another peer. */
  update(lane: Lane<T, M>): void {
    const { at } = lane;
    this.ready.update(lane);
    if (at < 0 && lane.at >= 0) this.found = undefined;
  }

  #put(job: Job<T, M>, before: Job<T, M> | undefined): void {
    const behind = before === undefined ? this.#first : before.behind;
    job.before = before;
    job.behind = behind;
    if (before === undefined) this.#first = job;
    else before.behind = job;
    if (behind === undefined) this.#last = job;
    else behind.before = job;
    this.#number(job);
  }

  #cut(job: Job<T, M>): void {
    const { before, behind } = job;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    // One that is done with and has grown old would keep the next one alive, which would grow old by that, and so on.
    job.before = job.behind = undefined;
  }

  /** A number between those of its neighbours; when there is none all get new ones, in the same order. */
  #number(job: Job<T, M>): void {
    const { before, behind } = job;
    if (behind === undefined) job.position = before === undefined ? 0 : before.position + 1;
    else if (before === undefined) job.position = behind.position - 1;
    else job.position = (before.position + behind.position) / 2;
    if ((before !== undefined && job.position <= before.position) || (behind !== undefined && job.position >= behind.position)) this.#renumber();
  }

  #renumber(): void {
    let position = 0;
    for (let job = this.#first; job !== undefined; job = job.behind) job.position = position++;
  }
}
