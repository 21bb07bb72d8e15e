/**
 * Extended POSIX patterns, taken apart: which of them the C library may take very long for, and how to say them to libpcre2, which
 * can be told to give up. Pure.
 *
 * Two kinds are dangerous in the C library: back-references (exponential), and many counted places behind an endless repetition
 * (`.*a.{30}`: a state for every subset of them). Whether a text matches is the same for both libraries; where a pattern can match
 * in several ways, they may choose another one for `$1`.
 */

export interface PosixPattern {
  /** The same for libpcre2 with its options dollarEndOnly and (with newline) multiline and altCircumflex. Undefined: it cannot be said. */
  readonly perl: string | undefined;
  readonly dangerous: boolean;
}

/** Places that can be wide open at once before a pattern counts as dangerous: 2^16 states would be slow, but bearable. */
const bearablePlaces = 16;

/** What is known of a part. */
interface Part {
  readonly perl: string;
  /** Places at which a matcher can be at the same time. */
  readonly places: number;
  readonly wide: boolean;
}

class Cannot extends Error {}

/** `newline`: the flag REG_NEWLINE of regcomp(3). The pattern is one that regcomp has taken. */
export function readPosixPattern(text: string, newline: boolean): PosixPattern {
  const parser = new Parser(text, newline);
  let perl: string | undefined;
  try {
    perl = parser.alternatives(0).perl;
  } catch (error) {
    if (!(error instanceof Cannot)) throw error;
  }
  const isDangerous = parser.backReference || (parser.endless && parser.most > bearablePlaces);
  return { perl, dangerous: perl === undefined ? /\\[1-9]|\{/.test(text) : isDangerous };
}

class Parser {
  readonly #text: string;
  readonly #newline: boolean;
  #at = 0;
  backReference = false;
  /** Something wide is repeated without end. */
  endless = false;
  most = 0;

  constructor(text: string, newline: boolean) {
    this.#text = text;
    this.#newline = newline;
  }

  alternatives(depth: number): Part {
    if (depth > 200) throw new Cannot('too deep');
    const parts = [this.#sequence(depth)];
    while (this.#take('|')) parts.push(this.#sequence(depth));
    const part = { perl: parts.map(({ perl }) => perl).join('|'), places: sum(parts), wide: parts.length > 1 || parts[0]!.wide };
    this.most = Math.max(this.most, part.places);
    return part;
  }

  #sequence(depth: number): Part {
    const parts: Part[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== '|' && !(depth > 0 && this.#text[this.#at] === ')')) {
      let part = this.#atom(depth);
      for (let repeated = false; ; repeated = true) {
        const next = this.#repetition(part, repeated);
        if (!next) break;
        part = next;
      }
      parts.push(part);
    }
    return { perl: parts.map(({ perl }) => perl).join(''), places: sum(parts), wide: parts.some(({ wide }) => wide) };
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #repetition(part: Part, repeated: boolean): Part | undefined {
    const found = /^(?:[*+?]|\{([0-9]*)(,?)([0-9]*)\})/.exec(this.#text.slice(this.#at, this.#at + 20));
    if (!found) return undefined;
    this.#at += found[0].length;
    const least = found[0] === '+' ? 1 : Number(found[1] ?? 0);
    const most = found[0] === '?' ? 1 : found[2] === '' ? least : found[3] !== undefined && found[3] !== '' ? Number(found[3]) : Infinity;
    const times = most === Infinity ? least + 1 : most;
    if (most === Infinity && part.wide) this.endless = true;
    const sign = most === Infinity ? (least === 0 ? '*' : least === 1 ? '+' : `{${least},}`) : most === 1 && least === 0 ? '?' : `{${least},${most}}`;
    const places = times > 1 ? Math.max(part.places, part.perl === '' ? 0 : 1) * times : part.places;
    return { perl: `${repeated ? `(?:${part.perl})` : part.perl}${sign}`, places, wide: part.wide || times > 1 };
  }

  #atom(depth: number): Part {
    const char = this.#text[this.#at++]!;
    if (char === '(') return this.#group(depth);
    if (char === '[') return this.#bracket();
    if (char === '\\') return this.#escaped(this.#text[this.#at++] ?? '');
    if (char === '.') return { perl: this.#newline ? '[^\\x00\\n]' : '[^\\x00]', places: 1, wide: true };
    if (char === '^' || char === '$') return this.#anchor(char, depth);
    if (char === '*' || char === '+' || char === '?' || char === '{') throw new Cannot('a repetition of nothing');
    return literal(char);
  }

  /** In the midst of a pattern the C library does not keep to its own rules for them. */
  #anchor(perl: string, depth: number): Part {
    const before = this.#text.slice(0, this.#at - 1);
    const after = this.#text.slice(this.#at);
    const atEnd = perl === '^' ? /^\(*$/.test(before) || (depth === 0 && before.endsWith('|')) : /^\)*$/.test(after) || (depth === 0 && after.startsWith('|'));
    if (!atEnd) throw new Cannot('an anchor in the midst');
    return { perl, places: 0, wide: false };
  }

  #group(depth: number): Part {
    const inner = this.alternatives(depth + 1);
    if (!this.#take(')')) throw new Cannot('unbalanced');
    return { ...inner, perl: `(${inner.perl})` };
  }

  #escaped(char: string): Part {
    const perl = anchors.get(char);
    if (perl !== undefined) return { perl, places: 0, wide: false };
    if ('wWsS'.includes(char) && char !== '') return { perl: `\\${char}`, places: 1, wide: true };
    // An escaped letter is one to the C library, but matches nothing when case does not count.
    if (/^[A-Za-z]?$/.test(char)) throw new Cannot('an escaped letter');
    if (char < '1' || char > '9') return literal(char);
    this.backReference = true;
    return { perl: `\\g{${char}}`, places: 1, wide: true };
  }

  /** `[...]`: a backslash is nothing special in it, and `]` is not when it comes first. */
  #bracket(): Part {
    let perl = this.#take('^') ? (this.#newline ? '[^\\n' : '[^') : '[';
    for (let first = true; first || this.#text[this.#at] !== ']'; first = false) {
      if (this.#at >= this.#text.length) throw new Cannot('unbalanced');
      const named = /^\[([:.=])(.*?)\1\]/s.exec(this.#text.slice(this.#at));
      if (named?.[1] === ':') perl += named[0];
      else if (named) perl += single(named[2]!);
      else perl += this.#text[this.#at] === '-' ? '-' : single(this.#text[this.#at]!);
      this.#at += named ? named[0].length : 1;
    }
    this.#at++;
    // Perl takes `a-` before a class, or a range that starts with one, in its own way; so does `--x`.
    if (/-\[:|:\]-[^\]]|^\[\^?--|--/.test(perl)) throw new Cannot('an odd range');
    return { perl: `${perl}]`, places: 1, wide: true };
  }
}

const anchors = new Map([['<', '\\b(?=\\w)'], ['>', '\\b(?<=\\w)'], ['`', '\\A'], ["'", '\\z'], ['b', '\\b'], ['B', '\\B']]);

function sum(parts: readonly Part[]): number {
  return parts.reduce((total, { places }) => total + places, 0);
}

function single(char: string): string {
  if (char.length !== 1) throw new Cannot('a collating element');
  return /[A-Za-z0-9]/.test(char) ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

function literal(char: string): Part {
  return { perl: single(char), places: 0, wide: false };
}
