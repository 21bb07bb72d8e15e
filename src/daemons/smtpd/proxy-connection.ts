/**
 * The stream to a before-queue filter: one command, one reply, and content between DATA and its end.
 *
 * Nothing rejects. Trouble (the filter is gone, says nothing for smtpd_proxy_timeout seconds, floods us, or answers what it was not asked) is
 * one warning, `isBroken` from then on, and undefined for every reply. What is kept of what the filter says is bounded by line_length_limit.
 */
import type net from 'node:net';
import type { Ticker } from '../../network/ticker.ts';
import { ReplyReader, type Reply } from '../../protocol/smtp-client/reply.ts';

export interface ProxyConnectionOptions {
  readonly socket: net.Socket;
  /** As log lines name it. */
  readonly name: string;
  /** Seconds. */
  readonly timeout: number;
  readonly lineLimit: number;
  readonly utf8: boolean;
  readonly ticker: Ticker;
  warn(text: string): void;
}

/** Bytes that a filter may send unasked. */
const unaskedLimit = 64 * 1024;
/** Milliseconds for the last words to leave. */
const farewell = 10_000;

export class ProxyConnection {
  isBroken = false;
  /** The filter has said its last. */
  #hasEnded = false;
  readonly #options: ProxyConnectionOptions;
  readonly #reader: ReplyReader;
  #waiting: ((reply: Reply | undefined) => void) | undefined;
  readonly #drains: (() => void)[] = [];

  constructor(options: ProxyConnectionOptions) {
    const { socket, lineLimit, utf8, name, warn } = options;
    this.#options = options;
    this.#reader = new ReplyReader({
      limit: lineLimit, utf8,
      warn: (text) => warn(`${name}: ${text}`),
      garbage: (line) => warn(`received garbage from proxy ${name}: ${line.slice(0, 100)}`),
    });
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
    socket.on('end', () => this.#ended()).on('close', () => this.#ended());
    socket.on('drain', () => this.#wake());
    socket.resume();
  }

  /** The reply to this command; without one, what the filter greets with. */
  ask(line?: string | Buffer): Promise<Reply | undefined> {
    if (this.isBroken) return Promise.resolve(undefined);
    const early = line === undefined ? undefined : this.#unasked();
    if (early === undefined && this.#hasEnded) this.#lost();
    if (early !== undefined || this.isBroken) return Promise.resolve(early);
    if (line !== undefined) this.#options.socket.write(typeof line === 'string' ? `${line}\r\n` : line, 'latin1');
    return this.#limited<Reply | undefined>((settle) => {
      this.#waiting = settle;
      this.#look();
    }, undefined);
  }

  /** Content. False: wait for drained(). */
  send(pieces: readonly Buffer[]): boolean {
    const { socket } = this.#options;
    if (this.isBroken) return true;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  /** Until the filter has taken most of it; not longer than the time limit. */
  drained(): Promise<void> {
    if (this.isBroken || !this.#options.socket.writableNeedDrain) return Promise.resolve();
    return this.#limited<void>((settle) => void this.#drains.push(settle), undefined);
  }

  /** The end of a session that is in order. */
  quit(): void {
    const { socket, ticker } = this.#options;
    if (this.isBroken) return this.destroy();
    this.#break();
    socket.end('QUIT\r\n', 'latin1');
    const timer = ticker.after(farewell, () => socket.destroy(), true);
    socket.on('end', () => socket.destroy()).on('close', () => timer.cancel());
  }

  /** Hang up, so that what was said of a message so far cannot be taken for all of it. */
  destroy(): void {
    this.#break();
    this.#options.socket.destroy();
  }

  /** What begins here has to be settled within the time limit. */
  #limited<T>(begin: (settle: (value: T) => void) => void, late: T): Promise<T> {
    const { ticker, timeout, name, warn } = this.#options;
    return new Promise<T>((resolve) => {
      const timer = ticker.after(timeout * 1000, () => {
        if (!this.isBroken) warn(`timeout talking to proxy ${name}`);
        this.destroy();
        resolve(late);
      });
      begin((value) => {
        timer.cancel();
        resolve(value);
      });
    });
  }

  /** A refusal that came before its time is one all the same; any other reply may have been meant for something else. */
  #unasked(): Reply | undefined {
    if (!this.#reader.partial) return undefined;
    const reply = this.#reader.take();
    if (reply !== undefined && reply.code >= 400 && reply.code <= 599 && !this.#reader.partial) return reply;
    this.#options.warn(`unexpected data from proxy ${this.#options.name}`);
    this.destroy();
    return undefined;
  }

  #received(bytes: Buffer): void {
    if (this.isBroken) return;
    this.#reader.receive(bytes);
    if (this.#waiting !== undefined) this.#look();
    else if (this.#reader.held > unaskedLimit) this.#lost();
    if (this.#reader.overrun) this.#lost();
  }

  #look(): void {
    const reply = this.#reader.take();
    if (reply === undefined) return;
    const settle = this.#waiting;
    this.#waiting = undefined;
    settle?.(reply);
  }

  /** A refusal may be the last thing it said: it is looked at when its command is asked. */
  #ended(): void {
    this.#hasEnded = true;
    if (this.#waiting !== undefined || !this.#reader.partial) this.#lost();
    else this.#wake();
  }

  #lost(): void {
    if (this.isBroken) return;
    this.#options.warn(`lost connection with proxy ${this.#options.name}`);
    this.destroy();
  }

  #break(): void {
    this.isBroken = true;
    const settle = this.#waiting;
    this.#waiting = undefined;
    settle?.(undefined);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#drains.splice(0)) wake();
  }
}
