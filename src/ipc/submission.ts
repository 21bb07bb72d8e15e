/**
 * Local submission over the socket of pickup(8): a user's message goes to the queue without a stop in the maildrop.
 *
 * The socket is the one that takes triggers, so that an unchanged master.cf has it. A client that begins with a request is a
 * submission, anything else a trigger; Postfix's own pickup takes the request for a trigger and hangs up, which `begin` reports
 * as undefined, as it does when nobody listens. The server knows who is there from the kernel (SO_PEERCRED), not from the client.
 *
 * Order: request; reply with a queue id or a refusal; records as postdrop(1) reads them (message/record.ts framing) up to the
 * end record; the outcome. Status 0 means: durable. The client may hang up before the end record: then nothing is kept.
 */
import net from 'node:net';
import type { Writable } from 'node:stream';
import { RecordWriter } from '../message/record-writer.ts';
import { cleanupStatus } from './cleanup.ts';
import { attribute, decode, encode, type Shape, type ShapeValue } from './shape.ts';

export const submissionShapes = {
  protocol: 'submission_protocol',
  request: {},
  /** status: cleanupStatus (ipc/cleanup.ts); 0: go on. */
  welcome: { protocol: 'text', queueId: 'text', status: 'number', reason: 'text' },
  outcome: { status: 'number', reason: 'text' },
} as const;

export interface SubmissionOutcome { readonly status: number; readonly reason: string }

/** The first bytes of a submission; no trigger begins like this. */
export const submissionRequest = encode(submissionShapes.request, {}, attribute('request', 'submit'));

/** Bytes waiting for the socket beyond which a source should pause. */
const enough = 256 << 10;

export class SubmissionClient {
  /** The server's answer to the request. A status other than 0: nothing more is to be sent. */
  readonly welcome: ShapeValue<typeof submissionShapes.welcome>;
  readonly #socket: net.Socket;
  readonly #answers: Answers;
  readonly #writer = new RecordWriter();
  #flushed = 0;

  private constructor(socket: net.Socket, answers: Answers, welcome: ShapeValue<typeof submissionShapes.welcome>) {
    this.#socket = socket;
    this.#answers = answers;
    this.welcome = welcome;
  }

  /**
   * Resolves with undefined when nobody takes submissions there, or not from us.
   * @param welcome milliseconds until somebody answers the request
   * @param timeout milliseconds without any progress after that
   */
  static async begin(path: string, welcome: number, timeout: number): Promise<SubmissionClient | undefined> {
    const socket = net.connect({ path });
    const answers = new Answers(socket, welcome);
    socket.write(submissionRequest, 'latin1');
    const answer = await answers.next(submissionShapes.welcome);
    if (answer?.protocol !== submissionShapes.protocol) {
      socket.destroy();
      return undefined;
    }
    socket.setTimeout(timeout);
    return new SubmissionClient(socket, answers, answer);
  }

  put(type: number, payload: string | Buffer): void {
    this.#writer.put(type, payload);
    if (this.#writer.offset - this.#flushed > enough) this.#flush();
  }

  /** When what was put is mostly gone, or will never be. */
  drained(): Promise<void> {
    return untilDrained(this.#socket);
  }

  /** After the end record. A connection that broke kept nothing. */
  async finish(): Promise<SubmissionOutcome> {
    this.#flush();
    const outcome = await this.#answers.next(submissionShapes.outcome);
    this.#socket.destroy();
    return outcome ?? { status: cleanupStatus.write, reason: '' };
  }

  abort(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    this.#flushed = this.#writer.offset;
    for (const piece of this.#writer.take()) if (this.#socket.writable) this.#socket.write(piece);
  }
}

/** Resolves when little waits to be written any more, or the stream is gone. */
export async function untilDrained(stream: Writable): Promise<void> {
  if (stream.writableLength < enough || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    const ready = (): void => {
      stream.off('drain', ready).off('close', ready);
      resolve();
    };
    stream.on('drain', ready).on('close', ready);
  });
}

/** Messages from the server, one at a time. */
class Answers {
  readonly #socket: net.Socket;
  #text = '';
  #over = false;
  #wake: (() => void) | undefined;

  constructor(socket: net.Socket, timeout: number) {
    this.#socket = socket;
    socket.setTimeout(timeout, () => socket.destroy());
    socket.on('error', () => undefined); // `close` follows
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#wake?.();
    });
    for (const event of ['end', 'close']) socket.on(event, () => {
      this.#over = true;
      this.#wake?.();
    });
  }

  /** undefined: there will be none, or not of this shape. */
  async next<S extends Shape>(shape: S): Promise<ShapeValue<S> | undefined> {
    for (;;) {
      const answer = this.#decode(shape);
      if (answer !== undefined) return answer;
      if (this.#over || this.#socket.destroyed) return undefined;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  #decode<S extends Shape>(shape: S): ShapeValue<S> | undefined {
    try {
      const answer = decode(shape, this.#text);
      if (answer === undefined) return undefined;
      this.#text = this.#text.slice(answer.next);
      return answer.value;
    } catch {
      this.#socket.destroy();
      return undefined;
    }
  }
}
