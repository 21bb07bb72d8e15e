/**
 * The agent's end of the deliver protocol: one kept connection carries many requests at once, numbered, answered in any order.
 *
 * Requests are handed on as they come; whoever takes them answers each once, with `answer`. A connection whose client is gone takes
 * answers and forgets them: what was begun is delivered to its end all the same. When the process is to end the client is
 * told to send no more, and closes when it has its answers.
 */
import type net from 'node:net';
import type { Log } from '../log/log.ts';
import { deliverService, type DeliveryReply, type DeliveryRequest } from './deliver.ts';
import { decodeRequest, encodeReply, FrameReader, FrameWriter, greetingShape, retirement } from './deliver-frames.ts';
import { encode } from './shape.ts';
import { serveConversation, type EndingSignal, type Served } from './serve.ts';

export interface TrunkTools {
  /** Requests served at once on this connection. */
  readonly slots: number;
  /** Must not throw, and answers later or at once by trunk.answer(number, ...). */
  readonly take: (request: DeliveryRequest, number: number, trunk: Trunk) => void;
}

export class Trunk implements Served {
  readonly #socket: net.Socket;
  readonly #tools: TrunkTools;
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;

  constructor(socket: net.Socket, tools: TrunkTools) {
    this.#socket = socket;
    this.#tools = tools;
    this.#writer = new FrameWriter(socket);
  }

  greet(): void {
    this.#socket.write(encode(greetingShape, { protocol: deliverService.protocol, slots: this.#tools.slots, process: process.pid }), 'latin1');
  }

  receive(chunk: Buffer): void {
    if (this.#socket.writableEnded) return; // the client finds out and asks elsewhere
    this.#reader.receive(chunk, this.#request);
  }

  answer(number: number, reply: DeliveryReply): void {
    this.#writer.put(number, encodeReply(reply));
  }

  /** The client may have sent more before it hears of this: that is still served, and it closes when nothing is left. */
  end(): void {
    this.#writer.put(retirement, '');
  }

  readonly #request = (number: number, text: string): void => {
    this.#tools.take(decodeRequest(text), number, this);
  };
}

/** Serve one connection of a queue manager until either side ends it. */
export function serveDeliveries(socket: net.Socket, tools: TrunkTools, log: Log, ending?: EndingSignal): Promise<void> {
  return serveConversation(socket, new Trunk(socket, tools), 'deliver', log, ending);
}
