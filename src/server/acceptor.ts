/**
 * Accepts the clients of one service on its listening descriptors, never more at once than its limit.
 *
 * A client over the limit stays in the kernel's queue, as it does with Postfix: at the limit the listeners are closed (the
 * descriptors stay) and opened again when a client has gone. Trouble of a listener is logged and tried again after a pause.
 */
import net from 'node:net';
import { closeSync } from 'node:fs';
import { dup } from '../host/descriptors.ts';
import { LeanSocket, peerDescriptor, type PeerSocket } from '../host/lean-socket.ts';
import { sharedSocket, takeHandles } from '../host/reading.ts';
import { isTcpHandle } from '../host/tcp-handle.ts';
import type { Log } from '../log/log.ts';
import type { Clock, Timer } from './clock.ts';
import type { ConnectionEnds } from './daemon.ts';
import { receivePassed } from './passed-client.ts';

/** What a listener is bound to, when that is one address. */
export interface ServerEnd { readonly address: string; readonly port: number }

export interface AcceptorOptions {
  readonly descriptors: readonly number[];
  /** 0: no limit. */
  readonly limit: number;
  /** Descriptors from this one on are not for clients: while one gets such, no others are accepted. */
  readonly firstSpare?: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Clients come as descriptors over the connections that are accepted: rows of type `pass`. */
  readonly passed?: boolean;
  /** A client has come; call `gone()` once for each. */
  readonly client: (socket: PeerSocket, serverEnd: ServerEnd | undefined, ends?: ConnectionEnds) => void;
  /** Sockets may be lean ones. */
  readonly lean?: boolean;
  /** The limit is near: nine of ten clients are here, or all of few. */
  readonly crowded?: () => void;
  /** The limit is reached. */
  readonly full: () => void;
}

/** Of so many a tenth is worth knowing. */
const many = 100;

/** Milliseconds until a listener that failed (out of descriptors or memory) is tried again. */
const retryPause = 1000;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #servers = new Set<net.Server>();
  #clients = 0;
  #open = false;
  #closed = false;
  #retry: Timer | undefined;
  /** Descriptors have run out, and the log knows. */
  #isShort = false;
  readonly #crowd: number;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    const { limit } = options;
    this.#crowd = limit < many ? limit : limit - Math.floor(limit / 10);
  }

  /** Clients being served. */
  get clients(): number {
    return this.#clients;
  }

  start(): void {
    this.#listen();
  }

  /** No more clients; those here go on. The descriptors are closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endRetry();
    this.#stopListening();
    for (const fd of this.#options.descriptors) closeSync(fd);
  }

  /** A client that was accepted elsewhere in this process. False: there is no room, or no more clients are taken. */
  take(socket: net.Socket, ends: ConnectionEnds): boolean {
    if (this.#closed || this.#full()) return false;
    this.#accepted(socket, undefined, ends);
    return true;
  }

  gone(): void {
    this.#clients--;
    if (this.#open) return;
    if (this.#isShort) this.#endRetry();
    this.#listen();
  }

  #full(): boolean {
    return this.#options.limit > 0 && this.#clients >= this.#options.limit;
  }

  #listen(): void {
    if (this.#closed || this.#open || this.#full() || this.#retry !== undefined) return;
    this.#open = true;
    try {
      if (this.#options.descriptors.some((fd) => !this.#hasRoom(fd))) return this.#short();
      for (const fd of this.#options.descriptors) this.#serve(fd);
      this.#isShort = false;
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  /** A copy gets the lowest number that is free. */
  #hasRoom(fd: number): boolean {
    const { firstSpare } = this.#options;
    if (firstSpare === undefined) return true;
    const copy = dup(fd);
    closeSync(copy);
    return copy < firstSpare;
  }

  /** Clients wait in the kernel's queue until some of those here have gone: what is left is for the work of these. */
  #short(): void {
    if (!this.#isShort) this.#options.log.warning(`all but the last descriptors are in use by ${this.#clients} clients: new ones have to wait`);
    this.#isShort = true;
    this.#pause();
  }

  #serve(fd: number): void {
    const { passed = false } = this.#options;
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: passed });
    this.#servers.add(server);
    let serverEnd: ServerEnd | undefined;
    server.on('listening', () => { serverEnd = endOf(server); });
    server.on('connection', (socket) => (passed ? void this.#receive(socket) : this.#accepted(socket, serverEnd)));
    server.on('error', (error) => this.#failed(error));
    server.listen({ fd: dup(fd) });
    if (!passed) takeHandles(server, (handle) => this.#accepted(this.#options.lean && isTcpHandle(handle) ? new LeanSocket(handle) : sharedSocket(handle), serverEnd));
  }

  #accepted(socket: PeerSocket, serverEnd: ServerEnd | undefined, ends?: ConnectionEnds): void {
    socket.on('error', ignore);
    this.#count();
    this.#checkSpare(socket);
    this.#options.client(socket, serverEnd, ends);
  }

  #checkSpare(socket: PeerSocket): void {
    if (peerDescriptor(socket) >= (this.#options.firstSpare ?? Infinity)) this.#short();
  }

  #count(): void {
    this.#clients++;
    if (this.#clients >= this.#crowd && this.#crowd > 0) this.#options.crowded?.();
    if (!this.#full()) return;
    this.#stopListening();
    this.#options.full();
  }

  /** It counts from now on: who passes clients on is not to hand over more than may be served. */
  async #receive(carrier: net.Socket): Promise<void> {
    carrier.on('error', ignore);
    this.#count();
    const client = await receivePassed(carrier, this.#options.log);
    if (client === undefined) return this.gone();
    client.socket.on('error', ignore);
    this.#checkSpare(client.socket);
    this.#options.client(client.socket, undefined, client.ends);
  }

  #stopListening(): void {
    this.#open = false;
    for (const server of this.#servers) server.close();
    this.#servers.clear();
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    this.#options.log.warning(`accept connection: ${error.message}`);
    this.#pause();
  }

  #pause(): void {
    this.#stopListening();
    this.#endRetry();
    this.#retry = this.#options.clock.after(retryPause, () => {
      this.#retry = undefined;
      this.#listen();
    });
  }

  #endRetry(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
  }
}

function endOf(server: net.Server): ServerEnd | undefined {
  const bound = server.address();
  if (bound === null || typeof bound === 'string' || bound.address === '0.0.0.0' || bound.address === '::') return undefined;
  return { address: bound.address, port: bound.port };
}

/** Whoever uses the socket listens for errors too; this one is there from its birth. */
function ignore(): void {}
