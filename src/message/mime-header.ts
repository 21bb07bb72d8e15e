/**
 * MIME header fields: the words of a structured body, Content-Type and Content-Transfer-Encoding (RFC 2045 sections 5 and 6).
 *
 * Byte strings in; whatever is not understood means the default of the RFC. Nothing throws; time is linear.
 */
import { isControl, lowerAscii } from '../text/ascii.ts';

/** A word, a quoted string (its inside), or a single special or control character. */
export interface HeaderToken {
  readonly kind: 'word' | 'quoted' | 'special';
  readonly text: string;
}

const addressSpecials = '()<>@,;:\\".[]';
const tspecials = '()<>@,;:\\"/[]?=';

/** Takes tokens from a header's body; comments and white space between them are left out. */
export class HeaderTokenizer {
  readonly #text: string;
  readonly #specials: string;
  #at = 0;

  constructor(body: string, specials = addressSpecials) {
    this.#text = body;
    this.#specials = specials;
  }

  next(): HeaderToken | undefined {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++]!;
      if (char === '(') this.#skipComment();
      else if (char === '"') return { kind: 'quoted', text: this.#quoted() };
      else if (!isBlank(char)) return this.#isSpecial(char) ? { kind: 'special', text: char } : { kind: 'word', text: this.#word() };
    }
    return undefined;
  }

  /** Up to `limit` tokens of what stands before the next `terminator`; undefined when there is nothing left at all. */
  until(terminator: string, limit: number): HeaderToken[] | undefined {
    const tokens: HeaderToken[] = [];
    for (let token = this.next(); token; token = this.next()) {
      if (token.kind === 'special' && token.text === terminator) return tokens;
      if (tokens.length < limit) tokens.push(token);
    }
    return tokens.length > 0 ? tokens : undefined;
  }

  #isSpecial(char: string): boolean {
    return this.#specials.includes(char) || isControl(char.charCodeAt(0));
  }

  #word(): string {
    const start = this.#at - 1;
    while (this.#at < this.#text.length && !isBlank(this.#text[this.#at]!) && !this.#isSpecial(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #quoted(): string {
    let inside = '';
    while (this.#at < this.#text.length) {
      let char = this.#text[this.#at++]!;
      if (char === '"') break;
      if (char === '\n') {
        inside = withoutBlankEnd(inside);
        continue;
      }
      if (char === '\\') {
        if (this.#at >= this.#text.length) break;
        char = this.#text[this.#at++]!;
      }
      inside += char;
    }
    return inside;
  }

  #skipComment(): void {
    for (let level = 1; this.#at < this.#text.length && level > 0; this.#at++) {
      const char = this.#text[this.#at]!;
      if (char === '(') level++;
      else if (char === ')') level--;
      else if (char === '\\') this.#at++;
    }
  }
}

function withoutBlankEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text[end - 1]!)) end--;
  return text.slice(0, end);
}

const isBlank = (char: string): boolean => char === ' ' || char === '\t' || char === '\r' || char === '\n';

/** What mail handling wants to know of a content type. */
export interface ContentType {
  readonly type: 'text' | 'message' | 'multipart' | 'other';
  /** lower case; 'other' where it makes no difference */
  readonly subtype: 'plain' | 'rfc822' | 'partial' | 'external-body' | 'global' | 'digest' | 'other';
  /** of a multipart: all of them, though there should be one */
  readonly boundaries: readonly string[];
}

/** RFC 2045 section 5.2 */
export const defaultContentType: ContentType = { type: 'text', subtype: 'plain', boundaries: [] };

const subtypes: ReadonlyMap<string, readonly ContentType['subtype'][]> = new Map([
  ['text', ['plain']],
  ['message', ['rfc822', 'partial', 'external-body', 'global']],
  ['multipart', ['digest']],
] as const);

/** The value of a Content-Type: field; undefined when it is empty. */
export function parseContentType(body: string): ContentType | undefined {
  const tokenizer = new HeaderTokenizer(body, tspecials);
  const tokens = tokenizer.until(';', 3);
  if (!tokens || tokens.length === 0) return undefined;
  const [type, slash, subtype] = tokens;
  const known = type!.kind === 'word' ? subtypes.get(lowerAscii(type!.text)) : undefined;
  if (!known) return { type: 'other', subtype: 'other', boundaries: [] };
  const name = subtype?.kind === 'word' && slash!.text === '/' && slash!.kind === 'special' ? lowerAscii(subtype.text) : '';
  const kind = lowerAscii(type!.text) as ContentType['type'];
  return { type: kind, subtype: known.find((each) => each === name) ?? 'other', boundaries: kind === 'multipart' ? boundariesIn(tokenizer) : [] };
}

function boundariesIn(tokenizer: HeaderTokenizer): string[] {
  const boundaries: string[] = [];
  for (let tokens = tokenizer.until(';', 3); tokens; tokens = tokenizer.until(';', 3)) {
    const [name, equals, value] = tokens;
    if (value && name!.kind === 'word' && lowerAscii(name!.text) === 'boundary' && equals!.kind === 'special' && equals!.text === '=') boundaries.push(value.text);
  }
  return boundaries;
}

/** RFC 2045 section 6: how a body is encoded, and what bytes are in it as it stands. */
export interface TransferEncoding {
  readonly encoding: '7bit' | '8bit' | 'binary' | 'base64' | 'quoted-printable';
  readonly domain: '7bit' | '8bit' | 'binary';
}

const encodings: ReadonlyMap<string, TransferEncoding> = new Map([
  ['7bit', { encoding: '7bit', domain: '7bit' }],
  ['8bit', { encoding: '8bit', domain: '8bit' }],
  ['binary', { encoding: 'binary', domain: 'binary' }],
  ['base64', { encoding: 'base64', domain: '7bit' }],
  ['quoted-printable', { encoding: 'quoted-printable', domain: '7bit' }],
] as const);

export const defaultTransferEncoding = encodings.get('7bit')!;

/** The value of a Content-Transfer-Encoding: field; undefined when it names none of the five. */
export function parseTransferEncoding(body: string): TransferEncoding | undefined {
  const token = new HeaderTokenizer(body).next();
  return token?.kind === 'word' ? encodings.get(lowerAscii(token.text)) : undefined;
}
