/**
 * The client end of an internal service: one kept connection, requests answered in order.
 *
 * A caller may rely on: the answer is of the declared shape, or the promise is rejected with ServiceTrouble. A connection that
 * breaks is made again and what was not answered is asked again, a bounded number of times (a service is restarted by the
 * master within moments; every request of our services may safely be asked twice).
 */
import net from 'node:net';
import { sharedReads } from '../host/reading.ts';
import { attribute, decode, encode, ShapeTrouble, type Shape } from './shape.ts';
import { ServiceTrouble, type Calls, type ServiceDeclaration } from './service.ts';
import { TurnWriter } from './turn-writer.ts';

export interface ConnectionLimits {
  /** ipc_timeout: milliseconds without an answer. */
  readonly timeout: number;
  /** ipc_idle: milliseconds after which a connection without requests is closed. */
  readonly idle: number;
  /** How often a request is asked again after its connection broke. */
  readonly retries: number;
}

interface Pending {
  readonly text: string;
  readonly reply: Shape;
  readonly resolve: (value: object) => void;
  readonly reject: (trouble: Error) => void;
  retries: number;
}

/** A service that fails at once gets a pause before it is asked again, milliseconds by attempt. */
const pauses = [0, 100, 1000, 1000, 3000];

export class ServiceConnection {
  readonly #service: ServiceDeclaration;
  readonly #path: string;
  readonly #limits: ConnectionLimits;
  readonly #pending: Pending[] = [];
  #socket: net.Socket | undefined;
  #greeted = false;
  #input = '';
  #writer: TurnWriter | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(service: ServiceDeclaration, path: string, limits: ConnectionLimits) {
    this.#service = service;
    this.#path = path;
    this.#limits = limits;
  }

  ask(name: string, request: object): Promise<object> {
    const shape = this.#service.requests[name];
    if (shape === undefined) throw new ServiceTrouble(this.#service.name, `no such request: ${name}`);
    const text = encode(shape.request, request, attribute('request', name));
    return new Promise((resolve, reject) => {
      this.#pending.push({ text, reply: shape.reply, resolve, reject, retries: this.#limits.retries });
      if (this.#greeted) this.#writer!.say(text);
      else if (this.#socket === undefined && this.#pause === undefined) this.#open();
      this.#arm();
    });
  }

  close(): void {
    this.#writer?.flush();
    this.#socket?.end();
  }

  #open(): void {
    this.#pause = undefined;
    const socket = net.connect({ ...sharedReads, path: this.#path });
    this.#socket = socket;
    this.#writer = new TurnWriter(socket);
    this.#greeted = false;
    this.#input = '';
    let trouble = 'connection closed';
    socket.on('error', (error) => { trouble = error.message; });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => socket.end());
    socket.on('timeout', () => this.#expired(socket));
    socket.on('close', () => this.#closed(trouble));
    this.#arm();
  }

  #arm(): void {
    this.#socket?.setTimeout(this.#pending.length > 0 ? this.#limits.timeout : this.#limits.idle);
  }

  #expired(socket: net.Socket): void {
    if (this.#pending.length === 0) socket.end();
    else socket.destroy(new Error('no answer in time'));
  }

  #receive(chunk: Buffer): void {
    this.#input += chunk.toString('latin1');
    try {
      if (!this.#greeted && !this.#greet()) return;
      this.#answers();
    } catch (error) {
      this.#socket?.destroy(error instanceof ShapeTrouble ? error : new ShapeTrouble(String(error)));
    }
    this.#arm();
  }

  #greet(): boolean {
    const greeting = decode({ protocol: 'text' }, this.#input);
    if (greeting === undefined) return false;
    if (greeting.value.protocol !== this.#service.protocol) throw new ShapeTrouble(`speaks ${greeting.value.protocol}`);
    this.#input = this.#input.slice(greeting.next);
    this.#greeted = true;
    for (const pending of this.#pending) this.#writer!.say(pending.text);
    this.#writer!.flush();
    return true;
  }

  #answers(): void {
    let at = 0;
    for (let pending = this.#pending[0]; pending !== undefined; pending = this.#pending[0]) {
      const answer = decode(pending.reply, this.#input, at);
      if (answer === undefined) break;
      at = answer.next;
      this.#pending.shift();
      pending.resolve(answer.value);
    }
    this.#input = this.#input.slice(at);
    if (this.#pending.length === 0 && this.#input !== '') throw new ShapeTrouble('unexpected answer');
  }

  #closed(trouble: string): void {
    this.#socket = undefined;
    this.#greeted = false;
    const again: Pending[] = [];
    for (const pending of this.#pending.splice(0)) {
      if (pending.retries-- > 0) again.push(pending);
      else pending.reject(new ServiceTrouble(this.#path, trouble));
    }
    if (again.length === 0) return;
    this.#pending.push(...again);
    const attempt = this.#limits.retries - again[0]!.retries - 1;
    this.#pause = setTimeout(() => this.#open(), pauses[Math.min(attempt, pauses.length - 1)]);
  }
}

/** The calls of a service over a kept connection. */
export function remoteCalls<S extends ServiceDeclaration>(service: S, path: string, limits: ConnectionLimits): Calls<S> {
  const connection = new ServiceConnection(service, path, limits);
  const calls: Record<string, (request: object) => Promise<object>> = {};
  for (const name of Object.keys(service.requests)) calls[name] = (request) => connection.ask(name, request);
  return calls as Calls<S>;
}
