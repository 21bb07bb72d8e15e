/**
 * The memory of one client session: what was said and waits for its reply, what is to be written, what went wrong.
 *
 * The handshake and the exchange of a message (handshake.ts, exchange.ts) read and change it; session.ts is the door. No
 * I/O; the time is what expire() said last.
 */
import { Fifo } from '../../text/fifo.ts';
import type { Exchange } from './exchange.ts';
import { noFeatures } from './features.ts';
import type { Features } from './features.ts';
import type { LogIn } from './log-in.ts';
import { oneLine, replyClass } from './reply.ts';
import type { Reply } from './reply.ts';
import { stages } from './stages.ts';
import type { StageName } from './stages.ts';
import type { ClientOptions, ClientStep, Failure } from './steps.ts';
import { ClientTranscript } from './transcript.ts';

/** A command that was sent and has had no reply; the same one for all RCPT of a message. */
export interface Awaited {
  readonly stage: StageName;
  /** For the replies of LMTP after the dot: which recipient. */
  readonly recipient: number;
  /** The message it belongs to; undefined: the handshake, or QUIT. */
  readonly exchange: Exchange | undefined;
  /** How long to wait for the reply, milliseconds. */
  readonly patience: number;
}

/** Bytes of commands that may be under way without a reply: no deadlock with a server that does not read while it writes. */
const pipelineWindow = 4096;
const noLimit = Number.POSITIVE_INFINITY;

export class Conversation {
  readonly options: ClientOptions;
  features: Features = noFeatures;
  /** What the server said to EHLO before TLS, all lines. */
  introduction = '';
  /** TLS is on. */
  secure = false;
  /** Seconds to wait before the dot, for the sake of a PIX. */
  dotDelay = 0;
  /** A login under way. */
  login: LogIn | undefined;
  /** How many messages have begun on this connection. */
  uses = 0;
  /** Something was wrong with the protocol: finish, but do not use this connection again. */
  suspect = false;
  closed = false;
  /** The message whose commands went out behind the end of the one at hand. */
  follower: Exchange | undefined;
  /** The latest time known, and the first. */
  now = 0;
  openedAt = 0;
  /** Commands without reply, in order. */
  readonly awaiting = new Fifo<Awaited>();
  /** How long each of them was. */
  private readonly lengths = new Fifo<number>();
  readonly steps = new Fifo<ClientStep>();
  /** For a postmaster who wants to hear of trouble. */
  readonly transcript: ClientTranscript | undefined;
  private limit: number | undefined;
  private text = '';
  private inFlight = 0;
  /** The window was full, or pipelining is not offered: nothing is sent until every reply has come. */
  private inStep = false;

  constructor(options: ClientOptions) {
    this.options = options;
    if (options.settings.transcript !== undefined) this.transcript = new ClientTranscript(options.settings.transcript);
  }

  get settings(): ClientOptions['settings'] {
    return this.options.settings;
  }

  /** The command whose reply comes next. */
  get head(): Awaited | undefined {
    return this.awaiting.first;
  }

  /** The reply to the head has come. */
  answered(): void {
    this.awaiting.shift();
    this.inFlight -= this.lengths.shift()!;
  }

  /** May this command be sent now? RFC 2920: only with pipelining while others have no reply yet. */
  maySay(line: string): boolean {
    if (this.awaiting.length === 0) {
      this.inStep = false;
      this.inFlight = 0;
    } else if (!this.features.pipelining || this.inFlight + line.length + 2 > pipelineWindow) this.inStep = true;
    return !this.inStep;
  }

  /** Send a command line and wait for its reply. */
  say(stage: StageName, line: string, exchange?: Exchange): void {
    this.text += `${line}\r\n`;
    this.transcript?.said(line, /auth/i.test(stage));
    this.expect(stage, exchange, -1, line.length + 2);
  }

  expect(stage: StageName, exchange?: Exchange, recipient = -1, bytes = 0): void {
    this.inFlight += bytes;
    const { last } = this.awaiting;
    const same = last?.stage === stage && last.exchange === exchange && last.recipient === recipient;
    this.awaiting.push(same ? last : { stage, recipient, exchange, patience: this.settings.timeouts[stages[stage].timeout] * 1000 });
    this.lengths.push(bytes);
    if (this.awaiting.length === 1) this.arm();
  }

  write(text: string): void {
    this.text += text;
  }

  /** What was written and not handed over yet. */
  takeText(): string {
    const { text } = this;
    this.text = '';
    return text;
  }

  emit(step: ClientStep): void {
    this.steps.push(step);
  }

  log(severity: 'info' | 'warning', text: string): void {
    this.emit({ kind: 'log', severity, text });
  }

  /** The wait for this stage begins now. */
  arm(): void {
    const { head } = this;
    this.limit = head && this.now + head.patience;
  }

  /** Wait for something that is not a reply; undefined: for nothing. */
  armFor(seconds: number | undefined): void {
    this.limit = seconds === undefined ? undefined : this.now + seconds * 1000;
  }

  /** More time, for progress made. */
  extend(milliseconds: number): void {
    if (this.limit !== undefined) this.limit += milliseconds;
  }

  get deadline(): number | undefined {
    return this.limit;
  }

  get expired(): boolean {
    return this.now >= (this.limit ?? noLimit);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.awaiting.clear();
    this.lengths.clear();
    this.limit = undefined;
    this.follower?.abandon();
    const text = this.takeText();
    if (text !== '') this.emit({ kind: 'send', bytes: text });
    this.emit({ kind: 'close' });
  }

  /** Our own finding. */
  own(status: string, reason: string, scope: Failure['scope'], softUntilLast = false): Failure {
    return { status, reason, remoteMta: '', diagnostic: '', scope, softUntilLast };
  }

  /** The server said so. A reply that is neither 4xx nor 5xx is a breach of the protocol, and final. */
  said(reply: Reply, reason: string, scope: Failure['scope'], status = reply.status): Failure {
    this.noteCode(reply.code);
    const proper = status.startsWith('4') || status.startsWith('5');
    if (!proper) this.distrust();
    return {
      status: proper ? status : '5.5.0', reason: proper ? reason : `Protocol error: ${reason}`,
      remoteMta: this.options.peer.host, diagnostic: oneLine(reply), scope, softUntilLast: false,
    };
  }

  /** The usual words for a refused command. */
  refused(reply: Reply, stage: StageName, scope: Failure['scope']): Failure {
    return this.said(reply, `host ${this.options.peer.nameAddress} said: ${oneLine(reply)} (in reply to ${stages[stage].request})`, scope);
  }

  /** The server does not keep to the protocol. */
  distrust(): void {
    this.suspect = true;
    this.transcript?.note('protocol');
  }

  // x0z replies and the like mean that one of us does not follow the protocol (RFC 5321 section 4.2.1, RFC 1869 section 6.1).
  private noteCode(code: number): void {
    if (code < 400 || code > 599 || code === 555 || (code >= 500 && code < 510)) this.distrust();
  }
}

export function isPositive(reply: Reply): boolean {
  return replyClass(reply) === 2;
}
