/**
 * The service of proxymap(8): look-ups in tables that another process has open, by Postfix's own protocol, so that either side may be Postfix's.
 *
 * A table is named as in main.cf, without `proxy:`. `instance_flags` say how it is to be opened, `flags` how this request is to be done; the answer's
 * `flags` are those of the open table. There is no "close": tables are shared.
 */
import net from 'node:net';
import type { Log } from '../log/log.ts';
import { serveCalls, type EndingSignal } from './serve.ts';
import { AttributeReader, attribute, decode, encode, ShapeTrouble, type Shape, type ShapeValue } from './shape.ts';
import { declareService, ServiceTrouble, type Calls, type RequestShape } from './service.ts';

/** What Postfix calls dictionary flags; those that cross a process. */
export const tableFlags = {
  duplicatesWarn: 1 << 0,
  fixed: 1 << 4,
  pattern: 1 << 5,
  lock: 1 << 6,
  duplicatesReplace: 1 << 7,
  syncUpdate: 1 << 8,
  noSubstitution: 1 << 11,
  noProxy: 1 << 12,
  noUnauthenticated: 1 << 13,
  foldFixed: 1 << 14,
  foldPattern: 1 << 15,
  utf8Wanted: 1 << 19,
  utf8Active: 1 << 20,
  valueIsFile: 1 << 21,
} as const;

export const proxymapStatus = { ok: 0, noKey: 1, retry: 2, bad: 3, denied: 4, config: 5 } as const;

/** Of `sequence`. */
export const sequenceFunction = { first: 0, next: 1 } as const;

const table = { table: 'text', instance_flags: 'number' } as const;
const asked = { ...table, flags: 'number' } as const;
const answered = { status: 'number', flags: 'number' } as const;

export const proxymapService = declareService({
  name: 'proxymap',
  area: 'private',
  protocol: 'proxymap_protocol',
  requests: {
    open: { request: table, reply: answered },
    lookup: { request: { ...asked, key: 'text' }, reply: { ...answered, value: 'text' } },
    update: { request: { ...asked, key: 'text', value: 'text' }, reply: answered },
    delete: { request: { ...asked, key: 'text' }, reply: answered },
    sequence: { request: { ...asked, function: 'number' }, reply: { ...answered, key: 'text', value: 'text' } },
  },
});

/**
 * The same as Postfix had it before 3.11: one number of flags in a request, and none in most answers. Which of the two a peer speaks shows in its
 * first words.
 */
const oldService = declareService({
  name: 'proxymap',
  area: 'private',
  protocol: 'proxymap_protocol',
  requests: {
    open: { request: { table: 'text', flags: 'number' }, reply: answered },
    lookup: { request: { table: 'text', flags: 'number', key: 'text' }, reply: { status: 'number', value: 'text' } },
    update: { request: { table: 'text', flags: 'number', key: 'text', value: 'text' }, reply: { status: 'number' } },
    delete: { request: { table: 'text', flags: 'number', key: 'text' }, reply: { status: 'number' } },
    sequence: { request: { table: 'text', flags: 'number', function: 'number' }, reply: { status: 'number', key: 'text', value: 'text' } },
  },
});

type Requests = typeof proxymapService.requests;
export type ProxymapRequest = keyof Requests;
export type ProxymapReply<R extends ProxymapRequest> = ShapeValue<Requests[R]['reply']>;

/** Serve one connection of either kind of client until it ends. */
export function serveProxymap(socket: net.Socket, calls: Calls<typeof proxymapService>, log: Log, ending?: EndingSignal): Promise<void> {
  return serveCalls(socket, proxymapService, calls, log, ending, (name, text, at) => (speaksOld(name, text, at) ? { shapes: oldService.requests[name as ProxymapRequest], modern } : undefined));
}

/** The attribute behind the table's name is there, and is the flags of old; or it is not all there yet. */
function speaksOld(name: string, text: string, at: number): boolean {
  const reader = new AttributeReader(text, at);
  return Object.hasOwn(oldService.requests, name) && reader.attribute('table') !== undefined && text.startsWith('flags\0', reader.at);
}

/** An old request in the new form: the same flags serve both ends. */
function modern(request: object): object {
  return { instance_flags: (request as { flags: number }).flags, ...request };
}

export interface ProxymapLimits {
  /** Connections; one has one request under way, as a proxymap of Postfix reads no further before it has answered. */
  readonly links: number;
  /** Requests that wait for a connection. */
  readonly waiting: number;
  /** Milliseconds for an answer, and after which an unused connection is closed. */
  readonly timeout: number;
  readonly idle: number;
}

/** Times that a connection that broke is made again for a request, and the milliseconds before each. */
const pauses = [0, 0, 100];

interface Pending {
  readonly text: string;
  readonly reply: Shape;
  resolve(value: object): void;
  reject(error: Error): void;
  tries: number;
}

/** Connections to one service; asks reject with ServiceTrouble. */
export class ProxymapClient {
  readonly #path: string;
  readonly #limits: ProxymapLimits;
  readonly #idle: ProxymapLink[] = [];
  readonly #links = new Set<ProxymapLink>();
  readonly #waiting: Pending[] = [];
  #old = false;

  constructor(path: string, limits: ProxymapLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  async ask<R extends ProxymapRequest>(name: R, request: ShapeValue<Requests[R]['request']>): Promise<ProxymapReply<R>> {
    if (!this.#old) {
      const reply = await this.#ask(proxymapService.requests[name], name, request);
      if (reply.status !== proxymapStatus.bad) return reply as unknown as ProxymapReply<R>;
    }
    // A server of before 3.11 finds the new form bad.
    const reply = await this.#ask(oldService.requests[name], name, { ...request, flags: request.instance_flags });
    if (reply.status !== proxymapStatus.bad) this.#old = true;
    return { flags: request.instance_flags, key: '', value: '', ...reply } as unknown as ProxymapReply<R>;
  }

  #ask({ request: shape, reply }: RequestShape, name: string, request: object): Promise<{ status: number }> {
    const text = encode(shape, request, attribute('request', name));
    return new Promise((resolve, reject) => this.#begin({ text, reply, resolve: resolve as (value: object) => void, reject, tries: 0 }));
  }

  close(): void {
    for (const link of [...this.#links]) link.end();
  }

  #begin(pending: Pending): void {
    const link = this.#idle.pop();
    if (link !== undefined) return link.send(pending);
    if (this.#links.size < this.#limits.links) return this.#open().send(pending);
    if (this.#waiting.length >= this.#limits.waiting) return pending.reject(new ServiceTrouble(this.#path, 'too many requests are waiting'));
    this.#waiting.push(pending);
  }

  #open(): ProxymapLink {
    const link = new ProxymapLink(this.#path, this.#limits, (free) => this.#free(free), (gone, unanswered, error) => this.#gone(gone, unanswered, error));
    this.#links.add(link);
    return link;
  }

  #free(link: ProxymapLink): void {
    const next = this.#waiting.shift();
    if (next !== undefined) link.send(next);
    else this.#idle.push(link);
  }

  #gone(link: ProxymapLink, unanswered: Pending | undefined, error: NodeJS.ErrnoException): void {
    this.#links.delete(link);
    const at = this.#idle.indexOf(link);
    if (at >= 0) this.#idle.splice(at, 1);
    if (unanswered !== undefined) this.#again(unanswered, error);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#begin(next);
  }

  /** Where no service is, waiting makes none; one that was replaced answers at once. */
  #again(pending: Pending, error: NodeJS.ErrnoException): void {
    const pause = pauses[pending.tries++];
    if (pause === undefined || error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'ETIMEDOUT') return pending.reject(new ServiceTrouble(this.#path, error.message));
    setTimeout(() => this.#begin(pending), pause);
  }
}

class ProxymapLink {
  readonly #socket: net.Socket;
  readonly #limits: ProxymapLimits;
  readonly #free: (link: ProxymapLink) => void;
  #greeted = false;
  #input = '';
  #pending: Pending | undefined;

  constructor(path: string, limits: ProxymapLimits, free: (link: ProxymapLink) => void, gone: (link: ProxymapLink, unanswered: Pending | undefined, error: Error) => void) {
    this.#limits = limits;
    this.#free = free;
    const socket = net.connect({ path });
    let trouble: Error = new Error('the connection was closed');
    socket.on('error', (error) => { trouble = error; });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => socket.end());
    socket.on('timeout', () => socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })));
    socket.on('close', () => {
      const unanswered = this.#pending;
      this.#pending = undefined;
      gone(this, unanswered, trouble);
    });
    socket.setTimeout(limits.timeout);
    this.#socket = socket;
  }

  send(pending: Pending): void {
    this.#pending = pending;
    this.#socket.setTimeout(this.#limits.timeout);
    // Postfix's server speaks first; what is said before that waits in the socket, and does no harm.
    this.#socket.write(pending.text, 'latin1');
  }

  end(): void {
    this.#socket.end();
  }

  #receive(chunk: Buffer): void {
    this.#input += chunk.toString('latin1');
    try {
      if (!this.#greeted && !this.#greet()) return;
      const pending = this.#pending;
      const answer = pending && answerIn(this.#input, pending.reply);
      if (pending === undefined && this.#input !== '') throw new ShapeTrouble('unexpected answer');
      if (pending === undefined || answer === undefined) return;
      this.#input = this.#input.slice(answer.next);
      this.#pending = undefined;
      this.#socket.setTimeout(this.#limits.idle);
      pending.resolve(answer.value);
      this.#free(this);
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  #greet(): boolean {
    const greeting = decode({ protocol: 'text' }, this.#input);
    if (greeting === undefined) return false;
    if (greeting.value.protocol !== proxymapService.protocol) throw new ShapeTrouble(`speaks ${greeting.value.protocol}`);
    this.#input = this.#input.slice(greeting.next);
    this.#greeted = true;
    return true;
  }
}

/** Whatever an old server says to a request that it does not understand, it begins with the status. */
function answerIn(input: string, reply: Shape): { value: object; next: number } | undefined {
  try {
    return decode(reply, input);
  } catch (error) {
    const end = input.indexOf('\0\0', input.length - 2);
    if (!input.startsWith(`status\0${proxymapStatus.bad}\0`) || end < 0) throw error;
    return { value: { status: proxymapStatus.bad }, next: input.length };
  }
}
