/**
 * The server end of an internal service: greets, decodes requests as they come, answers them in order.
 *
 * The service's calls may answer at once or later; requests that follow on the same connection are begun meanwhile, their
 * answers wait their turn. A request that does not decode, or a call that throws, closes the connection: the client asks again.
 */
import type net from 'node:net';
import { hear } from '../host/quick-stream.ts';
import type { Log } from '../log/log.ts';
import { flushLogs } from '../log/turn.ts';
import { AttributeReader, attribute, decode, encode, type Shape } from './shape.ts';
import type { Calls, RequestShape, ServiceDeclaration } from './service.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';

/** What this needs of a process's wish to end (server/ending.ts). */
export interface EndingSignal { listen(run: () => void): () => void }

/** Bytes of one request that may wait incomplete: a delivery request with a full recipient list fits. */
const requestLimit = 64 << 20;

interface Turn { text: string | undefined }

/** How a request is read and answered whose peer speaks an older form; undefined: as declared. `modern` makes of it what is declared. */
export type OtherForm = (name: string, text: string, at: number) => { readonly shapes: RequestShape; modern(request: object): object } | undefined;

class Conversation {
  readonly #socket: net.Socket;
  readonly #service: ServiceDeclaration;
  readonly #calls: Record<string, (request: object) => MaybePromise<object>>;
  readonly #turns: Turn[] = [];
  #input = '';
  #ending = false;

  readonly #otherForm: OtherForm | undefined;

  constructor(socket: net.Socket, service: ServiceDeclaration, calls: object, otherForm?: OtherForm) {
    this.#otherForm = otherForm;
    this.#socket = socket;
    this.#service = service;
    this.#calls = calls as Record<string, (request: object) => MaybePromise<object>>;
  }

  greet(): void {
    this.#socket.write(encode({}, {}, attribute('protocol', this.#service.protocol)), 'latin1');
  }

  receive(chunk: Buffer): void {
    if (this.#socket.writableEnded) return; // the client finds out and asks elsewhere
    this.#input += chunk.toString('latin1');
    if (this.#input.length > requestLimit) throw new Error('request too large');
    let at = 0;
    for (let next = this.#request(at); next !== undefined; next = this.#request(at)) at = next;
    this.#input = this.#input.slice(at);
  }

  /** Close as soon as nothing is under way. */
  end(): void {
    this.#ending = true;
    if (this.#turns.length === 0 && this.#input === '') this.#socket.end();
  }

  #request(at: number): number | undefined {
    if (at >= this.#input.length) return undefined;
    const reader = new AttributeReader(this.#input, at);
    const name = reader.attribute('request');
    if (name === undefined) return undefined;
    const shapes = Object.hasOwn(this.#service.requests, name) ? this.#service.requests[name] : undefined;
    if (shapes === undefined) throw new Error(`unknown request "${name.slice(0, 40)}"`);
    const other = this.#otherForm?.(name, this.#input, reader.at);
    const request = decode((other?.shapes ?? shapes).request, this.#input, reader.at);
    if (request === undefined) return undefined;
    this.#begin(name, (other?.shapes ?? shapes).reply, other?.modern(request.value) ?? request.value);
    return request.next;
  }

  #begin(name: string, shape: Shape, request: object): void {
    const answer = this.#calls[name]!(request);
    const turn: Turn = { text: undefined };
    this.#turns.push(turn);
    if (isPending(answer)) answer.then((value) => this.#finish(turn, shape, value), (error: Error) => this.#socket.destroy(error));
    else this.#finish(turn, shape, answer);
  }

  #finish(turn: Turn, shape: Shape, value: object): void {
    turn.text = encode(shape, value);
    let out = '';
    while (this.#turns[0]?.text !== undefined) out += this.#turns.shift()!.text;
    if (out !== '') flushLogs();
    if (out !== '' && this.#socket.writable) this.#socket.write(out, 'latin1');
    if (this.#ending) this.end();
  }
}

/** The server's side of one connection, whatever its protocol. `receive` may throw: then the connection ends. */
export interface Served {
  greet(): void;
  receive(chunk: Buffer): void;
  /** The process is to end: close as soon as nothing is under way. */
  end(): void;
  closed?(): void;
}

/** Join a conversation to its socket until either side ends it. Trouble is logged, never thrown. */
export function serveConversation(socket: net.Socket, conversation: Served, name: string, log: Log, ending?: EndingSignal): Promise<void> {
  return new Promise((resolve) => {
    const forget = ending?.listen(() => conversation.end());
    // A client that is gone (its process was killed while it waited for us) is no news.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') log.warning(`${name} socket: ${error.message}`);
    });
    hear(socket, (chunk) => {
      try {
        conversation.receive(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      forget?.();
      conversation.closed?.();
      resolve();
    });
    conversation.greet();
  });
}

/** Serve one connection of a service of requests until either side ends it. */
export function serveCalls<S extends ServiceDeclaration>(
  socket: net.Socket, service: S, calls: Calls<S>, log: Log, ending?: EndingSignal, otherForm?: OtherForm,
): Promise<void> {
  return serveConversation(socket, new Conversation(socket, service, calls, otherForm), service.name, log, ending);
}
