/**
 * Which restriction lists are asked when. With smtpd_delay_reject client, HELO and sender lists wait for RCPT, so that the log
 * names the recipient and clients that do not understand early refusals hear one. postconf(5).
 */
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { compileList, guarded } from './access/evaluate.ts';
import { rejectUnlisted } from './access/listed.ts';
import { refuse } from './access/refuse.ts';
import type { AccessSetup } from './access/setup.ts';
import { permit, type AccessState, type Decision, type Refusal, type Restriction, type Subject } from './access/state.ts';

export interface PolicyRules {
  /** Text of a main.cf parameter. */
  text(name: string): string;
  /** Text of a restriction class; undefined: no such class. */
  classText(name: string): string | undefined;
  readonly delayReject: boolean;
  readonly relayBeforeRecipient: boolean;
  readonly rejectUnlistedRecipient: boolean;
  readonly rejectUnlistedSender: boolean;
}

/** The lists: for which part of the envelope, and what a bare table means there. */
const lists = {
  client: ['smtpd_client_restrictions', 'check_client_access'],
  hello: ['smtpd_helo_restrictions', 'check_helo_access'],
  sender: ['smtpd_sender_restrictions', 'check_sender_access'],
  relay: ['smtpd_relay_restrictions', 'check_recipient_access'],
  recipient: ['smtpd_recipient_restrictions', 'check_recipient_access'],
  data: ['smtpd_data_restrictions', ''],
  endOfData: ['smtpd_end_of_data_restrictions', ''],
} as const;

type ListName = keyof typeof lists;

/** What a list is about. */
const subjects: Record<ListName, (state: AccessState) => Subject | undefined> = {
  client: ({ client }) => ({ name: client.label, replyClass: 'Client host' }),
  hello: ({ helo }) => (helo === undefined ? undefined : { name: helo, replyClass: 'Helo command' }),
  sender: ({ sender }) => (sender === undefined ? undefined : { name: sender, replyClass: 'Sender address' }),
  relay: ({ recipient }) => ({ name: recipient ?? '', replyClass: 'Recipient address' }),
  recipient: ({ recipient }) => ({ name: recipient ?? '', replyClass: 'Recipient address' }),
  data: () => ({ name: 'DATA', replyClass: 'Data command' }),
  endOfData: () => ({ name: 'END-OF-MESSAGE', replyClass: 'End-of-data' }),
};

const relayFirst: readonly ListName[] = ['relay', 'recipient'];
const recipientFirst: readonly ListName[] = ['recipient', 'relay'];

/** The next decision counts where this one does not refuse. */
function unlessRefused(decision: MaybePromise<Decision>, next: () => MaybePromise<Decision>): MaybePromise<Decision> {
  if (isPending(decision)) return decision.then((late) => (late?.kind === 'refuse' ? late : next()));
  return decision?.kind === 'refuse' ? decision : next();
}

export class Policy {
  readonly #setup: AccessSetup;
  readonly #rules: PolicyRules;
  readonly #lists: Record<ListName, Restriction | undefined>;
  readonly #unlistedRecipient: Restriction;
  readonly #unlistedSender: Restriction;

  constructor(setup: AccessSetup, rules: PolicyRules) {
    this.#setup = setup;
    this.#rules = rules;
    const entries = Object.entries(lists).map(([name, [parameter, defaultTable]]) => {
      const text = rules.text(parameter);
      const context = { setup, defaultTable, classText: rules.classText, parameter };
      return [name, text.trim() === '' ? undefined : compileList(text, context)] as const;
    });
    this.#lists = Object.fromEntries(entries) as Record<ListName, Restriction | undefined>;
    this.#unlistedRecipient = rejectUnlisted('recipient')(setup);
    this.#unlistedSender = rejectUnlisted('sender')(setup);
  }

  connect(state: AccessState): MaybePromise<Decision> {
    return this.#rules.delayReject ? undefined : this.#ask('client', state);
  }

  hello(state: AccessState): MaybePromise<Decision> {
    return this.#rules.delayReject ? undefined : this.#ask('hello', state);
  }

  sender(state: AccessState): MaybePromise<Decision> {
    return this.#rules.delayReject ? undefined : this.#askSender(state);
  }

  data(state: AccessState): MaybePromise<Decision> {
    return this.#ask('data', state);
  }

  endOfData(state: AccessState): MaybePromise<Decision> {
    return this.#ask('endOfData', state);
  }

  /** RFC 5321 section 4.5.1: `postmaster` without a domain is always taken, after the lists that are not about recipients. */
  recipient(state: AccessState, isPostmaster: boolean): MaybePromise<Decision> {
    if (!this.#rules.delayReject) return isPostmaster ? permit : this.#askRecipient(state);
    return unlessRefused(this.#ask('client', state), () =>
      unlessRefused(this.#ask('hello', state), () =>
        unlessRefused(this.#askSender(state), () => (isPostmaster ? permit : this.#askRecipient(state)))));
  }

  logRefusal(state: AccessState, { code, status, text }: Reply): void {
    this.#setup.tools.log('reject', state, `${code} ${status} ${String(text)}`);
  }

  #askRecipient(state: AccessState): MaybePromise<Decision> {
    const [first, second]: readonly ListName[] = this.#rules.relayBeforeRecipient ? relayFirst : recipientFirst;
    state.deferIfPermit = this.#earlier(state);
    return unlessRefused(this.#ask(first!, state, true), () =>
      unlessRefused(this.#ask(second!, state, true), () => this.#listed(state)));
  }

  /** The lists have nothing against the recipient: does it exist? */
  #listed(state: AccessState): MaybePromise<Decision> {
    if (!this.#rules.rejectUnlistedRecipient) return this.#deferred(state);
    const about: Subject = { name: state.recipient ?? '', replyClass: 'Recipient address' };
    return chain(guarded(this.#unlistedRecipient, state, about, this.#setup), (decision) => decision ?? this.#deferred(state));
  }

  #askSender(state: AccessState): MaybePromise<Decision> {
    return chain(this.#ask('sender', state), (decision) => {
      if (decision?.kind === 'refuse' || !this.#rules.rejectUnlistedSender) return decision;
      const about = subjects.sender(state);
      if (about === undefined) return decision;
      return chain(guarded(this.#unlistedSender, state, about, this.#setup), (unlisted) => unlisted ?? decision);
    });
  }

  #ask(name: ListName, state: AccessState, keep = false): MaybePromise<Decision> {
    const list = this.#lists[name];
    const about = list === undefined ? undefined : subjects[name](state);
    if (list === undefined || about === undefined) return undefined;
    state.warnOnly = false;
    state.depth = 0;
    state.deferIfReject = undefined;
    if (!keep) state.deferIfPermit = undefined;
    const decision = list(state, about);
    return isPending(decision) ? decision.then((late) => this.#asked(name, state, keep, late)) : this.#asked(name, state, keep, decision);
  }

  #asked(name: ListName, state: AccessState, keep: boolean, decision: Decision): Decision {
    if (!keep) this.#note(name, state);
    const isEnd = name === 'data' || name === 'endOfData';
    return isEnd && decision?.kind !== 'refuse' ? this.#deferred(state) : decision;
  }

  /** Deferrals noted by the client and HELO lists hold for the whole session, those of the sender list for its mail. */
  #note(name: ListName, state: AccessState): void {
    if (state.deferIfPermit !== undefined) (state.noted ??= new Map()).set(name, state.deferIfPermit);
    else state.noted?.delete(name);
  }

  #earlier(state: AccessState): Refusal | undefined {
    return state.noted?.values().next().value;
  }

  /** Everything permits: now a noted deferral refuses. */
  #deferred(state: AccessState): Decision {
    const { deferIfPermit } = state;
    return deferIfPermit === undefined ? undefined : refuse(state, deferIfPermit, this.#setup.tools, this.#setup.rules);
  }
}
