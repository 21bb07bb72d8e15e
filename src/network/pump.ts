/**
 * Connects a protocol machine to a stream: bytes in, steps out, the machine's deadline to a timer, back-pressure both ways.
 *
 * The pump itself performs `send`, `delay` and `close`; every other step (and `close`, before it happens) goes to `perform`.
 * A step that returns a promise holds the following ones back. `closed` resolves once the socket is gone, whoever ended it,
 * and rejects when `perform` or the machine threw. Trouble of the socket is the end of the peer, never an exception.
 */
import type net from 'node:net';
import { fullSocket, type PeerSocket } from '../host/lean-socket.ts';
import type { Machine } from '../protocol/machine.ts';
import { isPending } from '../text/maybe.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { Ticker } from './ticker.ts';

/** Bytes, or a byte string. */
type Send = { readonly kind: 'send'; readonly bytes: Buffer | string };
type Delay = { readonly kind: 'delay'; readonly milliseconds: number };
type Performed<Step> = Exclude<Step, Send | Delay>;

export interface PumpOptions<Step extends { readonly kind: string }> {
  readonly socket: PeerSocket;
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

function nothing(): void {}

export class Pump<Step extends { readonly kind: string }> {
  /** The stream is gone. */
  readonly closed: Promise<void>;
  private readonly options: PumpOptions<Step>;
  private socket: PeerSocket;
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
  /** While somebody wants to know. */
  private onDrain: (() => void) | undefined;
  /** A step's bytes that wait for company: alone they are written without the stream's machinery of corks. */
  private held: Buffer | string | undefined;
  private corked = false;
  /** A write found more waiting than the stream likes to keep. */
  private filled = false;
  private waiters: (() => void)[] | undefined;
  private settle!: (outcome: void | Promise<never>) => void;

  constructor(options: PumpOptions<Step>) {
    this.options = options;
    this.socket = options.socket;
    this.closed = new Promise((resolve) => { this.settle = resolve; });
    this.attach();
    this.tell(nothing);
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
    this.hearDrain();
    return new Promise((resolve) => { (this.waiters ??= []).push(resolve); });
  }

  /** Resolves when the kernel has all that was written, or the peer is gone: memory that was written may be used again. */
  emptied(): Promise<void> {
    const { socket } = this;
    if (socket.destroyed || socket.writableLength === 0) return Promise.resolve();
    // After a close what was written still leaves, for a while.
    if (socket.writableEnded) return new Promise((resolve) => { socket.once('close', () => resolve()); });
    return new Promise((resolve) => { socket.write('', () => resolve()); });
  }

  /** Go on over another stream (TLS over the first). */
  adopt(socket: PeerSocket): void {
    this.detach();
    this.socket = socket;
    this.attach();
  }

  /** Let go of the stream without closing it: nothing is read or reported any more. */
  detach(): net.Socket {
    const { socket } = this;
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('close', this.onClose);
    if (this.onDrain !== undefined) socket.off('drain', this.onDrain);
    this.onDrain = undefined;
    return fullSocket(socket);
  }

  /** Let go of the stream for good: it is somebody else's from now on, and `closed` will not tell of it. What was sent is on its way. */
  release(): net.Socket {
    this.over = true;
    this.timer?.cancel();
    this.writeHeld();
    if (this.corked) this.socket.uncork();
    this.corked = false;
    return this.detach();
  }

  /** Hang up at once. */
  destroy(): void {
    this.socket.destroy();
    this.onClose();
  }

  private readonly onData = (bytes: Buffer): void => {
    if (this.ending) return;
    if (this.pending && (this.intake += bytes.length) > intakeLimit) this.pause();
    if (this.over) return;
    const { machine, ticker } = this.options;
    try {
      machine.expire(ticker.monotonic());
      machine.receive(bytes);
      this.drain();
    } catch (error) {
      this.fail(error);
    }
  };
  private readonly onEnd = (): void => { if (!this.ending) this.tell(() => this.options.machine.end()); };
  private readonly onClose = (): void => {
    if (this.gone) return;
    this.gone = true;
    this.wake();
    this.tell(() => { if (!this.ending) this.options.machine.end(); });
  };

  private attach(): void {
    const { socket } = this;
    // `close` follows every error; what it was changes nothing for the machine.
    socket.on('error', nothing);
    socket.on('end', this.onEnd);
    socket.on('close', this.onClose);
    socket.on('data', this.onData);
    if (socket.destroyed) this.onClose();
    // Who hung up before anybody listened is not told of again.
    else if (socket.readableEnded) this.onEnd();
  }

  private hearDrain(): void {
    if (this.onDrain === undefined) this.socket.on('drain', this.onDrain = () => this.drainedNow());
  }

  private drainedNow(): void {
    this.wake();
    if (this.options.pauseWhenFull && !this.pending) this.resume();
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
    const { waiters } = this;
    if (waiters === undefined) return;
    this.waiters = undefined;
    for (const wake of waiters) wake();
  }

  /** Perform steps until the machine has none, or one has to be waited for. */
  private drain(): void {
    if (this.draining || this.pending || this.over) return;
    this.draining = true;
    const { socket } = this;
    const { machine } = this.options;
    try {
      while (!this.pending && !this.over) {
        const step = machine.next();
        if (step === undefined) break;
        this.step(step);
      }
    } finally {
      this.draining = false;
      this.writeHeld();
      if (this.corked) {
        // Whoever performed a step may have written too.
        this.filled = true;
        this.corked = false;
        socket.uncork();
      }
    }
    if (this.over) return;
    if (this.gone && !this.pending) return this.finish();
    if (!this.pending) this.schedule();
    const full = this.filled && this.options.pauseWhenFull === true && this.full;
    if (full) this.hearDrain();
    else this.filled = false;
    if (full || machine.wantsInput === false) this.pause();
    else if (!this.pending) this.resume();
  }

  private step(step: Step): void {
    if (step.kind === 'send') this.send((step as unknown as Send).bytes);
    else if (step.kind === 'delay') this.wait(this.delay((step as unknown as Delay).milliseconds));
    else {
      if (step.kind === 'close') this.writeHeld();
      else if (this.held !== undefined) this.cork();
      const performed = this.options.perform(step as Performed<Step>);
      if (step.kind === 'close') this.close();
      else if (isPending(performed)) this.wait(performed);
    }
  }

  private send(bytes: Buffer | string): void {
    if (!this.socket.writable || this.ending) return;
    if (this.held !== undefined) this.cork();
    if (this.corked) this.filled = !this.socket.write(bytes, 'latin1') || this.filled;
    else this.held = bytes;
  }

  /** More follows, here or by whoever performs a step: it leaves in one write, in order. */
  private cork(): void {
    if (!this.corked) this.socket.cork();
    this.corked = true;
    this.writeHeld();
  }

  private writeHeld(): void {
    const { held } = this;
    if (held === undefined) return;
    this.held = undefined;
    if (!this.socket.write(held, 'latin1')) this.filled = true;
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
      this.tell(nothing);
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
      this.tell(nothing);
    });
  }

  // What was written is still delivered, within bounds; the peer is not heard any more.
  private close(): void {
    if (this.ending) return;
    this.ending = true;
    this.timer?.cancel();
    const { socket } = this;
    // Everything is with the kernel already, or nobody is there to take it. TLS has a farewell of its own (RFC 8446 section 6.1).
    if (!socket.writable || (!this.corked && socket.writableLength === 0 && !('encrypted' in socket))) {
      socket.destroy();
      return;
    }
    this.timer = this.options.ticker.after(this.options.closeTimeout ?? usualCloseTimeout, () => socket.destroy());
    socket.end(() => socket.destroy());
  }

  private fail(error: unknown): void {
    this.ending = this.gone = true;
    this.socket.destroy();
    this.settle(Promise.reject(error));
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.timer?.cancel();
    this.wake();
    this.settle();
  }
}
