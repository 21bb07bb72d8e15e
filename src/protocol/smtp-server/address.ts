/**
 * The path of MAIL, RCPT or VRFY to an address in internal form, with the checks that need no lookup. What cannot be an
 * address gives undefined, and a log event: the operator may want to know who sends such things.
 */
import { parsePath } from '../../message/smtp-path.ts';
import type { PathOptions } from '../../message/smtp-path.ts';
import { isAscii, printable } from '../../text/ascii.ts';
import type { Dialogue } from './dialogue.ts';

export interface AddressOptions extends PathOptions {
  /** Was SMTPUTF8 asked for? Without it a domain is ASCII; a local part may be anything. */
  readonly smtputf8: boolean;
}

// What nearly all clients send: nothing in it means anything but itself.
const plainPath = /^<[0-9A-Za-z_+=&'*~#-]+(?:\.[0-9A-Za-z_+=&'*~#-]+)*@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*>$/;

export function readPath(dialogue: Dialogue, path: string, options: AddressOptions): string | undefined {
  if (plainPath.test(path)) return path.slice(1, -1);
  const address = parsePath(path, options);
  if (address !== undefined && (options.smtputf8 || hasAsciiDomain(address))) return address;
  const text = printable(path, '?', dialogue.settings.smtputf8_enable);
  dialogue.log({ event: 'bad-address', verb: dialogue.where, text });
  return undefined;
}

function hasAsciiDomain(address: string): boolean {
  const at = address.lastIndexOf('@');
  return at < 0 || isAscii(address.slice(at + 1));
}
