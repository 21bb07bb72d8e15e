/**
 * ASCII on byte strings: text that came from outside, one char per byte (latin1).
 *
 * JavaScript's own trim, toLowerCase and \s see Unicode: they would eat the byte 0xA0 and fold the byte 0xC0. What is
 * here touches ASCII only and leaves every other byte as it is. Nothing here throws.
 */
import { utf8LengthAt } from './utf8.ts';

/** C isspace in the POSIX locale: space, tab, LF, VT, FF, CR. */
export function isWhite(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** ASCII control character (DEL included). */
export function isControl(code: number): boolean {
  return code < 32 || code === 127;
}

/** ASCII, and neither a control character nor beyond. Space is printable. */
export function isPrintable(code: number): boolean {
  return code >= 32 && code < 127;
}

/** Are there only decimal digits, and at least one? */
export function allDigits(text: string): boolean {
  return text.length > 0 && every(text, isDigit);
}

export function allPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 || code > 126) return false;
  }
  return true;
}

export function allPrintableOrTab(text: string): boolean {
  return every(text, (code) => isPrintable(code) || code === 9);
}

/** Is every byte below 128? */
export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

function every(text: string, accept: (code: number) => boolean): boolean {
  for (let at = 0; at < text.length; at++) if (!accept(text.charCodeAt(at))) return false;
  return true;
}

/** A-Z to a-z, nothing else. */
export function lowerAscii(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 65 && code <= 90) return isAscii(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
  }
  return text;
}

/** a-z to A-Z, nothing else. */
export function upperAscii(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 97 && code <= 122) return isAscii(text) ? text.toUpperCase() : text.replace(/[a-z]+/g, (small) => small.toUpperCase());
  }
  return text;
}

function lowerCode(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

/** C strcasecmp() === 0. */
export function sameIgnoringCase(one: string, other: string): boolean {
  return one.length === other.length && startsIgnoringCase(one, other);
}

/** Does `text` begin with `prefix`, in whatever case? */
export function startsIgnoringCase(text: string, prefix: string): boolean {
  if (text.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (lowerCode(text.charCodeAt(at)) !== lowerCode(prefix.charCodeAt(at))) return false;
  return true;
}

/** Without white space (see isWhite) at both ends. */
export function trimWhite(text: string): string {
  return trimLeft(trimRight(text));
}

export function trimLeft(text: string): string {
  let start = 0;
  while (start < text.length && isWhite(text.charCodeAt(start))) start++;
  return start === 0 ? text : text.slice(start);
}

export function trimRight(text: string): string {
  let end = text.length;
  while (end > 0 && isWhite(text.charCodeAt(end - 1))) end--;
  return end === text.length ? text : text.slice(0, end);
}

/**
 * Text that is safe to log or to put in a reply: each byte that is not printable ASCII becomes `replacement`.
 * With `utf8` well-formed multi-byte UTF-8 sequences stay (what Postfix does while smtputf8_enable is on).
 */
export function printable(text: string, replacement = '?', utf8 = false): string {
  if (allPrintable(text)) return text;
  let safe = '';
  for (let at = 0; at < text.length; at++) {
    const length = utf8 ? utf8LengthAt(text, at) : 1;
    if (length > 1) {
      safe += text.slice(at, at + length);
      at += length - 1;
    } else safe += isPrintable(text.charCodeAt(at)) ? text[at] : replacement;
  }
  return safe;
}

/** The words of a line, separated by blanks (space, tab, CR, LF). */
export function splitWhite(text: string): string[] {
  return text.split(/[ \t\r\n]+/).filter((word) => word !== '');
}

/** The items of a main.cf list, separated by comma or blank (", \t\r\n"). */
export function splitList(text: string): string[] {
  return text.split(/[, \t\r\n]+/).filter((item) => item !== '');
}

/**
 * Like splitList(), but separators within `{ ... }` do not count (they nest). Braces stay in the item. A missing
 * closing brace makes the rest of the text one item, as in Postfix.
 */
export function splitListGroups(text: string, separators = ', \t\r\n'): string[] {
  const items: string[] = [];
  let start = -1;
  let level = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (level === 0 && separators.includes(char)) {
      if (start >= 0) items.push(text.slice(start, at));
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (char === '{') level++;
    else if (char === '}' && level > 0) level--;
  }
  if (start >= 0) items.push(text.slice(start));
  return items;
}

/** Upper-case hexadecimal, two digits per byte. */
export function hex(bytes: string | Buffer): string {
  return (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes).toString('hex').toUpperCase();
}
