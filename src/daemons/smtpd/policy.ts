/**
 * Which restriction lists are asked when. With smtpd_delay_reject client, HELO and sender lists wait for RCPT, so that the log
 * names the recipient and clients that do not understand early refusals hear one. postconf(5).
 */
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { isAscii } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { compileList, guarded } from './access/evaluate.ts';
import { rejectUnlisted } from './access/listed.ts';
import { noteOldDefault } from './access/old-defaults.ts';
import { refuse } from './access/refuse.ts';
import type { AccessSetup } from './access/setup.ts';
import { permit, type AccessState, type Decision, type Refusal, type Restriction, type Subject } from './access/state.ts';

export interface PolicyRules {
  /** Text of a main.cf parameter. */
  text(name: string): string;
  /** Text of a restriction class; undefined: no such class. */
  classText(name: string): string | undefined;
  /** All classes: an access table may name one that no list does, when it is too late to open tables. */
  readonly classNames?: readonly string[];
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
  etrn: ['smtpd_etrn_restrictions', 'check_etrn_access'],
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
  etrn: ({ etrnDomain }) => ({ name: etrnDomain ?? '', replyClass: 'Etrn command' }),
};

/** Whose deferrals, noted earlier in the session, a list goes on with: the first that there is. */
const earlierLists: Record<ListName, readonly ListName[]> = {
  client: [], hello: ['client'], sender: ['client', 'hello'], relay: ['sender', 'client', 'hello'], recipient: ['sender', 'client', 'hello'], data: [], endOfData: [],
  etrn: ['client', 'hello'],
};

const newRelayPermits = 'permit_mynetworks, permit_sasl_authenticated, permit_auth_destination';

type Turn = (policy: Policy, state: AccessState) => MaybePromise<Decision>;

/** Each in its turn until one refuses; where none does the decision of the last one counts. */
function inTurn(turns: readonly Turn[], policy: Policy, state: AccessState, from = 0): MaybePromise<Decision> {
  for (let at = from; ; at++) {
    const decision = turns[at]!(policy, state);
    const isLast = at === turns.length - 1;
    if (isPending(decision)) return isLast ? decision : decision.then((late) => (late?.kind === 'refuse' ? late : inTurn(turns, policy, state, at + 1)));
    if (isLast || decision?.kind === 'refuse') return decision;
  }
}

export class Policy {
  static readonly #ofEtrn: readonly Turn[] = [
    (policy, state) => policy.#ask('client', state), (policy, state) => policy.#ask('hello', state), (policy, state) => policy.#askEtrn(state),
  ];
  static readonly #ofRecipient: readonly Turn[] = [
    (policy, state) => policy.#ask('client', state), (policy, state) => policy.#ask('hello', state), (policy, state) => policy.#askSender(state), (policy, state) => policy.#askRecipient(state),
  ];
  static readonly #relayFirst: readonly Turn[] = [
    (policy, state) => policy.#askFirst('relay', state), (policy, state) => policy.#ask('recipient', state, true), (policy, state) => policy.#listed(state),
  ];
  static readonly #recipientFirst: readonly Turn[] = [
    (policy, state) => policy.#askFirst('recipient', state), (policy, state) => policy.#askRelayLast(state), (policy, state) => policy.#listed(state),
  ];

  readonly #setup: AccessSetup;
  readonly #rules: PolicyRules;
  readonly #lists: Record<ListName, Restriction | undefined>;
  /** Where smtpd_relay_restrictions is empty by the old default: whom the new one permits. */
  readonly #oldRelayRules: Restriction | undefined;
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
    for (const [name, [, defaultTable]] of Object.entries(lists))
      if (this.#lists[name as ListName] !== undefined) for (const one of rules.classNames ?? []) compileList(one, { setup, defaultTable, classText: rules.classText, parameter: one });
    if (setup.old?.names.has('smtpd_relay_restrictions'))
      this.#oldRelayRules = compileList(newRelayPermits, { setup, defaultTable: 'check_recipient_access', classText: rules.classText, parameter: 'smtpd_relay_restrictions' });
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
    this.#noteEightBits('sender', state.sender ?? '', state);
    return this.#rules.delayReject ? undefined : this.#askSender(state);
  }

  data(state: AccessState): MaybePromise<Decision> {
    return this.#ask('data', state);
  }

  endOfData(state: AccessState): MaybePromise<Decision> {
    return this.#ask('endOfData', state);
  }

  etrn(state: AccessState): MaybePromise<Decision> {
    return this.#rules.delayReject ? inTurn(Policy.#ofEtrn, this, state) : this.#askEtrn(state);
  }

  #askEtrn(state: AccessState): MaybePromise<Decision> {
    if (this.#lists.etrn !== undefined) return this.#ask('etrn', state);
    this.#begin('etrn', state);
    return this.#deferred(state);
  }

  /** RFC 5321 section 4.5.1: `postmaster` without a domain is always taken, whoever asks. */
  recipient(state: AccessState, isPostmaster: boolean): MaybePromise<Decision> {
    this.#noteEightBits('recipient', state.recipient ?? '', state);
    if (isPostmaster) return permit;
    return this.#rules.delayReject ? inTurn(Policy.#ofRecipient, this, state) : this.#askRecipient(state);
  }

  #noteEightBits(side: 'sender' | 'recipient', address: string, state: AccessState): void {
    if (!isAscii(address))
      noteOldDefault(this.#setup, state, 'smtputf8_enable', 'smtputf8_enable=no', `to accept non-ASCII ${side} address "${address}" from ${state.client.label}`);
  }

  logRefusal(state: AccessState, { code, status, text }: Reply): void {
    this.#setup.tools.log('reject', state, `${code} ${status} ${String(text)}`);
  }

  #askRecipient(state: AccessState): MaybePromise<Decision> {
    this.#begin('recipient', state);
    return inTurn(this.#rules.relayBeforeRecipient && !this.#oldRelayRules ? Policy.#relayFirst : Policy.#recipientFirst, this, state);
  }

  #askFirst(name: 'relay' | 'recipient', state: AccessState): MaybePromise<Decision> {
    const decision = this.#ask(name, state, true);
    return isPending(decision) ? decision.then((late) => this.#askedFirst(state, late)) : this.#askedFirst(state, decision);
  }

  #askedFirst(state: AccessState, decision: Decision): Decision {
    if (decision?.kind === 'refuse')
      noteOldDefault(this.#setup, state, 'smtpd_relay_before_recipient_restrictions', 'smtpd_relay_before_recipient_restrictions=no',
        `to reject recipient "${state.recipient}" from client "${state.client.label}"`);
    return decision;
  }

  // With the old default nothing is refused here; it is only said what the new one would have refused.
  #askRelayLast(state: AccessState): MaybePromise<Decision> {
    if (!this.#oldRelayRules) return this.#ask('relay', state, true);
    return chain(this.#oldRelayRules(state, subjects.relay(state)!), (decision) => {
      if (decision === undefined)
        noteOldDefault(this.#setup, state, 'smtpd_relay_restrictions', '"smtpd_relay_restrictions = (empty)"',
          `to avoid "Relay access denied" error for recipient "${state.recipient}" from client "${state.client.label}"`);
      return decision;
    });
  }

  /** The lists have nothing against the recipient. A deferral that waits comes first; then: does it exist? */
  #listed(state: AccessState): MaybePromise<Decision> {
    const deferral = this.#deferred(state);
    if (deferral !== undefined || !this.#rules.rejectUnlistedRecipient || state.effects.discard) return deferral;
    const about: Subject = { name: state.recipient ?? '', replyClass: 'Recipient address' };
    return guarded(this.#unlistedRecipient, state, about, this.#setup);
  }

  #askSender(state: AccessState): MaybePromise<Decision> {
    state.senderChecked = false;
    // What the lists before it have noted is not for an unlisted sender.
    if (this.#lists.sender === undefined) this.#begin('sender', state);
    const decision = this.#ask('sender', state);
    return isPending(decision) ? decision.then((late) => this.#askedSender(state, late)) : this.#askedSender(state, decision);
  }

  #askedSender(state: AccessState, decision: Decision): MaybePromise<Decision> {
    if (decision?.kind === 'refuse' || !this.#rules.rejectUnlistedSender || state.effects.discard) return decision;
    const about = subjects.sender(state);
    if (about === undefined) return decision;
    return chain(guarded(this.#unlistedSender, state, about, this.#setup), (unlisted) => unlisted ?? decision);
  }

  /** @param goesOn the list follows another about the same recipient: what that one has noted still counts */
  #ask(name: ListName, state: AccessState, goesOn = false): MaybePromise<Decision> {
    const list = this.#lists[name];
    const about = list === undefined ? undefined : subjects[name](state);
    if (list === undefined || about === undefined) return undefined;
    state.warnOnly = false;
    state.depth = 0;
    if (!goesOn) this.#begin(name, state);
    const decision = guarded(list, state, about, this.#setup);
    return isPending(decision) ? decision.then((late) => this.#asked(name, state, late)) : this.#asked(name, state, decision);
  }

  #begin(name: ListName, state: AccessState): void {
    state.deferIfReject = undefined;
    state.deferIfPermit = this.#earlier(name, state);
  }

  #asked(name: ListName, state: AccessState, decision: Decision): Decision {
    if (name === 'client' || name === 'hello' || name === 'sender') this.#note(name, state);
    const decides = name === 'data' || name === 'endOfData' || name === 'etrn';
    return decides && decision?.kind !== 'refuse' ? this.#deferred(state) : decision;
  }

  /** Deferrals noted by the client and HELO lists hold for the whole session, those of the sender list for its mail. */
  #note(name: ListName, state: AccessState): void {
    if (state.deferIfPermit !== undefined) (state.noted ??= new Map()).set(name, state.deferIfPermit);
    else state.noted?.delete(name);
  }

  #earlier(name: ListName, { noted }: AccessState): Refusal | undefined {
    if (noted === undefined || noted.size === 0) return undefined;
    for (const earlier of earlierLists[name]) if (noted.has(earlier)) return noted.get(earlier);
    return undefined;
  }

  /** Everything permits: now a noted deferral refuses. */
  #deferred(state: AccessState): Decision {
    const { deferIfPermit } = state;
    return deferIfPermit === undefined ? undefined : refuse(state, deferIfPermit, this.#setup.tools, this.#setup.rules);
  }
}
