/**
 * Mail addresses as text: taking them apart and quoting them.
 *
 * The internal form has no quotes: the local part is everything before the last `@`, byte for byte (`joe smith@example.org`). The
 * external form is what stands in commands and headers (`"joe smith"@example.org`). Percent and bang are ordinary characters
 * here; what they mean is for the rewriting service to say. All text is byte strings; nothing throws.
 */
import { lowerAscii, sameIgnoringCase, startsIgnoringCase } from '../text/ascii.ts';
import { foldCase } from '../text/utf8.ts';

/** The two halves of an internal address. No `@`: no domain (undefined), which is not the same as an empty one. */
export interface AddressParts {
  readonly local: string;
  readonly domain: string | undefined;
}

/** Split at the last `@`. */
export function splitAddress(address: string): AddressParts {
  const at = address.lastIndexOf('@');
  return at < 0 ? { local: address, domain: undefined } : { local: address.slice(0, at), domain: address.slice(at + 1) };
}

/** How strictly to quote. The defaults are Postfix's: 8-bit characters stay as they are, an extra `@` is quoted. */
export interface QuoteOptions {
  readonly eightBitClean?: boolean;
  /** an `@` within the local part needs no quotes */
  readonly exposeAt?: boolean;
  /** the text is a local part only: an `@` does not begin a domain */
  readonly bareLocalpart?: boolean;
}

const usual: QuoteOptions = {};

/**
 * Internal to external form for headers (RFC 5322): quote the local part unless it is a dot-atom. A source route in front
 * (`@hop:`) is left alone. The empty address becomes `""`.
 */
export function quote822Local(address: string, options: QuoteOptions = usual): string {
  if (options === usual && isPlain(address)) return address;
  const start = address.startsWith('@') ? address.indexOf(':') + 1 : 0;
  const at = options.bareLocalpart ? -1 : address.lastIndexOf('@');
  const end = at < start ? address.length : at;
  const local = address.slice(start, end);
  if (isDotString(local, options)) return address;
  return address.slice(0, start) + quoted(local, /["\\\r]/, options) + address.slice(end);
}

/** Internal to external form for SMTP commands (RFC 5321 section 4.1.2). The empty address becomes `""`: the null sender is the caller's. */
export function quote821Local(address: string, options: QuoteOptions = usual): string {
  if (options === usual && isPlain(address)) return address;
  const at = address.lastIndexOf('@');
  const end = at < 0 ? address.length : at;
  const local = address.slice(0, end);
  return isDotString(local, options) ? address : quoted(local, /["\\\r\n]/, options) + address.slice(end);
}

/** Bytes of which a local part may be made without further thought: letters, digits, and `-_+=`. */
const plainBytes = Uint8Array.from({ length: 256 }, (_, code) => (/[A-Za-z0-9_+=-]/.test(String.fromCharCode(code)) ? 1 : 0));
const [dot, atSign] = [0x2e, 0x40];

/** Is this, at one glance, an address that needs no quotes in whatever form? Most are. */
function isPlain(address: string): boolean {
  let before = dot;
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code === atSign) return before !== dot && address.indexOf('@', at + 1) < 0;
    if (plainBytes[code] !== 1 && (code !== dot || before === dot)) return false;
    before = code;
  }
  return before !== dot;
}

const needsQuotes = /[\0- ()<>,;:\\"[\]\x7f]/;

function isDotString(local: string, options: QuoteOptions): boolean {
  if (local === '' || local.startsWith('.') || local.endsWith('.') || local.includes('..')) return false;
  if (needsQuotes.test(local)) return false;
  if (!options.exposeAt && local.includes('@')) return false;
  return options.eightBitClean !== false || !/[\x80-\xff]/.test(local);
}

function quoted(local: string, special: RegExp, options: QuoteOptions): string {
  let text = '"';
  for (const char of local) {
    const escape = special.test(char) || (options.eightBitClean === false && char > '\x7f');
    text += escape ? `\\${char}` : char;
  }
  return `${text}"`;
}

/** External to internal form: quotes and backslashes of the local part are resolved; what follows the last unquoted `@` stays. */
export function unquote822Local(address: string): string {
  const start = address.startsWith('@') ? address.indexOf(':') + 1 : 0;
  let plain = '';
  let inQuotes = false;
  let bareAt = -1;
  let plainAt = 0;
  for (let at = start; at < address.length; at++) {
    let char = address[at]!;
    if (char === '"') {
      inQuotes = !inQuotes;
      continue;
    }
    if (char === '@' && !inQuotes) {
      bareAt = at;
      plainAt = plain.length;
    } else if (char === '\\') {
      if (at + 1 === address.length) continue;
      char = address[++at]!;
    }
    plain += char;
  }
  return address.slice(0, start) + (bareAt < 0 ? plain : plain.slice(0, plainAt) + address.slice(bareAt));
}

/** Which local parts are never split, beside postmaster and mailer-daemon. */
export interface ExtensionOptions {
  /** double_bounce_sender */
  readonly doubleBounceSender?: string;
  /** owner_request_special: leave owner-foo and foo-request whole when `-` is a delimiter */
  readonly ownerRequestSpecial?: boolean;
}

export interface ExtensionParts {
  readonly base: string;
  readonly delimiter: string;
  readonly extension: string;
}

/** `joe+list` with delimiters "+-" is joe, +, list. Undefined when there is nothing to split, or it must not be. */
export function splitExtension(local: string, delimiters: string, options: ExtensionOptions = {}): ExtensionParts | undefined {
  if (neverSplit(local, delimiters, options)) return undefined;
  for (let at = 0; at < local.length; at++) {
    if (!delimiters.includes(local[at]!)) continue;
    return at === 0 ? undefined : { base: local.slice(0, at), delimiter: local[at]!, extension: local.slice(at + 1) };
  }
  return undefined;
}

function neverSplit(local: string, delimiters: string, options: ExtensionOptions): boolean {
  if (delimiters === '') return true;
  const name = lowerAscii(local);
  if (name === 'postmaster' || name === 'mailer-daemon') return true;
  if (foldCase(local) === foldCase(options.doubleBounceSender ?? 'double-bounce')) return true;
  if (!delimiters.includes('-') || options.ownerRequestSpecial === false) return false;
  return startsIgnoringCase(local, 'owner-') || (local.length > 8 && sameIgnoringCase(local.slice(-8), '-request'));
}

export interface StrippedAddress {
  readonly address: string;
  /** with its delimiter: "+list" */
  readonly extension: string;
}

/** joe+list@example.org becomes joe@example.org and "+list"; undefined when there is no extension. */
export function stripAddress(address: string, delimiters: string, options: ExtensionOptions = {}): StrippedAddress | undefined {
  const at = address.lastIndexOf('@');
  const end = at < 0 ? address.length : at;
  const parts = splitExtension(address.slice(0, end), delimiters, options);
  if (!parts) return undefined;
  return { address: parts.base + address.slice(end), extension: parts.delimiter + parts.extension };
}
