/**
 * One session of smtp-source(1): connects, and sends messages until there are none left to be sent. Every command, and every message
 * with its final dot, is one write; nothing is sent before the reply to what was sent before.
 *
 * What the server refuses ends the program (`fatal`), or with `-A` only the message.
 */
import { connectStream, receive, received, send, streamError, wouldBlock, type StreamAddress, type StreamLoop } from '../../host/stream-loop.ts';
import { Replies } from './replies.ts';

export interface Course {
  readonly loop: StreamLoop;
  readonly address: StreamAddress;
  readonly window: number;
  readonly allowReject: boolean;
  readonly disconnect: boolean;
  readonly lmtp: boolean;
  readonly old: boolean;
  readonly recipients: number;
  /** Without line ends. */
  readonly hello: string;
  readonly mail: string;
  /** The next recipient's address. */
  readonly nextRecipient: () => string;
  /** The message for a recipient, with its final dot; `stream` is the descriptor. */
  readonly message: (recipient: string, stream: number) => Buffer;
  /** Messages not begun yet; taking one makes it one less. */
  readonly left: () => number;
  readonly takeMessage: () => boolean;
  /** The next connection may begin. */
  readonly connected: () => void;
  /** Go on with `run` now, or after the delay between messages. */
  readonly pause: (run: () => void) => void;
  readonly messageSent: () => void;
  readonly verbose: boolean;
  readonly info: (text: string) => void;
  readonly warning: (text: string) => void;
  readonly fatal: (text: string) => never;
  readonly connectFailed: (errno: number, again: () => void, left: number) => void;
  readonly finished: () => void;
}

type Stage = 'connect' | 'greeting' | 'hello' | 'mail' | 'rcpt' | 'data' | 'dot' | 'rset' | 'quit';

/** What was being done when a server went away. */
const doing: { readonly [S in Stage]: string } = {
  connect: 'reading server greeting', greeting: 'reading server greeting', hello: 'sending HELO', mail: 'sending sender', rcpt: 'sending recipient',
  data: 'sending DATA command', dot: 'sending message', rset: 'sending message', quit: 'sending QUIT command',
};

const rejected: { readonly [S in Stage]: string } = {
  connect: '', greeting: 'rejected at server banner', hello: 'HELO rejected', mail: 'sender rejected', rcpt: 'recipient rejected', data: 'data rejected',
  dot: 'end of data rejected', rset: 'rset rejected', quit: '',
};

const lines = new Map<string, Buffer>();

/** A command that is sent again and again is made once. */
function line(text: string): Buffer {
  let made = lines.get(text);
  if (made === undefined) lines.set(text, (made = Buffer.from(`${text}\r\n`, 'latin1')));
  return made;
}

export class Session {
  readonly #course: Course;
  readonly #replies: Replies;
  #fd = -1;
  #stage: Stage = 'connect';
  #connectsLeft: number;
  #recipient = '';
  #recipientsLeft = 0;
  #recipientsSent = 0;
  #accepted = 0;
  #unsent: Buffer | undefined;
  /** When the server was last heard. */
  heard = 0;

  constructor(course: Course, connects: number) {
    this.#course = course;
    this.#connectsLeft = connects;
    this.#replies = new Replies(course.verbose ? (text) => course.info(`<<< ${text}`) : undefined);
  }

  /** Is a server's answer waited for? */
  get waits(): boolean {
    return this.#fd >= 0 && this.#stage !== 'connect';
  }

  /** Take the next message, if there is one. */
  next(enqueue: (session: Session) => void): void {
    if (!this.#course.takeMessage()) return this.#course.finished();
    this.#enqueue = enqueue;
    if (this.#fd < 0) enqueue(this);
    else this.#mail();
  }

  #enqueue: (session: Session) => void = () => {};

  connect(): void {
    const { loop, address, window } = this.#course;
    this.#stage = 'connect';
    const { fd, pending } = connectStream(address, window);
    if (fd < 0) return this.#refused(-fd);
    this.#fd = fd;
    if (pending) loop.watch(fd, 'write', this);
    else this.#connected();
  }

  ready(): void {
    if (this.#stage === 'connect') {
      const errno = streamError(this.#fd);
      if (errno === 0) return this.#connected();
      this.#close();
      return this.#refused(errno);
    }
    if (this.#unsent !== undefined) return this.#sendRest();
    const length = receive(this.#fd);
    if (length > 0) this.#read(length);
    else if (length === 0 || !wouldBlock()) this.#lost('lost connection');
  }

  /** The server was given time enough. */
  timeout(): void {
    this.#lost('timeout');
  }

  #refused(errno: number): void {
    this.#course.connectFailed(errno, () => this.connect(), this.#connectsLeft--);
  }

  #connected(): void {
    this.#stage = 'greeting';
    this.heard = this.#course.loop.now;
    this.#course.loop.watch(this.#fd, 'read', this);
    this.#course.connected();
  }

  #read(length: number): void {
    this.heard = this.#course.loop.now;
    this.#replies.receive(received, length);
    while (this.#fd >= 0 && this.#stage !== 'connect' && this.#unsent === undefined && this.#replies.take()) this.#reply(this.#replies.code);
  }

  #lost(what: string): void {
    const stage = this.#stage;
    if (stage === 'quit') return this.#over();
    this.#course.fatal(`${what} while ${stage === 'hello' && this.#course.lmtp ? 'sending LHLO' : doing[stage]}`);
  }

  #reply(code: number): void {
    const stage = this.#stage;
    if (stage === 'quit') return this.#over();
    const good = stage === 'data' ? code === 354 : code >= 200 && code < 300;
    if (!good && this.#rejection(stage, code)) return;
    switch (stage) {
      case 'greeting': return this.#course.old ? this.#mail() : this.#command('hello', this.#course.hello);
      case 'hello': return this.#mail();
      case 'mail': return good ? this.#firstRecipient() : this.#command('rset', 'RSET');
      case 'rcpt': return this.#recipientDone(good);
      case 'data': return good ? this.#content() : this.#command('rset', 'RSET');
      case 'dot': return this.#course.lmtp && --this.#recipientsSent > 0 ? undefined : this.#messageDone();
      default: return this.#messageDone();
    }
  }

  /** True: the server hangs up. */
  #rejection(stage: Stage, code: number): boolean {
    const what = stage === 'hello' && this.#course.lmtp ? 'LHLO rejected' : rejected[stage];
    const text = `${what}: ${code} ${this.#replies.text}`;
    if (!this.#course.allowReject) this.#course.fatal(text);
    this.#course.warning(text);
    if (stage === 'greeting' || (code !== 421 && code !== 521)) return false;
    this.#over();
    return true;
  }

  #mail(): void {
    this.#command('mail', this.#course.mail);
  }

  #firstRecipient(): void {
    this.#recipientsLeft = this.#course.recipients;
    this.#recipientsSent = this.#accepted = 0;
    this.#sendRecipient();
  }

  #sendRecipient(): void {
    this.#recipient = this.#course.nextRecipient();
    this.#recipientsLeft--;
    this.#recipientsSent++;
    this.#say('rcpt', `RCPT TO:<${this.#recipient}>`);
  }

  #recipientDone(good: boolean): void {
    if (good) this.#accepted++;
    if (this.#recipientsLeft > 0) this.#sendRecipient();
    else if (this.#accepted > 0) this.#command('data', 'DATA');
    else this.#command('rset', 'RSET');
  }

  #content(): void {
    this.#stage = 'dot';
    const bytes = this.#course.message(this.#recipient, this.#fd);
    if (this.#course.verbose) this.#course.info('.');
    this.#send(bytes);
    this.#course.messageSent();
  }

  #messageDone(): void {
    if (this.#course.disconnect || this.#course.left() < 1) return this.#command('quit', 'QUIT');
    this.#idle();
  }

  #over(): void {
    this.#close();
    this.#idle();
  }

  #idle(): void {
    this.#course.pause(() => this.next(this.#enqueue));
  }

  #command(stage: Stage, text: string): void {
    this.#stage = stage;
    if (this.#course.verbose) this.#course.info(text);
    this.#send(line(text));
  }

  #say(stage: Stage, text: string): void {
    this.#stage = stage;
    if (this.#course.verbose) this.#course.info(text);
    this.#send(Buffer.from(`${text}\r\n`, 'latin1'));
  }

  #send(bytes: Buffer): void {
    const sent = send(this.#fd, bytes);
    if (sent === bytes.length) return;
    if (sent < 0 && !wouldBlock()) return this.#lost('lost connection');
    // What remains must outlive the memory that it came from.
    this.#unsent = Buffer.from(bytes.subarray(Math.max(sent, 0)));
    this.#course.loop.watch(this.#fd, 'write', this);
  }

  #sendRest(): void {
    const rest = this.#unsent!;
    const sent = send(this.#fd, rest);
    if (sent < 0 && !wouldBlock()) return this.#lost('lost connection');
    this.heard = this.#course.loop.now;
    this.#unsent = sent >= rest.length ? undefined : rest.subarray(Math.max(sent, 0));
    if (this.#unsent === undefined) this.#course.loop.watch(this.#fd, 'read', this);
  }

  #close(): void {
    this.#course.loop.close(this.#fd);
    this.#fd = -1;
    this.#unsent = undefined;
  }
}
