/**
 * Replies on the wire, and the fixed ones, word for word as people's log readers and clients know them from Postfix.
 *
 * Rendering never fails: line breaks inside a text make further reply lines, other bytes go out as they are.
 */
import type { Reply } from './steps.ts';

/** The bytes of a reply, as a byte string. With `softBounce` a 5xx becomes 4xx, status included. */
export function renderReply(reply: Reply, softBounce = false): string {
  return softBounce ? rendered(reply, true) : neverVarying.get(reply) ?? rendered(reply, false);
}

function rendered(reply: Reply, softBounce: boolean): string {
  const soften = softBounce && reply.code >= 500;
  const code = String(soften ? reply.code - 100 : reply.code);
  const status = reply.status === undefined ? '' : `${soften ? softStatus(reply.status) : reply.status} `;
  if (typeof reply.text === 'string' && !reply.text.includes('\n')) return `${code} ${status}${clean(reply.text)}\r\n`;
  const lines = (typeof reply.text === 'string' ? [reply.text] : reply.text).flatMap((line) => (line.includes('\n') ? line.split(/\r?\n/) : line));
  let bytes = '';
  for (let at = 0; at < lines.length; at++) bytes += `${code}${at < lines.length - 1 ? '-' : ' '}${status}${clean(lines[at]!)}\r\n`;
  return bytes;
}

const control = /[\x00-\x08\x0a-\x1f\x7f]/;
const everyControl = new RegExp(control, 'g');

/** What a client said comes back in some replies. RFC 5321 §2.3.8: CR and LF only as the end of a line; no other control byte is of use. */
function clean(text: string): string {
  return control.test(text) ? text.replace(everyControl, '?') : text;
}

function softStatus(status: string): string {
  return status.startsWith('5') ? `4${status.slice(1)}` : status;
}

/** Does this reply end the session? RFC 5321 §3.8 knows 421; RFC 7504 added 521. */
export function hangsUp(reply: Reply): boolean {
  return reply.code === 421 || reply.code === 521;
}

export function reply(code: number, status: string | undefined, text: string | readonly string[]): Reply {
  return { code, status, text };
}

/** Replies that never vary. */
export const say = {
  ok: reply(250, '2.0.0', 'Ok'),
  senderOk: reply(250, '2.1.0', 'Ok'),
  recipientOk: reply(250, '2.1.5', 'Ok'),
  startData: reply(354, undefined, 'End data with <CR><LF>.<CR><LF>'),
  bye: reply(221, '2.0.0', 'Bye'),
  queueingStarted: reply(250, undefined, 'Queuing started'),

  badSyntax: reply(500, '5.5.2', 'Error: bad syntax'),
  badUtf8: reply(500, '5.5.2', 'Error: bad UTF-8 syntax'),
  notRecognized: reply(500, '5.5.2', 'Error: command not recognized'),
  notImplemented: reply(502, '5.5.1', 'Error: command not implemented'),
  goodbye: reply(221, '2.7.0', 'Error: I can break rules, too. Goodbye.'),
  outOfStep: reply(554, '5.5.0', 'Error: SMTP protocol synchronization'),

  heloFirst: reply(503, '5.5.1', 'Error: send HELO/EHLO first'),
  heloSyntax: reply(501, undefined, 'Syntax: HELO hostname'),
  ehloSyntax: reply(501, undefined, 'Syntax: EHLO hostname'),

  nestedMail: reply(503, '5.5.1', 'Error: nested MAIL command'),
  mailAfterBdat: reply(503, '5.5.1', 'Error: MAIL after BDAT'),
  mailSyntax: reply(501, '5.5.4', 'Syntax: MAIL FROM:<address>'),
  badSender: reply(501, '5.1.7', 'Bad sender address syntax'),
  badSize: reply(501, '5.5.4', 'Bad message size syntax'),
  hugeSize: reply(552, '5.3.4', 'Message size exceeds file system imposed limit'),
  tooBig: reply(552, '5.3.4', 'Message size exceeds fixed limit'),
  dsnDisabled: reply(501, '5.7.1', 'DSN support is disabled'),
  nullVerpSender: reply(503, '5.5.4', 'Error: XVERP requires non-null sender'),
  badRet: reply(501, '5.5.4', 'Bad RET parameter syntax'),
  badEnvid: reply(501, '5.5.4', 'Bad ENVID parameter syntax'),
  needSmtputf8: reply(553, '5.6.7', 'Must declare SMTPUTF8 to send unicode address'),

  needMail: reply(503, '5.5.1', 'Error: need MAIL command'),
  rcptAfterBdat: reply(503, '5.5.1', 'Error: RCPT after BDAT'),
  rcptSyntax: reply(501, '5.5.4', 'Syntax: RCPT TO:<address>'),
  badRecipient: reply(501, '5.1.3', 'Bad recipient address syntax'),
  badNotify: reply(501, '5.5.4', 'Error: Bad NOTIFY parameter syntax'),
  badOrcpt: reply(501, '5.5.4', 'Error: Bad ORCPT parameter syntax'),
  tooManyRecipients: reply(452, '4.5.3', 'Error: too many recipients'),

  dataAfterBdat: reply(503, '5.5.1', 'Error: DATA after BDAT'),
  needRcpt: reply(503, '5.5.1', 'Error: need RCPT command'),
  noRecipients: reply(554, '5.5.1', 'Error: no valid recipients'),
  dataSyntax: reply(501, '5.5.4', 'Syntax: DATA'),
  messageTooBig: reply(552, '5.3.4', 'Error: message file too big'),

  bdatDisabled: reply(521, '5.5.1', 'Error: command not implemented'),
  bdatSyntax: reply(521, '5.5.4', 'Syntax: BDAT count [LAST]'),
  nullBdat: reply(551, '5.7.1', 'Null BDAT request'),
  chunkTooBig: reply(552, '5.3.4', 'Chunk exceeds message size limit'),

  rsetSyntax: reply(501, '5.5.4', 'Syntax: RSET'),
  vrfyDisabled: reply(502, '5.5.1', 'VRFY command is disabled'),
  etrnHeloFirst: reply(503, undefined, 'Error: send HELO/EHLO first'),
  etrnInMail: reply(503, undefined, 'Error: MAIL transaction in progress'),
  etrnSyntax: reply(500, undefined, 'Syntax: ETRN domain'),
  etrnBadDomain: reply(501, undefined, 'Error: invalid parameter syntax'),
  etrnStandAlone: reply(458, undefined, 'Unable to queue messages'),
  startTlsSyntax: reply(501, '5.5.4', 'Syntax: STARTTLS'),
  tlsActive: reply(554, '5.5.1', 'Error: TLS already active'),
  readyForTls: reply(220, '2.0.0', 'Ready to start TLS'),
  tlsUnavailable: reply(454, '4.7.0', 'TLS not available due to local problem'),
  needTls: reply(530, '5.7.0', 'Must issue a STARTTLS command first'),
  authDisabled: reply(503, '5.5.1', 'Error: authentication not enabled'),
  authSyntax: reply(501, '5.5.4', 'Syntax: AUTH mechanism'),
  alreadyLoggedIn: reply(503, '5.5.1', 'Error: already authenticated'),
  loggedIn: reply(235, '2.7.0', 'Authentication successful'),
  authAborted: reply(501, '5.7.0', 'Authentication aborted'),
  longResponse: reply(500, '5.5.6', 'SASL response limit exceeded'),
  inMail: reply(503, '5.5.1', 'Error: MAIL transaction in progress'),
  notAuthorized: reply(550, '5.7.0', 'Error: insufficient authorization'),
} as const satisfies Record<string, Reply>;

/** Made once. */
const neverVarying: ReadonlyMap<Reply, string> = new Map(Object.values(say).map((one) => [one, rendered(one, false)]));

/** Replies that name our host, the client, or what the client said. */
export const tell = {
  timeout: (host: string) => reply(421, '4.4.2', `${host} Error: timeout exceeded`),
  tooManyErrors: (host: string) => reply(421, '4.7.0', `${host} Error: too many errors`),
  longCommand: (host: string) => reply(500, '5.5.2', `${host} Error: command too long`),
  bareNewline: (code: number, host: string) => reply(code, '5.5.2', `${host} Error: bare <LF> received`),
  untrustedClient: (host: string, why: string) => reply(421, '4.7.1', `${host} Error: ${why}`),
  accessDenied: (client: string) => reply(503, '5.7.0', `Error: access denied for ${client}`),
  unsupported: (parameter: string) => reply(555, '5.5.4', `Unsupported option: ${parameter}`),
  challenge: (text: string) => reply(334, undefined, text),
  authFailed: (reason: string) => reply(535, '5.7.8', `Error: authentication failed: ${reason}`),
  authUnavailable: (reason: string) => reply(454, '4.7.0', `Temporary authentication failure: ${reason}`),
  chunkOk: (bytes: number) => reply(250, '2.0.0', `Ok: ${bytes} bytes`),
  chunkDiscarded: (bytes: number) => reply(551, '5.0.0', `Discarded ${bytes} bytes after earlier error`),
  queued: (queueId: string) => reply(250, '2.0.0', `Ok: queued as ${queueId}`),
  queuedBytes: (bytes: number, queueId: string) => reply(250, '2.0.0', `Ok: ${bytes} bytes queued as ${queueId}`),
  verified: (path: string) => reply(252, '2.0.0', path),
  vrfySyntax: (utf8: boolean) => reply(501, '5.5.4', `Syntax: VRFY address${utf8 ? ' [SMTPUTF8]' : ''}`),
  attributeSyntax: (verb: string) => reply(501, '5.5.4', `Syntax: ${verb} attribute=value...`),
  badAttribute: (verb: string, name: string) => reply(501, '5.5.4', `Bad ${verb} attribute name: ${name}`),
  badAttributeValue: (name: string, value: string) => reply(501, '5.5.4', `Bad ${name} syntax: ${value}`),
  localDataError: (host: string) => reply(421, '4.3.0', `${host} Server local data error`),
  localError: (host: string) => reply(421, '4.3.0', `${host} Server local error`),
  commands: (names: readonly string[]) => reply(214, '2.0.0', `Commands: ${names.join(' ')}`),
} as const;
