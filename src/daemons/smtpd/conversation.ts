/**
 * One client, from connect to disconnect: the protocol machine asks, restrictions and cleanup answer.
 *
 * A message is accepted only when cleanup says that it is durable. Trouble of ours is a temporary failure for the client
 * and a warning in the log; a throw ends this session and no other.
 */
import { fullSocket, type PeerSocket } from '../../host/lean-socket.ts';
import { cleanupStatus, type CleanupReply } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { Pump } from '../../network/pump.ts';
import { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import { reply, say } from '../../protocol/smtp-server/reply.ts';
import type { LogEvent, Question, Reply, SmtpServerStep, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Session } from '../../server/daemon.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { forgetSideEffects, noSideEffects, type AccessState, type Client, type Decision } from './access/state.ts';
import type { ClientCounts, CountsFor } from './client-counts.ts';
import { Authentication } from './authentication.ts';
import { Encryption } from './encryption.ts';
import type { SaslService } from './sasl.ts';
import type { ServerTls } from './tls.ts';
import type { Policy } from './policy.ts';
import type { ProbeSenderOf } from './probe-sender.ts';
import { answerEtrn } from './flush-site.ts';
import { clientLine, logEvent, whereIs } from './log-lines.ts';
import { listenersOf, reasonOf, type Audience } from './listeners.ts';
import { SessionMilters, type MilterDesk } from './milter.ts';
import { overridden } from './other-client.ts';
import type { PeerOf } from './peer-rights.ts';
import type { EditReply } from './refusal-text.ts';
import type { ProxyFilter } from './proxy-filter.ts';
import type { ProxyTransaction } from './proxy-transaction.ts';
import type { Transcript } from './transcript.ts';
import { refusedByCleanup, Transaction, type OwnName, type TransactionFacts } from './transaction.ts';
import type { Cleanup } from '../../ipc/cleanup.ts';

/** What all conversations of a service share. */
export interface Hall extends Audience {
  readonly policy: Policy;
  readonly counts: CountsFor;
  readonly cleanup: Cleanup;
  /** The before-queue filter, in cleanup's place. */
  readonly proxy?: ProxyFilter | undefined;
  /** The queue, or the filter, is reached before a recipient is known to be good (smtpd_delay_open_until_valid_rcpt = no). */
  readonly opensEarly?: boolean;
  /** flush(8), for ETRN: a status of ipc/flush.ts. */
  flushSite?(site: string): MaybePromise<number>;
  readonly tls: ServerTls;
  /** Absent: nobody can log in. */
  readonly sasl?: SaslService | undefined;
  readonly own: OwnName;
  readonly log: Log;
  settings(client: Client): SmtpServerSettings;
  /** What a client may do that others may not. Absent: nothing. */
  readonly peerOf?: PeerOf | undefined;
  /** smtpd_command_filter. Absent: commands are taken as they come. */
  readonly filterCommand?: ((line: string, state: AccessState) => MaybePromise<Verdict>) | undefined;
  /** info_log_address_format is `internal`. */
  readonly logsInternal?: boolean;
  /** smtpd_client_port_logging */
  readonly logsPort?: boolean;
  /** smtputf8_autodetect_classes */
  readonly detectsUtf8?: boolean;
  /** For bad times (`stress`). Absent: these are they. */
  readonly underStress?: Hall;
  /** Those here that began before the times became bad. */
  readonly unhurried?: Set<Conversation>;
  isMalformed(sender: string, address: string): MaybePromise<boolean>;
  /** See probe-sender.ts. */
  readonly probeSender?: ProbeSenderOf;
  now(): number;
  readonly ticker: { monotonic(): number; after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  /** Is there room in the queue for one more message (queue_minfree)? */
  hasSpace(): boolean;
  isLocalRewriting(state: AccessState): MaybePromise<boolean>;
  readonly contentFilter: string;
  readonly withoutFlags: number;
  /** Undefined: no client has milters. */
  readonly milters?: MilterDesk | undefined;
  /** Undefined: replies go out as they are. */
  readonly editReply?: EditReply | undefined;
  /** A name for the next mail transaction, as policy services know it. */
  nextInstance(): string;
}

type Performed = Exclude<SmtpServerStep, { kind: 'send' | 'delay' }>;

const accepted: Verdict = { accept: true };
const badSender: Verdict = { accept: false, reply: say.badSender };
const badRecipient: Verdict = { accept: false, reply: say.badRecipient };
const noSpace = reply(452, '4.3.1', 'Insufficient system storage');
const lostCleanup = reply(421, '4.3.0', 'Mail system error');
const noCleanup = reply(451, '4.3.0', 'Error: queue file write error');

const freshState = (client: Client, log: Log): AccessState => ({
  client, log, helo: undefined, protocol: 'SMTP', sender: undefined, recipient: undefined, recipientCount: 0, where: 'CONNECT', queueId: undefined,
  effects: noSideEffects(), deferIfPermit: undefined, deferIfReject: undefined, noted: undefined, warnOnly: false, recipientChecked: false, senderChecked: false,
  depth: 0, pipelinesIllegally: false,
});

type Asked<V extends Question['verb']> = Extract<Question, { readonly verb: V }>;
type Answers = { readonly [V in Question['verb']]: (conversation: Conversation, question: Asked<V>) => MaybePromise<Verdict> };

const verdictOf = (decision: Decision): Verdict => (decision?.kind === 'refuse' ? { accept: false, reply: decision.reply } : accepted);

export class Conversation {
  /** Who answers what the machine asks. */
  static readonly #answers: Answers = {
    CONNECT: (conversation) => conversation.#connect(),
    HELO: (conversation, { name }) => conversation.#hello(name),
    EHLO: (conversation, { name }) => chain(conversation.#hello(name), (verdict) => conversation.#authentication.offer(verdict)),
    MAIL: (conversation, question) => conversation.#mailFrom(question),
    RCPT: (conversation, question) => conversation.#rcptTo(question),
    DATA: (conversation) => conversation.#data(),
    END: (conversation, { size }) => conversation.#end(size),
    STARTTLS: (conversation) => conversation.#unlessFiltered(() => conversation.#encryption.mayBegin()),
    AUTH: (conversation, question) => conversation.#counted(conversation.#counts.auth(), () => conversation.#unlessFiltered(() => conversation.#authentication.begin(question))),
    RESPONSE: (conversation, { response }) => conversation.#authentication.respond(response),
    VRFY: (conversation, question) =>
      conversation.#counted(conversation.#counts.recipient(), () => conversation.#unlessFiltered(() => conversation.#verify(question.address, question.path))),
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
  #mail: Omit<TransactionFacts, 'state'> & { readonly command: string } | undefined;
  #transaction: Transaction | ProxyTransaction | undefined;
  /** The client has gone: an answer that comes now must not begin anything. */
  #isGone = false;

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
    this.#machine = new SmtpServerSession(this.#settings, hall.tls.level.isWrapped);
    this.#log.info(`connect from ${client.label}`);
    const counts = (): ClientCounts => this.#counts;
    this.#encryption = new Encryption({ tls: hall.tls, hostname: hall.own.hostname, state: this.#state, get counts() { return counts(); }, log: this.#log, machine: this.#machine });
    this.#authentication = new Authentication({ sasl: hall.sasl, hostname: hall.own.hostname, state: this.#state, log: this.#log, authOnly: hall.tls.level.authOnly });
    if (hall.tls.level.isWrapped) return;
    // What came behind a proxy's header came before our greeting.
    if ((session.socket.readableLength ?? 0) > 0) this.#machine.receive(session.socket.read!() as Buffer);
    this.#pump = this.#converse(session.socket);
  }

  /** Settings are shared; what is done to replies depends on the session. */
  #edited(settings: SmtpServerSettings): SmtpServerSettings {
    const { editReply, milters } = this.#hall;
    const { transcript, listener } = listenersOf(this.#hall, this.#state, settings.smtputf8_enable);
    this.#transcript = transcript;
    if (milters !== undefined) settings = { ...settings, asksUnknown: true };
    const edited = editReply === undefined ? settings : { ...settings, editReply: (said: Reply) => editReply(said, this.#state) };
    return listener === undefined ? edited : { ...edited, transcript: listener };
  }

  /** Until the client is gone. */
  async served(): Promise<void> {
    const { unhurried } = this.#hall;
    if (!this.#state.stress) unhurried?.add(this);
    try {
      this.#pump ??= await this.#wrapped();
      await this.#pump?.closed;
    } finally {
      this.#isGone = true;
      this.#authentication.end();
      this.#transcript?.flush(this.#endReason);
      unhurried?.delete(this);
      this.#forget();
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
      case 'content': return this.#content(step.chunk);
      case 'abort': return this.#forget();
      case 'log': return this.#noted(step.log);
      case 'start-tls': return this.#startTls();
      case 'close': return void (this.#endReason = reasonOf(step.reason));
      default: return undefined;
    }
  }

  #noted(event: LogEvent): void {
    logEvent(event, this.#lookAgain(), this.#log, this.#hall.own.hostname);
    const refuses = event.event === 'size-limit' || event.event === 'reject';
    if (refuses && this.#transaction !== undefined && !(this.#transaction instanceof Transaction)) this.#transaction.refused();
  }

  /** A late answer does not hold the pump: replies that are ready go out meanwhile. */
  #ask(question: Question): void {
    if (question.verb !== 'COMMAND') this.#lookAgain().where = whereIs(question);
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
    return chain(peer, (known) => {
      const verdict = this.#counted(this.#counts.connected(), () => chain(this.#verdict(this.#hall.policy.connect(this.#state)), (judged) =>
        (judged.accept ? chain(this.#milters?.connect(), (own) => own ?? judged) : judged)));
      return known === undefined ? verdict : chain(verdict, (said) => ({ ...said, peer: known }));
    });
  }

  /** XCLIENT: whatever was known of the client, and was worked out for it, holds no more. */
  #become({ override }: Asked<'XCLIENT'>): Verdict {
    const state = this.#state;
    this.#forget();
    this.#transcript?.flush();
    this.#counts.gone();
    state.client = overridden(state.client, override, this.#hall.logsPort === true);
    this.#authentication.forget();
    state.sasl = override.login === undefined ? undefined : { username: override.login, method: 'XCLIENT', sender: undefined };
    state.answers = state.noted = undefined;
    this.#counts = this.#hall.counts(state.client, this.#log);
    this.#milters?.restart();
    return accepted;
  }

  #hello(name: string): MaybePromise<Verdict> {
    const again = this.#state.helo !== undefined;
    this.#state.helo = name;
    return chain(this.#verdict(this.#hall.policy.hello(this.#state)), (verdict) => (verdict.accept ? chain(this.#milters?.hello(name, again), (own) => own ?? verdict) : verdict));
  }

  #mailFrom(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    const refusal = this.#counts.message();
    return refusal === undefined ? this.#sender(question) : this.#counted(refusal, () => this.#sender(question));
  }

  #rcptTo(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const refusal = this.#counts.recipient();
    return refusal === undefined ? this.#recipient(question) : this.#counted(refusal, () => this.#recipient(question));
  }

  #sender(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    this.#forget();
    const { sender, path } = question;
    return chain(this.#isMalformed(sender, path), (malformed) => {
      if (malformed) return badSender;
      return chain(this.#hall.probeSender?.(sender), (probing) => this.#knownSender(probing === undefined ? question : { ...question, sender: probing }));
    });
  }

  #knownSender(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    this.#state.sender = question.sender;
    this.#vouch(question.parameters.auth);
    this.#state.size = question.parameters.size;
    this.#state.forwarded = question.forwarded;
    this.#state.instance = this.#hall.nextInstance();
    return chain(this.#hall.policy.sender(this.#state), (decision) => this.#senderJudged(question, decision));
  }

  #senderJudged({ sender, parameters }: Asked<'MAIL'>, decision: Decision): MaybePromise<Verdict> {
    const hall = this.#hall;
    const state = this.#state;
    if (decision?.kind === 'refuse') return (this.#forget(), verdictOf(decision));
    const judged = this.#milters?.mail(this.#machine.pathWords);
    if (judged !== undefined) return chain(judged, (refusal) => (refusal === undefined ? this.#senderTaken(sender, parameters) : (this.#forget(), { accept: false, reply: refusal })));
    return this.#senderTaken(sender, parameters);
  }

  #senderTaken(sender: string, parameters: Asked<'MAIL'>['parameters']): MaybePromise<Verdict> {
    const hall = this.#hall;
    const state = this.#state;
    if (!hall.hasSpace()) {
      hall.policy.logRefusal(state, noSpace);
      this.#forget();
      return { accept: false, reply: noSpace };
    }
    const arrival = hall.now();
    return chain(hall.isLocalRewriting(state), (isLocalRewriting) => {
      this.#mail = { sender, parameters, arrival, isLocalRewriting, contentFilter: hall.contentFilter, withoutFlags: hall.withoutFlags, receivedTls: this.#encryption.received, logsPort: hall.logsPort, detectsUtf8: hall.detectsUtf8, command: this.#machine.commandLine };
      return hall.opensEarly ? this.#openEarly() : accepted;
    });
  }

  #recipient(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const { recipient, path } = question;
    return chain(this.#isMalformed(recipient, path), (malformed) => {
      if (malformed) return badRecipient;
      return chain(this.#hall.probeSender?.(recipient), (probing) =>
        (probing === undefined ? this.#knownRecipient(question) : this.#recipientJudged({ ...question, recipient: probing }, undefined)));
    });
  }

  #knownRecipient(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const state = this.#state;
    state.recipient = question.recipient;
    state.recipientChecked = false;
    return chain(this.#hall.policy.recipient(state, sameIgnoringCase(question.recipient, 'postmaster')), (decision) => this.#recipientJudged(question, decision));
  }

  #recipientJudged(question: Asked<'RCPT'>, decision: Decision): MaybePromise<Verdict> {
    if (this.#milters === undefined) return this.#recipientTaken(question, decision);
    this.#state.recipient = question.recipient;
    const refused = decision?.kind === 'refuse' ? decision.reply : undefined;
    return chain(this.#milters.rcpt(this.#machine.pathWords, refused), (reply) => this.#recipientTaken(question, reply === undefined ? decision : { kind: 'refuse', reply }));
  }

  #recipientTaken({ recipient, notify, orcpt }: Asked<'RCPT'>, decision: Decision): MaybePromise<Verdict> {
    const state = this.#state;
    if (decision?.kind === 'refuse') {
      state.recipient = undefined;
      return verdictOf(decision);
    }
    return chain(this.#open(), (transaction) => chain(transaction?.recipient(recipient, notify, orcpt, this.#machine.commandLine), (refusal) => {
      state.recipient = undefined;
      return refusal === undefined ? accepted : { accept: false, reply: refusal };
    }));
  }

  #openEarly(): MaybePromise<Verdict> {
    return chain(this.#open(), (transaction) => chain(transaction instanceof Transaction ? undefined : transaction?.greet(), (refusal) => {
      if (refusal === undefined) return accepted;
      this.#forget();
      return { accept: false, reply: refusal };
    }));
  }

  /** Does the address resolve to a form that cannot be? Trouble with tables is for the restrictions to tell. */
  #isMalformed(address: string, path: string): MaybePromise<boolean> {
    if (address === '') return false;
    return chain(this.#hall.isMalformed(this.#state.sender ?? '', address), (malformed) => {
      if (malformed) this.#log.warning(`Illegal address syntax from ${this.#state.client.label} in ${this.#state.where} command: ${path}`);
      return malformed;
    });
  }

  /** Undefined when the client has gone meanwhile. */
  #open(): MaybePromise<Transaction | ProxyTransaction | undefined> {
    if (this.#transaction !== undefined || this.#isGone) return this.#transaction;
    const { command, ...mail } = this.#mail!;
    const facts = { state: this.#state, ...mail, isFiltered: this.#milters?.isChained ?? false };
    const { proxy } = this.#hall;
    if (proxy !== undefined) return this.#transaction = proxy.open(facts, command, () => this.#announce());
    const transaction = Transaction.open(this.#hall.cleanup, facts);
    return isPending(transaction) ? transaction.then((late) => this.#opened(late)) : this.#opened(transaction);
  }

  #opened(transaction: Transaction): Transaction | undefined {
    if (this.#isGone) return void transaction.abort();
    this.#transaction = transaction;
    this.#state.queueId = transaction.queueId;
    this.#announce();
    return transaction;
  }

  #announce(): void {
    this.#log.info(clientLine(this.#state, this.#hall.logsPort === true));
  }

  /** What is asked about the message is asked, and logged, of its recipient when it has only one. */
  #ofWholeMessage(policy: (state: AccessState) => MaybePromise<Decision>): MaybePromise<Decision> {
    const state = this.#state;
    state.recipient = state.recipientCount === 1 ? this.#machine.context().recipient : undefined;
    return chain(policy(state), (decision) => {
      state.recipient = undefined;
      return decision;
    });
  }

  #data(): MaybePromise<Verdict> {
    return chain(this.#ofWholeMessage((state) => this.#hall.policy.data(state)), (decision) => {
      if (decision?.kind === 'refuse') return verdictOf(decision);
      return this.#milters === undefined ? this.#begin() : this.#filteredData(this.#milters);
    });
  }

  #filteredData(milters: SessionMilters): MaybePromise<Verdict> {
    const state = this.#state;
    state.recipient = this.#machine.context().recipient;
    return chain(milters.data(), (refusal) => {
      state.recipient = undefined;
      if (refusal !== undefined) return { accept: false, reply: refusal };
      const inspection = milters.inspection();
      // What goes to a filter before the queue is seen by the milters of the service behind it.
      if (inspection !== undefined && !this.#isGone && this.#transaction instanceof Transaction) this.#transaction.inspect(inspection);
      return this.#begin();
    });
  }

  #begin(): MaybePromise<Verdict> {
    return chain(this.#isGone ? undefined : this.#transaction!.begin(this.#hall.own), (refusal) => (refusal === undefined ? accepted : { accept: false, reply: refusal }));
  }

  #content(chunk: Buffer): MaybePromise<void> {
    const transaction = this.#transaction!;
    return transaction.content(chunk) ? undefined : transaction.drained();
  }

  #end(size: number): MaybePromise<Verdict> {
    const transaction = this.#transaction!;
    this.#state.size = size;
    return chain(this.#ofWholeMessage((state) => this.#hall.policy.endOfData(state)), (decision) => {
      if (decision?.kind !== 'refuse') return transaction.end().then((outcome) => this.#concluded(transaction, outcome));
      this.#forget();
      return verdictOf(decision);
    });
  }

  #concluded({ queueId }: Transaction | ProxyTransaction, outcome: CleanupReply | { readonly verdict: Verdict }): Verdict {
    this.#transaction = undefined;
    this.#forget();
    if ('verdict' in outcome) return outcome.verdict;
    // Nobody knows what filters have heard of the message, or have still to say: they begin anew with the client's next session.
    if (this.#milters?.isChained && (outcome.status & cleanupStatus.write) !== 0) this.#machine.expel(lostCleanup, false);
    return outcome.status === 0 ? { accept: true, queueId: queueId! } : { accept: false, reply: refusedByCleanup(outcome) };
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
  async #verify(address: string, path: string): Promise<Verdict> {
    const state = this.#state;
    const { sender } = state;
    if (await this.#isMalformed(address, path)) return badRecipient;
    state.recipient = address;
    state.recipientChecked = false;
    const verdict = await this.#verdict(this.#hall.policy.recipient(state, sameIgnoringCase(address, 'postmaster')));
    state.recipient = undefined;
    state.sender = sender;
    return verdict.accept ? { accept: true, reply: reply(252, '2.0.0', path) } : verdict;
  }

  /** What AUTH= of MAIL FROM says holds for its message, whoever has logged in. */
  #vouch(sender: string | undefined): void {
    const state = this.#state;
    if (state.sasl !== undefined && state.sasl.sender !== sender) state.sasl = { ...state.sasl, sender };
    state.claimedSender = sender;
  }

  /** The transaction, if any, comes to nothing. */
  #forget(): void {
    this.#transaction?.abort();
    this.#transaction = undefined;
    this.#mail = undefined;
    this.#milters?.abort();
    const state = this.#state;
    state.sender = state.recipient = state.queueId = state.forwarded = undefined;
    this.#vouch(undefined);
    if (state.instance !== undefined) state.size = state.instance = undefined;
    forgetSideEffects(state.effects);
    state.senderChecked = false;
  }
}
