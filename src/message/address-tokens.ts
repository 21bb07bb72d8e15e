/**
 * The grammar of addresses in headers and commands (RFC 5322 section 3.4, read generously).
 *
 * A text becomes a flat list of tokens; parseAddresses() then gathers the tokens of each address into one `address` token,
 * and leaves everything it does not understand where it stood, so that a header can always be written back. Nothing is
 * refused and nothing throws; time is linear in the length of the text and there is no recursion on it.
 * The result is the same as that of Postfix's tok822 routines.
 */
import { printable } from '../text/ascii.ts';
import { quote822Local } from './address.ts';

/**
 * `atom`, `quoted`, `comment` (with its parentheses) and `literal` carry text; `address` carries tokens; `group` is the colon
 * behind a group's name; any other type is that one character.
 */
export interface AddressToken {
  type: string;
  readonly text: string;
  readonly tokens: readonly AddressToken[];
  /** Stands in an address that was found in a list: what follows joins it without a space. */
  joined?: boolean;
}

const operators = '|%!()<>@,;:\\".[]';
const isOperator = (char: string): boolean => operators.includes(char);
const isSpace = (char: string): boolean => char === ' ' || char === '\t' || char === '\r' || char === '\n';

const noTokens: readonly AddressToken[] = [];
const token = (type: string, text = ''): AddressToken => ({ type, text, tokens: noTokens });

/** Text to tokens, at most `limit` of them (0: no limit). */
export function scanAddress(text: string, limit = 0): AddressToken[] {
  const tokens: AddressToken[] = [];
  const scanner = new Scanner(text);
  for (let next = scanner.next(); next; next = scanner.next()) {
    tokens.push(next);
    if (limit > 0 && tokens.length >= limit) break;
  }
  return tokens;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(): AddressToken | undefined {
    while (this.#at < this.#text.length && isSpace(this.#text[this.#at]!)) this.#at++;
    if (this.#at >= this.#text.length) return undefined;
    const char = this.#text[this.#at]!;
    if (char === '(') return this.#comment();
    if (char === '[' || char === '"') return this.#enclosed(char);
    if (char === '\\' || !isOperator(char)) return this.#atom();
    this.#at++;
    return token(char);
  }

  #enclosed(open: string): AddressToken {
    this.#at++;
    const close = open === '[' ? ']' : '"';
    const text = this.#collect((char) => char !== close);
    if (this.#at < this.#text.length) this.#at++;
    return token(open === '[' ? 'literal' : 'quoted', text);
  }

  #atom(): AddressToken {
    const text = this.#collect((char) => !isSpace(char) && !isOperator(char));
    return token(/[\0- \x7f|%!()<>@,;:\\".[\]]/.test(text) ? 'quoted' : 'atom', text);
  }

  // A backslash takes the next character whatever it is; white space of any kind is a space.
  #collect(belongs: (char: string) => boolean): string {
    let text = '';
    while (this.#at < this.#text.length) {
      let char = this.#text[this.#at]!;
      if (char === '\\') {
        if (++this.#at >= this.#text.length) break;
        char = this.#text[this.#at]!;
      } else if (!belongs(char)) break;
      text += isSpace(char) ? ' ' : char;
      this.#at++;
    }
    return text;
  }

  // RFC 5322 section 3.2.2: comments nest. They keep their external form: a backslash before "(" must survive.
  #comment(): AddressToken {
    const start = this.#at;
    let level = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]!;
      if (char === '(') level++;
      else if (char === '\\') this.#at++;
      else if (char === ')' && --level === 0) break;
    }
    this.#at = Math.min(this.#at + 1, this.#text.length);
    return token('comment', this.#text.slice(start, this.#at));
  }
}

/** Text to tokens with the tokens of each address gathered into an `address`. Missing commas are added. */
export function parseAddresses(text: string, limit = 0): AddressToken[] {
  return new Parser(scanAddress(text, limit)).parse();
}

const isWord = (type: string): boolean => type === 'atom' || type === 'quoted' || type === 'literal';

/**
 * Works from right to left, because only the right end of a mailbox tells what stands before it. `#ready` (in reverse) is what
 * lies right of the address under construction, `#open` (in reverse) that address so far.
 */
class Parser {
  readonly #tokens: AddressToken[];
  readonly #ready: AddressToken[] = [];
  #open: AddressToken[] = [];
  #at: number;
  // The token at #at has already been put into #ready, as the right border of what comes.
  #isBorder = false;
  #wordFits = true;
  #inGroup = false;

  constructor(tokens: AddressToken[]) {
    this.#tokens = tokens;
    this.#at = tokens.length - 1;
  }

  parse(): AddressToken[] {
    while (this.#at >= 0) this.#step(this.#tokens[this.#at]!);
    this.#close();
    return this.#ready.reverse();
  }

  #step(current: AddressToken): void {
    const { type } = current;
    if (type === 'comment') this.#border(current);
    else if (type === ';') this.#groupEnd(current);
    else if (type === ':' && this.#inGroup) return this.#groupStart(current);
    else if (type === '>') return this.#route(current);
    else if (isWord(type)) this.#word(current);
    else if (type === ',') this.#comma(current);
    else this.#operator(current);
    this.#at--;
    this.#isBorder = false;
  }

  #groupEnd(current: AddressToken): void {
    this.#close(true);
    this.#border(current);
    this.#inGroup = this.#wordFits = true;
  }

  // The group's name is everything up to the comma on its left.
  #groupStart(current: AddressToken): void {
    current.type = 'group';
    this.#close();
    this.#skipTo((type) => type === ',');
  }

  #route(current: AddressToken): void {
    this.#close(true);
    this.#border(current);
    for (this.#at--; this.#at >= 0; this.#at--) {
      const inside = this.#tokens[this.#at]!;
      if (inside.type === '<') break;
      if (inside.type === 'comment') this.#ready.push(inside);
      else this.#open.push(inside);
    }
    this.#close();
    this.#isBorder = false;
    this.#skipTo((type) => type === '>' || type === ';' || type === ',' || type === ':');
    this.#wordFits = true;
  }

  // Two words with nothing between them: two addresses whose comma was forgotten.
  #word(current: AddressToken): void {
    if (!this.#wordFits) this.#close(true);
    this.#wordFits = false;
    this.#open.push(current);
  }

  #comma(current: AddressToken): void {
    this.#close();
    this.#border(current);
    this.#wordFits = true;
  }

  #operator(current: AddressToken): void {
    if (!this.#isBorder) this.#open.push(current);
    this.#wordFits = true;
  }

  #border(current: AddressToken): void {
    if (!this.#isBorder) this.#ready.push(current);
  }

  /** Pass tokens on as they are, until one that `ends`; that one becomes the border. */
  #skipTo(ends: (type: string) => boolean): void {
    for (; this.#at >= 0; this.#at--) {
      const skipped = this.#tokens[this.#at]!;
      const last = ends(skipped.type);
      if (!this.#isBorder) this.#ready.push(skipped);
      this.#isBorder = last;
      if (last) return;
    }
  }

  /** Finish the address under construction, if there is one. */
  #close(addComma = false): void {
    if (this.#open.length === 0) return;
    for (const each of this.#open) each.joined = true;
    this.#ready.push({ type: 'address', text: '', tokens: this.#open.reverse() });
    if (addComma) this.#ready.push(token(','));
    this.#open = [];
  }
}

/** The internal form of one address (the tokens of an `address`). */
export function internalAddress(tokens: readonly AddressToken[]): string {
  return internalize(tokens);
}

function internalText(each: AddressToken): string {
  if (each.type === 'address') return internalize(each.tokens);
  if (each.type === 'literal') return `[${each.text}]`;
  if (each.type === 'group') return ':';
  return each.type.length === 1 ? each.type : each.text;
}

/** The internal form of a whole list: spaces only where words would run together. */
export function internalize(tokens: readonly AddressToken[]): string {
  return tokens.map((each, index) => internalText(each) + spaceBetween(each, tokens[index + 1])).join('');
}

const standsAlone = (type: string): boolean => isWord(type) || type === 'comment' || type === 'address';

function spaceBetween(each: AddressToken, next: AddressToken | undefined): string {
  if (!next || each.joined) return '';
  if (each.type === ',' || each.type === 'group' || next.type === '<') return ' ';
  return standsAlone(each.type) && standsAlone(next.type) ? ' ' : '';
}

export interface ExternalizeOptions {
  /** a line break behind each comma: the layout of a rewritten header */
  readonly lines?: boolean;
  /** reduce an entry to `<address>` when more than 250 bytes of it are something else, as headers want it */
  readonly strip?: boolean;
  /** told about each entry that was reduced, in the words of Postfix's log */
  readonly warn?: (text: string) => void;
}

/** The text of a list, quoted where that is needed. */
export function externalize(tokens: readonly AddressToken[], options: ExternalizeOptions = {}): string {
  const separator = options.lines ? ',\n' : ', ';
  const entries = entriesOf(tokens);
  return entries.map((entry, index) => externalEntry(entry, index + 1 < entries.length, options)).join(separator);
}

/** The entries between the commas. */
function entriesOf(tokens: readonly AddressToken[]): AddressToken[][] {
  const entries: AddressToken[][] = [[]];
  for (const each of tokens) {
    if (each.type === ',') entries.push([]);
    else entries.at(-1)!.push(each);
  }
  return entries;
}

// Old Sendmails overflowed a buffer when an entry had too much beside the address (CERT advisory CA-2003-07).
const maximumOther = 250;

const comma = token(',');

function externalEntry(entry: readonly AddressToken[], commaFollows: boolean, options: ExternalizeOptions): string {
  let text = '';
  let address: string | undefined;
  entry.forEach((each, index) => {
    const next = entry[index + 1] ?? (commaFollows ? comma : undefined);
    const written = externalText(each);
    if (each.type === 'address') address = written;
    else if (each.type === '<' && next?.type === '>') address = '';
    text += written + spaceBetween(each, next);
  });
  if (!options.strip || address === undefined || text.length - address.length <= maximumOther) return text;
  options.warn?.(`stripping too many comments from address: ${printable(text).slice(0, 100)}...`);
  return `<${address}>`;
}

function externalText(each: AddressToken): string {
  if (each.type === 'address') return quote822Local(internalize(each.tokens));
  if (each.type === 'quoted') return `"${each.text.replace(/["\\\r\n]/g, '\\$&')}"`;
  if (each.type === 'literal') return `[${each.text.replace(/[\\\r\n]/g, '\\$&')}]`;
  return internalText(each);
}

/** Internal forms of all addresses in a header's value, null addresses left out. */
export function addressesIn(text: string, limit = 0): string[] {
  return parseAddresses(text, limit)
    .filter((each) => each.type === 'address')
    .map((each) => internalAddress(each.tokens));
}
