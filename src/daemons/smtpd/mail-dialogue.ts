/**
 * The mail transactions of one client: MAIL, RCPT, DATA and the content, with what restrictions, milters and cleanup (or the filter in its
 * place) say of them. One at a time; `forget` ends it, whatever state it is in.
 */
import { cleanupStatus, type CleanupReply } from '../../ipc/cleanup.ts';
import { reply, say } from '../../protocol/smtp-server/reply.ts';
import type { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { Reply, Verdict } from '../../protocol/smtp-server/steps.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { forgetSideEffects, type AccessState, type Decision } from './access/state.ts';
import type { Encryption } from './encryption.ts';
import type { Hall } from './hall.ts';
import { clientLine } from './log-lines.ts';
import type { SessionMilters } from './milter.ts';
import type { ProxyTransaction } from './proxy-transaction.ts';
import { refusedByCleanup, Transaction, type TransactionFacts } from './transaction.ts';
import { accepted, badRecipient, verdictOf, type Asked } from './verdict.ts';

const badSender: Verdict = { accept: false, reply: say.badSender };
const noSpace = reply(452, '4.3.1', 'Insufficient system storage');
const lostCleanup = reply(421, '4.3.0', 'Mail system error');

export interface MailDialogueParts {
  readonly hall: Hall;
  readonly state: AccessState;
  readonly machine: SmtpServerSession;
  readonly milters: SessionMilters | undefined;
  /** What Received: says of it. */
  readonly encryption: Pick<Encryption, 'received'>;
}

export class MailDialogue {
  readonly #hall: Hall;
  readonly #state: AccessState;
  readonly #machine: SmtpServerSession;
  readonly #milters: SessionMilters | undefined;
  readonly #encryption: Pick<Encryption, 'received'>;
  #mail: TransactionFacts | undefined;
  /** MAIL, as the client said it. */
  #command = '';
  #transaction: Transaction | ProxyTransaction | undefined;
  /** The client has gone: an answer that comes now must not begin anything. */
  #isGone = false;

  constructor({ hall, state, machine, milters, encryption }: MailDialogueParts) {
    this.#hall = hall;
    this.#state = state;
    this.#machine = machine;
    this.#milters = milters;
    this.#encryption = encryption;
  }

  /** The client is no more. */
  gone(): void {
    this.#isGone = true;
    this.forget();
  }

  /** The protocol machine has refused content itself. */
  refused(): void {
    if (this.#transaction !== undefined && !(this.#transaction instanceof Transaction)) this.#transaction.refused();
  }

  sender(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    this.forget();
    const malformed = this.isMalformed(question.sender, question.path, question.parameters.smtputf8);
    return isPending(malformed) ? malformed.then((late) => this.#readSender(question, late)) : this.#readSender(question, malformed);
  }

  #readSender(question: Asked<'MAIL'>, malformed: boolean): MaybePromise<Verdict> {
    if (malformed) return badSender;
    if (question.objection !== undefined) return { accept: false, reply: question.objection };
    return chain(this.#hall.probeSender?.(question.sender), (probing) => this.#knownSender(probing === undefined ? question : { ...question, sender: probing }));
  }

  #knownSender(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    this.#state.sender = question.sender;
    this.#state.smtputf8 = question.parameters.smtputf8;
    this.#vouch(question.parameters.auth);
    this.#state.size = question.parameters.size;
    this.#state.forwarded = question.forwarded;
    this.#state.instance = this.#hall.nextInstance();
    const decision = this.#hall.policy.sender(this.#state);
    return isPending(decision) ? decision.then((late) => this.#senderJudged(question, late)) : this.#senderJudged(question, decision);
  }

  #senderJudged({ sender, parameters }: Asked<'MAIL'>, decision: Decision): MaybePromise<Verdict> {
    if (decision?.kind === 'refuse') return (this.forget(), verdictOf(decision));
    const judged = this.#milters?.mail(this.#machine.pathWords);
    if (judged !== undefined) return chain(judged, (refusal) => (refusal === undefined ? this.#senderTaken(sender, parameters) : (this.forget(), { accept: false, reply: refusal })));
    return this.#senderTaken(sender, parameters);
  }

  #senderTaken(sender: string, parameters: Asked<'MAIL'>['parameters']): MaybePromise<Verdict> {
    const hall = this.#hall;
    const state = this.#state;
    if (!hall.hasSpace()) {
      hall.policy.logRefusal(state, noSpace);
      this.forget();
      return { accept: false, reply: noSpace };
    }
    const arrival = hall.now();
    return chain(hall.isLocalRewriting(state), (isLocalRewriting) => {
      this.#mail = {
        state, sender, parameters, arrival, isLocalRewriting, contentFilter: hall.contentFilter, withoutFlags: hall.withoutFlags, receivedTls: this.#encryption.received,
        logsPort: hall.logsPort, detectsUtf8: hall.detectsUtf8,
      };
      this.#command = this.#machine.commandLine;
      return hall.opensEarly ? this.#openEarly() : accepted;
    });
  }

  recipient(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const malformed = this.isMalformed(question.recipient, question.path, this.#state.smtputf8 === true);
    return isPending(malformed) ? malformed.then((late) => this.#readRecipient(question, late)) : this.#readRecipient(question, malformed);
  }

  #readRecipient(question: Asked<'RCPT'>, malformed: boolean): MaybePromise<Verdict> {
    if (malformed) return badRecipient;
    if (question.objection !== undefined) return { accept: false, reply: question.objection };
    const probing = this.#hall.probeSender?.(question.recipient);
    return isPending(probing) ? probing.then((late) => this.#knownRecipient(question, late)) : this.#knownRecipient(question, probing);
  }

  #knownRecipient(question: Asked<'RCPT'>, probing: string | undefined): MaybePromise<Verdict> {
    if (probing !== undefined) return this.#recipientJudged({ ...question, recipient: probing }, undefined);
    const state = this.#state;
    state.recipient = question.recipient;
    state.recipientChecked = false;
    const decision = this.#hall.policy.recipient(state, sameIgnoringCase(question.recipient, 'postmaster'));
    return isPending(decision) ? decision.then((late) => this.#recipientJudged(question, late)) : this.#recipientJudged(question, decision);
  }

  #recipientJudged(question: Asked<'RCPT'>, decision: Decision): MaybePromise<Verdict> {
    if (this.#milters === undefined) return this.#recipientTaken(question, decision);
    this.#state.recipient = question.recipient;
    const refused = decision?.kind === 'refuse' ? decision.reply : undefined;
    return chain(this.#milters.rcpt(this.#machine.pathWords, refused), (reply) => this.#recipientTaken(question, reply === undefined ? decision : { kind: 'refuse', reply }));
  }

  #recipientTaken(question: Asked<'RCPT'>, decision: Decision): MaybePromise<Verdict> {
    if (decision?.kind === 'refuse') {
      this.#state.recipient = undefined;
      return verdictOf(decision);
    }
    const transaction = this.#open();
    return isPending(transaction) ? transaction.then((late) => this.#passOn(question, late)) : this.#passOn(question, transaction);
  }

  #passOn({ recipient, notify, orcpt }: Asked<'RCPT'>, transaction: Transaction | ProxyTransaction | undefined): MaybePromise<Verdict> {
    const refusal = transaction?.recipient(recipient, notify, orcpt, this.#machine.commandLine);
    return isPending(refusal) ? refusal.then((late) => this.#passedOn(late)) : this.#passedOn(refusal);
  }

  #passedOn(refusal: Reply | undefined): Verdict {
    this.#state.recipient = undefined;
    return refusal === undefined ? accepted : { accept: false, reply: refusal };
  }

  #openEarly(): MaybePromise<Verdict> {
    return chain(this.#open(), (transaction) => chain(transaction instanceof Transaction ? undefined : transaction?.greet(), (refusal) => {
      if (refusal === undefined) return accepted;
      this.forget();
      return { accept: false, reply: refusal };
    }));
  }

  /** Does the address resolve to a form that cannot be? Trouble with tables is for the restrictions to tell. */
  isMalformed(address: string, path: string, smtputf8: boolean): MaybePromise<boolean> {
    if (address === '') return false;
    const malformed = this.#hall.isMalformed(this.#state.sender ?? '', address, smtputf8);
    return isPending(malformed) ? malformed.then((late) => this.#toldIf(late, path)) : this.#toldIf(malformed, path);
  }

  #toldIf(malformed: boolean, path: string): boolean {
    if (malformed) this.#state.log.warning(`Illegal address syntax from ${this.#state.client.label} in ${this.#state.where} command: ${path}`);
    return malformed;
  }

  /** Undefined when the client has gone meanwhile. */
  #open(): MaybePromise<Transaction | ProxyTransaction | undefined> {
    if (this.#transaction !== undefined || this.#isGone) return this.#transaction;
    const facts = this.#mail!;
    const { proxy } = this.#hall;
    if (proxy !== undefined) return this.#transaction = proxy.open(facts, this.#command, () => this.#announce());
    const transaction = Transaction.open(this.#hall.cleanup, facts, this.#milters?.isChained);
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
    this.#state.log.info(clientLine(this.#state, this.#hall.logsPort === true));
  }

  /** What is asked about the message is asked, and logged, of its recipient when it has only one. */
  #ofWholeMessage(when: 'data' | 'endOfData'): MaybePromise<Decision> {
    const state = this.#state;
    state.recipient = state.recipientCount === 1 ? this.#machine.firstRecipient : undefined;
    const decision = this.#hall.policy[when](state);
    return isPending(decision) ? decision.then((late) => this.#judgedWhole(late)) : this.#judgedWhole(decision);
  }

  #judgedWhole(decision: Decision): Decision {
    this.#state.recipient = undefined;
    return decision;
  }

  data(): MaybePromise<Verdict> {
    const decision = this.#ofWholeMessage('data');
    return isPending(decision) ? decision.then((late) => this.#dataJudged(late)) : this.#dataJudged(decision);
  }

  #dataJudged(decision: Decision): MaybePromise<Verdict> {
    if (decision?.kind === 'refuse') return verdictOf(decision);
    return this.#milters === undefined ? this.#begin() : this.#filteredData(this.#milters);
  }

  #filteredData(milters: SessionMilters): MaybePromise<Verdict> {
    const state = this.#state;
    state.recipient = this.#machine.firstRecipient;
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

  content(chunk: Buffer): MaybePromise<void> {
    const transaction = this.#transaction!;
    return transaction.content(chunk) ? undefined : transaction.drained();
  }

  end(size: number): MaybePromise<Verdict> {
    const transaction = this.#transaction!;
    this.#state.size = size;
    return chain(this.#ofWholeMessage('endOfData'), (decision) => {
      if (decision?.kind !== 'refuse') return transaction.end().then((outcome) => this.#concluded(transaction, outcome));
      this.forget();
      return verdictOf(decision);
    });
  }

  #concluded({ queueId }: Transaction | ProxyTransaction, outcome: CleanupReply | { readonly verdict: Verdict }): Verdict {
    this.#transaction = undefined;
    this.forget();
    if ('verdict' in outcome) return outcome.verdict;
    // Nobody knows what filters have heard of the message, or have still to say: they begin anew with the client's next session.
    if (this.#milters?.isChained && (outcome.status & cleanupStatus.write) !== 0) this.#machine.expel(lostCleanup, false);
    return outcome.status === 0 ? { accept: true, queueId: queueId! } : { accept: false, reply: refusedByCleanup(outcome) };
  }

  /** What AUTH= of MAIL FROM says holds for its message, whoever has logged in. */
  #vouch(sender: string | undefined): void {
    const state = this.#state;
    if (state.sasl !== undefined && state.sasl.sender !== sender) state.sasl = { ...state.sasl, sender };
    state.claimedSender = sender;
  }

  /** The transaction, if any, comes to nothing. */
  forget(): void {
    this.#transaction?.abort();
    this.#transaction = undefined;
    this.#mail = undefined;
    this.#milters?.abort();
    const state = this.#state;
    state.sender = state.recipient = state.queueId = state.forwarded = undefined;
    this.#vouch(undefined);
    if (state.instance !== undefined) state.size = state.instance = undefined;
    forgetSideEffects(state.effects);
    state.senderChecked = state.smtputf8 = false;
  }
}
