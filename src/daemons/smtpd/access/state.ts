/**
 * What restrictions look at and what they leave behind, for one client session.
 *
 * `DUNNO` (undefined) passes the question on to the next restriction; `permit` ends the list; `refuse` ends the evaluation. A
 * deferral that depends on the outcome (defer_if_permit, defer_if_reject) is noted here and applied at the end.
 */
import type { Log } from '../../../log/log.ts';
import type { Resolved } from './resolver.ts';
import type { AccessSetup } from './setup.ts';
import type { Forwarded } from '../../../protocol/smtp-server/client-attributes.ts';
import type { Reply } from '../../../protocol/smtp-server/steps.ts';
import type { MaybePromise } from '../../../text/maybe.ts';

export type Decision = undefined | { readonly kind: 'permit' } | { readonly kind: 'refuse'; readonly reply: Reply };

export const permit: Decision = { kind: 'permit' };

/** A refusal before it is worded for the wire: the part of the envelope it is about stands in front. */
export interface Refusal {
  readonly code: number;
  readonly status: string;
  readonly text: string;
  /** warn_if_reject does not soften trouble of our own (tables, configuration). */
  readonly isTrouble?: boolean;
}

export interface Client {
  readonly name: string;
  readonly reverseName: string;
  /** 'ok', or why the name is unknown: 'permanent' (no name, or it does not lead back) or 'temporary'. */
  readonly nameStatus: 'ok' | 'temporary' | 'permanent';
  readonly reverseStatus: 'ok' | 'temporary' | 'permanent';
  readonly address: string;
  /** As in an address literal. */
  readonly literal: string;
  readonly port: string;
  /** `name[address]` */
  readonly label: string;
  readonly serverAddress: string;
  readonly serverPort: string;
}

/** What the access tables asked for beside accepting or refusing. */
export interface SideEffects {
  hold: boolean;
  discard: boolean;
  filter: string | undefined;
  redirect: string | undefined;
  prepend: string[];
  bcc: string[];
}

export const noSideEffects = (): SideEffects => ({ hold: false, discard: false, filter: undefined, redirect: undefined, prepend: [], bcc: [] });

/** Back to that, for the next message: most messages leave nothing behind. */
export function forgetSideEffects(effects: SideEffects): void {
  effects.hold = effects.discard = false;
  effects.filter = effects.redirect = undefined;
  if (effects.prepend.length > 0) effects.prepend = [];
  if (effects.bcc.length > 0) effects.bcc = [];
}

/** The class of a restriction list: what its refusals are about. */
export type ReplyClass =
  | 'Client host' | 'Unverified Client host' | 'Client certificate' | 'SASL login name' | 'Helo command' | 'Sender address' | 'Recipient address'
  | 'Data command' | 'End-of-data' | 'Etrn command';

/** Who has logged in; `sender` is what AUTH= of MAIL FROM said, in xtext. */
export interface SaslLogin {
  readonly username: string;
  readonly method: string;
  readonly sender: string | undefined;
}

/** The encryption of the session. Names and fingerprints are '' where the client has shown no certificate. */
export interface TlsSession {
  readonly protocol: string;
  readonly cipher: string;
  readonly bits: number;
  readonly clientCertFingerprint: string;
  readonly clientPubkeyFingerprint: string;
  /** The certificate was verified against our trust anchors. */
  readonly clientTrusted: boolean;
  /** Common names, as in the certificate. */
  readonly subject: string;
  readonly issuer: string;
  /** The server name that the client asked for. */
  readonly sni: string;
}

/** Which message of this process it is: when it began (milliseconds since the epoch), and how many began before it. */
export interface Instance {
  readonly begun: number;
  readonly number: number;
}

export interface AccessState {
  /** Another one after XCLIENT. */
  client: Client;
  /** The session's voice. */
  readonly log: Log;
  helo: string | undefined;
  protocol: string;
  sender: string | undefined;
  recipient: string | undefined;
  recipientCount: number;
  /** The command being answered, for the log: CONNECT, EHLO, MAIL, RCPT, ... */
  where: string;
  queueId: string | undefined;
  /** The service is at its limit of clients (`stress` in main.cf is `yes`). */
  stress?: boolean | undefined;
  /** Undefined: nobody has logged in. */
  sasl?: SaslLogin | undefined;
  /** What AUTH= of MAIL FROM said, in xtext, logged in or not. */
  claimedSender?: string | undefined;
  /** Undefined: a plaintext session. */
  tls?: TlsSession | undefined;
  /** info_log_address_format is `internal`: addresses are logged as they are, not as headers write them. */
  logsInternal?: boolean | undefined;
  /** What XFORWARD has said about the message under way. */
  forwarded?: Forwarded | undefined;
  etrnDomain?: string | undefined;
  /** Bytes: what MAIL FROM announced, at the end of the message what came. */
  size?: number | undefined;
  /** Names the message for policy services, before it has a queue id. */
  instance?: Instance | undefined;
  /** Answers of the name service that were worked out for this session (dns-memory.ts). */
  answers?: Map<string, unknown> | undefined;
  readonly effects: SideEffects;
  deferIfPermit: Refusal | undefined;
  deferIfReject: Refusal | undefined;
  /** Deferrals that lists asked earlier have left (policy.ts), by list. */
  noted?: Map<string, Refusal> | undefined;
  /** The restriction at hand only warns. */
  warnOnly: boolean;
  /** The transaction was asked for with SMTPUTF8: domains in Unicode are good names. */
  smtputf8?: boolean;
  recipientChecked: boolean;
  senderChecked: boolean;
  depth: number;
  /** How many default actions of policy services are being evaluated within each other. */
  policyDepth?: number;
  /** May this command be pipelined with what is already in the buffer (reject_unauth_pipelining)? */
  pipelinesIllegally: boolean;
}

/** What restrictions may ask of the world. */
export interface AccessTools {
  resolve(sender: string, recipient: string): MaybePromise<Resolved>;
  log(what: string, state: AccessState, text: string): void;
  warn(text: string): void;
}

/** One restriction, ready to be asked. `ahead` begins what takes time (look-ups) before its turn has come; it decides nothing. */
export interface Restriction {
  (state: AccessState, about: Subject): MaybePromise<Decision>;
  readonly ahead?: (state: AccessState) => void;
}

/** Where a restriction stands. */
export interface Place {
  /** The restriction that a bare `type:table` stands for in this list; '': none. */
  readonly defaultTable: string;
  /** The restriction, as the operator wrote it. */
  readonly name: string;
}

/** Makes a restriction of its row in a list. */
export type Maker = (setup: AccessSetup, argument: string, place: Place) => Restriction;

/** What the list at hand is about: the reply's `<subject>: Class rejected: ...`. */
export interface Subject {
  readonly name: string;
  readonly replyClass: ReplyClass;
}
