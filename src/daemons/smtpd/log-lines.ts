/** The lines smtpd writes about a session: word for word what log readers know (fail2ban, pflogsumm, logwatch). */
import type { Log } from '../../log/log.ts';
import { forwardedClient, unknownValue } from '../../protocol/smtp-server/client-attributes.ts';
import type { LogEvent, Question } from '../../protocol/smtp-server/steps.ts';
import { quote822Local } from '../../message/address.ts';
import type { AccessState } from './access/state.ts';
import { labelOf } from './other-client.ts';

/** `QUEUEID: reject: RCPT from host[addr]: 554 ...; from=<> to=<> proto=ESMTP helo=<>` */
export function whatsUp(what: string, state: AccessState, text: string): string {
  let line = `${state.queueId ?? 'NOQUEUE'}: ${what}: ${state.where} from ${state.client.label}: ${text};`;
  if (state.sender !== undefined) line += ` from=<${shown(state.sender, state)}>`;
  if (state.recipient !== undefined) line += ` to=<${shown(state.recipient, state)}>`;
  line += ` proto=${state.protocol}`;
  if (state.helo !== undefined) line += ` helo=<${state.helo}>`;
  return line + loginWords(state, ' ');
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

function loginWords({ sasl, claimedSender }: AccessState, between: string): string {
  const login = sasl === undefined ? '' : `${between}sasl_method=${sasl.method}${between}sasl_username=${sasl.username}`;
  const sender = sasl?.sender ?? claimedSender;
  return sender === undefined ? login : `${login}${between}sasl_sender=${sender}`;
}

/** `QUEUEID: client=host[addr]`, and who has logged in, and where the message came from before. */
export function clientLine(state: AccessState, withPort: boolean): string {
  const { queueId, client, forwarded } = state;
  const line = `${queueId ?? 'NOQUEUE'}: client=${client.label}${loginWords(state, ', ')}`;
  if (forwarded === undefined) return line;
  const id = forwarded.ident?.id === undefined ? '' : `, orig_queue_id=${forwarded.ident.id}`;
  const origin = originLabel(state, withPort);
  return line + id + (origin === undefined ? '' : `, orig_client=${origin}`);
}

/** The client that XFORWARD names; undefined: it has named none. */
export function originLabel({ forwarded }: AccessState, withPort: boolean): string | undefined {
  const origin = forwardedClient(forwarded);
  if (origin === undefined) return undefined;
  return origin.address === unknownValue ? origin.name : labelOf(origin.name, origin.address, origin.port, withPort);
}

function shown(address: string, { logsInternal }: AccessState): string {
  return address === '' || logsInternal === true ? address : quote822Local(address);
}

/** What a machine event says in the log. */
export function logEvent(event: LogEvent, state: AccessState, log: Log, hostname: string): void {
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
    case 'unsure': return log.warning(`don't know ${event.what} ${label}`);
    case 'data-error': return log.info(`${id}: reject: ${state.where} from ${label}: 421 4.3.0 ${hostname} Server local data error`);
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
