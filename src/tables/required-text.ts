/**
 * Text that must be in whatever a pattern matches: most rules of a table can be passed over by looking for it, without asking a
 * library. Pure, and careful: of a pattern with anything unusual in it nothing is said.
 */

export interface RequiredText {
  /** In lower case; to be looked for in a text in lower case. */
  readonly text: string;
  /** It must be the beginning. */
  readonly atStart: boolean;
}

export interface PatternSyntax {
  readonly perl: boolean;
  /** `^` also matches behind a newline. */
  readonly multiline: boolean;
}

/** Undefined: nothing is known. */
export function requiredText(pattern: string, syntax: PatternSyntax): RequiredText | undefined {
  if (syntax.perl && /\(\*|\(\?#|\\[QE]/.test(pattern)) return undefined;
  const scan = new Scan(pattern, syntax);
  if (!scan.run()) return undefined;
  const anchored = pattern.startsWith('^') && !syntax.multiline && scan.first !== '';
  const text = anchored ? scan.first : scan.longest;
  return text.length < (anchored ? 1 : 2) ? undefined : { text: text.toLowerCase(), atStart: anchored };
}

/** Escaped letters that stand for a place or for one of several characters, and take nothing behind them. */
const plainEscapes = { perl: new Set('dDwWsSbBAZzhHvVRXKGnrtfea'), posix: new Set('wWsSbB') } as const;

class Scan {
  readonly #text: string;
  readonly #perl: boolean;
  #at = 0;
  #run = '';
  #isFirst = false;
  /** The run that begins the pattern, behind `^`. */
  first = '';
  longest = '';

  constructor(text: string, { perl }: PatternSyntax) {
    this.#text = text;
    this.#perl = perl;
    this.#at = text.startsWith('^') ? 1 : 0;
    this.#isFirst = this.#at === 1;
  }

  /** False: something unusual, or alternatives. */
  run(): boolean {
    while (this.#at < this.#text.length) if (!this.#step()) return false;
    this.#endRun();
    return true;
  }

  #step(): boolean {
    const char = this.#text[this.#at++]!;
    if (char === '|' || char === ')') return false;
    if (char === '(') return this.#group();
    if (char === '[') return this.#other(this.#skipBracket());
    if (char === '\\') return this.#escaped(this.#text[this.#at++] ?? '');
    if (char === '.' || char === '^' || char === '$') return this.#other(true);
    if ('*+?{'.includes(char)) return this.#repetition(char);
    if (char > '\x7f') return this.#other(true);
    this.#run += char;
    return true;
  }

  /** Something that is no literal text: the run ends. */
  #other(isUsual: boolean): boolean {
    this.#endRun();
    return isUsual;
  }

  #endRun(): void {
    if (this.#isFirst) this.first = this.#run;
    if (this.#run.length > this.longest.length) this.longest = this.#run;
    this.#run = '';
    this.#isFirst = false;
  }

  /** What is repeated may be missing, unless the sign is a lone `+`. */
  #repetition(char: string): boolean {
    const rest = this.#text.slice(this.#at);
    const counted = char === '{' ? /^[0-9]*,?[0-9]*\}/.exec(rest) : undefined;
    if (counted === null) return false;
    this.#at += counted?.[0].length ?? 0;
    const more = /^[*+?{]+/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    if (more.includes('{') || (this.#perl && more.length > 1)) return false;
    this.#at += more.length;
    if (char !== '+' || (!this.#perl && more !== '')) this.#run = this.#run.slice(0, -1);
    return this.#other(true);
  }

  #escaped(char: string): boolean {
    if (/[A-Za-z]/.test(char)) return this.#other((this.#perl ? plainEscapes.perl : plainEscapes.posix).has(char));
    if (/[0-9]/.test(char)) return this.#other(char !== '0' && !/^[0-9]/.test(this.#text.slice(this.#at)));
    if (char === '' || char > '\x7f') return this.#other(char !== '');
    if (!this.#perl && "<>`'".includes(char)) return this.#other(true);
    this.#run += char;
    return true;
  }

  /** Past the closing parenthesis; what is inside does not count. */
  #group(): boolean {
    this.#endRun();
    if (!this.#isUsualGroup()) return false;
    for (let depth = 1; depth > 0; ) {
      const char = this.#text[this.#at++];
      if (char === undefined) return false;
      if (char === '\\') this.#at++;
      else if (char === '[') {
        if (!this.#skipBracket()) return false;
      } else if (char === ')') depth--;
      else if (char === '(') depth++;
      if (char === '(' && !this.#isUsualGroup()) return false;
    }
    return true;
  }

  #isUsualGroup(): boolean {
    return !this.#perl || this.#text[this.#at] !== '?' || /^\?(?:[:=!>]|<[=!A-Za-z_]|P<)/.test(this.#text.slice(this.#at, this.#at + 4));
  }

  #skipBracket(): boolean {
    if (this.#text[this.#at] === '^') this.#at++;
    for (let first = true; first || this.#text[this.#at] !== ']'; first = false) {
      const char = this.#text[this.#at];
      if (char === undefined) return false;
      const named = char === '[' ? /^\[([:.=])[^\]]*?\1\]/.exec(this.#text.slice(this.#at)) : null;
      this.#at += named ? named[0].length : this.#perl && char === '\\' ? 2 : 1;
    }
    this.#at++;
    return true;
  }
}
