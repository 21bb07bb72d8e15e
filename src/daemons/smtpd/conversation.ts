/**
 * One client, from connect to disconnect: the protocol machine asks, restrictions and cleanup answer.
 *
 * A message is accepted only when cleanup says that it is durable. Trouble of ours is a temporary failure for the client
 * and a warning in the log; a throw ends this session and no other.
 */
import type { CleanupReply } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { Pump } from '../../network/pump.ts';
import { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import { reply, say } from '../../protocol/smtp-server/reply.ts';
import type { Question, Reply, SmtpServerStep, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Session } from '../../server/daemon.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { noSideEffects, type AccessState, type Client, type Decision } from './access/state.ts';
import type { ClientCounts, CountsFor } from './client-counts.ts';
import type { Policy } from './policy.ts';
import { logEvent } from './log-lines.ts';
import { refusedByCleanup, Transaction, type OwnName, type TransactionFacts } from './transaction.ts';
import type { Cleanup } from '../../ipc/cleanup.ts';

/** What all conversations of a service share. */
export interface Hall {
  readonly policy: Policy;
  readonly counts: CountsFor;
  readonly cleanup: Cleanup;
  readonly own: OwnName;
  readonly log: Log;
  settings(client: Client): SmtpServerSettings;
  isMalformed(sender: string, address: string): MaybePromise<boolean>;
  now(): number;
  readonly ticker: { monotonic(): number; after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  /** Is there room in the queue for one more message (queue_minfree)? */
  hasSpace(): boolean;
  isLocalRewriting(client: Client): MaybePromise<boolean>;
  readonly contentFilter: string;
  readonly withoutFlags: number;
}

type Performed = Exclude<SmtpServerStep, { kind: 'send' | 'delay' }>;

const accepted: Verdict = { accept: true };
const noSpace = reply(452, '4.3.1', 'Insufficient system storage');
const noCleanup = reply(451, '4.3.0', 'Error: queue file write error');

const freshState = (client: Client, log: Log): AccessState => ({
  client, log, helo: undefined, protocol: 'SMTP', sender: undefined, recipient: undefined, recipientCount: 0, where: 'CONNECT', queueId: undefined,
  effects: noSideEffects(), deferIfPermit: undefined, deferIfReject: undefined, warnOnly: false, recipientChecked: false, senderChecked: false,
  depth: 0, pipelinesIllegally: false,
});

export class Conversation {
  readonly #hall: Hall;
  readonly #log: Log;
  readonly #machine: SmtpServerSession;
  readonly #state: AccessState;
  readonly #counts: ClientCounts;
  readonly #pump: Pump<SmtpServerStep>;
  readonly #verbs: { readonly [V in Question['verb']]: (question: Question & { readonly verb: V }) => MaybePromise<Verdict> };
  #mail: Omit<TransactionFacts, 'state'> | undefined;
  #transaction: Transaction | undefined;
  /** The client has gone: an answer that comes now must not begin anything. */
  #isGone = false;

  constructor(session: Session, client: Client, hall: Hall) {
    this.#hall = hall;
    this.#log = session.log;
    this.#state = freshState(client, session.log);
    this.#counts = hall.counts(client, session.log);
    this.#machine = new SmtpServerSession(hall.settings(client));
    this.#verbs = {
      CONNECT: () => this.#counted(this.#counts.connected(), () => this.#verdict(this.#hall.policy.connect(this.#state))),
      HELO: (question) => this.#hello(question.name),
      EHLO: (question) => this.#hello(question.name),
      MAIL: (question) => this.#counted(this.#counts.message(), () => this.#sender(question)),
      RCPT: (question) => this.#counted(this.#counts.recipient(), () => this.#recipient(question)),
      DATA: () => this.#data(),
      END: () => this.#end(),
      VRFY: (question) => this.#counted(this.#counts.recipient(), () => this.#verify(question.address, question.path)),
      ETRN: ({ domain }) => ({ accept: false, reply: reply(459, undefined, `<${domain}>: service unavailable`) }),
    };
    this.#pump = new Pump({ socket: session.socket, machine: this.#machine, ticker: hall.ticker, pauseWhenFull: true, perform: (step) => this.#perform(step) });
  }

  /** Until the client is gone. */
  async served(): Promise<void> {
    const { label } = this.#state.client;
    this.#log.info(`connect from ${label}`);
    try {
      await this.#pump.closed;
    } finally {
      this.#isGone = true;
      this.#forget();
      this.#counts.gone();
      this.#log.info(`disconnect from ${label} ${this.#machine.statistics()}`);
    }
  }

  #perform(step: Performed): MaybePromise<void> {
    switch (step.kind) {
      case 'ask': return this.#ask(step.question);
      case 'content': return this.#content(step.chunk);
      case 'abort': return this.#forget();
      case 'log': return logEvent(step.log, this.#lookAgain(), this.#log);
      default: return undefined;
    }
  }

  /** A late answer does not hold the pump: replies that are ready go out meanwhile. */
  #ask(question: Question): void {
    this.#lookAgain().where = question.verb === 'END' ? 'END-OF-MESSAGE' : question.verb === 'DATA' ? question.command : question.verb;
    const answer = this.#answer(question);
    if (!isPending(answer)) return this.#machine.answer(answer);
    answer.then((verdict) => this.#pump.tell(() => this.#machine.answer(verdict)), (error: Error) => this.#broken(error));
  }

  /** A mistake of ours ends this session, and no other. */
  #broken(error: Error): void {
    this.#log.warning(`session ended by an internal error: ${error.stack ?? error.message}`);
    this.#pump.destroy();
  }

  #answer(question: Question): MaybePromise<Verdict> {
    const ask = this.#verbs[question.verb] as (question: Question) => MaybePromise<Verdict>;
    try {
      const answer = ask(question);
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

  /** What the machine knows of the session, for restrictions and log. */
  #lookAgain(): AccessState {
    const { protocol, helo, recipients } = this.#machine.context();
    const state = this.#state;
    state.protocol = protocol;
    state.helo = helo;
    state.recipientCount = recipients;
    return state;
  }

  #verdict(decision: MaybePromise<Decision>): MaybePromise<Verdict> {
    const turn = (each: Decision): Verdict => (each?.kind === 'refuse' ? { accept: false, reply: each.reply } : accepted);
    return isPending(decision) ? decision.then(turn) : turn(decision);
  }

  /** A client that asks too much is told so before anything else is looked at. */
  #counted(refusal: MaybePromise<Reply | undefined>, next: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    return chain(refusal, (found) => (found === undefined ? next() : { accept: false, reply: found }));
  }

  #hello(name: string): MaybePromise<Verdict> {
    this.#state.helo = name;
    return this.#verdict(this.#hall.policy.hello(this.#state));
  }

  async #sender({ sender, path, parameters }: Extract<Question, { verb: 'MAIL' }>): Promise<Verdict> {
    this.#forget();
    const state = this.#state;
    const { hall } = { hall: this.#hall };
    if (await this.#isMalformed(sender, path)) return { accept: false, reply: say.badSender };
    state.sender = sender;
    const verdict = await this.#verdict(hall.policy.sender(state));
    if (!verdict.accept) return (this.#forget(), verdict);
    if (!hall.hasSpace()) {
      hall.policy.logRefusal(state, noSpace);
      this.#forget();
      return { accept: false, reply: noSpace };
    }
    this.#mail = {
      sender, parameters, arrival: hall.now(), isLocalRewriting: await hall.isLocalRewriting(state.client),
      contentFilter: hall.contentFilter, withoutFlags: hall.withoutFlags,
    };
    return accepted;
  }

  async #recipient({ recipient, path, notify, orcpt }: Extract<Question, { verb: 'RCPT' }>): Promise<Verdict> {
    const state = this.#state;
    if (await this.#isMalformed(recipient, path)) return { accept: false, reply: say.badRecipient };
    state.recipient = recipient;
    state.recipientChecked = false;
    const verdict = await this.#verdict(this.#hall.policy.recipient(state, sameIgnoringCase(recipient, 'postmaster')));
    if (verdict.accept) (await this.#open())?.recipient(recipient, notify, orcpt);
    state.recipient = undefined;
    return verdict;
  }

  /** Does the address resolve to a form that cannot be? Trouble with tables is for the restrictions to tell. */
  async #isMalformed(address: string, path: string): Promise<boolean> {
    if (address === '' || !(await this.#hall.isMalformed(this.#state.sender ?? '', address))) return false;
    this.#log.warning(`Illegal address syntax from ${this.#state.client.label} in ${this.#state.where} command: ${path}`);
    return true;
  }

  /** Undefined when the client has gone meanwhile. */
  async #open(): Promise<Transaction | undefined> {
    if (this.#transaction !== undefined || this.#isGone) return this.#transaction;
    const state = this.#state;
    const transaction = await Transaction.open(this.#hall.cleanup, { ...this.#mail!, state });
    if (this.#isGone) return void transaction.abort();
    this.#transaction = transaction;
    state.queueId = transaction.queueId;
    this.#log.info(`${transaction.queueId}: client=${state.client.label}`);
    return transaction;
  }

  async #data(): Promise<Verdict> {
    const verdict = await this.#verdict(this.#hall.policy.data(this.#state));
    if (verdict.accept && !this.#isGone) this.#transaction!.begin(this.#hall.own);
    return verdict;
  }

  #content(chunk: Buffer): MaybePromise<void> {
    const transaction = this.#transaction!;
    return transaction.content(chunk) ? undefined : transaction.drained();
  }

  async #end(): Promise<Verdict> {
    const transaction = this.#transaction!;
    const refused = await this.#verdict(this.#hall.policy.endOfData(this.#state));
    if (!refused.accept) return (this.#forget(), refused);
    const { queueId } = transaction;
    const outcome = await transaction.end();
    this.#transaction = undefined;
    this.#forget();
    return outcome.status === 0 ? { accept: true, queueId } : { accept: false, reply: this.#refusal(outcome) };
  }

  #refusal(outcome: CleanupReply): Reply {
    return refusedByCleanup(outcome);
  }

  /** A probe of a recipient outside of a transaction: the same restrictions, nothing is kept. */
  async #verify(address: string, path: string): Promise<Verdict> {
    const state = this.#state;
    const { sender } = state;
    if (await this.#isMalformed(address, path)) return { accept: false, reply: say.badRecipient };
    state.recipient = address;
    state.sender ??= '';
    state.recipientChecked = false;
    const verdict = await this.#verdict(this.#hall.policy.recipient(state, false));
    state.recipient = undefined;
    state.sender = sender;
    return verdict.accept ? { accept: true, reply: reply(252, '2.0.0', path) } : verdict;
  }

  /** The transaction, if any, comes to nothing. */
  #forget(): void {
    this.#transaction?.abort();
    this.#transaction = undefined;
    this.#mail = undefined;
    const state = this.#state;
    state.sender = state.recipient = state.queueId = undefined;
    state.effects = noSideEffects();
    state.senderChecked = false;
  }
}
