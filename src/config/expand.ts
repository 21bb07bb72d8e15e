// Expands `$name` in configuration text, in all the forms of postconf(5): $name, ${name}, $(name), ${name?text},
// ${name:text}, ${name?{text}:{text}}, comparisons `{a} == {b}`, compatibility levels `{a} <level {b}`, ${domain_to_ascii{text}}, and $$.
// Text is a byte string. Throws ExpansionError in Postfix's words; a name that has no value expands to nothing.
import { isWhite, trimWhite } from '../text/ascii.ts';
import { compare, compareLevels } from './comparison.ts';
import { domainFunction } from './domain-functions.ts';

export class ExpansionError extends Error {
  override readonly name = 'ExpansionError';
}

export interface ExpandOptions {
  /** The value of a name; undefined when it has none. `tested`: it is only looked at, as in ${name?text}. */
  readonly lookup: (name: string, tested: boolean) => string | undefined;
  /** Expand what a name stands for as well (main.cf does, text with foreign values must not). */
  readonly recursive?: boolean;
  /** Names whose value is taken as it is even when others are expanded. */
  readonly isRaw?: ((name: string) => boolean) | undefined;
  /** Bytes that may appear in a value; others become `_`. Values only, not the text around them. */
  readonly filter?: string | undefined;
}

/** Deeper than this a value must be referring to itself. */
const nestingLimit = 100;

export function expand(text: string, options: ExpandOptions): string {
  return new Expansion(options).text(text);
}

/** Calls for every name that the text looks at, in either branch of a condition. Throws as expand() does. */
export function visitNames(text: string, visit: (name: string) => void): void {
  new Expansion({ lookup: (name) => { visit(name); return undefined; } }, true).text(text);
}

class Expansion {
  readonly #options: ExpandOptions;
  /** Visit both branches of every condition; the result has no meaning then. */
  readonly #scan: boolean;
  #level = 0;

  constructor(options: ExpandOptions, scan = false) {
    this.#options = options;
    this.#scan = scan;
  }

  text(text: string): string {
    let result = '';
    let at = 0;
    for (let dollar = text.indexOf('$'); dollar >= 0; dollar = text.indexOf('$', at)) {
      result += text.slice(at, dollar);
      if (text[dollar + 1] === '$') {
        result += '$';
        at = dollar + 2;
      } else {
        const { inner, next } = reference(text, dollar + 1);
        result += this.#nested(inner);
        at = next;
      }
    }
    return result + text.slice(at);
  }

  #nested(inner: string): string {
    if (this.#level++ > nestingLimit) throw new ExpansionError(`unreasonable macro call nesting: "${inner}"`);
    const result = this.#reference(new Cursor(inner));
    this.#level--;
    return result;
  }

  // What stands within ${...}: a comparison or a name, then perhaps `?` and `:` with what to put there.
  #reference(cursor: Cursor): string {
    if (cursor.atBrace()) {
      const value = this.#comparison(cursor);
      if (cursor.atEnd()) return this.#scan ? '' : value;
      if (!cursor.at('?') && !cursor.at(':'))
        throw new ExpansionError(`"?" or ":" expected at: "...}>>>${cursor.rest(20)}"`);
      return this.#choice(cursor, value);
    }
    const { name, operator } = cursor.name();
    if (operator === '{') return this.#call(name, cursor);
    const value = this.#options.lookup(name, operator !== '');
    return operator === '' ? this.#value(name, value) : this.#choice(cursor, value);
  }

  #value(name: string, value: string | undefined): string {
    if (value === undefined || this.#scan) return '';
    if (this.#options.recursive && !this.#options.isRaw?.(name)) return this.text(value);
    return filtered(value, this.#options.filter);
  }

  // Without braces the text behind the operator is taken as it is up to the end: `${name?a:b}` gives `a:b`.
  #choice(cursor: Cursor, value: string | undefined): string {
    const set = value !== undefined && value !== '';
    let result = '';
    let branch = '';
    if (cursor.skip('?')) {
      branch = cursor.operand();
      if (set || this.#scan) result = this.text(branch);
      if (cursor.atEnd()) return result;
      if (!cursor.at(':')) throw new ExpansionError(`":" expected at: "...${branch}}>>>${cursor.rest(20)}"`);
    }
    cursor.skip(':');
    branch = cursor.operand();
    if (!set || this.#scan) result = this.text(branch);
    if (!cursor.atEnd()) throw new ExpansionError(`unexpected input at: "...${branch}}>>>${cursor.rest(20)}"`);
    return result;
  }

  #comparison(cursor: Cursor): string {
    const left = cursor.braces();
    const operator = cursor.operator(left);
    if (!cursor.atBrace())
      throw new ExpansionError(`"{expression}" expected at: "...{${left}} ${operator.symbol}>>>${cursor.rest(20)}"`);
    const right = cursor.braces();
    const [one, other] = [this.text(left), this.text(right)];
    if (this.#scan) return '';
    return operator.compare(one, operator.symbol, other) ? 'true' : '';
  }

  #call(name: string, cursor: Cursor): string {
    const argument = trimWhite(cursor.braces());
    if (!cursor.atEnd()) throw new ExpansionError(`unexpected input at: "...${argument}}>>>${cursor.rest(20)}"`);
    const call = domainFunction(name);
    if (!call) throw new ExpansionError(`unknown function "${name}" at"...>>>${name}{${argument}}"`);
    const given = this.text(argument);
    const result = this.#scan ? '' : call(given);
    if (result === undefined) throw new ExpansionError(`bad domain argument in: '${name}{${given}}'`);
    return result;
  }
}

// The text between a `$` and the end of the name or of its parentheses.
function reference(text: string, start: number): { inner: string; next: number } {
  const open = text[start];
  if (open !== '{' && open !== '(') {
    let end = start;
    while (end < text.length && isNameByte(text.charCodeAt(end))) end++;
    return named(text, text.slice(start, end), end);
  }
  const close = open === '{' ? '}' : ')';
  let level = 1;
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === open) level++;
    else if (text[at] === close && --level === 0) return named(text, text.slice(start + 1, at), at + 1);
  }
  throw new ExpansionError(`truncated macro reference: "${text}"`);
}

function named(text: string, inner: string, next: number): { inner: string; next: number } {
  if (inner === '') throw new ExpansionError(`empty macro name: "${text}"`);
  return { inner, next };
}

function filtered(value: string, filter: string | undefined): string {
  if (filter === undefined) return value;
  return Array.from(value, (char) => (filter.includes(char) ? char : '_')).join('');
}

/** Letters, digits and underscore: what a parameter name is made of. */
export function isNameByte(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95;
}

type Compare = (left: string, symbol: string, right: string) => boolean;

/** Reads along the inside of one ${...}. */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  at(char: string): boolean {
    return this.#text[this.#at] === char;
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  skip(char: string): boolean {
    if (!this.at(char)) return false;
    this.#at++;
    return true;
  }

  rest(length: number): string {
    return this.#text.slice(this.#at, this.#at + length);
  }

  /** Is there a `{` behind white space? If so, stands on it. */
  atBrace(): boolean {
    const at = this.#behindWhite(this.#at);
    if (this.#text[at] !== '{') return false;
    this.#at = at;
    return true;
  }

  /** What is within the braces it stands on; goes behind them and the white space that follows. */
  braces(): string {
    let level = 0;
    for (let at = this.#at; at < this.#text.length; at++) {
      if (this.#text[at] === '{') level++;
      else if (this.#text[at] === '}' && --level === 0) {
        const inner = this.#text.slice(this.#at + 1, at);
        this.#at = this.#behindWhite(at + 1);
        return inner;
      }
    }
    throw new ExpansionError(`unbalanced {} in attribute expression: "${this.#text.slice(this.#at)}"`);
  }

  /** `{text}` or all that is left. */
  operand(): string {
    if (this.atBrace()) return this.braces();
    const rest = this.#text.slice(this.#at);
    this.#at = this.#text.length;
    return rest;
  }

  /** A name and what follows: nothing, `?`, `:` (it stands on them) or the `{` of a function call. */
  name(): { name: string; operator: '' | '?' | ':' | '{' } {
    const start = this.#behindWhite(this.#at);
    let end = start;
    while (end < this.#text.length && isNameByte(this.#text.charCodeAt(end))) end++;
    const at = this.#behindWhite(end);
    const operator = this.#text[at] ?? '';
    if (operator !== '' && operator !== '?' && operator !== ':' && operator !== '{')
      throw new ExpansionError(`attribute name syntax error at: "...${this.#text.slice(0, end)}>>>${this.#text.slice(end, end + 20)}"`);
    this.#at = at;
    return { name: this.#text.slice(start, end), operator };
  }

  operator(left: string): { symbol: string; compare: Compare } {
    const symbol = /^[<>!=?+\-*/~&|%]*/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    if (!['==', '!=', '<', '<=', '>=', '>'].includes(symbol))
      throw new ExpansionError(`"==" or "!=" or "<" or "<=" or ">=" or ">" expected at: "...${left}}>>>${this.rest(20)}"`);
    this.#at += symbol.length;
    const suffix = /^[A-Za-z0-9]*/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    if (suffix !== '' && suffix !== 'level') throw new ExpansionError(`bad operator suffix at: "...${symbol}>>>${suffix}"`);
    this.#at += suffix.length;
    return { symbol, compare: suffix === '' ? compare : compareLevels };
  }

  #behindWhite(at: number): number {
    while (at < this.#text.length && isWhite(this.#text.charCodeAt(at))) at++;
    return at;
  }
}
