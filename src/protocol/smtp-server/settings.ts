/**
 * What the SMTP server machine has to be told. Names are those of main.cf where main.cf has one; times are in seconds,
 * sizes in bytes, as there. The machine reads the object and never changes it, so that one object serves many sessions.
 */
import type { Reply } from './steps.ts';

/** What is told of all that is said. */
export interface SessionListener {
  heard(line: string): void;
  said(reply: Reply, bytes: string): void;
}

export interface SmtpServerSettings {
  readonly myhostname: string;
  /** What follows "220 " in the greeting. */
  readonly smtpd_banner: string;
  /** The client as replies and log lines name it: `name[address]`. */
  readonly client: string;
  /** True for sendmail -bs: the client is a local program; no pipelining or newline policing. */
  readonly standAlone: boolean;

  readonly line_length_limit: number;
  /** 0: no limit. */
  readonly message_size_limit: number;
  /** 0: no limit. */
  readonly smtpd_recipient_limit: number;
  readonly smtpd_recipient_overshoot_limit: number;

  readonly smtpd_hard_error_limit: number;
  readonly smtpd_soft_error_limit: number;
  readonly smtpd_error_sleep_time: number;
  readonly smtpd_junk_command_limit: number;

  readonly smtpd_timeout: number;
  /** The time limit is for a whole command, not for each read; content then buys time at smtpd_min_data_rate. */
  readonly smtpd_per_request_deadline: boolean;
  /** Bytes per second. */
  readonly smtpd_min_data_rate: number;

  /** STARTTLS is offered; and nothing much is possible without it. */
  readonly smtpd_use_tls: boolean;
  readonly smtpd_enforce_tls: boolean;

  /** AUTH is served; and only in an encrypted session. */
  readonly smtpd_sasl_auth_enable: boolean;
  readonly smtpd_tls_auth_only: boolean;
  readonly smtpd_sasl_response_limit: number;
  /** AUTH is announced a second time, in the form that old clients look for. */
  readonly broken_sasl_auth_clients: boolean;

  readonly smtpd_helo_required: boolean;
  readonly disable_vrfy_command: boolean;
  readonly strict_rfc821_envelopes: boolean;
  readonly smtputf8_enable: boolean;
  readonly strict_smtputf8: boolean;
  readonly soft_bounce: boolean;

  /** `yes` of main.cf is `normalize`. A client that is excluded from the policing gets `no`. */
  readonly smtpd_forbid_bare_newline: 'normalize' | 'note' | 'reject' | 'no';
  readonly smtpd_forbid_bare_newline_reject_code: number;
  readonly smtpd_forbid_unauth_pipelining: boolean;

  /** EHLO keywords, in lower case, that clients shall not see (smtpd_discard_ehlo_keywords), as long as the answer to CONNECT says nothing else. */
  readonly discardedKeywords: ReadonlySet<string>;
  /** `COMMAND` is asked about each command (smtpd_command_filter). */
  readonly filtersCommands: boolean;
  /** REQUIRETLS is offered, and taken, once the session is encrypted (RFC 8689). */
  readonly requiretls_enable: boolean;
  /** The delimiters of XVERP: which ones may be asked for, and which two there are otherwise. */
  readonly verp_delimiter_filter: string;
  readonly default_verp_delimiters: string;
  /** The families of inet_protocols, for addresses that XCLIENT and XFORWARD bring. */
  readonly families: readonly ('IPv4' | 'IPv6')[];

  /** Is this first word of a command in smtpd_forbidden_commands? */
  readonly isForbiddenCommand: (word: string) => boolean;
  /** Is this first word of a command in smtpd_noop_commands? */
  readonly isNoopCommand: (word: string) => boolean;

  /** Commands that are not known are asked about (UNKNOWN). */
  readonly asksUnknown?: boolean;

  /** What becomes of a reply before it is sent (smtpd_reject_footer and its like). Absent: nothing. */
  readonly editReply?: ((reply: Reply) => Reply) | undefined;

  /** Told of all that is said. Absent: nobody wants to know. */
  readonly transcript?: SessionListener | undefined;

  /** Most bytes that the machine keeps while a question is open; a pump that reads on must heed `wantsInput`. */
  readonly inputLimit: number;
}

/** Postfix 3.12's defaults, for a host of this name. */
export function defaultSettings(myhostname: string, client: string): SmtpServerSettings {
  return {
    myhostname,
    smtpd_banner: `${myhostname} ESMTP Postfix`,
    client,
    standAlone: false,
    line_length_limit: 2048,
    message_size_limit: 10_240_000,
    smtpd_recipient_limit: 1000,
    smtpd_recipient_overshoot_limit: 1000,
    smtpd_hard_error_limit: 20,
    smtpd_soft_error_limit: 10,
    smtpd_error_sleep_time: 1,
    smtpd_junk_command_limit: 100,
    smtpd_timeout: 300,
    smtpd_per_request_deadline: false,
    smtpd_min_data_rate: 500,
    smtpd_use_tls: false,
    smtpd_enforce_tls: false,
    smtpd_sasl_auth_enable: false,
    smtpd_tls_auth_only: false,
    smtpd_sasl_response_limit: 12_288,
    broken_sasl_auth_clients: false,
    smtpd_helo_required: false,
    disable_vrfy_command: false,
    strict_rfc821_envelopes: false,
    smtputf8_enable: true,
    strict_smtputf8: false,
    soft_bounce: false,
    smtpd_forbid_bare_newline: 'normalize',
    smtpd_forbid_bare_newline_reject_code: 550,
    smtpd_forbid_unauth_pipelining: true,
    discardedKeywords: new Set(),
    filtersCommands: false,
    requiretls_enable: true,
    verp_delimiter_filter: '-=+',
    default_verp_delimiters: '+=',
    families: ['IPv4', 'IPv6'],
    isForbiddenCommand: forbiddenByDefault,
    isNoopCommand: () => false,
    inputLimit: 262_144,
  };
}

/** The default of smtpd_forbidden_commands: `CONNECT GET POST regexp:{{/^[^A-Z]/ Bogus}}`, without regard to case. */
export function forbiddenByDefault(word: string): boolean {
  const code = word.charCodeAt(0) & ~0x20;
  if (word.charCodeAt(0) > 127 || code < 65 || code > 90) return true;
  return /^(?:connect|get|post)$/i.test(word);
}
