/**
 * A sender's full name in a From: header that we make ourselves.
 *
 * Byte strings; undefined when nothing is left to show. Nothing throws.
 */
import { isAscii, isControl, isWhite } from '../text/ascii.ts';
import { externalize, scanAddress } from './address-tokens.ts';

/** header_from_format: `Full Name <address>` or `address (Full Name)`. */
export type FromFormat = 'standard' | 'obsolete';

export interface FullNameOptions {
  readonly format?: FromFormat;
  /** full_name_encoding_charset */
  readonly charset?: string;
}

/** Value of a From: header, lines to be filled by foldHeader(). `address` is in external form. */
export function fromText(address: string, fullName: string | undefined, options: FullNameOptions = {}): string {
  const name = fullName === undefined ? undefined : fullNameText(fullName, options);
  if (name === undefined) return address;
  return options.format === 'obsolete' ? `${address}\n(${name})` : `${name}\n<${address}>`;
}

/** The name as a phrase or as the inside of a comment, quoted or encoded as that needs. */
export function fullNameText(name: string, options: FullNameOptions = {}): string | undefined {
  const clean = withoutControls(name);
  if (clean === '') return undefined;
  const obsolete = options.format === 'obsolete';
  if (!isAscii(clean)) return encodeWords(clean, options.charset ?? 'utf-8', obsolete ? 'comment' : 'phrase', '\n');
  return obsolete ? balanced(clean) : phrase(clean);
}

/** Control characters become spaces, runs of spaces one. */
function withoutControls(text: string): string {
  let clean = '';
  for (const char of text) {
    const next = isControl(char.charCodeAt(0)) ? ' ' : char;
    if (next !== ' ' || (clean !== '' && !clean.endsWith(' '))) clean += next;
  }
  return clean.endsWith(' ') ? clean.slice(0, -1) : clean;
}

function phrase(text: string): string {
  const special = /[%!()<>@,;:\\".[\]]/.test(text);
  return externalize(special ? [{ type: 'quoted', text, tokens: [] }] : scanAddress(text));
}

function balanced(text: string): string | undefined {
  let open = 0;
  let result = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\') {
      if (at + 1 < text.length) result += char + text[++at]!;
      continue;
    }
    if (char === '(') open++;
    if (char === ')' && open === 0) continue;
    if (char === ')') open--;
    result += char;
  }
  result += ')'.repeat(open);
  for (let at = 0; at < result.length; at++) if (!isWhite(result.charCodeAt(at))) return result;
  return undefined;
}

const longestWord = 75;
const always = ' =?_';
const specials = { comment: `${always}()\\`, phrase: `${always}()<>@,;:\\".[]#$%&'^\`{|}~` } as const;

/**
 * RFC 2047 encoded words of at most 75 characters. `text` is bytes in `charset`. Readable (Q) unless it is 20 bytes or more and half of
 * them would have to be encoded. Undefined for a name of a charset that is none.
 */
export function encodeWords(text: string, charset: string, place: 'comment' | 'phrase', separator = ' '): string | undefined {
  if (charsetTrouble(charset) !== undefined || text === '' || (place === 'phrase' && text.startsWith('"'))) return undefined;
  const mustEncode = (char: string): boolean => !/^[!-~]$/.test(char) || specials[place].includes(char);
  const encoded = Array.from(text).filter(mustEncode).length;
  if (text.length >= 20 && encoded >= Math.floor(text.length / 2)) return base64Words(text, charset, separator);
  return quotedWords(text, charset, mustEncode, separator);
}

/** What is wrong with a name of a charset, in Postfix's words; undefined: nothing. RFC 2047 section 2. */
export function charsetTrouble(charset: string): string | undefined {
  if (charset === '') return 'encoder called with empty charset name';
  if (charset.length > longestWord / 2) return `unreasonable charset name: '${charset.slice(0, 100)}'`;
  const bad = /[^!#$%&'*+\-0-9A-Z^_`a-z{|}~]/.exec(charset)?.[0];
  return bad === undefined ? undefined : `invalid character: 0x${bad.charCodeAt(0).toString(16)} in charset name: '${charset}'`;
}

function base64Words(text: string, charset: string, separator: string): string {
  const prologue = `=?${charset}?B?`;
  const step = 3 * Math.floor((longestWord - 2 - prologue.length) / 4);
  const words: string[] = [];
  for (let at = 0; at < text.length; at += step) words.push(`${prologue}${Buffer.from(text.slice(at, at + step), 'latin1').toString('base64')}?=`);
  return words.join(separator);
}

function quotedWords(text: string, charset: string, mustEncode: (char: string) => boolean, separator: string): string {
  const prologue = `=?${charset}?Q?`;
  const room = longestWord - 2 - prologue.length;
  const words: string[] = [''];
  for (const char of text) {
    const coded = char === ' ' ? '_' : mustEncode(char) ? `=${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}` : char;
    if (words.at(-1)!.length + coded.length > room) words.push('');
    words.push(words.pop()! + coded);
  }
  return words.map((word) => `${prologue}${word}?=`).join(separator);
}
