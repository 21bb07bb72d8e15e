/** The lines smtpd writes about a session: word for word what log readers know (fail2ban, pflogsumm, logwatch). */
import type { Log } from '../../log/log.ts';
import type { LogEvent, Question } from '../../protocol/smtp-server/steps.ts';
import { quote822Local } from '../../message/address.ts';
import type { AccessState } from './access/state.ts';

/** `QUEUEID: reject: RCPT from host[addr]: 554 ...; from=<> to=<> proto=ESMTP helo=<>` */
export function whatsUp(what: string, state: AccessState, text: string): string {
  let line = `${state.queueId ?? 'NOQUEUE'}: ${what}: ${state.where} from ${state.client.label}: ${text};`;
  if (state.sender !== undefined) line += ` from=<${quoted(state.sender)}>`;
  if (state.recipient !== undefined) line += ` to=<${quoted(state.recipient)}>`;
  line += ` proto=${state.protocol}`;
  if (state.helo !== undefined) line += ` helo=<${state.helo}>`;
  const { sasl } = state;
  if (sasl !== undefined) line += ` sasl_method=${sasl.method} sasl_username=${sasl.username}`;
  const sender = sasl?.sender ?? state.claimedSender;
  return sender === undefined ? line : `${line} sasl_sender=${sender}`;
}

/** The command at hand, as log lines name it. */
export function whereIs(question: Question): string {
  switch (question.verb) {
    case 'END': return 'END-OF-MESSAGE';
    case 'DATA': return question.command;
    case 'RESPONSE': return 'AUTH';
    default: return question.verb;
  }
}

/** What the client= line of a message says of the login. */
export function loginText({ sasl }: AccessState, { auth }: { readonly auth: string | undefined }): string {
  const login = sasl === undefined ? '' : `, sasl_method=${sasl.method}, sasl_username=${sasl.username}`;
  return auth === undefined ? login : `${login}, sasl_sender=${auth}`;
}

function quoted(address: string): string {
  return address === '' ? '' : quote822Local(address);
}

/** What a machine event says in the log. */
export function logEvent(event: LogEvent, state: AccessState, log: Log): void {
  const { label } = state.client;
  const id = state.queueId ?? 'NOQUEUE';
  switch (event.event) {
    case 'improper-pipelining': return log.info(`improper command pipelining after ${event.after} from ${label}: ${event.text}`);
    case 'non-smtp-command': return log.warning(`non-SMTP command from ${label}: ${event.text}`);
    case 'long-request': return log.warning(`${label}: request longer than ${event.limit}: ${event.text.slice(0, 30)}...`);
    case 'input-disabled': return log.warning(`disabling input from ${label}`);
    case 'bad-address': return log.warning(`Illegal address syntax from ${label} in ${event.verb} command: ${event.text}`);
    case 'reject': return log.info(whatsUp('reject', { ...state, where: event.where, sender: event.sender, recipient: event.recipient }, event.text));
    case 'discarded-keywords': return log.info(`discarding EHLO keywords: ${event.keywords}`);
    case 'size-limit': return log.warning(`${id}: queue file size limit exceeded`);
    case 'bad-bdat': return log.warning(`${id}: malformed BDAT command syntax from ${label}: ${event.text}`);
    case 'null-bdat': return log.warning(`${id}: null BDAT request from ${label}`);
    case 'big-bdat': return log.warning(`${id}: BDAT request from ${label} exceeds message size limit`);
    case 'bdat-flood': return log.warning(`${id}: too much BDAT content -- disabling further input from ${label}`);
    case 'ended': return log.info(endedLine(event, state));
  }
}

function endedLine(event: Extract<LogEvent, { event: 'ended' }>, state: AccessState): string {
  const bytes = event.bytes === undefined ? '' : ` (${event.bytes} bytes)`;
  return `${state.queueId ?? 'NOQUEUE'}: ${event.reason} after ${event.after}${bytes} from ${state.client.label}`;
}
