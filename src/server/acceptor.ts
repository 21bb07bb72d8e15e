/**
 * Accepts the clients of one service on its listening descriptors, never more at once than its limit.
 *
 * A client over the limit stays in the kernel's queue, as it does with Postfix: at the limit the listeners are closed (the
 * descriptors stay) and opened again when a client has gone. Trouble of a listener is logged and tried again after a pause.
 */
import net from 'node:net';
import { closeSync } from 'node:fs';
import { dup } from '../host/descriptors.ts';
import { isTcpHandle, LeanSocket, type PeerSocket } from '../host/lean-socket.ts';
import { sharedSocket, takeHandles } from '../host/reading.ts';
import type { Log } from '../log/log.ts';
import type { Clock, Timer } from './clock.ts';

/** What a listener is bound to, when that is one address. */
export interface ServerEnd { readonly address: string; readonly port: number }

export interface AcceptorOptions {
  readonly descriptors: readonly number[];
  /** 0: no limit. */
  readonly limit: number;
  readonly log: Log;
  readonly clock: Clock;
  /** A client has come; call `gone()` once for each. */
  readonly client: (socket: PeerSocket, serverEnd: ServerEnd | undefined) => void;
  /** Sockets may be lean ones. */
  readonly lean?: boolean;
  /** The limit is reached. */
  readonly full: () => void;
}

/** Milliseconds until a listener that failed (out of descriptors or memory) is tried again. */
const retryPause = 1000;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #servers = new Set<net.Server>();
  #clients = 0;
  #open = false;
  #closed = false;
  #retry: Timer | undefined;

  constructor(options: AcceptorOptions) {
    this.#options = options;
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
    this.#retry?.cancel();
    this.#stopListening();
    for (const fd of this.#options.descriptors) closeSync(fd);
  }

  gone(): void {
    this.#clients--;
    if (!this.#open) this.#listen();
  }

  #full(): boolean {
    return this.#options.limit > 0 && this.#clients >= this.#options.limit;
  }

  #listen(): void {
    if (this.#closed || this.#open || this.#full() || this.#retry !== undefined) return;
    this.#open = true;
    try {
      for (const fd of this.#options.descriptors) this.#serve(fd);
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #serve(fd: number): void {
    const server = net.createServer({ allowHalfOpen: true });
    this.#servers.add(server);
    let serverEnd: ServerEnd | undefined;
    server.on('listening', () => { serverEnd = endOf(server); });
    server.on('connection', (socket) => this.#accepted(socket, serverEnd));
    server.on('error', (error) => this.#failed(error));
    server.listen({ fd: dup(fd) });
    takeHandles(server, (handle) => this.#accepted(this.#options.lean && isTcpHandle(handle) ? new LeanSocket(handle) : sharedSocket(handle), serverEnd));
  }

  #accepted(socket: PeerSocket, serverEnd: ServerEnd | undefined): void {
    socket.on('error', ignore);
    this.#clients++;
    if (this.#full()) {
      this.#stopListening();
      this.#options.full();
    }
    this.#options.client(socket, serverEnd);
  }

  #stopListening(): void {
    this.#open = false;
    for (const server of this.#servers) server.close();
    this.#servers.clear();
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    this.#options.log.warning(`accept connection: ${error.message}`);
    this.#stopListening();
    this.#retry = this.#options.clock.after(retryPause, () => {
      this.#retry = undefined;
      this.#listen();
    });
  }
}

function endOf(server: net.Server): ServerEnd | undefined {
  const bound = server.address();
  if (bound === null || typeof bound === 'string' || bound.address === '0.0.0.0' || bound.address === '::') return undefined;
  return { address: bound.address, port: bound.port };
}

/** Whoever uses the socket listens for errors too; this one is there from its birth. */
function ignore(): void {}
