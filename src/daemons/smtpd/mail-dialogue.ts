/**
 * The mail transactions of one client: MAIL, RCPT, DATA and the content, with what restrictions, milters and cleanup (or the filter in its
 * place) say of them. One at a time; `forget` ends it, whatever state it is in.
 */
import { cleanupStatus, type CleanupReply } from '../../ipc/cleanup.ts';
import { reply, say } from '../../protocol/smtp-server/reply.ts';
import type { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
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
  #mail: Omit<TransactionFacts, 'state'> & { readonly command: string } | undefined;
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
    const { sender, path, objection } = question;
    return chain(this.isMalformed(sender, path, question.parameters.smtputf8), (malformed) => {
      if (malformed) return badSender;
      if (objection !== undefined) return { accept: false, reply: objection };
      return chain(this.#hall.probeSender?.(sender), (probing) => this.#knownSender(probing === undefined ? question : { ...question, sender: probing }));
    });
  }

  #knownSender(question: Asked<'MAIL'>): MaybePromise<Verdict> {
    this.#state.sender = question.sender;
    this.#state.smtputf8 = question.parameters.smtputf8;
    this.#vouch(question.parameters.auth);
    this.#state.size = question.parameters.size;
    this.#state.forwarded = question.forwarded;
    this.#state.instance = this.#hall.nextInstance();
    return chain(this.#hall.policy.sender(this.#state), (decision) => this.#senderJudged(question, decision));
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
      this.#mail = { sender, parameters, arrival, isLocalRewriting, contentFilter: hall.contentFilter, withoutFlags: hall.withoutFlags, receivedTls: this.#encryption.received, logsPort: hall.logsPort, detectsUtf8: hall.detectsUtf8, command: this.#machine.commandLine };
      return hall.opensEarly ? this.#openEarly() : accepted;
    });
  }

  recipient(question: Asked<'RCPT'>): MaybePromise<Verdict> {
    const { recipient, path, objection } = question;
    return chain(this.isMalformed(recipient, path, this.#state.smtputf8 === true), (malformed) => {
      if (malformed) return badRecipient;
      if (objection !== undefined) return { accept: false, reply: objection };
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
      this.forget();
      return { accept: false, reply: refusal };
    }));
  }

  /** Does the address resolve to a form that cannot be? Trouble with tables is for the restrictions to tell. */
  isMalformed(address: string, path: string, smtputf8: boolean): MaybePromise<boolean> {
    if (address === '') return false;
    return chain(this.#hall.isMalformed(this.#state.sender ?? '', address, smtputf8), (malformed) => {
      if (malformed) this.#state.log.warning(`Illegal address syntax from ${this.#state.client.label} in ${this.#state.where} command: ${path}`);
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
    this.#state.log.info(clientLine(this.#state, this.#hall.logsPort === true));
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

  data(): MaybePromise<Verdict> {
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

  content(chunk: Buffer): MaybePromise<void> {
    const transaction = this.#transaction!;
    return transaction.content(chunk) ? undefined : transaction.drained();
  }

  end(size: number): MaybePromise<Verdict> {
    const transaction = this.#transaction!;
    this.#state.size = size;
    return chain(this.#ofWholeMessage((state) => this.#hall.policy.endOfData(state)), (decision) => {
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
