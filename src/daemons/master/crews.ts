/**
 * All processes of the mail system: starts them when a client waits or a wakeup is due, follows their reports, replaces them
 * over a reload, and ends them.
 *
 * Nothing that a process does or that the system refuses (memory, descriptors) ends master: it is logged, and tried again later.
 */
import type { MasterRow } from '../../config/master-cf.ts';
import { ReadWatch } from '../../host/descriptors.ts';
import { trimMemory } from '../../host/memory.ts';
import type { Clock, Timer } from '../../server/clock.ts';
import type { Report } from '../../server/order.ts';
import { Crew } from './crew.ts';
import { endpointName } from './endpoints.ts';
import { rowKey, type Placement } from './placement.ts';
import { processOrder, socketsOf, type Generation } from './process-order.ts';
import { Worker } from './worker.ts';

interface Hand {
  readonly id: number;
  readonly worker: Worker;
  readonly crew: Crew;
  /** Indexes of the crew's rows, in the order of the process's services. */
  readonly rows: readonly number[];
  readonly wakes: Set<number>;
  ready: boolean;
  asked: boolean;
}

/** Milliseconds between two warnings that a service is full, as in Postfix. */
const fullPause = 1_000_000;
/** Milliseconds without an ended process after which memory is given back. */
const quiet = 5000;

export class Crews {
  readonly #clock: Clock;
  readonly #watch = new ReadWatch();
  readonly #hands = new Map<number, Hand>();
  readonly #fullSaid = new Map<string, number>();
  readonly #used: (key: string) => void;
  readonly #apart: (key: string) => void;
  #crews: Crew[] = [];
  #generation: Generation | undefined;
  #nextId = 1;
  #watched: ReadonlySet<number> = new Set();
  #timer: Timer | undefined;
  #stopping: (() => void) | undefined;
  #trim: Timer | undefined;
  #settled: (() => void) | undefined;

  /** `used`: first use of a row's service. `apart`: the row could not be opened in its group. */
  constructor(clock: Clock, events: { used: (key: string) => void; apart: (key: string) => void }) {
    this.#clock = clock;
    this.#used = events.used;
    this.#apart = events.apart;
  }

  /** Processes that are there now, of all generations. */
  get processes(): number {
    return this.#hands.size;
  }

  /** Watch nothing until the next refresh: sockets may be closed after the current turn of the event loop. */
  unwatch(): void {
    this.#watchOnly(new Map());
  }

  /**
   * Replace everything: a process of before takes clients until its successor is ready to, then finishes what it does. What has
   * no successor ends now, and what was not ready itself is of no use any more.
   */
  replace(placements: readonly Placement[], generation: Generation): void {
    this.unwatch();
    this.#generation = generation;
    this.#crews = placements.map((placement) => this.#crew(placement));
    // Those of before: the ones that are started here are not among them.
    for (const hand of [...this.#hands.values()]) {
      const successor = this.#crews.find((crew) => crew.placement.key === hand.crew.placement.key);
      if (successor === undefined || !hand.ready) this.#drain(hand);
      else if (!hand.asked && !successor.has(0)) this.#startAll(successor, 0);
    }
    this.refresh();
  }

  /** Resolves when every process that was started is ready or gone, at the latest after `patience` milliseconds. */
  async settled(patience: number): Promise<void> {
    const starting = (): boolean => [...this.#hands.values()].some((hand) => !hand.ready && !hand.asked);
    if (!starting()) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(patience, resolve);
      this.#settled = () => {
        if (starting()) return;
        timer.cancel();
        resolve();
      };
    });
    this.#settled = undefined;
  }

  /** A placement beside the others; throttled from the start when its row has just failed elsewhere. */
  add(placement: Placement, throttled: boolean): void {
    const crew = this.#crew(placement);
    if (throttled) crew.startFailed(this.#clock.monotonic());
    this.#crews.push(crew);
    this.refresh();
  }

  /** Wake the service of a row up; starts a process when there is none. */
  wake(key: string): void {
    const now = this.#clock.monotonic();
    for (const crew of this.#crews) {
      const row = crew.placement.rows.findIndex((placed) => rowKey(placed.row) === key);
      if (row < 0 || crew.throttled(now)) continue;
      const index = crew.wanted(row, now);
      if (index !== undefined) this.#start(crew, index);
      const hand = [...this.#hands.values()].find((each) => each.crew === crew && !each.asked && each.rows.includes(row));
      if (hand !== undefined) this.#wakeHand(hand, row);
      this.refresh();
      return;
    }
  }

  /** Watch the sockets that nobody serves, and no others; start what should be there. */
  refresh(): void {
    this.#settled?.();
    if (this.#stopping !== undefined || this.#generation === undefined) return;
    const now = this.#clock.monotonic();
    for (const crew of this.#crews) {
      const index = crew.missing(now);
      if (index !== undefined) this.#start(crew, index);
    }
    this.#watchOnly(this.#unserved(now));
    this.#timer?.cancel();
    const times = this.#crews.map((crew) => crew.wakeAt(now)).filter((time) => time !== undefined);
    if (times.length > 0) this.#timer = this.#clock.after(Math.min(...times) - now + 1, () => this.refresh());
  }

  /** Tell everybody to end, and resolve when they have, or were killed after `patience` milliseconds. */
  async stop(patience: number): Promise<void> {
    this.#timer?.cancel();
    this.#watch.close();
    const gone = new Promise<void>((resolve) => { this.#stopping = resolve; });
    for (const hand of this.#hands.values()) {
      hand.asked = true;
      hand.worker.tell({ kind: 'stop' });
    }
    if (this.#hands.size === 0) return;
    const timer = this.#clock.after(patience, () => {
      for (const hand of this.#hands.values()) hand.worker.kill();
    });
    await gone;
    timer.cancel();
  }

  #crew(placement: Placement): Crew {
    const { settings } = this.#generation!;
    const name = placement.title.split(' ', 1)[0]!;
    return new Crew(placement, { throttle: settings.throttle, program: `${settings.daemonDirectory}/${name}` });
  }

  #unserved(now: number): Map<number, { crew: Crew; row: number }> {
    const wanted = new Map<number, { crew: Crew; row: number }>();
    for (const crew of this.#crews) {
      for (const row of crew.watched(now))
        for (const fd of socketsOf(this.#generation!, crew.placement.rows[row]!.row)) wanted.set(fd, { crew, row });
    }
    return wanted;
  }

  #watchOnly(wanted: ReadonlyMap<number, { crew: Crew; row: number }>): void {
    for (const fd of this.#watched) if (!wanted.has(fd)) this.#watch.unwatch(fd);
    for (const [fd, { crew, row }] of wanted)
      if (!this.#watched.has(fd)) this.#watch.watch(fd, () => this.#called(crew, row));
    this.#watched = new Set(wanted.keys());
  }

  /** A client waits. */
  #called(crew: Crew, row: number): void {
    const index = crew.wanted(row, this.#clock.monotonic());
    if (index !== undefined) this.#startAll(crew, index);
    this.refresh();
  }

  /** Strangers' services run in all their processes or in none, so that the kernel shares clients out among them. */
  #startAll(crew: Crew, index: number): void {
    this.#start(crew, index);
    const { processes, oneClient } = crew.placement;
    if (!oneClient) for (let other = 0; other < processes; other++) if (!crew.has(other)) this.#start(crew, other);
  }

  #start(crew: Crew, index: number): void {
    const now = this.#clock.monotonic();
    const id = this.#nextId++;
    const shares = crew.shares(index);
    if (shares.size === 0) return;
    try {
      const { order, descriptors } = processOrder(crew.placement, shares, this.#generation!);
      const worker = new Worker(order, descriptors, this.#generation!.environment, {
        report: (report) => this.#reported(id, report),
        end: (status, signal, error) => this.#ended(id, status, signal, error),
      });
      this.#hands.set(id, { id, worker, crew, rows: [...shares.keys()], wakes: new Set(), ready: false, asked: false });
      crew.started(id, index, now);
    } catch (error) {
      this.#cannotStart(crew, error as Error);
    }
  }

  #cannotStart(crew: Crew, error: Error): void {
    this.#generation!.log.warning(`master_spawn: fork: ${error.message} -- throttling`);
    crew.startFailed(this.#clock.monotonic());
  }

  #reported(id: number, report: Report): void {
    const hand = this.#hands.get(id);
    if (hand === undefined) return;
    this.#act(hand, report);
    this.refresh();
  }

  #act(hand: Hand, report: Report): void {
    const { crew, id } = hand;
    switch (report.kind) {
      case 'ready':
        hand.ready = true;
        for (const service of hand.wakes) hand.worker.tell({ kind: 'wake', service });
        hand.wakes.clear();
        return this.#succeed(hand);
      case 'served':
        crew.used(id);
        return this.#used(rowKey(this.#rowOf(hand, report.service)));
      case 'taken': return crew.available(id, false);
      case 'available': return crew.available(id, true);
      case 'retiring': return void crew.retired(id);
      case 'log': return this.#generation!.passLines(report.lines);
      case 'full': return this.#full(this.#rowOf(hand, report.service), crew.placement);
      case 'failed': return this.#failed(hand, report.service);
    }
  }

  /** Its rows are served now: those that served them before may go. */
  #succeed(hand: Hand): void {
    for (const other of this.#hands.values())
      if (other.crew !== hand.crew && other.crew.placement.key === hand.crew.placement.key && other.id < hand.id) this.#drain(other);
  }

  #rowOf(hand: Hand, service: number): MasterRow {
    return hand.crew.placement.rows[hand.rows[service]!]!.row;
  }

  #wakeHand(hand: Hand, row: number): void {
    const service = hand.rows.indexOf(row);
    if (hand.ready) hand.worker.tell({ kind: 'wake', service });
    else hand.wakes.add(service);
  }

  #failed(hand: Hand, service: number): void {
    const row = this.#rowOf(hand, service);
    const { log, settings } = this.#generation!;
    log.warning(`${settings.daemonDirectory}/${row.program}: bad command startup -- throttling`);
    hand.crew.failed(hand.rows[service]!);
    if (this.#crews.includes(hand.crew)) this.#apart(rowKey(row));
  }

  #full(row: MasterRow, { rows }: Placement): void {
    if (row.type !== 'inet') return;
    const now = this.#clock.monotonic();
    const key = rowKey(row);
    if (now < (this.#fullSaid.get(key) ?? -Infinity) + fullPause) return;
    this.#fullSaid.set(key, now);
    const { log, settings } = this.#generation!;
    const limit = rows.find((placed) => placed.row === row)!.limit;
    log.warning(`service "${row.service}" (${endpointName(row, settings.endpoints.knownTcpPorts)}) has reached its process limit "${limit}": new clients may experience noticeable delays`);
    log.warning('to avoid this condition, increase the process count in master.cf or reduce the service time per client');
  }

  #drain(hand: Hand): void {
    if (hand.asked) return;
    hand.asked = true;
    hand.crew.retired(hand.id);
    hand.worker.tell({ kind: 'drain' });
  }

  /** What starting and reaping processes needed is given back when that is over. */
  #trimLater(): void {
    this.#trim?.cancel();
    this.#trim = this.#clock.after(quiet, trimMemory, true);
  }

  #ended(id: number, status: number | null, signal: number | null, error?: Error): void {
    const hand = this.#hands.get(id);
    // The system may refuse a process before its constructor has returned.
    if (hand === undefined) return void setImmediate(() => this.#hands.has(id) && this.#ended(id, status, signal, error));
    this.#hands.delete(id);
    const now = this.#clock.monotonic();
    if (error !== undefined) {
      hand.crew.retired(id);
      this.#cannotStart(hand.crew, error);
    } else {
      const asked = this.#stopping !== undefined;
      for (const line of hand.crew.ended(id, { pid: hand.worker.pid, status, signal, asked }, now)) this.#generation!.log.warning(line);
    }
    if (this.#hands.size === 0) this.#stopping?.();
    this.#trimLater();
    this.refresh();
  }
}
