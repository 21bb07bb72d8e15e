/**
 * One client, from connect to disconnect: the protocol machine asks, restrictions and cleanup answer.
 *
 * A message is accepted only when cleanup says that it is durable. Trouble of ours is a temporary failure for the client
 * and a warning in the log; a throw ends this session and no other.
 */
import { fullSocket, type PeerSocket } from '../../host/lean-socket.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { Pump } from '../../network/pump.ts';
import type { Peer } from '../../protocol/smtp-server/peer.ts';
import { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import { reply } from '../../protocol/smtp-server/reply.ts';
import type { LogEvent, Question, Reply, SmtpServerStep, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Session } from '../../server/daemon.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { noSideEffects, type AccessState, type Client, type Decision } from './access/state.ts';
import type { ClientCounts } from './client-counts.ts';
import { Authentication } from './authentication.ts';
import { Encryption } from './encryption.ts';
import type { Hall } from './hall.ts';
import { answerEtrn } from './flush-site.ts';
import { logEvent, whereIs } from './log-lines.ts';
import { listenersOf, reasonOf } from './listeners.ts';
import { SessionMilters } from './milter.ts';
import { MailDialogue } from './mail-dialogue.ts';
import { overridden } from './other-client.ts';
import type { Transcript } from './transcript.ts';
import { accepted, badRecipient, verdictOf, type Asked } from './verdict.ts';

type Performed = Exclude<SmtpServerStep, { kind: 'send' | 'delay' }>;

const noCleanup = reply(451, '4.3.0', 'Error: queue file write error');

const freshState = (client: Client, log: Log): AccessState => ({
  client, log, helo: undefined, protocol: 'SMTP', sender: undefined, recipient: undefined, recipientCount: 0, where: 'CONNECT', queueId: undefined,
  effects: noSideEffects(), deferIfPermit: undefined, deferIfReject: undefined, noted: undefined, warnOnly: false, recipientChecked: false, senderChecked: false,
  depth: 0, pipelinesIllegally: false,
  // What comes later has its place from the beginning: an object that grows is made anew for every few fields.
  stress: undefined, sasl: undefined, claimedSender: undefined, tls: undefined, logsInternal: undefined, forwarded: undefined, etrnDomain: undefined, size: undefined,
  instance: undefined, answers: undefined, smtputf8: false,
});

type Answers = { readonly [V in Question['verb']]: (conversation: Conversation, question: Asked<V>) => MaybePromise<Verdict> };

export class Conversation {
  /** See SteadySet. */
  seat = -1;
  /** Who answers what the machine asks. */
  static readonly #answers: Answers = {
    CONNECT: (conversation) => conversation.#connect(),
    HELO: (conversation, { name }) => conversation.#hello(name),
    EHLO: (conversation, { name }) => chain(conversation.#hello(name), (verdict) => conversation.#authentication.offer(verdict)),
    MAIL: (conversation, question) => conversation.#mailFrom(question),
    RCPT: (conversation, question) => conversation.#rcptTo(question),
    DATA: (conversation) => conversation.#mail.data(),
    END: (conversation, { size }) => conversation.#mail.end(size),
    STARTTLS: (conversation) => conversation.#unlessFiltered(() => conversation.#encryption.mayBegin()),
    AUTH: (conversation, question) => conversation.#counted(conversation.#counts.auth(), () => conversation.#unlessFiltered(() => conversation.#authentication.begin(question))),
    RESPONSE: (conversation, { response }) => conversation.#authentication.respond(response),
    VRFY: (conversation, question) =>
      conversation.#counted(conversation.#counts.recipient(), () => conversation.#unlessFiltered(() => conversation.#verify(question))),
    ETRN: (conversation, { domain }) => conversation.#unlessFiltered(() => conversation.#etrn(domain)),
    UNKNOWN: (conversation, { line }) => conversation.#filtered(conversation.#milters?.unknown(line), () => accepted),
    COMMAND: (conversation, { line }) => conversation.#hall.filterCommand?.(line, conversation.#lookAgain()) ?? accepted,
    XCLIENT: (conversation, question) => conversation.#become(question),
  };

  readonly #hall: Hall;
  readonly #log: Log;
  readonly #machine: SmtpServerSession;
  readonly #state: AccessState;
  readonly #settings: SmtpServerSettings;
  #counts: ClientCounts;
  #transcript: Transcript | undefined;
  #endReason: string | undefined;
  readonly #socket: PeerSocket;
  /** None before the handshake of wrapper mode. */
  #pump: Pump<SmtpServerStep> | undefined;
  readonly #encryption: Encryption;
  readonly #authentication: Authentication;
  readonly #milters: SessionMilters | undefined;
  readonly #mail: MailDialogue;

  constructor(session: Session<PeerSocket>, client: Client, hall: Hall) {
    this.#hall = hall;
    this.#log = session.log;
    this.#state = freshState(client, session.log);
    if (session.stress) this.#state.stress = true;
    if (hall.logsInternal) this.#state.logsInternal = true;
    this.#counts = hall.counts(client, session.log);
    if (hall.milters !== undefined) this.#milters = new SessionMilters(hall.milters, this.#state, () => this.#counts.connections);
    this.#socket = session.socket;
    this.#settings = this.#edited(hall.settings(client));
    const { transcript, listener } = listenersOf(hall, this.#state, this.#settings.smtputf8_enable);
    this.#transcript = transcript;
    this.#machine = new SmtpServerSession(this.#settings, hall.tls.level.isWrapped, listener);
    this.#log.info(`connect from ${client.label}`);
    const { tls, sasl, own: { hostname } } = hall;
    const parts = { tls, sasl, hostname, state: this.#state, counts: this.#counts, log: this.#log, machine: this.#machine, authOnly: tls.level.authOnly };
    this.#encryption = new Encryption(parts);
    this.#authentication = new Authentication(parts);
    this.#mail = new MailDialogue({ hall, state: this.#state, machine: this.#machine, milters: this.#milters, encryption: this.#encryption });
    if (hall.tls.level.isWrapped) return;
    // What came behind a proxy's header came before our greeting.
    if ((session.socket.readableLength ?? 0) > 0) this.#machine.receive(session.socket.read!() as Buffer);
    this.#pump = this.#converse(session.socket);
  }

  /** Settings are shared; what is done to replies depends on the session. */
  #edited(settings: SmtpServerSettings): SmtpServerSettings {
    const { editReply, milters } = this.#hall;
    if (milters !== undefined) settings = { ...settings, asksUnknown: true };
    return editReply === undefined ? settings : { ...settings, editReply: (said: Reply) => editReply(said, this.#lookAgain()) };
  }

  /** Until the client is gone. */
  async served(): Promise<void> {
    const { unhurried } = this.#hall;
    if (!this.#state.stress) unhurried?.add(this);
    try {
      this.#pump ??= await this.#wrapped();
      await this.#pump?.closed;
    } finally {
      this.#authentication.end();
      this.#transcript?.flush(this.#endReason);
      unhurried?.delete(this);
      this.#mail.gone();
      this.#milters?.quit();
      this.#counts.gone();
      this.#log.info(`disconnect from ${this.#state.client.label} ${this.#machine.statistics()}`);
    }
  }

  /** The service nears its limit: from now on this client has as little time as those who come now. */
  hurry(): void {
    const { underStress } = this.#hall;
    this.#state.stress = true;
    this.#encryption.hurry();
    if (underStress === undefined) return;
    const hurry = (): void => this.#machine.hurry(underStress.settings(this.#state.client));
    if (this.#pump === undefined) hurry();
    else this.#pump.tell(hurry);
  }

  #perform(step: Performed): MaybePromise<void> {
    switch (step.kind) {
      case 'ask': return this.#ask(step.question);
      case 'content': return this.#mail.content(step.chunk);
      case 'abort': return this.#mail.forget();
      case 'log': return this.#noted(step.log);
      case 'start-tls': return this.#startTls();
      case 'close': return void (this.#endReason = reasonOf(step.reason));
      default: return undefined;
    }
  }

  #noted(event: LogEvent): void {
    logEvent(event, this.#lookAgain(), this.#log, this.#hall.own.hostname);
    const refuses = event.event === 'size-limit' || event.event === 'reject';
    if (refuses) this.#mail.refused();
  }

  /** A late answer does not hold the pump: replies that are ready go out meanwhile. */
  #ask(question: Question): void {
    if (question.verb !== 'COMMAND') this.#lookAgain().where = question.verb === 'CONNECT' ? this.#machine.where : whereIs(question);
    const answer = this.#answer(question);
    if (!isPending(answer)) return this.#machine.answer(answer);
    answer.then((verdict) => this.#pump!.tell(() => this.#machine.answer(verdict)), (error: Error) => this.#broken(error));
  }

  /** A mistake of ours ends this session, and no other. */
  #broken(error: Error): void {
    this.#log.warning(`session ended by an internal error: ${error.stack ?? error.message}`);
    this.#pump?.destroy();
  }

  #answer(question: Question): MaybePromise<Verdict> {
    const ask = Conversation.#answers[question.verb] as (conversation: Conversation, question: Question) => MaybePromise<Verdict>;
    try {
      const answer = ask(this, question);
      return isPending(answer) ? answer.catch((error: Error) => this.#trouble(error)) : answer;
    } catch (error) {
      return this.#trouble(error as Error);
    }
  }

  /** Something of ours is out of reach: the client may come again. Anything else is a mistake and ends the session. */
  #trouble(error: Error): Verdict {
    if (!(error instanceof ServiceTrouble)) throw error;
    this.#log.warning(`${this.#state.queueId ?? 'NOQUEUE'}: ${error.message}`);
    return { accept: false, reply: noCleanup };
  }

  #converse(socket: PeerSocket): Pump<SmtpServerStep> {
    const { ticker } = this.#hall;
    return new Pump({ socket, machine: this.#machine, ticker, pauseWhenFull: true, perform: (step) => this.#perform(step) });
  }

  async #startTls(): Promise<void> {
    // What was said before leaves in plain text first.
    await Promise.resolve();
    this.#authentication.forget();
    this.#pump!.adopt(await this.#encryption.begin(this.#pump!.detach()));
  }

  async #wrapped(): Promise<Pump<SmtpServerStep> | undefined> {
    const socket = await this.#encryption.wrap(fullSocket(this.#socket));
    return socket === undefined ? undefined : this.#converse(socket);
  }

  /** What the machine knows of the session, for restrictions and log. */
  #lookAgain(): AccessState {
    const machine = this.#machine;
    const state = this.#state;
    state.protocol = machine.protocol;
    state.helo = machine.helo;
    state.recipientCount = machine.recipients;
    state.pipelinesIllegally = machine.outOfStep;
    return state;
  }

  #verdict(decision: MaybePromise<Decision>): MaybePromise<Verdict> {
    return isPending(decision) ? decision.then(verdictOf) : verdictOf(decision);
  }

  /** A client that asks too much is told so before anything else is looked at. */
  #counted(refusal: MaybePromise<Reply | undefined>, next: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    return chain(refusal, (found) => (found === undefined ? next() : { accept: false, reply: found }));
  }

  /** Milters refuse, or it goes on. */
  #filtered(refusal: MaybePromise<Reply | undefined>, next: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    return chain(refusal, (found) => (found === undefined ? next() : { accept: false, reply: found }));
  }

  #unlessFiltered(next: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    return this.#filtered(this.#milters?.other(), next);
  }

  #connect(): MaybePromise<Verdict> {
    const peer = this.#hall.peerOf?.(this.#state.client, this.#settings);
    return isPending(peer) ? peer.then((late) => this.#met(late)) : this.#met(peer);
  }

  #met(peer: Peer | undefined): MaybePromise<Verdict> {
    const refusal = this.#counts.connected();
    const verdict = refusal === undefined ? this.#greeted() : this.#counted(refusal, () => this.#greeted());
    return peer === undefined ? verdict : chain(verdict, (said) => ({ ...said, peer }));
  }

  #greeted(): MaybePromise<Verdict> {
    const verdict = this.#verdict(this.#hall.policy.connect(this.#state));
    if (this.#milters === undefined) return verdict;
    return chain(verdict, (judged) => (judged.accept ? chain(this.#milters!.connect(), (own) => own ?? judged) : judged));
  }

  /** XCLIENT: whatever was known of the client, and was worked out for it, holds no more. */
  #become({ override }: Asked<'XCLIENT'>): Verdict {
    const state = this.#state;
    this.#mail.forget();
    this.#transcript?.flush();
    this.#counts.gone();
    state.client = overridden(state.client, override, this.#hall.logsPort === true);
    this.#authentication.forget();
    state.sasl = override.login === undefined ? undefined : { username: override.login, method: 'XCLIENT', sender: undefined };
    state.answers = state.noted = undefined;
    this.#counts = this.#encryption.counts = this.#hall.counts(state.client, this.#log);
    this.#milters?.restart();
    return accepted;
  }

  #hello(name: string): MaybePromise<Verdict> {
    const again = this.#state.helo !== undefined;
    this.#state.helo = name;
    // A transaction that HELO will end is still there for its restrictions, as in Postfix.
    this.#state.recipient = this.#machine.firstRecipient;
    const verdict = this.#verdict(this.#hall.policy.hello(this.#state));
    return isPending(verdict) ? verdict.then((late) => this.#helloJudged(late, name, again)) : this.#helloJudged(verdict, name, again);
  }

  #helloJudged(verdict: Verdict, name: string, again: boolean): MaybePromise<Verdict> {
    this.#state.recipient = undefined;
    return verdict.accept && this.#milters !== undefined ? chain(this.#milters.hello(name, again), (own) => own ?? verdict) : verdict;
  }

  #mailFrom(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    const refusal = this.#counts.message();
    return refusal === undefined ? this.#mail.sender(question) : this.#counted(refusal, () => this.#mail.sender(question));
  }

  #rcptTo(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const refusal = this.#counts.recipient();
    return refusal === undefined ? this.#mail.recipient(question) : this.#counted(refusal, () => this.#mail.recipient(question));
  }

  #etrn(domain: string): MaybePromise<Verdict> {
    const state = this.#state;
    state.etrnDomain = domain;
    return chain(this.#hall.policy.etrn(state), (decision) => {
      state.etrnDomain = undefined;
      if (decision?.kind === 'refuse') return verdictOf(decision);
      return answerEtrn(domain, state.client.label, this.#hall.flushSite, this.#log);
    });
  }

  /** A probe of a recipient outside of a transaction: the same restrictions, nothing is kept. */
  async #verify({ address, path, smtputf8 }: Asked<'VRFY'>): Promise<Verdict> {
    const state = this.#state;
    const { sender } = state;
    if (await this.#mail.isMalformed(address, path, smtputf8)) return badRecipient;
    state.recipient = address;
    state.recipientChecked = false;
    const verdict = await this.#verdict(this.#hall.policy.recipient(state, sameIgnoringCase(address, 'postmaster')));
    state.recipient = undefined;
    state.sender = sender;
    return verdict.accept ? { accept: true, reply: reply(252, '2.0.0', path) } : verdict;
  }

}
