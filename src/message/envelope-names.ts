/**
 * The words of a queue file envelope: attribute names, flag bits, and the small texts that carry numbers.
 *
 * Names and values are Postfix 3.12's and go to disk and over internal connections as they are.
 */
import { trimLeft, trimWhite } from '../text/ascii.ts';

/** Names of type A records, and of the same facts in the internal protocols. */
export const attributeName = {
  createTime: 'create_time',
  rewriteContext: 'rewrite_context',
  encoding: 'encoding',
  messageId: 'message_id',
  traceFlags: 'trace_flags',
  logIdent: 'log_ident',
  logClientName: 'log_client_name',
  logClientAddress: 'log_client_address',
  logClientPort: 'log_client_port',
  logMessageOrigin: 'log_message_origin',
  logHeloName: 'log_helo_name',
  logProtocolName: 'log_protocol_name',
  clientName: 'client_name',
  reverseClientName: 'reverse_client_name',
  clientAddress: 'client_address',
  clientPort: 'client_port',
  serverAddress: 'server_address',
  serverPort: 'server_port',
  heloName: 'helo_name',
  protocolName: 'protocol_name',
  clientAddressType: 'client_address_type',
  saslMethod: 'sasl_method',
  saslUsername: 'sasl_username',
  saslSender: 'sasl_sender',
  dsnEnvid: 'envelope_id',
  dsnRet: 'ret_flags',
  dsnNotify: 'notify_flags',
  dsnOrcpt: 'dsn_orig_rcpt',
} as const;

/** Values of rewrite_context: whose domain completes an address without one. */
export const rewriteContext = { local: 'local', remote: 'remote' } as const;

/** Values of encoding: what the sender said of the body. */
export const bodyEncoding = { eightBit: '8bit', sevenBit: '7bit', unknown: '' } as const;

/** Hints for the queue manager, fourth number of the size record. */
export const queueFlag = {
  /** other records stand among the recipients */
  mixed: 1,
  notifyNever: 2,
  notifySuccess: 4,
  notifyFailure: 8,
  notifyDelay: 16,
} as const;

/** All bits that may be set in a size record. */
export const queueFlagMask = 0x1f;

/** The queue flags that a recipient's NOTIFY mask adds. */
export function queueFlagsOfNotify(mask: number): number {
  return mask << 1;
}

/** Options of the sender, sixth number of the size record. */
export const sendOption = {
  smtputf8Requested: 1,
  smtputf8Header: 2,
  smtputf8Sender: 4,
  smtputf8Recipient: 8,
  requireTlsHeader: 16,
  requireTlsEsmtp: 32,
} as const;

export const sendOptionMask = 0x3f;

/** Options found in headers and addresses: worked out anew when a message is requeued. */
export const derivedSendOptions = sendOption.smtputf8Header | sendOption.smtputf8Sender | sendOption.smtputf8Recipient | sendOption.requireTlsHeader;

/** Values of trace_flags. */
export const traceFlag = { mtaVerify: 0x100, userVerify: 0x200, record: 0x400, recordDelaySent: 0x2000 } as const;
export const traceFlagMask = 0x2700;

/**
 * "name=value" with optional white space around both, as type A records and policy replies have it.
 * The error is a text for the log.
 */
export function splitAttribute(text: string): NamedValue | { readonly error: string } {
  const equals = text.indexOf('=');
  // The usual form needs no looking for white space.
  if (equals > 0 && isPlain(text, equals)) return { name: sameName(text, equals), value: text.slice(equals + 1) };
  const start = trimLeft(text);
  const name = /^[^ \t\n\v\f\r=]*/.exec(start)![0];
  if (name === '') return { error: 'missing attribute name' };
  const rest = trimLeft(start.slice(name.length));
  if (!rest.startsWith('=')) return { error: "missing '=' after attribute name" };
  return { name, value: trimWhite(rest.slice(1)) };
}

export interface NamedValue { readonly name: string; readonly value: string }

/** Names that we know are always the same string, which has its hash and is equal at a glance. */
const namesByLength = new Map<number, string[]>();
for (const name of Object.values(attributeName)) namesByLength.set(name.length, [...(namesByLength.get(name.length) ?? []), name]);

function sameName(text: string, length: number): string {
  const known = namesByLength.get(length);
  if (known !== undefined) for (const name of known) if (text.startsWith(name)) return name;
  return text.slice(0, length);
}

/** No white space or control in the name, none at the ends of the value. */
function isPlain(text: string, equals: number): boolean {
  for (let at = 0; at < equals; at++) if (text.charCodeAt(at) <= 0x20) return false;
  return equals + 1 === text.length || (text.charCodeAt(equals + 1) > 0x20 && text.charCodeAt(text.length - 1) > 0x20);
}
