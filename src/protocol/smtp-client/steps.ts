/**
 * What goes into the SMTP client machine besides bytes, and the steps that come out of it.
 *
 * Addresses, names and texts are byte strings. Times are seconds in options and milliseconds in the machine.
 */
import type { XforwardName } from './features.ts';

/** The server, as log lines and reports name it. */
export interface Peer {
  /** Host name, for Remote-MTA. */
  readonly host: string;
  /** Numeric address, or path. */
  readonly address: string;
  /** `host[address]` */
  readonly nameAddress: string;
  /** `host[address]:port`; without the port for a UNIX-domain socket. */
  readonly nameAddressPort: string;
}

export interface ClientTimeouts {
  readonly helo: number;
  readonly startTls: number;
  readonly xforward: number;
  readonly mail: number;
  readonly rcpt: number;
  readonly dataInit: number;
  readonly dataTransfer: number;
  readonly dataDone: number;
  readonly rset: number;
  readonly quit: number;
}

/** What holds for every session of a service; from main.cf. */
export interface ClientSettings {
  readonly dialect: 'smtp' | 'lmtp';
  /** Sent with EHLO, HELO, LHLO. */
  readonly heloName: string;
  /** A server that calls itself this is ourselves. */
  readonly myHostname: string;
  readonly alwaysSendEhlo: boolean;
  readonly neverSendEhlo: boolean;
  /** A 5xx greeting is this server's trouble only: other servers are tried, and mail is deferred. */
  readonly skip5xxGreeting: boolean;
  readonly skipQuitResponse: boolean;
  /** Longest reply line and reply text kept: line_length_limit. */
  readonly replyLimit: number;
  /** Longer lines of content are broken; 0: never. */
  readonly lineLimit: number;
  readonly smtputf8: boolean;
  /** Say what could be done about trouble: helpful_warnings. */
  readonly helpfulWarnings: boolean;
  readonly timeouts: ClientTimeouts;
  /** The timeouts limit the whole exchange of a command, not each read and write. */
  readonly perRequestDeadline: boolean;
  /** Bytes per second that content must make under perRequestDeadline. */
  readonly minDataRate: number;
  /** How long and how often one connection may be used for further mail; count 0: no limit. */
  readonly reuseTime: number;
  readonly reuseCount: number;
  /** What takes the place of a line of the server (smtp_reply_filter); undefined: it stays. Throws ReplyFilterTrouble. */
  readonly replyFilter?: ((line: string) => string | undefined) | undefined;
  /** Log in where the server offers AUTH: smtp_sasl_auth_enable. */
  readonly logIn?: boolean;
  /** False: a login that is refused for good returns the mail (smtp_sasl_auth_soft_bounce). */
  readonly softLogIn?: boolean;
  /** Say AUTH=<> with the sender of every message (smtp_send_dummy_mail_auth). */
  readonly dummyMailAuth?: boolean;
  /** Characters of what was said that are kept for a postmaster (transcript.ts). Absent: none. */
  readonly transcript?: number;
}

/** What holds for one connection. */
export interface ClientOptions {
  readonly settings: ClientSettings;
  readonly peer: Peer;
  /** EHLO keywords to ignore, upper-case. */
  readonly discard: ReadonlySet<string>;
  /** Text for the log when keywords are ignored; '' for none. */
  readonly discardLog: string;
  /** Whether a greeting with our own name means a loop, and what the mail was for. */
  readonly loop: { readonly detect: boolean; readonly bestMx: boolean; readonly nexthop: string };
  readonly tls: 'none' | 'may' | 'encrypt';
  /** TLS begins before the greeting. */
  readonly tlsWrapped?: boolean;
  /** We have no TLS ourselves: keys that cannot be read. */
  readonly tlsUnavailable?: boolean;
  /** A server that says something behind TLS before it was asked for is left: it may be answering somebody else (CVE-2009-3555). */
  readonly blocksEarlyReply?: boolean;
  /** The sender asked for REQUIRETLS (RFC 8689), and this is how much of it holds for this destination. */
  readonly requireTls?: RequireTls | undefined;
  /** The first message, for log lines before it begins. */
  readonly queueId?: string;
  /** What to do when the greeting is that of a Cisco PIX. */
  readonly pix?: () => PixWorkarounds | undefined;
}

/** smtp_pix_workarounds, as far as they hold for the message at hand. */
export interface PixWorkarounds {
  readonly noEsmtp: boolean;
  /** Seconds before the dot; 0: none. */
  readonly dotDelay: number;
  /** For the log. */
  readonly names: string;
}

/** `enforce` all of it; `starttls` encryption at least; `opportunistic` what the server can do. */
export type RequireTls = 'enforce' | 'starttls' | 'opportunistic';

export interface ClientRecipient {
  /** As it stands between < and >: quoted. */
  readonly address: string;
  /** ORCPT parameter, type and encoded address; '' for none. */
  readonly orcpt: string;
  /** dsnNotify mask; 0: none. */
  readonly notify: number;
}

/** An array, or what makes each one when it is asked for. */
export interface ClientRecipients {
  readonly length: number;
  at(number: number): ClientRecipient | undefined;
}

/** One message for one or more recipients. */
export interface Transaction {
  /** For log lines only. */
  readonly queueId: string;
  readonly sender: string;
  readonly recipients: ClientRecipients;
  /** Content size in bytes. */
  readonly size: number;
  readonly encoding: '7bit' | '8bit' | '';
  readonly smtputf8: 'no' | 'requested' | 'required';
  /** The sender asked for REQUIRETLS, and this destination is not exempt. Reports show no content where the server does not know it. */
  readonly requireTls?: boolean;
  readonly envid: string;
  /** dsnRet code; 0: none. */
  readonly ret: number;
  /** Stop when the recipients, or DATA, were answered: an address probe. */
  readonly verify: 'no' | 'rcpt' | 'data';
  /** The connection is wanted for further mail. */
  readonly keep: boolean;
  /** The content is changed on the way: its size is not known beforehand. */
  readonly converted: boolean;
  /** Where the message came from; sent to servers that offer XFORWARD. */
  readonly xforward: ReadonlyMap<XforwardName, string>;
}

export interface Failure {
  /** Enhanced status: 4.x.x or 5.x.x. */
  readonly status: string;
  /** For the log and the report. */
  readonly reason: string;
  /** Name of the server when it said so itself; '' when it is our own finding. */
  readonly remoteMta: string;
  /** The reply, when there was one. */
  readonly diagnostic: string;
  /** Whose words those are; `smtp` when it does not say. */
  readonly diagnosticType?: string;
  /** `site`: nothing can be delivered there now. */
  readonly scope: 'recipient' | 'message' | 'site';
  /** While other servers are left to try, a permanent failure counts as temporary. */
  readonly softUntilLast: boolean;
  /** The server does not offer what is required: STARTTLS, or REQUIRETLS behind it. */
  readonly breach?: true;
}

export type ClientStep =
  /** Bytes, or a byte string. */
  | { readonly kind: 'send'; readonly bytes: Buffer | string }
  /** Do nothing for a while; what follows waits. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  | { readonly kind: 'log'; readonly severity: 'info' | 'warning'; readonly text: string }
  /** A login that fits these mechanisms is wanted: logIn() or logInFailed(). */
  | { readonly kind: 'log-in'; readonly mechanisms: readonly string[] }
  /** The server did not like it. */
  | { readonly kind: 'log-in-refused'; readonly code: number; readonly status: string; readonly text: string }
  /** Begin a TLS handshake; then tlsStarted() or tlsFailed(). */
  | { readonly kind: 'start-tls' }
  /** The handshake is over, or the transaction is: deliver() or quit(). */
  | { readonly kind: 'ready' }
  /** The handshake failed. Closes next. */
  | { readonly kind: 'unusable'; readonly failure: Failure }
  /** The server did not wait for a further message: nothing was lost, use another connection. Closes next. */
  | { readonly kind: 'stale' }
  /** The content is wanted: content() and contentEnd(), or contentFailed(). */
  | { readonly kind: 'content' }
  /** These recipients (numbers from 0) have been accepted for good. */
  | { readonly kind: 'delivered'; readonly recipients: readonly number[]; readonly status: string; readonly text: string }
  | { readonly kind: 'failed'; readonly recipients: readonly number[]; readonly failure: Failure }
  /** Every recipient has had its outcome. `complete`: in an orderly way, so that the server is known to work. */
  | { readonly kind: 'done'; readonly complete: boolean }
  /** Always the last step. */
  | { readonly kind: 'close' };
