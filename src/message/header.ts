/**
 * Header fields: what each name means for mail handling, taking a field apart, and Postfix's layout of address headers.
 *
 * A field is a byte string with its lines joined by "\n" and no line end behind the last. Nothing throws.
 */
import type { AddressToken } from './address-tokens.ts';
import { lowerAscii, splitList, trimRight } from '../text/ascii.ts';
import { externalize } from './address-tokens.ts';

/** What a field is, as far as mail handling minds. */
export interface HeaderClass {
  /** in the usual capitals */
  readonly name: string;
  /** in lower case */
  readonly key: string;
  /** addresses of a sender: rewritten like one */
  readonly sender: boolean;
  /** addresses of recipients: rewritten like them */
  readonly recipient: boolean;
  /** recipients of the message: what sendmail -t collects */
  readonly extract: boolean;
  /** belongs to a block of Resent- fields */
  readonly resent: boolean;
  /** a MIME field */
  readonly mime: boolean;
}

type Flag = Exclude<keyof HeaderClass, 'name' | 'key'>;

const flagsOf: readonly (readonly [name: string, ...flags: Flag[]])[] = [
  ['Apparently-To', 'recipient'],
  ['Bcc', 'recipient', 'extract'],
  ['Cc', 'recipient', 'extract'],
  ['Content-Description', 'mime'],
  ['Content-Disposition', 'mime'],
  ['Content-ID', 'mime'],
  ['Content-Length'],
  ['Content-Transfer-Encoding', 'mime'],
  ['Content-Type', 'mime'],
  ['Delivered-To'],
  ['Disposition-Notification-To', 'sender'],
  ['Date'],
  ['Errors-To', 'sender'],
  ['From', 'sender'],
  ['Mail-Followup-To', 'sender'],
  ['Message-Id'],
  ['MIME-Version', 'mime'],
  ['Received'],
  ['Reply-To', 'sender'],
  ['Resent-Bcc', 'recipient', 'extract', 'resent'],
  ['Resent-Cc', 'recipient', 'extract', 'resent'],
  ['Resent-Date', 'resent'],
  ['Resent-From', 'sender', 'resent'],
  ['Resent-Message-Id', 'resent'],
  ['Resent-Reply-To', 'recipient', 'resent'],
  ['Resent-Sender', 'sender', 'resent'],
  ['Resent-To', 'recipient', 'extract', 'resent'],
  ['Return-Path', 'sender'],
  ['Return-Receipt-To', 'sender'],
  ['Sender', 'sender'],
  ['To', 'recipient', 'extract'],
  ['TLS-Required'],
  ['Require-TLS-ESMTP'],
];

const classes: ReadonlyMap<string, HeaderClass> = new Map(
  flagsOf.map(([name, ...flags]) => {
    const has = (flag: Flag): boolean => flags.includes(flag);
    const key = lowerAscii(name);
    const headerClass = { name, key, sender: has('sender'), recipient: has('recipient'), extract: has('extract'), resent: has('resent'), mime: has('mime') };
    return [key, headerClass];
  }),
);

/** The class of a field name, in whatever capitals; undefined for all names that mean nothing here. */
export function headerClass(name: string): HeaderClass | undefined {
  return classes.get(lowerAscii(name));
}

/** Lower-case names from a list like message_drop_headers, to be asked with has(lowerAscii(name)). */
export function headerNames(list: string): ReadonlySet<string> {
  return new Set(splitList(lowerAscii(list)));
}

/**
 * Length of the name when a line begins a header field, 0 when it does not. RFC 5322 section 4.5: white space between the name
 * and the colon is obsolete, but legal.
 */
export function headerNameLength(line: string): number {
  let length = 0;
  while (isNameCode(line.charCodeAt(length))) length++;
  if (length === 0) return 0;
  let at = length;
  for (let code = line.charCodeAt(at); code === 32 || code === 9; code = line.charCodeAt(at)) at++;
  return line.charCodeAt(at) === 58 ? length : 0;
}

/** Printable ASCII, but no space and no colon. */
function isNameCode(code: number): boolean {
  return code > 32 && code < 127 && code !== 58;
}

/** A field taken apart. The body begins right behind the colon and keeps its white space and its line breaks. */
export interface HeaderField {
  readonly name: string;
  readonly body: string;
}

export function splitHeader(field: string): HeaderField | undefined {
  const length = headerNameLength(field);
  return length === 0 ? undefined : { name: field.slice(0, length), body: field.slice(field.indexOf(':') + 1) };
}

/** One line: line breaks go, the white space behind them stays (RFC 5322 section 2.2.3). */
export function unfoldHeader(field: string): string {
  return field.includes('\n') ? field.replace(/\r?\n/g, '') : field;
}

/** A body without white space at its ends, on one line. */
export function headerText(body: string): string {
  return trimRight(unfoldHeader(body)).replace(/^[ \t]+/, '');
}

/** An address header after rewriting: one address per line, to be filled by foldHeader(). */
export function addressHeader(name: string, addresses: readonly AddressToken[], warn?: (text: string) => void): string {
  const options = warn ? { lines: true, strip: true, warn } : { lines: true, strip: true };
  return `${name}: ${externalize(addresses, options)}`;
}

const foldColumn = 70;

/** Fill the lines of an address header: as many addresses on a line as fit in 70 columns, a tab counting for nothing. */
export function foldHeader(field: string): string {
  let folded = '';
  let lineLength = 0;
  for (const [index, line] of field.split('\n').entries()) {
    const joins = index > 0 && lineLength + 1 + line.length < foldColumn;
    folded += index === 0 ? line : joins ? ` ${line}` : `\n${line}`;
    lineLength = joins ? lineLength + 1 + line.length : line.length;
  }
  return folded;
}

/**
 * The lines of a field as they go into the queue file: a tab before continuation lines that have no white space, and
 * nothing beyond `limit` bytes (header_size_limit). Cut at a line's end when that costs no more than a tenth of the limit.
 */
export function headerLines(field: string, limit = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [];
  let start = 0;
  for (const line of field.split('\n')) {
    if (start > 0.9 * limit && start + line.length > limit) break;
    const kept = start + line.length > limit ? line.slice(0, Math.max(limit - start, 0)) : line;
    lines.push(start === 0 || /^[ \t]/.test(kept) ? kept : `\t${kept}`);
    if (kept.length < line.length) break;
    start += line.length + 1;
  }
  return lines;
}
