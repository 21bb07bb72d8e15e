/**
 * One connection to a server that answers one question after the other (tcp, socketmap, memcache): bytes out, bytes in.
 *
 * Rejects when the server closes, sends what no answer can be, or more than the limit; the connection is then no longer good.
 */
import net from 'node:net';
import { errorText } from '../../host/libc.ts';
import type { Host, Link } from './pool.ts';

export interface StreamHost extends Host {
  readonly where: { readonly path: string } | { readonly host: string; readonly port: number };
}

/** A question as bytes, and how its answer is found in what has come so far: undefined while it is not all there; a throw ends the connection. */
export interface Exchange<A> {
  readonly bytes: Buffer;
  parse(received: Buffer): { readonly answer: A; readonly length: number } | undefined;
}

export function connectStream<A>({ where }: StreamHost): Promise<Link<Exchange<A>, A>> {
  return new Promise((resolve, reject) => {
    const socket = net.connect('path' in where ? { path: Buffer.from(where.path, 'latin1').toString() } : where);
    socket.setNoDelay(true);
    const link = new StreamLink<A>(socket);
    socket.once('connect', () => resolve(link));
    socket.once('error', (error) => reject(new Error(errorText(error))));
  });
}

class StreamLink<A> implements Link<Exchange<A>, A> {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #exchange: Exchange<A> | undefined;
  #resolve: (answer: A) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #lost: Error | undefined;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', (error) => this.#lose(new Error(errorText(error))));
    socket.on('end', () => this.#lose(new Error('unexpected EOF')));
    socket.on('close', () => this.#lose(new Error('the connection was closed')));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  ask(exchange: Exchange<A>): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#lost) return reject(this.#lost);
      this.#exchange = exchange;
      this.#resolve = resolve;
      this.#reject = reject;
      this.#socket.write(exchange.bytes);
    });
  }

  close(): void {
    this.#lose(new Error('the connection was closed'));
  }

  #receive(chunk: Buffer): void {
    if (!this.#exchange) return this.#lose(new Error('an answer to nothing'));
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    try {
      const found = this.#exchange.parse(this.#received);
      if (found === undefined) return;
      this.#exchange = undefined;
      const excess = this.#received.length > found.length;
      this.#received = Buffer.alloc(0);
      this.#resolve(found.answer);
      if (excess) this.#lose(new Error('more than one answer'));
    } catch (error) {
      this.#lose(error as Error);
    }
  }

  #lose(error: Error): void {
    if (this.#lost) return;
    this.#lost = error;
    this.#socket.destroy();
    this.#reject(error);
  }
}
