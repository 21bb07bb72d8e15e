/**
 * The client side of SMTP and LMTP as a machine: one connection to one server, and any number of messages on it, one after
 * another.
 *
 * It speaks first when the server has greeted; after `ready` it wants deliver() or quit(). Whatever the server sends or
 * fails to send, every recipient of a message gets exactly one outcome before `done`, unless `stale` says that the whole
 * message may be tried again elsewhere. The dot is never sent after content that is not complete.
 */
import type { Machine } from '../machine.ts';
import { ContentEncoder, wireForm } from './content.ts';
import { Conversation } from './conversation.ts';
import type { Awaited } from './conversation.ts';
import { Exchange, exchangeAnswers, objectionTo } from './exchange.ts';
import type { Features } from './features.ts';
import { afterTls, giveUp, handshakeAnswers } from './handshake.ts';
import { beginLogin, trouble } from './log-in.ts';
import type { NamedLogin } from './log-in.ts';
import { earlyVerdict, failedLocally, failedTls, garbage, localTrouble, lostConnection, lostMessage, tooEarly } from './mishaps.ts';
import { ReplyFilterTrouble, ReplyReader } from './reply.ts';
import type { Reply } from './reply.ts';
import { outcomeStages } from './stages.ts';
import type { ClientOptions, ClientStep, Failure, Transaction } from './steps.ts';
import type { TakenTranscript } from './transcript.ts';

/** Content is handed on in pieces of about this size, so that a small message and its dot are one write. */
const pieceSize = 16 * 1024;
/** A server may send this much that nobody asked for before it is taken for gone. */
const unaskedLimit = 64 * 1024;

export class SmtpClient implements Machine<ClientStep> {
  private readonly talk: Conversation;
  private readonly reader: ReplyReader;
  private exchange: Exchange | undefined;
  private encoder: ContentEncoder | undefined;
  private pieces: Buffer[] = [];
  private pieceBytes = 0;
  private started = false;
  /** Replies cannot be read any more. */
  private deaf = false;
  private queueId = '';

  constructor(options: ClientOptions) {
    this.talk = new Conversation(options);
    this.queueId = options.queueId ?? '';
    this.reader = new ReplyReader({
      limit: options.settings.replyLimit,
      utf8: options.settings.smtputf8,
      warn: (text) => this.talk.log('warning', `${options.peer.nameAddressPort}: ${text}`),
      garbage: (line) => garbage(this.talk, line, this.queueId),
      filter: options.settings.replyFilter && ((line) => this.filtered(line)),
      heard: options.settings.transcript === undefined ? undefined : (line) => this.talk.transcript?.heard(line),
    });
  }

  get features(): Features {
    return this.talk.features;
  }

  /** What the server said to EHLO before TLS, all lines. */
  get introduction(): string {
    return this.talk.introduction;
  }

  /** What was said since it was taken last; undefined: it is not kept. */
  takeTranscript(): TakenTranscript | undefined {
    return this.talk.transcript?.take();
  }

  /** The time of the latest event. */
  get now(): number {
    return this.talk.now;
  }

  get isPipelining(): boolean {
    return this.talk.features.pipelining;
  }

  /** The message at hand has been said to its end, and the connection is for further use. */
  get isStaying(): boolean {
    return this.exchange?.isFollowable === true;
  }

  /** TLS is on. */
  get isSecure(): boolean {
    return this.talk.secure;
  }

  /** How many messages were begun here. */
  get uses(): number {
    return this.talk.uses;
  }

  expire(now: number): void {
    const { talk } = this;
    talk.now = now;
    if (!this.started) this.start();
    else if (talk.expired && !this.hearRest()) this.lost(`conversation with ${talk.options.peer.nameAddress} timed out`);
  }

  private start(): void {
    this.started = true;
    const { talk } = this;
    talk.openedAt = talk.now;
    if (!talk.options.tlsWrapped) return talk.expect('greeting');
    talk.armFor(talk.settings.timeouts.startTls);
    talk.emit({ kind: 'start-tls' });
  }

  deadline(): number | undefined {
    return this.talk.deadline;
  }

  receive(bytes: Buffer): void {
    const { talk, reader } = this;
    if (talk.closed) return;
    reader.receive(bytes);
    if (talk.head) {
      if (!talk.settings.perRequestDeadline) talk.arm();
    } else if (!this.exchange?.streaming) return this.unasked();
    if (reader.overrun) talk.log('warning', `disabling input from ${talk.options.peer.nameAddressPort}`);
    if (reader.overrun || (!talk.head && reader.held > unaskedLimit)) this.end();
  }

  // Nobody is waiting for anything: most often 421, because the server does not want to wait any longer.
  private unasked(): void {
    if (this.talk.uses > 0 && this.exchange?.over) this.talk.close();
  }

  end(): void {
    this.hearRest();
    this.lost(`lost connection with ${this.talk.options.peer.nameAddress}`);
  }

  next(): ClientStep | undefined {
    const { talk } = this;
    if (talk.steps.length === 0) this.work();
    const step = talk.steps.shift();
    if (step) return step;
    const text = talk.takeText();
    return text === '' ? undefined : { kind: 'send', bytes: text };
  }

  /** Take replies in order, then send what they allow, until neither is possible. */
  private work(): void {
    const { talk } = this;
    while (!talk.closed) {
      const reply = talk.head && this.takeReply();
      if (!reply) break;
      const { head } = talk;
      talk.answered();
      this.answer(head!, reply);
    }
    if (!this.exchange) return;
    if (this.exchange.over && talk.follower) this.takeFollower(talk.follower);
    if (!this.exchange.over) this.exchange.advance();
    // More replies than commands: whose is whose can no longer be said, so nothing further is begun here.
    else if (!talk.head && !talk.closed && this.reader.partial) talk.close();
  }

  private answer(awaited: Awaited, reply: Reply): void {
    const { talk } = this;
    const { stage, exchange } = awaited;
    talk.arm();
    if (stage === 'quit') talk.close();
    else if (exchange) exchangeAnswers[stage as keyof typeof exchangeAnswers](exchange, reply, awaited);
    else handshakeAnswers[stage as keyof typeof handshakeAnswers](talk, reply);
  }

  /** The message at hand has been said to its end, and the next may be said behind it: deliverBehind(). */
  get takesFollower(): boolean {
    const { talk, exchange } = this;
    return exchange !== undefined && !exchange.over && exchange.isFollowable && talk.features.pipelining && !talk.suspect && !talk.closed && !talk.follower;
  }

  /**
   * The next message, before the server has answered the dot of the one at hand (RFC 2920 section 3.1). False: it must wait for
   * `ready`. Its steps follow the `done` of the one at hand.
   */
  deliverBehind(transaction: Transaction): boolean {
    const { talk } = this;
    if (!this.takesFollower || objectionTo(talk, transaction)) return false;
    talk.follower = new Exchange(talk, transaction, true);
    talk.follower.advance();
    return true;
  }

  private takeFollower(exchange: Exchange): void {
    this.talk.follower = undefined;
    this.exchange = exchange;
    this.queueId = exchange.transaction.queueId;
  }

  /** A message to send: after `ready`. `behind`: right after another, so that the server need not be asked whether it still listens. */
  deliver(transaction: Transaction, behind = false): void {
    const { talk } = this;
    this.queueId = transaction.queueId;
    const exchange = new Exchange(talk, transaction, behind);
    this.exchange = exchange;
    if (talk.options.blocksEarlyReply && talk.secure && this.reader.held > 0) return tooEarly(talk, exchange);
    const objection = objectionTo(talk, transaction);
    if (!objection) return;
    exchange.failOpen(objection);
    if (objection.softUntilLast) talk.suspect = true;
    else exchange.decide();
    exchange.finish(!objection.softUntilLast);
  }

  /** The next piece of the content, with LF line ends. */
  content(chunk: Buffer): void {
    this.encode(chunk.length, (encoder) => [encoder.encode(chunk)]);
    if (this.pieceBytes >= pieceSize) this.flushPieces();
  }

  /**
   * The same with CRLF line ends, not cut inside of one. Sent at once: when the stream has taken all, the chunk is not wanted any more.
   * `isDotless`: no line of the message so far begins with a dot.
   */
  contentWire(chunk: Buffer, isDotless = false): void {
    this.encode(chunk.length, (encoder) => encoder.wire(chunk, isDotless));
    const { pieces } = this;
    this.pieces = [];
    this.pieceBytes = 0;
    for (const bytes of pieces) this.talk.emit({ kind: 'send', bytes });
  }

  private encode(length: number, encoded: (encoder: ContentEncoder) => readonly Buffer[]): void {
    const { talk, exchange } = this;
    if (!exchange?.streaming) return;
    const encoder = this.encoder ??= new ContentEncoder(talk.settings.lineLimit);
    const { broken } = encoder;
    this.pieces.push(...encoded(encoder));
    this.pieceBytes += length;
    if (encoder.broken && !broken) talk.log('info', `${this.queueId}: breaking line > ${talk.settings.lineLimit} bytes with <CR><LF>SPACE`);
    if (talk.settings.perRequestDeadline) talk.extend((length / talk.settings.minDataRate) * 1000);
    else talk.armFor(talk.settings.timeouts.dataTransfer);
  }

  /**
   * The whole content at once, with CRLF line ends, in place of content() and contentEnd(). False: it has lines that must be
   * broken, and must be handed over piece by piece. `isDotless`: none of its lines begins with a dot.
   */
  contentWhole(bytes: Buffer, isDotless = false): boolean {
    const { talk, exchange } = this;
    if (!exchange?.streaming) return true;
    const pieces = wireForm(bytes, talk.settings.lineLimit, isDotless);
    if (pieces === undefined) return false;
    if (talk.settings.perRequestDeadline) talk.extend((bytes.length / talk.settings.minDataRate) * 1000);
    this.pieces = pieces;
    this.contentEnd();
    return true;
  }

  /** The content is complete. */
  contentEnd(): void {
    const { talk, exchange, encoder } = this;
    if (!exchange?.streaming) return;
    this.encoder = undefined;
    const early = this.earlyVerdict();
    if (early) {
      exchange.failOpen(early);
      return exchange.hangUp(false);
    }
    if (encoder) this.pieces.push(Buffer.from(encoder.end(), 'latin1'));
    exchange.dot();
    const { pieces } = this;
    this.pieces = [];
    this.pieceBytes = 0;
    for (const bytes of pieces) if (bytes.length > 0) talk.emit({ kind: 'send', bytes });
    if (talk.dotDelay > 0) talk.emit({ kind: 'delay', milliseconds: talk.dotDelay * 1000 });
  }

  /** The content cannot be read to its end: the message stops here, and with it the connection. */
  contentFailed(failure?: Failure): void {
    const { talk, exchange } = this;
    if (!exchange?.streaming) return;
    if (failure === undefined) talk.transcript?.note('data');
    exchange.failOpen(failure ?? localTrouble(talk));
    this.pieces.length = 0;
    this.encoder = undefined;
    exchange.hangUp(false);
  }

  private flushPieces(): void {
    const bytes = this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces);
    this.pieces = [];
    this.pieceBytes = 0;
    if (bytes.length > 0) this.talk.emit({ kind: 'send', bytes });
  }

  tlsStarted(): void {
    if (this.talk.closed) return;
    // What came before the handshake was not protected, and must not pass for what comes after it (RFC 3207 section 6).
    this.reader.forget();
    afterTls(this.talk);
  }

  /** There is a session, and this is why it may not be used. */
  tlsRefused(failure: Failure): void {
    if (this.talk.closed) return;
    this.reader.forget();
    giveUp(this.talk, failure, true);
  }

  tlsFailed(): void {
    if (!this.talk.closed) failedTls(this.talk);
  }

  /** What was asked for with `log-in`; undefined: we have none for this server, and talk to it like strangers. */
  logIn(login: NamedLogin | undefined): void {
    if (!this.talk.closed) beginLogin(this.talk, login, giveUp);
  }

  /** There should be a login, and there is none. A text: why. */
  logInFailed(why: Failure | string): void {
    if (!this.talk.closed) giveUp(this.talk, typeof why === 'string' ? trouble(this.talk, why) : why, true);
  }

  /** Take leave: after `ready`. */
  quit(): void {
    const { talk } = this;
    if (talk.closed) return;
    talk.say('quit', 'QUIT');
    if (talk.settings.skipQuitResponse) talk.close();
  }

  /** Replies that came while a step was performed: what a server said before it left, or before we looked at the clock, is an outcome. */
  private hearRest(): boolean {
    const { talk } = this;
    let heard = false;
    while (!talk.closed && talk.head && talk.head.exchange === this.exchange && outcomeStages.has(talk.head.stage)) {
      const { head } = talk;
      const reply = this.takeReply();
      if (!reply) break;
      heard = true;
      talk.answered();
      this.answer(head, reply);
    }
    return heard;
  }

  private lost(what: string): void {
    const { talk, exchange } = this;
    if (talk.closed) return;
    if (!exchange || exchange.over) return lostConnection(talk, what);
    const stage = talk.head?.stage;
    if (stage === 'probe' || (exchange.behind && exchange.open.size > 0)) return exchange.stale();
    const verdict = exchange.streaming ? this.earlyVerdict() : undefined;
    lostMessage(talk, exchange, what, stage, verdict);
  }

  private earlyVerdict(): Failure | undefined {
    const reply = this.takeReply();
    return reply && earlyVerdict(this.talk, reply);
  }

  private filtered(line: string): string {
    const { talk } = this;
    const replaced = talk.settings.replyFilter?.(line);
    if (replaced === undefined) return line;
    talk.log('info', `${talk.options.peer.nameAddressPort}: replacing server reply "${line}" with "${replaced}"`);
    return replaced;
  }

  /** Without its filter a reply is not to be trusted: the session ends, and what has no outcome yet is deferred. */
  private takeReply(): Reply | undefined {
    if (this.deaf) return undefined;
    try {
      return this.reader.take();
    } catch (error) {
      if (!(error instanceof ReplyFilterTrouble)) throw error;
      this.deaf = true;
      this.talk.log('warning', `${this.queueId}: ${error.message}`);
      failedLocally(this.talk, this.exchange);
      return undefined;
    }
  }
}
