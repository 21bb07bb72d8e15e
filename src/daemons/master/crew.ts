/**
 * The processes of one placement: which are there, which take clients, when another may start, when one is throttled.
 *
 * A state machine without a process, a socket or a clock: it is told what happened and when, and asked what to watch and to
 * start. Times are milliseconds of a monotonic clock.
 */
import { constants } from 'node:os';
import type { Placement } from './placement.ts';
import { share } from './placement.ts';

export interface Member {
  readonly index: number;
  /** Rows of the placement that this process serves. */
  readonly rows: ReadonlySet<number>;
  /** Takes clients (as far as master knows). */
  available: boolean;
  /** Has served a client. */
  used: boolean;
  startedAt: number;
}

/** How a process ended, as waitpid(2) tells. */
export interface ProcessEnd {
  readonly pid: number;
  readonly status: number | null;
  /** Signal number. */
  readonly signal: number | null;
  /** We asked it to end by this signal. */
  readonly asked?: boolean;
}

export interface CrewSettings {
  /** service_throttle_time, milliseconds. */
  readonly throttle: number;
  /** Path of the program, as the log names it. */
  readonly program: string;
}

/** A resident process that lived longer than this is replaced at once, else after a pause: milliseconds. */
const stableAfter = 10_000;
const residentPause = 1000;
/** After a kill from outside the first throttle of a process that others share is short, and doubles: milliseconds. */
const firstKillPause = 1000;

export class Crew {
  readonly placement: Placement;
  readonly #settings: CrewSettings;
  readonly #members = new Map<number, Member>();
  /** Rows that could not be opened: not served until a reload. */
  readonly #failed = new Set<number>();
  #throttledUntil = 0;
  #notBefore = 0;
  #kills = 0;

  constructor(placement: Placement, settings: CrewSettings) {
    this.placement = placement;
    this.#settings = settings;
  }

  get size(): number {
    return this.#members.size;
  }

  throttled(now: number): boolean {
    return now < this.#throttledUntil;
  }

  /** When to look again, if nothing happens before: the end of a throttle or pause. */
  wakeAt(now: number): number | undefined {
    const times = [this.#throttledUntil, this.placement.resident ? this.#notBefore : 0].filter((time) => time > now);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** Rows whose sockets nobody serves, and for which a process may be started when a client comes. */
  watched(now: number): number[] {
    if (this.throttled(now)) return [];
    return this.placement.rows.map((_, row) => row).filter((row) => !this.served(row) && this.#indexFor(row) !== undefined);
  }

  /** A process takes clients of this row. */
  served(row: number): boolean {
    return [...this.#members.values()].some((member) => member.available && member.rows.has(row));
  }

  /** The number of the process to start for a client of this row; undefined: none may be started now. */
  wanted(row: number, now: number): number | undefined {
    return this.throttled(now) || this.served(row) ? undefined : this.#indexFor(row);
  }

  /** The number of the process to start without a client, because it should always be there. */
  missing(now: number): number | undefined {
    if (!this.placement.resident || this.throttled(now) || now < this.#notBefore) return undefined;
    return this.has(0) ? undefined : 0;
  }

  /** Is the process of that number there? */
  has(index: number): boolean {
    return [...this.#members.values()].some((member) => member.index === index);
  }

  /** Which rows the process of that number serves, and up to how many clients each. */
  shares(index: number): Map<number, number> {
    const { rows, processes, oneClient } = this.placement;
    const shares = new Map<number, number>();
    for (const [row, { limit, alone }] of rows.entries()) {
      const part = oneClient ? limit : share(limit, index, processes, alone);
      if (part !== undefined && !this.#failed.has(row)) shares.set(row, part);
    }
    return shares;
  }

  started(id: number, index: number, now: number): void {
    this.#members.set(id, { index, rows: new Set(this.shares(index).keys()), available: true, used: false, startedAt: now });
  }

  /** The fork failed: try again later. */
  startFailed(now: number): void {
    this.#throttle(now);
  }

  available(id: number, available: boolean): void {
    const member = this.#members.get(id);
    if (member !== undefined) member.available = available;
  }

  /** A client was served. */
  used(id: number): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    member.used = true;
    this.#kills = 0;
  }

  /** It takes no more clients; it is no longer one of us. */
  retired(id: number): Member | undefined {
    const member = this.#members.get(id);
    this.#members.delete(id);
    return member;
  }

  /** A row cannot be opened; it is the caller's to find another place for it. */
  failed(row: number): void {
    this.#failed.add(row);
  }

  /** A process has ended. The answer is what to log, as warnings. */
  ended(id: number, end: ProcessEnd, now: number): string[] {
    const member = this.retired(id);
    const lines = endLines(this.#settings.program, end);
    if (member === undefined || lines.length === 0) return lines;
    if (!member.used && now - member.startedAt < this.#settings.throttle && !this.throttled(now)) {
      lines.push(`${this.#settings.program}: bad command startup -- throttling`);
      this.#throttle(now, this.#pauseAfter(end));
    }
    this.#notBefore = now - member.startedAt < stableAfter ? now + residentPause : now;
    return lines;
  }

  #throttle(now: number, pause = this.#settings.throttle): void {
    this.#throttledUntil = now + pause;
  }

  /** A program that fails has a cause that somebody must mend; a kill may be an accident, and here it took many clients along. */
  #pauseAfter({ signal }: ProcessEnd): number {
    const { throttle } = this.#settings;
    if (signal === null || !this.placement.shared) return throttle;
    return Math.min(throttle, firstKillPause * 2 ** this.#kills++);
  }

  /** The lowest free number of a process that would serve this row. */
  #indexFor(row: number): number | undefined {
    const { rows, processes, oneClient } = this.placement;
    if (this.#failed.has(row)) return undefined;
    const taken = new Set([...this.#members.values()].map(({ index }) => index));
    for (let index = 0; processes === 0 || index < processes; index++) {
      if (taken.has(index)) continue;
      return oneClient || share(rows[row]!.limit, index, processes, rows[row]!.alone) !== undefined ? index : undefined;
    }
    return undefined;
  }
}

/** What ends a process that stood still (host/watchdog.ts). */
const watchdogSignal = constants.signals.SIGALRM;

/** The log's words for an end that was not as it should be, as master(8) of Postfix says them. */
export function endLines(program: string, { pid, status, signal, asked }: ProcessEnd): string[] {
  if (signal !== null) return asked ? [] : [`process ${program} pid ${pid} killed by signal ${signal}${signal === watchdogSignal ? ' -- watchdog timeout' : ''}`];
  return status === 0 ? [] : [`process ${program} pid ${pid} exit status ${status}`];
}
