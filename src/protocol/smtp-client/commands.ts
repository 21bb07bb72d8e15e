/**
 * Command lines of a mail transaction, without CRLF: what is said depends on the message and on what the server offers.
 *
 * Pure. Values that came from outside are encoded as xtext where the protocol has it; addresses must be quoted already.
 */
import { dsnRet, renderDsnNotify, renderDsnRet } from '../../message/dsn.ts';
import { encodeXtext } from '../../text/xtext.ts';
import type { Features, XforwardName } from './features.ts';
import type { ClientRecipient, Transaction } from './steps.ts';

/** RFC 5321 section 4.1.1.2, with the parameters of RFC 1870, RFC 6152, RFC 3461, RFC 6531, RFC 4954 and RFC 8689. */
export function mailCommand(transaction: Transaction, features: Features, dummyAuth = false): string {
  let line = `MAIL FROM:<${transaction.sender}>`;
  if (features.size && !transaction.converted) line += ` SIZE=${transaction.size}`;
  if (features.eightBitMime && transaction.encoding !== '') line += ` BODY=${transaction.encoding === '8bit' ? '8BITMIME' : '7BIT'}`;
  if (features.dsn && transaction.envid !== '') line += ` ENVID=${encodeXtext(transaction.envid, '=')}`;
  const ret = transaction.requireTls && !features.requireTls ? dsnRet.headers : transaction.ret;
  if (features.dsn && ret !== 0) line += ` RET=${renderDsnRet(ret)}`;
  if (features.smtputf8 && transaction.smtputf8 !== 'no') line += ' SMTPUTF8';
  if (features.requireTls && transaction.requireTls) line += ' REQUIRETLS';
  // RFC 4954 section 5: we vouch for nobody.
  if (dummyAuth && features.auth !== undefined) line += ' AUTH=<>';
  return line;
}

/** RFC 5321 section 4.1.1.3, RFC 3461 sections 4.1 and 4.2. */
export function rcptCommand(recipient: ClientRecipient, features: Features): string {
  let line = `RCPT TO:<${recipient.address}>`;
  if (features.dsn && recipient.orcpt !== '') line += ` ORCPT=${recipient.orcpt}`;
  if (features.dsn && recipient.notify !== 0) line += ` NOTIFY=${renderDsnNotify(recipient.notify)}`;
  return line;
}

const nothing: { group: 0 | 1; line: string }[] = [];
const xforwardGroups: readonly (readonly XforwardName[])[] = [['NAME', 'ADDR', 'PORT'], ['PROTO', 'HELO', 'IDENT', 'SOURCE']];

/** The XFORWARD commands to send before MAIL: none, one or two, each with the attributes that are known and wanted. */
export function xforwardCommands(known: ReadonlyMap<XforwardName, string>, features: Features): { group: 0 | 1; line: string }[] {
  if (known.size === 0 || features.xforward.size === 0) return nothing;
  return ([0, 1] as const).flatMap((group) => {
    const words = xforwardGroups[group]!.filter((name) => features.xforward.has(name) && known.has(name));
    const line = words.map((name) => ` ${name}=${encodeXtext(known.get(name)!)}`).join('');
    return line === '' ? [] : [{ group, line: `XFORWARD${line}` }];
  });
}
