/**
 * Connects a protocol machine to a stream: bytes in, steps out, the machine's deadline to a timer, back-pressure both ways.
 *
 * The pump itself performs `send`, `delay` and `close`; every other step (and `close`, before it happens) goes to `perform`.
 * A step that returns a promise holds the following ones back. `closed` resolves once the socket is gone, whoever ended it,
 * and rejects when `perform` or the machine threw. Trouble of the socket is the end of the peer, never an exception.
 */
import type net from 'node:net';
import type { Machine } from '../protocol/machine.ts';
import { isPending } from '../text/maybe.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { Ticker } from './ticker.ts';

type Send = { readonly kind: 'send'; readonly bytes: Buffer };
type Delay = { readonly kind: 'delay'; readonly milliseconds: number };
type Performed<Step> = Exclude<Step, Send | Delay>;

export interface PumpOptions<Step extends { readonly kind: string }> {
  readonly socket: net.Socket;
  readonly machine: Machine<Step>;
  readonly ticker: Ticker;
  readonly perform: (step: Performed<Step>) => MaybePromise<void>;
  /** Do not read while the peer does not take what we write. For servers; a client must hear the server at any time. */
  readonly pauseWhenFull?: boolean;
  /** How long after `close` the peer may take to accept what is still to be written, in milliseconds. */
  readonly closeTimeout?: number;
}

/** Bytes that are taken in while a step is performed, before reading pauses. */
const intakeLimit = 64 * 1024;
const usualCloseTimeout = 30_000;

export class Pump<Step extends { readonly kind: string }> {
  /** The stream is gone. */
  readonly closed: Promise<void>;
  private readonly options: PumpOptions<Step>;
  private socket: net.Socket;
  private timer: { cancel(): void } | undefined;
  private timerDue = Number.POSITIVE_INFINITY;
  private pending = false;
  private draining = false;
  /** `close` was performed: nothing more is read. */
  private ending = false;
  /** The stream is no more; what the machine has to say about that is still performed. */
  private gone = false;
  private over = false;
  private intake = 0;
  private paused = false;
  private readonly waiters: (() => void)[] = [];
  private settle!: { resolve: () => void; reject: (error: unknown) => void };

  constructor(options: PumpOptions<Step>) {
    this.options = options;
    this.socket = options.socket;
    this.closed = new Promise((resolve, reject) => { this.settle = { resolve, reject }; });
    this.attach();
    this.tell(() => {});
  }

  /** Something happened outside: let the machine know through `event`, and go on. */
  tell(event: () => void): void {
    if (this.over) return;
    try {
      this.options.machine.expire(this.options.ticker.monotonic());
      event();
      this.drain();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The peer is slower than we are: wait for drained(). */
  get full(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Resolves when the peer has taken most of what was written, or is gone. */
  drained(): Promise<void> {
    if (this.gone || !this.full) return Promise.resolve();
    return new Promise((resolve) => { this.waiters.push(resolve); });
  }

  /** Go on over another stream (TLS over the first). */
  adopt(socket: net.Socket): void {
    this.detach();
    this.socket = socket;
    this.attach();
  }

  /** Let go of the stream without closing it: nothing is read or reported any more. */
  detach(): net.Socket {
    for (const [name, listener] of this.listeners()) this.socket.off(name, listener as (...args: unknown[]) => void);
    this.socket.on('error', () => {});
    return this.socket;
  }

  /** Hang up at once. */
  destroy(): void {
    this.socket.destroy();
    this.onClose();
  }

  private readonly onData = (bytes: Buffer): void => {
    if (this.ending) return;
    if (this.pending && (this.intake += bytes.length) > intakeLimit) this.pause();
    this.tell(() => this.options.machine.receive(bytes));
  };
  private readonly onEnd = (): void => { if (!this.ending) this.tell(() => this.options.machine.end()); };
  // `close` follows every error; what it was changes nothing for the machine.
  private readonly onError = (): void => {};
  private readonly onClose = (): void => {
    if (this.gone) return;
    this.gone = true;
    this.wake();
    this.tell(() => { if (!this.ending) this.options.machine.end(); });
  };
  private readonly onDrain = (): void => {
    this.wake();
    if (this.options.pauseWhenFull && !this.pending) this.resume();
  };

  private listeners(): [string, (...args: never[]) => void][] {
    return [['data', this.onData], ['end', this.onEnd], ['error', this.onError], ['close', this.onClose], ['drain', this.onDrain]];
  }

  private attach(): void {
    for (const [name, listener] of this.listeners()) this.socket.on(name, listener as (...args: unknown[]) => void);
    if (this.socket.destroyed) this.onClose();
  }

  private pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  private wake(): void {
    for (const wake of this.waiters.splice(0)) wake();
  }

  /** Perform steps until the machine has none, or one has to be waited for. */
  private drain(): void {
    if (this.draining || this.pending || this.over) return;
    this.draining = true;
    const { socket } = this;
    socket.cork();
    try {
      while (!this.pending && !this.over) {
        const step = this.options.machine.next();
        if (step === undefined) break;
        this.step(step);
      }
    } finally {
      this.draining = false;
      socket.uncork();
    }
    if (this.gone && !this.pending) return this.finish();
    if (!this.pending) this.schedule();
    if (this.options.machine.wantsInput === false || (this.options.pauseWhenFull && this.full)) this.pause();
    else if (!this.pending) this.resume();
  }

  private step(step: Step): void {
    if (step.kind === 'send') this.send((step as unknown as Send).bytes);
    else if (step.kind === 'delay') this.wait(this.delay((step as unknown as Delay).milliseconds));
    else {
      const performed = this.options.perform(step as Performed<Step>);
      if (step.kind === 'close') this.close();
      else if (isPending(performed)) this.wait(performed);
    }
  }

  private send(bytes: Buffer): void {
    if (this.socket.writable && !this.ending) this.socket.write(bytes);
  }

  private delay(milliseconds: number): Promise<void> {
    return new Promise((resolve) => { this.options.ticker.after(milliseconds, resolve); });
  }

  private wait(performed: Promise<void>): void {
    this.pending = true;
    performed.then(() => {
      this.pending = false;
      this.intake = 0;
      if (!(this.options.pauseWhenFull && this.full)) this.resume();
      this.tell(() => {});
    }).catch((error: unknown) => this.fail(error));
  }

  private schedule(): void {
    const due = this.options.machine.deadline();
    // A timer that is early is cheaper than one that is made anew for every command: it looks again when it fires.
    if (due === undefined || this.ending || due >= this.timerDue) return;
    this.timer?.cancel();
    this.timerDue = due;
    this.timer = this.options.ticker.after(Math.max(due - this.options.ticker.monotonic(), 0), () => {
      this.timerDue = Number.POSITIVE_INFINITY;
      this.tell(() => {});
    });
  }

  // What was written is still delivered, within bounds; the peer is not heard any more.
  private close(): void {
    if (this.ending) return;
    this.ending = true;
    this.timer?.cancel();
    const { socket } = this;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    this.timer = this.options.ticker.after(this.options.closeTimeout ?? usualCloseTimeout, () => socket.destroy());
    socket.end(() => socket.destroy());
  }

  private fail(error: unknown): void {
    this.ending = this.gone = true;
    this.socket.destroy();
    this.settle.reject(error);
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.timer?.cancel();
    this.wake();
    this.settle.resolve();
  }
}
