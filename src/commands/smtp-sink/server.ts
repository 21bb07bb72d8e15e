/** The sockets of smtp-sink(1): takes clients up to a limit, and joins each to its session; one receive and one send per round trip. */
import { acceptStream, peer, receive, received, send, wouldBlock, type StreamLoop } from '../../host/stream-loop.ts';
import type { Counter } from '../counter.ts';
import type { Voice } from '../voice.ts';
import { Dump, type DumpClient } from './dump.ts';
import type { SinkOptions } from './options.ts';
import { SinkReplies, SinkSession, type SinkHost } from './session.ts';

const sweepInterval = 1000;
const outputRoom = 64 << 10;

export class SinkServer {
  readonly options: SinkOptions;
  readonly loop: StreamLoop;
  readonly voice: Voice;
  readonly log: (text: string) => void;
  readonly replies: SinkReplies;
  readonly capture: (client: DumpClient) => Dump | undefined;
  readonly #listener: number;
  readonly #counter: Counter | undefined;
  readonly #clients = new Set<Client>();
  #sessions = 0;
  #quits = 0;
  #messages = 0;

  constructor(options: SinkOptions, listener: number, loop: StreamLoop, counter: Counter | undefined, voice: Voice, log: (text: string) => void) {
    this.options = options;
    this.loop = loop;
    this.voice = voice;
    this.log = log;
    this.replies = new SinkReplies(options);
    this.capture = captureOf(options, voice);
    this.#listener = listener;
    this.#counter = counter;
  }

  listen(): void {
    this.loop.watch(this.#listener, 'read', { ready: () => this.#accept() });
    this.#sweep();
  }

  messageReceived(): void {
    this.#messages++;
    this.#show();
    if (this.#messages === this.options.messageLimit) this.loop.end();
  }

  quit(): void {
    this.#quits++;
  }

  gone(client: Client): void {
    this.#clients.delete(client);
    this.#sessions++;
    this.#show();
    if (this.#quits === this.options.sessionLimit && this.#quits > 0) this.loop.end();
    if (this.#clients.size === this.options.clients - 1) this.loop.watch(this.#listener, 'read', { ready: () => this.#accept() });
  }

  #accept(): void {
    const fd = acceptStream(this.#listener);
    if (fd < 0) return;
    const client = new Client(fd, this);
    this.#clients.add(client);
    if (this.#clients.size === this.options.clients) this.loop.unwatch(this.#listener);
    client.begin();
  }

  #show(): void {
    this.#counter?.show(`sess=${this.#sessions} quit=${this.#quits} mesg=${this.#messages}`);
  }

  #sweep(): void {
    this.loop.after(sweepInterval, () => {
      for (const client of this.#clients) client.checkPatience();
      this.#sweep();
    });
  }
}

function captureOf(options: SinkOptions, voice: Voice): (client: DumpClient) => Dump | undefined {
  const template = options.single ?? options.shared;
  if (template === undefined) return () => undefined;
  const place = { template, shared: options.single === undefined, startString: options.startString, hostname: options.hostname, fatal: (text: string) => voice.fatal(text) };
  return (client) => new Dump(place, client);
}

/** Replies of all sessions, one after another: each is sent before the next client is looked at. */
const output = Buffer.allocUnsafeSlow(outputRoom);
let used = 0;

class Client implements SinkHost {
  readonly #fd: number;
  readonly #server: SinkServer;
  readonly #session: SinkSession;
  #heard: number;
  #unsent: Buffer | undefined;
  #paused = false;
  #ending = false;
  #gone = false;

  constructor(fd: number, server: SinkServer) {
    this.#fd = fd;
    this.#server = server;
    this.#heard = server.loop.now;
    const who = server.options.verbose || server.options.single !== undefined || server.options.shared !== undefined ? peer() : undefined;
    if (server.options.verbose) this.info(`connect (${kinds[who!.family]} ${who!.address})`);
    const address = who === undefined ? '' : `${who.family === 'inet6' ? 'ipv6:' : ''}${who.address}`;
    this.#session = new SinkSession(server.options, server.replies, this, address);
  }

  begin(): void {
    this.#session.begin();
    this.#send();
    if (!this.#gone && !this.#paused && this.#unsent === undefined) this.#server.loop.watch(this.#fd, 'read', this);
  }

  ready(): void {
    if (this.#unsent !== undefined) return this.#sendRest();
    const length = receive(this.#fd);
    if (length <= 0) {
      if (length === 0 || !wouldBlock()) this.#close();
      return;
    }
    this.#heard = this.#server.loop.now;
    this.#session.receive(received, length);
    this.#send();
  }

  checkPatience(): void {
    if (this.#paused || this.#server.loop.now - this.#heard <= this.#server.options.timeout * 1000) return;
    this.warning(this.#unsent === undefined ? 'read timeout' : 'write timeout');
    this.#close();
  }

  write(reply: Buffer): void {
    if (used + reply.length > outputRoom) this.#flush();
    if (reply.length > outputRoom) return this.#deliver(reply);
    used += reply.copy(output, used);
  }

  wait(seconds: number, run: () => void): void {
    this.#paused = true;
    this.#server.loop.unwatch(this.#fd);
    this.#server.loop.after(seconds * 1000, () => {
      if (this.#gone) return;
      this.#paused = false;
      this.#heard = this.#server.loop.now;
      run();
      this.#send();
      if (!this.#gone && !this.#paused && this.#unsent === undefined) this.#server.loop.watch(this.#fd, 'read', this);
    });
  }

  hangUp(): void {
    this.#ending = true;
  }

  messageReceived(): void {
    this.#server.messageReceived();
  }

  quit(): void {
    this.#server.quit();
  }

  log(text: string): void {
    this.#server.log(text);
  }

  info(text: string): void {
    this.#server.voice.complain(text);
  }

  warning(text: string): void {
    this.#server.voice.warning(text);
  }

  capture(client: DumpClient): Dump | undefined {
    return this.#server.capture(client);
  }

  random(): number {
    return Math.random();
  }

  #send(): void {
    this.#flush();
    if (this.#ending && this.#unsent === undefined) this.#close();
  }

  #flush(): void {
    const length = used;
    used = 0;
    if (length > 0 && !this.#gone) this.#deliver(output.subarray(0, length));
  }

  #deliver(bytes: Buffer): void {
    if (this.#unsent !== undefined) {
      this.#unsent = Buffer.concat([this.#unsent, bytes]);
      return;
    }
    const sent = send(this.#fd, bytes);
    if (sent === bytes.length) return;
    if (sent < 0 && !wouldBlock()) return this.#lost();
    this.#unsent = Buffer.from(bytes.subarray(Math.max(sent, 0)));
    this.#server.loop.watch(this.#fd, 'write', this);
  }

  #sendRest(): void {
    const sent = send(this.#fd, this.#unsent!);
    if (sent < 0 && !wouldBlock()) return this.#lost();
    this.#unsent = sent >= this.#unsent!.length ? undefined : this.#unsent!.subarray(Math.max(sent, 0));
    if (this.#unsent !== undefined) return;
    if (this.#ending) this.#close();
    else if (!this.#paused) this.#server.loop.watch(this.#fd, 'read', this);
    else this.#server.loop.unwatch(this.#fd);
  }

  #lost(): void {
    this.warning('lost connection');
    this.#close();
  }

  #close(): void {
    if (this.#gone) return;
    this.#gone = true;
    used = 0;
    if (this.#server.options.verbose) this.info('disconnect');
    this.#session.end();
    this.#server.loop.close(this.#fd);
    this.#server.gone(this);
  }
}

const kinds = { unix: 'AF_UNIX', inet: 'AF_INET', inet6: 'AF_INET6' } as const;
