/**
 * The queue manager's end of the deliver protocol: a few kept connections that carry many requests at once.
 *
 * Requests wait in one line and go, in order, to connections whose agents have room for them (the agent's greeting says for how
 * many). New connections are called as far as the line needs them, and few at a time: who is over an agent's process limit
 * waits in its listen queue, and here nobody waits with mail in their hand.
 * When a connection that has served before breaks, its requests are asked once more on another one: the agent may just have
 * ended. Those of a connection that never answered, and those that have been asked twice, are `AgentTrouble`. Without a
 * socket to connect to, the whole line is AgentTrouble at once.
 */
import net from 'node:net';
import { sharedReads } from '../host/reading.ts';
import { AgentConnection, type Job } from './deliver-connection.ts';
import type { DeliveryReply, DeliveryRequest } from './deliver.ts';
import { JobLine } from './deliver-line.ts';

/** The agent died, broke the protocol, or is not there. `unavailable`: it could not be reached, or did not say that it is there. */
export class AgentTrouble extends Error {
  readonly unavailable: boolean;

  constructor(message: string, unavailable: boolean) {
    super(message);
    this.unavailable = unavailable;
  }
}

/** Connections that may wait to be greeted at once. */
const callingLimit = 20;
/** How often, and at what distance in milliseconds, a full listen queue is tried again. */
const crowdedTries = 600;
const crowdedPause = 100;
/** Milliseconds until another connection is tried after one was of no use, while others serve. */
const needlessPause = 1000;

export interface PoolLimits {
  /** daemon_timeout and the like are the agent's own; this bounds a request that never comes back (daemon_timeout), milliseconds. */
  readonly timeout: number;
  /** How long a connection without requests is kept, milliseconds. */
  readonly idle: number;
}

/** How many requests make sense at once: in all, and of mail that others need not wait for. */
export interface PoolRoom { readonly all: number; readonly again: number }

/** Of so many requests at once on a connection, one is kept for mail that is tried for the first time. */
const freshShare = 10;

/** The connections to one transport's agents. */
export class DeliverPool {
  readonly #path: string;
  readonly #limits: PoolLimits;
  readonly #roomier: () => void;
  readonly #line = new JobLine();
  /** Greeted, and with room for a request; the last one is filled first, so that the others come to rest. */
  readonly #roomy: AgentConnection[] = [];
  readonly #greeted = new Set<AgentConnection>();
  readonly #calling = new Set<AgentConnection>();
  /** Requests that a connection is good for, as far as is known. */
  #slots = Number.MAX_SAFE_INTEGER;
  /** What those who greeted have room for, and so many more that agents are called. */
  room: PoolRoom = { all: callingLimit, again: callingLimit };
  #crowded = 0;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param roomier called when `room` has grown */
  constructor(path: string, limits: PoolLimits, roomier: () => void = () => undefined) {
    this.#path = path;
    this.#limits = limits;
    this.#roomier = roomier;
  }

  /** Rejects with AgentTrouble only. */
  deliver(request: DeliveryRequest): Promise<DeliveryReply> {
    return new Promise((resolve, reject) => {
      this.#line.push({ request, resolve, reject, again: false });
      this.#hand();
    });
  }

  /** No more requests come: connections are closed when they have no requests left. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#greeted) connection.retire();
  }

  // ---- what connections report

  greeted(connection: AgentConnection): void {
    this.#calling.delete(connection);
    this.#crowded = 0;
    this.#slots = Math.max(connection.slots, 1);
    if (this.#isKnown(connection.process)) {
      connection.end();
      this.#rest(needlessPause);
    } else {
      this.#greeted.add(connection);
      this.#roomy.push(connection);
      this.#count();
      this.#roomier();
    }
    this.#hand();
    if (this.#closed) connection.retire();
  }

  /** It has room again. */
  freed(connection: AgentConnection): void {
    this.#roomy.push(connection);
  }

  /** Answers came: the line moves on. */
  answered(): void {
    if (this.#line.length > 0) this.#hand();
  }

  closed(connection: AgentConnection, jobs: Iterable<Job>, error: NodeJS.ErrnoException | undefined): void {
    const called = this.#calling.delete(connection);
    this.#forget(connection);
    const trouble = new AgentTrouble(error?.message ?? 'connection closed', isUnavailable(error) || !connection.isGreeted);
    const again: Job[] = [];
    for (const job of jobs) {
      if (job.again || !connection.kept) job.reject(trouble);
      else again.push({ ...job, again: true });
    }
    this.#line.putBack(again);
    if (called && !connection.isGreeted) this.#unanswered(error, trouble);
    this.#hand();
  }

  // ---- the line

  /** Give the line to whoever has room; call for more when that is not enough. */
  #hand(): void {
    while (this.#line.length > 0) {
      const connection = this.#roomy.at(-1);
      if (connection === undefined) return this.#call();
      if (connection.usable && connection.room > 0) connection.send(this.#line.shift()!);
      if (!connection.usable || connection.room <= 0) this.#full();
    }
  }

  #full(): void {
    this.#roomy.pop()!.isListed = false;
  }

  #call(): void {
    while (this.#pause === undefined && this.#calling.size < callingLimit && this.#line.length > (this.#calling.size === 0 ? 0 : this.#calling.size * this.#slots)) {
      this.#calling.add(new AgentConnection(net.connect({ ...sharedReads, path: this.#path }), this.#limits, this));
    }
  }

  /** A process that serves us already has no more room on a second connection. */
  #isKnown(process: number): boolean {
    for (const connection of this.#greeted) if (connection.process === process && connection.usable) return true;
    return false;
  }

  #count(): void {
    let [slots, kept] = [0, 0];
    for (const connection of this.#greeted) {
      slots += connection.slots;
      kept += Math.floor(connection.slots / freshShare);
    }
    // Where a connection takes one request at a time, only those who wait make us call for another.
    this.room = { all: slots + callingLimit, again: kept > 0 ? slots - kept : slots + callingLimit };
  }

  #forget(connection: AgentConnection): void {
    if (!this.#greeted.delete(connection)) return;
    this.#count();
    const at = this.#roomy.indexOf(connection);
    if (at >= 0) this.#roomy.splice(at, 1);
    clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  /** Nobody greeted us: the line waits for those who serve, when there are any. */
  #unanswered(error: NodeJS.ErrnoException | undefined, trouble: AgentTrouble): void {
    if (error?.code === 'EAGAIN' && this.#crowded++ < crowdedTries) return this.#rest(crowdedPause);
    if (this.#greeted.size > 0 || this.#calling.size > 0) return this.#rest(needlessPause);
    this.#crowded = 0;
    for (let job = this.#line.shift(); job !== undefined; job = this.#line.shift()) job.reject(trouble);
  }

  /** Call nobody for a while. */
  #rest(milliseconds: number): void {
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined;
      this.#hand();
    }, milliseconds);
  }
}

function isUnavailable(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.code === 'ENOENT' || error?.code === 'ECONNREFUSED' || error?.code === 'EACCES';
}
