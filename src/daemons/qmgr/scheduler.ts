/**
 * Which mail goes out next: a pure machine, without clock, disk or network. qmgr(8); Postfix's SCHEDULER_README tells the theory.
 *
 * A message has a job at each transport that it needs, and jobs have their turn in the order in which the messages came; small ones
 * go between the deliveries of large ones (preempt.ts). Within a job its destinations take turns. A destination that takes no more is
 * passed by, so a slow one never holds up another. Transports take turns; and so do, at each transport, mail that is tried for the
 * first time and mail that was tried before, so that no amount of old mail holds up what is new.
 *
 * How many deliveries to a destination may run at once is learnt from success and failure (feedback.ts); a destination that fails a
 * whole cohort is dead for a while, and what waits for it is given back to be deferred without trying. Of a message with very many
 * recipients only some are in hand (recipient-slots.ts); `wanting` says of which messages more are to be read.
 */
import type { Dsn } from '../../ipc/deliver.ts';
import { Destination, initialWindow, kindOf, kinds, kindsTurned, noReuse, Transport, type Kind } from './destination.ts';
import { keepConnections, narrow, widen, windowTexts } from './feedback.ts';
import { Job, Mail, type Entry, type Peer } from './job.ts';
import { countSlots, pop, preempt } from './preempt.ts';
import { hold, letGo, stopWaiting, wantsMore } from './recipient-slots.ts';
import type { SchedulerRules } from './scheduler-rules.ts';
import { Wakes } from './wakes.ts';

export type { TransportRules } from './destination.ts';
export type { Crowd, Room, SchedulerRules } from './scheduler-rules.ts';
export { Mail, type Entry } from './job.ts';

/** A destination whose mail is done is remembered for a moment: more may come, and its connections are still open. */
const afterglow = 2000;

export class Scheduler<T, M = unknown> {
  readonly #rules: SchedulerRules;
  readonly #transports = new Map<string, Transport<T, M>>();
  readonly #line: Transport<T, M>[] = [];
  readonly #wakes: Wakes<'dead' | 'absent' | 'afterglow'>;
  readonly #wanting: Mail<T, M>[] = [];
  #orders = 0;
  /** Recipients in hand. */
  recipients = 0;

  constructor(rules: SchedulerRules) {
    this.#rules = rules;
    this.#wakes = new Wakes({ dead: rules.deadTime, absent: rules.retryTime, afterglow });
  }

  // ---- messages

  /** Why an entry for this destination would be deferred at once; undefined: it is tried. */
  suspended(transport: string, queue: string): Dsn | undefined {
    const known = this.#transports.get(transport);
    return known?.dead ?? known?.destinations.get(queue)?.dead;
  }

  add(entry: Entry<T, M>): void {
    const transport = this.#transport(entry.transport);
    const destination = this.#destination(transport, entry.queue);
    const { mail } = entry;
    if (mail.order === 0) {
      mail.order = ++this.#orders;
      mail.queued = mail.refilled = this.#wakes.now;
    }
    const lane = destination[kindOf(mail)];
    const track = transport.tracks[kindOf(mail)];
    const job = this.#job(transport, mail);
    const peer = job.peer(destination) ?? job.addPeer(lane, track.turn());
    entry.peer = peer;
    job.read++;
    destination.todo++;
    this.recipients += entry.size;
    hold(job, entry.size);
    peer.entries.push(entry);
    if (peer.entries.length === 1) track.enter(peer);
    this.#standInLine(transport);
    this.#lookForCrowd(transport, destination);
  }

  /** The last entry of this message for this destination, if it is not taken yet: there may be room in it. */
  waiting(mail: Mail<T, M>, transport: string, queue: string): Entry<T, M> | undefined {
    for (const job of mail.jobs) {
      if (job.transport.name !== transport) continue;
      const destination = job.transport.destinations.get(queue);
      return destination === undefined ? undefined : job.peer(destination)?.entries.last;
    }
    return undefined;
  }

  /** Recipients were put into an entry that waits. */
  grow(entry: Entry<T, M>, recipients: number): void {
    entry.size += recipients;
    this.recipients += recipients;
    hold(entry.peer!.job, recipients);
  }

  /** Messages of which more recipients are to be read; for each of them `refilled` is awaited. */
  wanting(): readonly Mail<T, M>[] {
    if (this.#wanting.length === 0) return none;
    return this.#wanting.splice(0);
  }

  /** More of them were read, and added; `more`: there are more. */
  refilled(mail: Mail<T, M>, more: boolean, unread: number): void {
    mail.refilling = false;
    mail.refilled = this.#wakes.now;
    mail.unread = more ? Math.max(unread, 1) : 0;
    mail.more = more;
    for (const job of mail.jobs) {
      job.track.found = undefined;
      if (!more || !job.hasEntries) this.#rest(job);
    }
  }

  // ---- deliveries

  /** The next entry to be delivered now; undefined: nothing can go. Each must come back through `finished`. */
  next(): Entry<T, M> | undefined {
    for (let tries = this.#line.length; tries > 0; tries--) {
      const transport = this.#line.shift()!;
      const entry = transport.dead === undefined ? this.#take(transport) : undefined;
      transport.inLine = entry !== undefined;
      if (entry === undefined) continue;
      this.#line.push(transport);
      return entry;
    }
    return undefined;
  }

  /** A delivery ended. With `failure` the destination as a whole was out of reach; what then waits for nothing comes back. */
  finished(entry: Entry<T, M>, failure?: Dsn): readonly Entry<T, M>[] {
    const { job, lane: { destination } } = entry.peer!;
    const { transport, mail } = job;
    destination.busy--;
    transport.busy[kindOf(mail)]--;
    destination.lastDone = this.#wakes.now;
    if (transport.pace === 'busy') transport.pace = 'still';
    if (failure === undefined) this.#succeeded(transport, destination);
    else if (destination.dead === undefined) this.#failed(transport, destination, failure);
    const given = destination.dead === undefined ? none : this.#giveBack(transport, destination);
    this.#letGo(job, entry.size);
    if (transport.rules.destinationDelay > 0) this.#pause(transport, destination);
    this.#refresh(transport, destination);
    this.#forget(transport, destination);
    return given;
  }

  /** The transport's agent is not there or breaks down: all its mail comes back, and it is left alone for a while. */
  transportFailed(name: string, failure: Dsn): Entry<T, M>[] {
    const transport = this.#transport(name);
    if (transport.dead === undefined) {
      transport.dead = failure;
      this.#wakes.after('absent', () => { if (transport.dead === failure) this.#rouse(transport); });
    }
    if (transport.pace === 'busy') transport.pace = 'still';
    return [...transport.destinations.values()].flatMap((destination) => this.#giveBack(transport, destination));
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
      this.#rouse(transport);
      const { destinations } = transport;
      for (const each of queue === undefined ? destinations.keys() : [queue]) {
        const destination = destinations.get(each);
        if (destination?.dead !== undefined) this.#alive(transport, destination);
      }
    }
  }

  /** It is now so late. `deadline`: when to say so next. */
  expire(now: number): void {
    this.#wakes.expire(now);
  }

  deadline(): number | undefined {
    return this.#wakes.deadline();
  }

  /** For tests and statistics: destinations that are remembered, jobs that have entries, and of a transport places for recipients that nobody has. */
  get size(): number {
    return [...this.#transports.values()].reduce((sum, { destinations }) => sum + destinations.size, 0);
  }

  get jobs(): number {
    return [...this.#transports.values()].reduce((sum, { tracks: { fresh, again } }) => sum + fresh.length + again.length, 0);
  }

  spare(name: string): number {
    return this.#transport(name).spare;
  }

  // ---- jobs

  #transport(name: string): Transport<T, M> {
    let transport = this.#transports.get(name);
    if (transport === undefined) this.#transports.set(name, (transport = new Transport<T, M>(name, this.#rules.transport(name))));
    return transport;
  }

  #destination(transport: Transport<T, M>, name: string): Destination<T, M> {
    let destination = transport.destinations.get(name);
    if (destination === undefined) transport.destinations.set(name, (destination = new Destination<T, M>(name, initialWindow(transport.rules))));
    return destination;
  }

  #job(transport: Transport<T, M>, mail: Mail<T, M>): Job<T, M> {
    const track = transport.tracks[kindOf(mail)];
    const job = mail.jobs.find((each) => each.transport === transport) ?? new Job<T, M>(mail, transport, track);
    if (!job.listed) track.add(job);
    return job;
  }

  #letGo(job: Job<T, M>, recipients: number): void {
    this.recipients -= recipients;
    letGo(job, recipients);
    this.#lookForMore(job);
  }

  #lookForMore(job: Job<T, M>): void {
    const { mail } = job;
    if (!mail.more || !wantsMore(mail, job, this.#wakes.now)) return;
    mail.refilling = true;
    this.#wanting.push(mail);
  }

  /** All its entries are taken: it stands in line no longer, and what it held for more recipients is for others. */
  #rest(job: Job<T, M>): void {
    if (!job.hasEntries && job.listed) {
      if (job.level > 0) pop(job);
      job.track.remove(job);
    }
    if (!job.mail.more || !job.listed) stopWaiting(job);
  }

  #take(transport: Transport<T, M>): Entry<T, M> | undefined {
    const { all, again } = this.#rules.room(transport.name);
    const { busy, turn } = transport;
    if (busy.fresh + busy.again >= all || !this.#mayGo(transport)) return undefined;
    for (const kind of turn === 'fresh' ? kinds : kindsTurned) {
      const entry = kind === 'again' && busy.again >= again ? undefined : this.#takeFrom(transport, kind);
      if (entry === undefined) continue;
      transport.turn = kind === 'fresh' ? 'again' : 'fresh';
      return entry;
    }
    return undefined;
  }

  #takeFrom(transport: Transport<T, M>, kind: Kind): Entry<T, M> | undefined {
    const track = transport.tracks[kind];
    const first = track.ready.first?.first;
    if (first === undefined) return undefined;
    const peer = preempt(track, first.job, this.#wakes.now) ? track.ready.first!.first! : first;
    const { job, job: { mail }, lane: { destination } } = peer;
    const entry = peer.entries.shift()!;
    track.taken(peer);
    job.selected++;
    countSlots(job);
    destination.todo--;
    destination.busy++;
    transport.busy[kind]++;
    if (transport.rules.transportDelay > 0) transport.pace = 'busy';
    keepConnections(destination, this.#wakes.now);
    entry.reuse = destination.reuse;
    this.#lookForMore(job);
    if (!job.hasEntries && !mail.refilling) this.#rest(job);
    this.#refresh(transport, destination);
    return entry;
  }

  /** What waits for a destination, which then waits here no more. */
  #giveBack(transport: Transport<T, M>, destination: Destination<T, M>): Entry<T, M>[] {
    const given: Entry<T, M>[] = [];
    for (const kind of kinds) {
      const lane = destination[kind];
      for (let peer = lane.first; peer !== undefined; peer = lane.first) given.push(...this.#emptied(peer));
      transport.tracks[kind].update(lane);
    }
    destination.todo = 0;
    this.#forget(transport, destination);
    return given;
  }

  #emptied(peer: Peer<T, M>): Entry<T, M>[] {
    const { job, lane } = peer;
    const entries = peer.entries.empty();
    lane.remove(peer);
    // The heap compares what lanes begin with.
    job.track.update(lane);
    job.selected += entries.length;
    this.#letGo(job, entries.reduce((sum, { size }) => sum + size, 0));
    if (!job.hasEntries && !job.mail.refilling) this.#rest(job);
    return entries;
  }

  // ---- whose turn it is

  #refresh(transport: Transport<T, M>, destination: Destination<T, M>): void {
    for (const kind of kinds) transport.tracks[kind].update(destination[kind]);
    this.#standInLine(transport);
  }

  #standInLine(transport: Transport<T, M>): void {
    if (transport.inLine || !transport.hasReady) return;
    transport.inLine = true;
    this.#line.push(transport);
  }

  #rouse(transport: Transport<T, M>): void {
    transport.dead = undefined;
    this.#standInLine(transport);
  }

  /** With a transport_rate_delay deliveries go one by one, each after a pause. */
  #mayGo(transport: Transport<T, M>): boolean {
    const { transportDelay } = transport.rules;
    if (transportDelay <= 0 || !transport.hasReady) return true;
    if (transport.pace === 'still') {
      transport.pace = 'waiting';
      this.#wakes.in(transportDelay, () => {
        transport.pace = 'ready';
        this.#standInLine(transport);
      });
    }
    return transport.pace === 'ready';
  }

  /** After each delivery to a destination with a destination_rate_delay; that one is not remembered as dead. */
  #pause(transport: Transport<T, M>, destination: Destination<T, M>): void {
    if (destination.dead !== undefined) this.#alive(transport, destination);
    destination.resting = true;
    this.#wakes.in(transport.rules.destinationDelay, () => {
      destination.resting = false;
      this.#refresh(transport, destination);
      this.#forget(transport, destination);
    });
  }

  // ---- what is learnt about destinations

  #succeeded(transport: Transport<T, M>, destination: Destination<T, M>): void {
    // As many as were under way with this one.
    if (destination.dead !== undefined) return this.#alive(transport, destination, destination.busy + 1);
    destination.failedCohorts = 0;
    this.#tell('qmgr_queue_unthrottle', transport, destination, widen(transport, destination));
  }

  #failed(transport: Transport<T, M>, destination: Destination<T, M>, failure: Dsn): void {
    const { rules } = transport;
    destination.failedCohorts += 1 / destination.window;
    if (rules.failedCohortLimit > 0 && destination.failedCohorts >= rules.failedCohortLimit) {
      destination.dead = failure;
      destination.reuse = noReuse;
      // One that died again meanwhile has another end to wait for.
      this.#wakes.after('dead', () => {
        if (destination.dead === failure) this.#alive(transport, destination);
      });
      this.#wakes.limit('dead', this.#rules.deadLimit);
      this.#tell('qmgr_queue_throttle', transport, destination);
    } else this.#tell('qmgr_queue_throttle', transport, destination, narrow(transport, destination));
  }

  #alive(transport: Transport<T, M>, destination: Destination<T, M>, window = destination.busy): void {
    destination.dead = undefined;
    destination.failedCohorts = 0;
    destination.window = window > 0 && transport.rules.destinationDelay <= 0 ? window : initialWindow(transport.rules);
    destination.success = destination.failure = 0;
    this.#tell('qmgr_queue_unthrottle', transport, destination);
    this.#refresh(transport, destination);
    this.#forget(transport, destination);
  }

  #tell(what: string, transport: Transport<T, M>, destination: Destination<T, M>, feedback?: number): void {
    if (this.#rules.debug !== undefined) for (const line of windowTexts(what, transport, destination, feedback)) this.#rules.debug(line);
  }

  #lookForCrowd({ name, destinations }: Transport<T, M>, destination: Destination<T, M>): void {
    const { crowd } = this.#rules;
    const { todo, busy, window } = destination;
    if (crowd === undefined || todo + busy <= crowd.limit || this.#wakes.now < destination.quietUntil) return;
    destination.quietUntil = this.#wakes.now + crowd.pause;
    crowd.tell({ transport: name, queue: destination.name, length: todo + busy, busy, window, alone: destinations.size === 1 });
  }

  /** A destination without mail is forgotten after a moment, and what was learnt about it with it; a dead one is remembered until it is tried again. */
  #forget(transport: Transport<T, M>, destination: Destination<T, M>): void {
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

const none: readonly never[] = [];
