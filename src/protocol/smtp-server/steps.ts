/**
 * What the SMTP server machine asks of its surroundings: steps, questions and the events worth a log line.
 *
 * Text is byte strings throughout. A question waits for exactly one `answer`; while it is open the machine gives no
 * step but `send` for replies that would otherwise be held back.
 */

import type { MailParameters } from '../../message/path-parameters.ts';
import type { ClientOverride, Forwarded } from './client-attributes.ts';
import type { Peer } from './peer.ts';

/** An SMTP reply. Several lines share code and status; the greeting and the answers to HELO and EHLO have no status. */
export interface Reply {
  readonly code: number;
  readonly status?: string;
  readonly text: string | readonly string[];
}

export type Question =
  /** May this client talk to us? Accepted: greeting. Refused: the reply instead of it, and no command but QUIT is served. */
  | { readonly verb: 'CONNECT' }
  | { readonly verb: 'HELO' | 'EHLO'; readonly name: string }
  /** Can TLS begin now? Accepted: a `start-tls` step follows. */
  | { readonly verb: 'STARTTLS' }
  /**
   * `sender` in internal (unquoted) form, '' for the null sender; `path` as the client wrote it. With an `objection` the question is only
   * whether the address is one at all, which is said first; else the answer is the objection.
   */
  | {
    readonly verb: 'MAIL'; readonly sender: string; readonly path: string; readonly parameters: MailParameters; readonly forwarded?: Forwarded | undefined;
    readonly objection?: Reply | undefined;
  }
  | {
    readonly verb: 'RCPT'; readonly recipient: string; readonly path: string;
    /** dsnNotify mask of message/dsn.ts; 0: not given. */
    readonly notify: number;
    /** `type;address`, decoded: the ORCPT parameter, or what stands for it when there was none. */
    readonly orcpt: string;
    /** as with MAIL */
    readonly objection?: Reply | undefined;
  }
  /** Content is about to come. Accepted: `content` steps follow, then END or `abort`. */
  | { readonly verb: 'DATA'; readonly command: 'DATA' | 'BDAT' }
  /** The content is complete: `size` bytes were handed over. Accepted means: durable. */
  | { readonly verb: 'END'; readonly command: 'DATA' | 'BDAT'; readonly size: number }
  /**
   * Someone wants to log in. With an `objection` the question is only whether AUTH was tried too often (smtpd_client_auth_rate_limit): what
   * is answered then changes nothing. `mechanism` undefined: the words of the command make no sense. `initial`: the initial response.
   */
  | { readonly verb: 'AUTH'; readonly objection: Reply | undefined; readonly mechanism: string | undefined; readonly initial: string | undefined }
  /** What the client says to a challenge, `*` to cancel; undefined: it is longer than may be (smtpd_sasl_response_limit). */
  | { readonly verb: 'RESPONSE'; readonly response: string | undefined }
  | { readonly verb: 'VRFY'; readonly address: string; readonly path: string; readonly smtputf8: boolean }
  | { readonly verb: 'ETRN'; readonly domain: string }
  /** Only with settings.filtersCommands: what shall this command be? Accepted: the verdict's `line`, or as it is. */
  | { readonly verb: 'COMMAND'; readonly line: string }
  /** The client speaks for another one. Accepted: CONNECT is asked anew. */
  | { readonly verb: 'XCLIENT'; readonly override: ClientOverride }
  /** Only with `asksUnknown`. Accepted: the client hears that the command is not known. */
  | { readonly verb: 'UNKNOWN'; readonly line: string };

/**
 * The answer. Without `reply` an accepted question gets the reply that belongs to it; END then needs the `queueId` for
 * its text. A refusal with code 421 or 521 hangs up, as does `close`. `peer` comes with the answer to CONNECT. To EHLO: the `mechanisms`
 * that are announced, if any. To AUTH and RESPONSE: accepted means logged in, unless there is a `challenge` (base64) to be answered first.
 */
export type Verdict =
  | {
    readonly accept: true; readonly reply?: Reply; readonly queueId?: string; readonly close?: boolean; readonly peer?: Peer; readonly line?: string | undefined;
    readonly mechanisms?: string | undefined; readonly challenge?: string;
    /** EHLO: announce nothing but ENHANCEDSTATUSCODES. */
    readonly bare?: boolean;
  }
  | { readonly accept: false; readonly reply: Reply; readonly close?: boolean; readonly peer?: Peer };

/** What there is to log; `session.context()` has the client's name, sender and so on at that moment. */
export type LogEvent =
  /** info: improper command pipelining after {after} from {client}: {text} (escaped, at most 100 bytes) */
  | { readonly event: 'improper-pipelining'; readonly after: string; readonly text: string }
  /** warning: non-SMTP command from {client}: {text} (escaped; at most 100 chars are logged) */
  | { readonly event: 'non-smtp-command'; readonly text: string }
  /** warning: {client}: request longer than {limit}: {text}... */
  | { readonly event: 'long-request'; readonly limit: number; readonly text: string }
  /** warning: disabling input from {client} */
  | { readonly event: 'input-disabled' }
  /** warning: Illegal address syntax from {client} in {verb} command: {text} */
  | { readonly event: 'bad-address'; readonly verb: string; readonly text: string }
  /** info: {queueId|NOQUEUE}: reject: {where} from {client}: {text}; from=<{sender}> to=<{recipient}> proto= helo=<> */
  | {
    readonly event: 'reject'; readonly where: string; readonly text: string;
    readonly sender: string | undefined; readonly recipient: string | undefined;
  }
  /** info: discarding EHLO keywords: {keywords} */
  | { readonly event: 'discarded-keywords'; readonly keywords: string }
  /** warning: don't know {what} {client} */
  | { readonly event: 'unsure'; readonly what: string }
  /** info: {queueId|NOQUEUE}: reject: {where} from {client}: 421 4.3.0 {myhostname} Server local data error */
  | { readonly event: 'data-error' }
  /** warning: {queueId|NOQUEUE}: queue file size limit exceeded */
  | { readonly event: 'size-limit' }
  /** warning: {queueId|NOQUEUE}: malformed BDAT command syntax from {client}: {text} */
  | { readonly event: 'bad-bdat'; readonly text: string }
  /** warning: {queueId|NOQUEUE}: null BDAT request from {client} */
  | { readonly event: 'null-bdat' }
  /** warning: {queueId|NOQUEUE}: BDAT request from {client} exceeds message size limit */
  | { readonly event: 'big-bdat' }
  /** warning: {queueId|NOQUEUE}: too much BDAT content -- disabling further input from {client} */
  | { readonly event: 'bdat-flood' }
  /** info: {queueId|NOQUEUE}: {reason} after {after} from {client}; with `bytes`: after {after} ({bytes} bytes) from */
  | { readonly event: 'ended'; readonly reason: EndReason; readonly after: string; readonly bytes: number | undefined };

export type EndReason = 'timeout' | 'lost connection' | 'too many errors';

export type SmtpServerStep =
  /** Write this byte string; the machine goes on without waiting for it to arrive. */
  | { readonly kind: 'send'; readonly bytes: string }
  | { readonly kind: 'ask'; readonly question: Question }
  /** The next piece of the message, dots unstuffed, line ends as they came. */
  | { readonly kind: 'content'; readonly chunk: Buffer }
  /** An accepted MAIL comes to nothing (RSET, HELO, QUIT, lost connection, trouble): forget it. No answer is expected. */
  | { readonly kind: 'abort' }
  /** Do nothing for so long, then ask for the next step. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  | { readonly kind: 'log'; readonly log: LogEvent }
  /** Begin a TLS handshake after what was sent before; then say `secured` or `unsecured`. */
  | { readonly kind: 'start-tls' }
  /** Close when everything sent is written. Always the last step. */
  | { readonly kind: 'close'; readonly reason: CloseReason };

export type CloseReason = EndReason | 'quit' | 'hang-up' | 'protocol';

/** Who and what a session is about, for log lines and policy. Byte strings. */
export interface SessionContext {
  readonly protocol: 'SMTP' | 'ESMTP';
  readonly helo: string | undefined;
  readonly where: string;
  readonly sender: string | undefined;
  /** The first accepted recipient of the transaction. */
  readonly recipient: string | undefined;
  readonly recipients: number;
  /** The client has spoken when it had to wait (for reject_unauth_pipelining). */
  readonly outOfStep: boolean;
}
