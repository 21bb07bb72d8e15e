/** One session of qmqp-source(1): a connection for each message, the request in one write, one reply. What fails ends the program. */
import { connectStream, receive, received, send, streamError, wouldBlock, type StreamAddress, type StreamLoop } from '../../host/stream-loop.ts';
import { NetstringReader, qmqpStatus } from '../../protocol/qmqp/netstring.ts';

export interface QmqpCourse {
  readonly loop: StreamLoop;
  readonly address: StreamAddress;
  readonly request: Buffer;
  readonly takeMessage: () => boolean;
  readonly enqueue: (session: QmqpSession) => void;
  readonly connected: () => void;
  readonly pause: (run: () => void) => void;
  readonly delivered: (reply: string) => void;
  readonly fatal: (text: string) => never;
  readonly connectFailed: (errno: number, again: () => void, left: number) => void;
  readonly finished: () => void;
}

const replyLimit = 10240;

const troubles = { format: 'netstring format error', size: 'netstring size exceeds limit' } as const;

export class QmqpSession {
  readonly #course: QmqpCourse;
  #connectsLeft: number;
  #fd = -1;
  #pending = false;
  #unsent: Buffer | undefined;
  #reply: NetstringReader | undefined;
  /** When the server was last heard. */
  heard = 0;

  constructor(course: QmqpCourse, connects: number) {
    this.#course = course;
    this.#connectsLeft = connects;
  }

  /** Is a server's answer waited for? */
  get waits(): boolean {
    return this.#fd >= 0 && !this.#pending;
  }

  next(): void {
    if (this.#course.takeMessage()) this.#course.enqueue(this);
    else this.#course.finished();
  }

  connect(): void {
    const { fd, pending } = connectStream(this.#course.address);
    if (fd < 0) return this.#refused(-fd);
    this.#fd = fd;
    this.#pending = pending;
    if (pending) this.#course.loop.watch(fd, 'write', this);
    else this.#connected();
  }

  ready(): void {
    if (this.#pending) return this.#decided(streamError(this.#fd));
    if (this.#unsent !== undefined) return this.#send();
    const length = receive(this.#fd);
    if (length > 0) this.#read(received.subarray(0, length));
    else if (length === 0 || !wouldBlock()) this.#course.fatal('lost connection while receiving server reply');
  }

  timeout(): void {
    this.#course.fatal(`timeout while ${this.#unsent === undefined ? 'receiving server reply' : 'sending message'}`);
  }

  #decided(errno: number): void {
    if (errno === 0) return this.#connected();
    this.#course.loop.close(this.#fd);
    this.#fd = -1;
    this.#refused(errno);
  }

  #refused(errno: number): void {
    this.#course.connectFailed(errno, () => this.connect(), this.#connectsLeft--);
  }

  #connected(): void {
    this.#pending = false;
    this.#course.connected();
    this.heard = this.#course.loop.now;
    this.#reply = new NetstringReader(replyLimit, true);
    this.#unsent = this.#course.request;
    this.#send();
  }

  #send(): void {
    const sent = send(this.#fd, this.#unsent!);
    if (sent < 0 && !wouldBlock()) this.#course.fatal('lost connection while sending message');
    this.#unsent = sent >= this.#unsent!.length ? undefined : this.#unsent!.subarray(Math.max(sent, 0));
    this.#course.loop.watch(this.#fd, this.#unsent === undefined ? 'read' : 'write', this);
  }

  #read(bytes: Buffer): void {
    this.heard = this.#course.loop.now;
    const reply = this.#reply!;
    if (!reply.receive(bytes)) return;
    if (reply.trouble !== undefined) this.#course.fatal(`${troubles[reply.trouble]} while receiving server reply`);
    const text = reply.content.toString('latin1');
    if (text[0] !== qmqpStatus.ok) this.#course.fatal(`${kindOf(text)} error: ${text.slice(1)}`);
    this.#course.delivered(text);
    this.#course.loop.close(this.#fd);
    this.#fd = -1;
    this.#course.pause(() => this.next());
  }
}

function kindOf(reply: string): string {
  return reply[0] === qmqpStatus.retry ? 'recoverable' : reply[0] === qmqpStatus.hard ? 'unrecoverable' : 'unknown';
}
