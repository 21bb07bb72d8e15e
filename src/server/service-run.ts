/**
 * One service of a process at work: takes its clients and triggers, counts them, and drains.
 *
 * A throw in one session ends that session, with a warning; the others do not notice. A service that only one process may
 * serve starts when the lock is free.
 */
import type net from 'node:net';
import { fullSocket, type PeerSocket } from '../host/lean-socket.ts';
import type { Log } from '../log/log.ts';
import { Acceptor, type ServerEnd } from './acceptor.ts';
import type { Clock } from './clock.ts';
import { Datagrams } from './datagrams.ts';
import { passedOn, type ConnectionEnds, type RequestSlots, type Service, type Session, type Taking } from './daemon.ts';
import type { Ending } from './ending.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { LoneLock } from './lone-lock.ts';
import type { ServiceOrder } from './order.ts';
import { sessionNumber, type Slots } from './slots.ts';

/** What a service run needs of its process. */
export interface Host {
  readonly clock: Clock;
  readonly slots: Slots;
  readonly ending: Ending;
  /** Several clients share this process, so each needs a number of its own in the log. */
  readonly numbered: boolean;
  used(run: ServiceRun): void;
  /** A client of the service has come (true) or gone. */
  occupied(run: ServiceRun, taken: boolean): void;
  full(run: ServiceRun): void;
  /** See AcceptorOptions. */
  readonly firstSpare?: number;
}

/** Bytes of a trigger, triggers that may wait for a service to start, and milliseconds until a silent one is let go. */
const triggerSize = 1024;
const triggersKept = 100;
const triggerPatience = 10_000;
/** Milliseconds in which datagrams count as one use. */
const datagramPause = 1000;
/** Milliseconds for which a service that reached its limit of clients counts as under stress: Postfix's thousand seconds. */
const stressTime = 1_000_000;
/** Milliseconds for the last bytes to a client that does not read. */
const farewell = 10_000;

export class ServiceRun {
  readonly order: ServiceOrder;
  readonly #service: Service;
  readonly #log: Log;
  readonly #host: Host;
  readonly #lock: LoneLock | undefined;
  readonly #acceptor: Acceptor | Datagrams;
  readonly #requests: RequestSlots;
  #triggers: Buffer[] = [];
  #state: 'opened' | 'started' | 'closed' = 'opened';
  #uses = 0;
  #datagramCounted = -Infinity;
  #stressEnd = -Infinity;

  constructor(order: ServiceOrder, service: Service, log: Log, host: Host, lock: LoneLock | undefined) {
    this.order = order;
    this.#service = service;
    this.#log = log;
    this.#host = host;
    this.#lock = lock;
    const { descriptors, limit } = order;
    this.#acceptor = order.row.type === 'unix-dgram' ? new Datagrams({ descriptors, log, datagram: (bytes) => this.#datagram(bytes) }) : new Acceptor({
      descriptors, limit, log, clock: host.clock, passed: order.row.type === 'pass',
      ...(host.firstSpare === undefined ? {} : { firstSpare: host.firstSpare }),
      client: (socket, serverEnd, ends) => this.#accepted(socket, serverEnd, ends), lean: service.stranger !== undefined,
      crowded: () => this.#crowded(),
      full: () => this.#host.full(this),
    });
    this.#requests = requestSlots(limit, log, host);
  }

  /** Clients and triggers served so far. */
  get uses(): number {
    return this.#uses;
  }

  get idle(): boolean {
    return this.#acceptor.clients === 0 && !(this.#service.busy?.() ?? false);
  }

  get clients(): number {
    return this.#acceptor.clients;
  }

  /** For others in this process, when the row's clients are passed on to it. */
  get taking(): Taking | undefined {
    const acceptor = this.#acceptor;
    if (this.order.row.type !== 'pass' || !(acceptor instanceof Acceptor)) return undefined;
    return { take: (socket, ends) => this.#state === 'started' && acceptor.take(socket, ends) };
  }

  /** Start serving, or wait for the process that still does. Resolves when that is settled. */
  async start(): Promise<void> {
    if (this.#lock === undefined) return this.#begin();
    let pending: Promise<void> | undefined;
    let waits = true;
    this.#lock.take(() => {
      const begun = this.#begin();
      if (waits) pending = begun;
      else begun.catch((error: Error) => this.#log.panic(error.stack ?? error.message));
    });
    waits = false;
    await pending;
  }

  /** Master's wakeup timer. */
  wake(): void {
    this.#trigger(Buffer.from('W'));
  }

  /** Take no more clients. */
  close(): void {
    this.#acceptor.close();
  }

  /** Finish what is under way and let go of the lock. */
  async drain(final: boolean): Promise<void> {
    const started = this.#state === 'started';
    this.#state = 'closed';
    try {
      if (started) await this.#service.drain?.(final);
    } finally {
      this.#lock?.release();
    }
  }

  async #begin(): Promise<void> {
    if (this.#state !== 'opened') return;
    await this.#service.start?.();
    if ((this.#state as string) === 'closed') return;
    this.#state = 'started';
    this.#acceptor.start();
    for (const request of this.#triggers.splice(0)) this.#trigger(request);
  }

  #accepted(socket: PeerSocket, serverEnd: ServerEnd | undefined, ends?: ConnectionEnds): void {
    const { stranger, client } = this.#service;
    if (stranger !== undefined || client !== undefined) void this.#session(socket, serverEnd, ends);
    else this.#triggered(fullSocket(socket));
  }

  // STRESS_README: only where strangers come in, and where more than one client is served.
  #crowded(): void {
    const { row, limit } = this.order;
    if ((row.private && row.type !== 'pass') || limit <= 1) return;
    this.#stressEnd = this.#host.clock.monotonic() + stressTime;
    this.#service.stressed?.();
  }

  #used(): void {
    this.#uses++;
    this.#host.used(this);
  }

  async #session(socket: PeerSocket, serverEnd: ServerEnd | undefined, ends: ConnectionEnds | undefined): Promise<void> {
    const { slots, numbered, ending } = this.#host;
    const slot = slots.take();
    const log = numbered ? this.#log.numbered(sessionNumber(process.pid, slot)) : this.#log;
    this.#host.occupied(this, true);
    const stress = this.#stressEnd > 0 && this.#host.clock.monotonic() < this.#stressEnd;
    try {
      const outcome = await this.#serve({ socket, log, slot, serverEnd, ending, stress, requests: this.#requests, ends });
      if (outcome !== passedOn) this.#farewell(socket);
    } catch (error) {
      log.warning(`${this.order.row.program}: session ended by an unexpected error: ${(error as Error).stack ?? String(error)}`);
      socket.destroy();
    }
    slots.give(slot);
    this.#used();
    this.#acceptor.gone();
    this.#host.occupied(this, false);
  }

  #serve(session: Session<PeerSocket>): MaybePromise<void | typeof passedOn> {
    const service = this.#service;
    if (service.stranger !== undefined) return service.stranger(session);
    return service.client!({ ...session, socket: fullSocket(session.socket) });
  }

  #farewell(socket: PeerSocket): void {
    if (socket.destroyed) return;
    const timer = this.#host.clock.after(farewell, () => socket.destroy(), true);
    socket.on('close', () => timer.cancel());
    socket.destroySoon();
  }

  /** A trigger is a connection that says a few bytes; who sends it may wait for our end of it. */
  #triggered(socket: net.Socket): void {
    const timer = this.#host.clock.after(triggerPatience, () => socket.destroy(), true);
    const arrived = (bytes: Buffer) => {
      socket.destroy();
      this.#trigger(bytes.subarray(0, triggerSize));
    };
    socket.once('data', arrived);
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      timer.cancel();
      this.#acceptor.gone();
      this.#host.occupied(this, false);
    });
    this.#host.occupied(this, true);
  }

  #datagram(bytes: Buffer): void {
    try {
      this.#service.datagram?.(bytes);
    } catch (error) {
      this.#log.warning(`${this.order.row.program}: unexpected error: ${(error as Error).stack ?? String(error)}`);
    }
    // Datagrams wear nothing out: one of many counts.
    const now = this.#host.clock.monotonic();
    if (now < this.#datagramCounted + datagramPause) return;
    this.#datagramCounted = now;
    this.#used();
  }

  #trigger(request: Buffer): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'opened') {
      if (this.#triggers.length < triggersKept) this.#triggers.push(request);
      return;
    }
    try {
      this.#service.trigger?.(request);
      this.#used();
    } catch (error) {
      this.#log.warning(`${this.order.row.program}: unexpected error: ${(error as Error).stack ?? String(error)}`);
    }
  }
}

function requestSlots(limit: number, log: Log, { slots, numbered }: Host): RequestSlots {
  const voices: Log[] = [];
  return {
    limit,
    take: () => slots.take(),
    give: (slot) => slots.give(slot),
    voice: (slot) => (numbered ? voices[slot] ??= log.numbered(sessionNumber(process.pid, slot)) : log),
  };
}
