/**
 * The memory of one SMTP session: who said hello, the mail transaction under way, errors and counts. Verbs read and change
 * it; the session (session.ts) turns what they say into steps. No I/O, no time.
 */
import type { CommandWord } from '../../message/smtp-path.ts';
import { printable } from '../../text/ascii.ts';
import { neuter, type ClientOverride, type Forwarded } from './client-attributes.ts';
import type { ChunkReader } from './chunk.ts';
import type { NewlineWatch } from './gauge.ts';
import { strangerOf, type Peer } from './peer.ts';
import { tell } from './reply.ts';
import type { SmtpServerSettings } from './settings.ts';
import type { LogEvent, Question, Reply, SmtpServerStep, Verdict } from './steps.ts';

/** From an accepted MAIL until END, RSET, HELO or the end of the session. */
export interface Transaction {
  readonly sender: string;
  readonly smtputf8: boolean;
  recipients: number;
  firstRecipient: string | undefined;
  /** How many recipients too many were offered. */
  overshoot: number;
}

/** `ok`: chunks were taken. `error`: chunks are swallowed until LAST or RSET, so that a pipelining client stays in step. */
export type ChunkState = 'none' | 'ok' | 'error';

/** How a command goes on once its words have been checked. */
export type Outcome =
  | { readonly kind: 'refuse'; readonly reply: Reply }
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'ask'; readonly question: Question }
  /** The bytes after this command are a chunk of content; `dialogue.chunk` says what becomes of them. */
  | { readonly kind: 'chunk' };

export interface Verb {
  readonly name: string;
  /** Costs the client when repeated without mail: counts against smtpd_junk_command_limit. */
  readonly junk?: boolean;
  /** RFC 2920 §3.1: may only be the last of a pipelined group. */
  readonly last?: boolean;
  /** Served in plain text even where TLS is required (RFC 3207 §4). */
  readonly plain?: boolean;
  /** What must be so before the words are even looked at: the first rule that objects gives the reply. */
  readonly order?: readonly ((dialogue: Dialogue) => Reply | undefined)[];
  readonly check: (dialogue: Dialogue, words: readonly CommandWord[], line: string) => Outcome;
  /** The question was answered with yes: do it. Gives the reply, unless one comes later. */
  readonly accepted?: (dialogue: Dialogue, question: Question, verdict: Verdict) => Reply | undefined;
  /** The question was answered with no, with this reply: true when the reply has to wait (for a chunk to be swallowed). */
  readonly refused?: (dialogue: Dialogue, reply: Reply) => boolean;
}

export class Dialogue {
  readonly settings: SmtpServerSettings;
  peer: Peer;
  readonly #steps: SmtpServerStep[];

  /** The name given with HELO or EHLO, safe to log. */
  helo: string | undefined;
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  /** TLS is active. */
  encrypted = false;
  /** What EHLO announces behind AUTH. */
  mechanisms: string | undefined;
  mail: Transaction | undefined;
  /** What XFORWARD has said about the next message, or the one under way. */
  forwarded: Forwarded | undefined;
  chunkState: ChunkState = 'none';
  chunk: ChunkReader | undefined;
  /** The last thing that was recognized, as log lines name it. */
  where = 'CONNECT';
  errors = 0;
  junk = 0;
  /** A bare newline was seen while smtpd_forbid_bare_newline = note. */
  notedBareNewline = false;

  /** `steps`: where the session's steps stand in line. */
  constructor(settings: SmtpServerSettings, steps: SmtpServerStep[]) {
    this.settings = settings;
    this.peer = strangerOf(settings);
    this.#steps = steps;
  }

  emit(step: SmtpServerStep): void {
    this.#steps.push(step);
  }

  log(event: LogEvent): void {
    this.emit({ kind: 'log', log: event });
  }

  /** A refusal of ours that is logged like one of a restriction. */
  logReject(text: string, sender = this.mail?.sender): void {
    this.log({ event: 'reject', where: this.where, text, sender, recipient: this.mail?.firstRecipient });
  }

  /** Does the session offer, and hence accept, what this EHLO keyword stands for? */
  offers(keyword: string): boolean {
    return this.peer.discardedKeywords?.has(keyword) !== true;
  }

  get smtputf8Offered(): boolean {
    return this.settings.smtputf8_enable && this.offers('smtputf8');
  }

  /** Newline policing (smtpd_forbid_bare_newline) is never for a local program. */
  get policesNewlines(): boolean {
    return this.peer.policesNewlines;
  }

  /** What a bare newline in a command or in content means. */
  get newlineWatch(): NewlineWatch {
    const { smtpd_forbid_bare_newline: rule } = this.settings;
    return this.policesNewlines && (rule === 'note' || rule === 'reject') ? rule : 'none';
  }

  /** Forget the transaction. `told`: its owner knows already, because it refused or accepted the end of it. */
  resetMail(told = false): void {
    if (this.mail !== undefined && !told) this.emit({ kind: 'abort' });
    this.mail = undefined;
    this.forwarded = undefined;
    this.chunkState = 'none';
    this.chunk = undefined;
  }

  /** RFC 3207 §4.2: what was said before the handshake is forgotten, by both sides. */
  forgetClient(): void {
    this.resetMail();
    this.helo = this.mechanisms = undefined;
  }

  /** XCLIENT: the client is another one from now on, and has said only what XCLIENT says of it. */
  become({ helo, protocol }: ClientOverride): void {
    this.resetMail();
    this.helo = helo?.name;
    this.protocol = protocol ?? 'SMTP';
  }

  /** A list or table of ours that decides about this client cannot be asked. The reply ends the session. */
  unsure(what: string): Reply {
    this.log({ event: 'unsure', what });
    return this.dataError();
  }

  dataError(): Reply {
    this.log({ event: 'data-error' });
    return tell.localDataError(this.settings.myhostname);
  }

  /** RFC 5321 §4.1.4: a new greeting begins as if RSET had been given. */
  greet(protocol: 'SMTP' | 'ESMTP', name: string): void {
    this.resetMail();
    this.helo = neuter(printable(name, '?', this.settings.smtputf8_enable));
    // Once ESMTP, always ESMTP: a client that was told of PIPELINING cannot be blamed for using it.
    if (protocol === 'ESMTP') this.protocol = protocol;
  }
}

const none: readonly string[] = [];

/** What stands behind the path of MAIL or RCPT: nothing, as a rule. */
export function parametersOf(words: readonly CommandWord[]): readonly string[] {
  return words.length <= 3 ? none : words.slice(3).map((word) => word.text);
}

export function refuse(reply: Reply): Outcome {
  return { kind: 'refuse', reply };
}

export function answer(reply: Reply): Outcome {
  return { kind: 'reply', reply };
}

export function ask(question: Question): Outcome {
  return { kind: 'ask', question };
}
