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
import { Exchange, exchangeAnswers } from './exchange.ts';
import type { Features } from './features.ts';
import { afterTls, giveUp, handshakeAnswers } from './handshake.ts';
import { beginLogin, trouble } from './log-in.ts';
import type { NamedLogin } from './log-in.ts';
import { ReplyFilterTrouble, ReplyReader } from './reply.ts';
import type { Reply } from './reply.ts';
import { stages } from './stages.ts';
import type { ClientOptions, ClientStep, Failure, Transaction } from './steps.ts';
import type { TakenTranscript } from './transcript.ts';

/** Content is handed on in pieces of about this size, so that a small message and its dot are one write. */
const pieceSize = 16 * 1024;
/** A server may send this much that nobody asked for before it is taken for gone. */
const unaskedLimit = 64 * 1024;

/** Where a reply settles recipients, and nothing further is begun by it. */
const outcomeStages: ReadonlySet<Awaited['stage']> = new Set(['mail', 'rcpt', 'dot']);

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
      garbage: (line) => this.garbage(line),
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
    if (!this.takesFollower || this.objection(transaction)) return false;
    const { talk } = this;
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
    if (talk.options.blocksEarlyReply && talk.secure && this.reader.held > 0) return this.tooEarly(exchange);
    const objection = this.objection(transaction);
    if (!objection) return;
    exchange.failOpen(objection);
    if (objection.softUntilLast) talk.suspect = true;
    else exchange.decide();
    exchange.finish(!objection.softUntilLast);
  }

  // What need not even be tried. RFC 1870 section 6.1: SIZE; RFC 6531 section 3.2: SMTPUTF8.
  private objection({ smtputf8, size }: Transaction): Failure | undefined {
    const { features, options: { peer } } = this.talk;
    if (smtputf8 === 'required' && !features.smtputf8) {
      const reason = `message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was ${peer.nameAddress}`;
      return this.talk.own('5.6.7', reason, 'message', true);
    }
    if (features.sizeLimit > 0 && size > features.sizeLimit)
      return this.talk.own('5.3.4', `message size ${size} exceeds size limit ${features.sizeLimit} of server ${peer.nameAddress}`, 'message');
    return undefined;
  }

  /** The next piece of the content, with LF line ends. */
  content(chunk: Buffer): void {
    this.encode(chunk.length, (encoder) => [encoder.encode(chunk)]);
    if (this.pieceBytes >= pieceSize) this.flushPieces();
  }

  /** The same with CRLF line ends, not cut inside of one. Sent at once: when the stream has taken all, the chunk is not wanted any more. */
  contentWire(chunk: Buffer): void {
    this.encode(chunk.length, (encoder) => encoder.wire(chunk));
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
   * broken, and must be handed over piece by piece.
   */
  contentWhole(bytes: Buffer): boolean {
    const { talk, exchange } = this;
    if (!exchange?.streaming) return true;
    const pieces = wireForm(bytes, talk.settings.lineLimit);
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
    exchange.failOpen(failure ?? talk.own('4.3.0', `local data error while talking to ${talk.options.peer.nameAddress}`, 'site'));
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
    if (this.talk.closed) return;
    giveUp(this.talk, this.talk.own('4.7.5', 'Cannot start TLS: handshake failure', 'site'), false);
  }

  private tooEarly(exchange: Exchange): void {
    const { talk } = this;
    const { peer, settings } = talk.options;
    exchange.failOpen(talk.own('4.7.0', 'unexpected server message', 'site'));
    talk.log('warning', `server ${peer.nameAddress} violates ${settings.dialect}_tls_block_early_mail_reply policy`);
    exchange.hangUp(false);
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
    const stage = talk.head?.stage;
    if (exchange && !exchange.over) this.lostMessage(exchange, what, stage);
    else if (stage && stage !== 'quit') giveUp(talk, talk.own('4.4.2', `${what} while ${stages[stage].while}`, 'site'), false);
    else if (talk.uses === 0 && !stage && talk.deadline !== undefined) this.tlsFailed();
    else if (talk.uses === 0 && !stage) giveUp(talk, talk.own('4.4.2', `${what} while ${stages.mail.while}`, 'site'), false);
    else talk.close();
  }

  private lostMessage(exchange: Exchange, what: string, stage: Awaited['stage'] | undefined): void {
    const { talk } = this;
    if (stage === 'probe' || (exchange.behind && exchange.open.size > 0)) return exchange.stale();
    const verdict = exchange.streaming ? this.earlyVerdict() : undefined;
    const where = exchange.streaming ? 'sending message body' : stages[stage ?? 'mail'].while;
    exchange.streaming = false;
    if (stage !== 'abort' && stage !== 'quit') exchange.failOpen(verdict ?? talk.own('4.4.2', `${what} while ${where}`, 'site'));
    exchange.hangUp(false);
  }

  // A server may say no before it has seen all of the content. That it says yes to what it has not seen is not believed: such
  // a reply belongs to nothing, and taken for the answer to the dot it could lose the message.
  private earlyVerdict(): Failure | undefined {
    const { talk } = this;
    const reply = this.takeReply();
    if (!reply) return undefined;
    const failure = talk.refused(reply, 'dot', 'message');
    return reply.code >= 400 && reply.code < 600 ? failure : { ...failure, status: '4.5.0', scope: 'site' };
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
      this.giveUpLocally();
      return undefined;
    }
  }

  private giveUpLocally(): void {
    const { talk, exchange } = this;
    const failure = talk.own('4.3.0', `local data error while talking to ${talk.options.peer.nameAddress}`, 'site');
    if (!exchange || exchange.over) return giveUp(talk, failure, false);
    exchange.streaming = false;
    exchange.failOpen(failure);
    exchange.hangUp(false);
  }

  private garbage(line: string): void {
    const { talk } = this;
    const { settings, peer } = talk.options;
    talk.distrust();
    if (!talk.features.pipelining) return;
    talk.log('warning', `${this.queueId}: non-${settings.dialect === 'lmtp' ? 'LMTP' : 'ESMTP'} response from ${peer.nameAddressPort}: ${line.slice(0, 100)}`);
    const parameter = settings.dialect === 'lmtp' ? 'lmtp_discard_lhlo_keyword_address_maps' : 'smtp_discard_ehlo_keyword_address_maps';
    if (settings.helpfulWarnings) talk.log('warning', `to prevent loss of mail, turn off command pipelining for ${peer.address} with the ${parameter} parameter`);
  }
}
