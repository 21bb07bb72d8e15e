/**
 * How messages become active: what cleanup announces, what the scans of incoming and deferred offer, and what earlier processes left, as
 * long as there is room, and a turn of the event loop never for long.
 */
import type { Log } from '../../log/log.ts';
import type { Envelope } from '../../message/envelope.ts';
import type { QueueStore } from '../../queue/store.ts';
import type { Clock } from '../../server/clock.ts';
import { Feeder, type Candidate } from './feeder.ts';
import { Line } from './line.ts';
import { isProbe, type ActiveMessage } from './message.ts';
import type { QueueFiles, TakenFile } from './queue-files.ts';
import { SteadyMap } from '../../text/steady.ts';

/** Milliseconds for which files are looked at in one turn of the event loop, and how many at most. */
const feedTime = 5;
const feedBatch = 500;
/** Of the active queue one part in so many is not for deferred mail. */
const freshShare = 10;
/** How long mail that another process still has is left alone, milliseconds. */
const recoverPause = 1_000;

/** The messages in hand, how many of them were tried before, and how many are address probes. */
export class ActiveQueue {
  again = 0;
  probes = 0;
  readonly #messages = new SteadyMap<string, ActiveMessage>();

  get size(): number {
    return this.#messages.size;
  }

  has(queueId: string): boolean {
    return this.#messages.has(queueId);
  }

  add(message: ActiveMessage): void {
    this.#messages.set(message.queueId, message);
    if (message.again) this.again++;
    if (isProbe(message.traceFlags)) this.probes++;
  }

  remove({ queueId, again, traceFlags }: ActiveMessage): void {
    if (!this.#messages.delete(queueId)) return;
    if (again) this.again--;
    if (isProbe(traceFlags)) this.probes--;
  }
}

export interface IntakeTools {
  readonly store: QueueStore;
  readonly files: QueueFiles;
  readonly active: ActiveQueue;
  readonly clock: Clock;
  readonly log: Log;
  /** qmgr_message_active_limit; minimal_backoff_time and queue_run_delay in seconds */
  readonly activeLimit: number;
  readonly backoff: number;
  readonly runDelay: number;
  /** Is the queue ours? */
  isWorking(): boolean;
  /** The message is active. `again`: it was tried before. */
  begin(queueId: string, taken: TakenFile, again: boolean): void;
}

export class Intake {
  readonly #tools: IntakeTools;
  readonly #feeder: Feeder;
  /** Messages without a file that wait for a place among the active. */
  readonly #arrivals = new Line<string>();
  /** Queues whose next scan takes mail whether it is due or not. */
  readonly #ignoringTimes = new Set<'incoming' | 'deferred'>();
  /** Those whose next scan takes it for transports that are to be deferred, too. */
  readonly #flushing = new Set<'incoming' | 'deferred'>();
  #feeding = false;
  /** What processes that died had left was looked at once: before, a file may lack the marks that are still in their journal. */
  #recovered = false;

  constructor(tools: IntakeTools) {
    this.#tools = tools;
    this.#feeder = new Feeder(tools.store);
  }

  /** There is mail that is not active yet, or may be. */
  get isWaiting(): boolean {
    return this.#arrivals.length > 0 || this.#feeder.isScanning;
  }

  /** What an earlier queue manager left active is new mail again; then everything is looked at. */
  start(): void {
    this.#recovered = this.#tools.store.residents === undefined;
    this.#tools.store.residents?.serve({ arrived: (queueId, envelope) => this.#arrived(queueId, envelope), filed: () => this.scanIncoming() });
    this.#recover();
    this.#renew([...this.#tools.store.list('active')].map(({ queueId }) => queueId));
    this.scanDeferred();
    this.#runDeferred();
  }

  /** A turn's worth at a time; what became active since is ours. */
  #renew(left: string[]): void {
    const end = this.#tools.clock.monotonic() + feedTime;
    while (left.length > 0 && this.#tools.clock.monotonic() < end) {
      const queueId = left.pop()!;
      if (!this.#tools.active.has(queueId)) this.#tools.files.renew(queueId);
    }
    if (left.length === 0) return this.scanIncoming();
    setImmediate(() => {
      if (this.#tools.isWorking()) this.#renew(left);
    });
  }

  /** Of the mail that other processes have left in the journal. */
  #recover(): void {
    void this.#tools.store.residents?.recover().then((again) => {
      if (!this.#tools.isWorking()) return;
      this.#recovered = true;
      this.scanIncoming();
      if (again) this.#tools.clock.after(recoverPause, () => this.#recover(), true);
    });
  }

  scanIncoming(): void {
    this.#feeder.request('incoming', this.#ignoringTimes.delete('incoming'), this.#flushing.delete('incoming'));
    this.feed();
  }

  scanDeferred(): void {
    this.#feeder.request('deferred', this.#ignoringTimes.delete('deferred'), this.#flushing.delete('deferred'));
    this.feed();
  }

  ignoreTimes(): void {
    this.#ignoringTimes.add('incoming').add('deferred');
  }

  flush(): void {
    this.#flushing.add('incoming').add('deferred');
  }

  #runDeferred(): void {
    this.#tools.clock.after(this.#tools.runDelay * 1000, () => {
      if (!this.#tools.isWorking()) return;
      this.scanDeferred();
      this.#runDeferred();
    }, true);
  }

  /** New mail that is no file. */
  #arrived(queueId: string, envelope?: Envelope): void {
    if (this.#tools.isWorking() && this.#arrivals.length === 0 && this.#hasRoom) this.#takeArrival(queueId, envelope);
    else this.#arrivals.push(queueId);
  }

  get #hasRoom(): boolean {
    return this.#tools.active.size < this.#tools.activeLimit;
  }

  /** Mail that was tried before leaves a part of the active queue to new mail. */
  get #hasRoomAgain(): boolean {
    const limit = this.#tools.activeLimit;
    return this.#tools.active.again < limit - Math.floor(limit / freshShare);
  }

  /** Take in what the scans offer, as long as there is room among the active. */
  feed(): void {
    if (this.#feeding || !this.#tools.isWorking()) return;
    const end = this.#tools.clock.monotonic() + feedTime;
    for (let count = 0; count < feedBatch && this.#hasRoom && this.#tools.clock.monotonic() < end; count++) {
      const arrival = this.#arrivals.shift();
      if (arrival !== undefined) this.#takeArrival(arrival);
      const candidate = this.#hasRoom && this.#recovered ? this.#feeder.next(this.#hasRoomAgain) : undefined;
      if (candidate !== undefined) this.#takeFile(candidate);
      else if (arrival === undefined) return;
    }
    if ((!this.#feeder.isScanning && this.#arrivals.length === 0) || !this.#hasRoom) return;
    this.#feeding = true;
    setImmediate(() => {
      this.#feeding = false;
      this.feed();
    });
  }

  /** One that is about to be a file is found in incoming when it is one. */
  #takeArrival(queueId: string, known?: Envelope): void {
    if (this.#tools.active.has(queueId) || this.#tools.store.residents?.activate(queueId) !== true) return;
    const envelope = known ?? this.#tools.files.arrival(queueId);
    if (envelope !== undefined) this.#tools.begin(queueId, { envelope, forcedExpire: false, unthrottle: false, flushed: false }, false);
    else this.#becomeFile(queueId);
  }

  /** What cannot be dealt with as it is becomes a file, and is dealt with as one. */
  #becomeFile(queueId: string): void {
    this.#tools.store.residents!.settle(queueId).then(() => {
      this.#tools.files.renew(queueId);
      this.scanIncoming();
    }, (error: Error) => {
      this.#tools.log.warning(`${queueId}: ${error.message}`);
      this.later(queueId);
    });
  }

  /** Stays where it is, and is tried again. */
  later(queueId: string): void {
    this.#tools.clock.after(this.#tools.backoff * 1000, () => this.#arrived(queueId), true);
  }

  #takeFile(candidate: Candidate): void {
    const { queueId } = candidate;
    const read = this.#tools.active.has(queueId) || this.#tools.store.residents?.waits(queueId) === true ? undefined : this.#tools.files.take(candidate);
    if (read !== undefined) this.#tools.begin(queueId, read, candidate.queue === 'deferred' || this.#isOld(read.envelope));
  }

  /** What an earlier queue manager had in hand is in incoming, but is not new. */
  #isOld({ arrivalTime }: Envelope): boolean {
    return this.#tools.clock.now() / 1000 > arrivalTime.seconds + this.#tools.backoff;
  }
}
