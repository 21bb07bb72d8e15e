/**
 * xtext (RFC 3461 section 4) and its Unicode kin, utf-8-addr-xtext and -unitext (RFC 6533 section 3).
 *
 * Byte strings in and out. Decoding takes what Postfix takes: hex digits of either case, and any character that is not `+`;
 * isXtext() tells what the RFC allows. What cannot be decoded gives undefined; nothing throws.
 */
import { utf8LengthAt } from './utf8.ts';

/** Encode everything that is not a printable, non-blank ASCII character, and `+`, and what is in `special` ("=" for RFC 3461). */
export function encodeXtext(text: string, special = ''): string {
  if (isPlain(text, special)) return text;
  let coded = '';
  for (const char of text) {
    const code = char.charCodeAt(0);
    const plain = code > 32 && code < 127 && char !== '+' && !special.includes(char);
    coded += plain ? char : `+${code.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return coded;
}

/** Most addresses need no coding. */
function isPlain(text: string, special: string): boolean {
  const first = special === '' ? plus : special.charCodeAt(0);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= 32 || code >= 127 || code === plus || code === first) return false;
  }
  for (let at = 1; at < special.length; at++) if (text.includes(special[at]!)) return false;
  return true;
}

const plus = 0x2b;

/** RFC 3461 section 4: xchar is "!" to "~" without "+" and "="; hexchar has upper-case digits. */
export function isXtext(text: string): boolean {
  return /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text);
}

export function decodeXtext(coded: string): string | undefined {
  if (!coded.includes('+')) return coded;
  if (/\+(?![0-9A-Fa-f]{2})/.test(coded)) return undefined;
  return coded.replace(/\+([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

/** UTF-8 to utf-8-addr-xtext: `\x{20AC}` for what is not plain ASCII. Undefined when `text` is not UTF-8. */
export function encodeUxtext(text: string, special = ''): string | undefined {
  let coded = '';
  for (let at = 0; at < text.length; ) {
    const length = utf8LengthAt(text, at);
    if (length === 0) return undefined;
    const piece = text.slice(at, at + length);
    const code = Buffer.from(piece, 'latin1').toString('utf8').codePointAt(0)!;
    const plain = code > 32 && code < 127 && piece !== '\\' && !special.includes(piece);
    coded += plain ? piece : `\\x{${code.toString(16).toUpperCase().padStart(2, '0')}}`;
    at += length;
  }
  return coded;
}

/** utf-8-addr-xtext or -unitext to UTF-8. */
export function decodeUxtext(coded: string): string | undefined {
  let bad = false;
  const text = coded.replace(/\\x\{([0-9A-Fa-f]*)(\}?)/g, (_, digits: string, close: string) => {
    const code = parseInt(digits || '0', 16);
    bad ||= close === '' || !(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff);
    return bad ? '' : Buffer.from(String.fromCodePoint(code), 'utf8').toString('latin1');
  });
  return bad ? undefined : text;
}
