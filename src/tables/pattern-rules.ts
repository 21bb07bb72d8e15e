/**
 * Rules of regexp and pcre tables: `/pattern/flags result`, `!/pattern/flags result`, `if /pattern/` ... `endif`; of regexp tables also
 * `/pattern/!/pattern/ result`.
 *
 * A rule that cannot be understood is skipped, with a warning that names file and line, in Postfix's words; nothing throws.
 */
import { logicalLines } from '../config/logical-lines.ts';
import { isWhite, trimLeft, trimRight, trimWhite } from '../text/ascii.ts';
import { parseReplacement, type Replacement } from './replacement.ts';
import { encodeFiles } from './value-file.ts';

/** One pattern of a rule as it was written. */
export interface WrittenPattern {
  readonly text: string;
  readonly flags: string;
  readonly wanted: boolean;
}

/** A compiled pattern, in the form its table needs. */
export interface CompiledPattern {
  readonly captures: number;
  close(): void;
}

export interface PatternRule<P extends CompiledPattern> {
  readonly line: number;
  readonly pattern: P;
  readonly wanted: boolean;
  /** `/first/!/second/` */
  readonly second: { readonly pattern: P; readonly wanted: boolean } | undefined;
  /** Undefined for an IF. */
  readonly replacement: Replacement | undefined;
  /** For an IF: the index of the rule behind its ENDIF. */
  after: number;
}

/** How the two types differ. */
export interface PatternDialect<P extends CompiledPattern> {
  readonly type: string;
  /** Does `/first/!/second/` exist? */
  readonly pairs: boolean;
  /** What is said of a rule whose delimiter is missing. */
  readonly noDelimiter: string;
  /** Returns what it does not know. */
  badFlag(flags: string, warn: (text: string) => void): string | undefined;
  /** Throws an Error with the trouble. `substitutes`: groups of the match will be asked for. */
  compile(pattern: WrittenPattern, substitutes: boolean): P;
}

export interface PatternFileOptions {
  readonly file: string;
  readonly warn: (text: string) => void;
  /** `$number` is refused: what a stranger chose must not decide about files and transports. */
  readonly noSubstitution: boolean;
  readonly valueIsFile: boolean;
}

/** Skips a rule; the message, when there is one, is still to be told. */
class Skip extends Error {}

export function readPatternRules<P extends CompiledPattern>(text: string, dialect: PatternDialect<P>, options: PatternFileOptions): PatternRule<P>[] {
  const reader = new RuleReader(dialect, options);
  for (const { text: line, first } of logicalLines(text, options.file, options.warn)) {
    const end = line.indexOf('\0');
    reader.read(trimRight(end < 0 ? line : line.slice(0, end)), first);
  }
  return reader.finish();
}

class RuleReader<P extends CompiledPattern> {
  readonly #dialect: PatternDialect<P>;
  readonly #options: PatternFileOptions;
  readonly #rules: PatternRule<P>[] = [];
  readonly #open: PatternRule<P>[] = [];
  #line = 0;

  constructor(dialect: PatternDialect<P>, options: PatternFileOptions) {
    this.#dialect = dialect;
    this.#options = options;
  }

  read(text: string, line: number): void {
    this.#line = line;
    const word = /^[A-Za-z0-9]/.test(text) ? (/^(?:if|endif)(?![A-Za-z0-9])/i.exec(text)?.[0] ?? '?') : '';
    try {
      if (word === '') this.#match(text);
      else if (word.length === 2) this.#if(trimLeft(text.slice(2)));
      else if (word.length === 5) this.#endif(trimWhite(text.slice(5)));
      else this.#warn('ignoring unrecognized request');
    } catch (error) {
      if (!(error instanceof Skip)) throw error;
      if (error.message !== '') this.#warn(error.message);
    }
  }

  finish(): PatternRule<P>[] {
    for (const { line } of this.#open.reverse()) this.#options.warn(`${this.#where(line)}: IF has no matching ENDIF`);
    for (const rule of this.#open) rule.after = this.#rules.length;
    return this.#rules;
  }

  #where(line: number): string {
    return `${this.#dialect.type} map ${this.#options.file}, line ${line}`;
  }

  #warn(text: string): void {
    this.#options.warn(`${this.#where(this.#line)}: ${text}`);
  }

  #match(text: string): void {
    const { pattern: first, rest } = this.#pattern(text);
    const second = this.#dialect.pairs && rest.startsWith('!') ? this.#pattern(rest) : undefined;
    const written = trimLeft(second?.rest ?? rest);
    if (written === '') this.#warn('no replacement text: using empty string');
    const replacement = this.#replacement(written, first);
    const pattern = this.#compiled(first, replacement.highest >= 0);
    if (replacement.highest > pattern.captures) {
      pattern.close();
      throw new Skip(`out of range replacement index "${replacement.highest}": skipping this rule`);
    }
    this.#add(pattern, first.wanted, replacement, second && this.#second(second.pattern, pattern));
  }

  #add(pattern: P, wanted: boolean, replacement?: Replacement, second?: PatternRule<P>['second']): PatternRule<P> {
    const rule = { line: this.#line, pattern, wanted, second, replacement, after: 0 };
    this.#rules.push(rule);
    return rule;
  }

  #second(written: WrittenPattern, first: P): PatternRule<P>['second'] {
    try {
      return { pattern: this.#compiled(written, false), wanted: written.wanted };
    } catch (error) {
      first.close();
      throw error;
    }
  }

  #replacement(text: string, first: WrittenPattern): Replacement {
    let found: Replacement;
    try {
      found = parseReplacement(this.#options.valueIsFile ? this.#contents(text) : text);
    } catch (error) {
      if (error instanceof Skip) throw error;
      this.#warn((error as Error).message);
      throw new Skip('bad replacement syntax: skipping this rule');
    }
    if (found.highest < 0) return found;
    if (!first.wanted) throw new Skip('$number found in negative match replacement text: skipping this rule');
    if (this.#options.noSubstitution) throw new Skip('regular expression substitution is not allowed: skipping this rule');
    return found;
  }

  #contents(names: string): string {
    try {
      return encodeFiles(names);
    } catch (error) {
      throw new Skip(`${(error as Error).message}: skipping this rule`);
    }
  }

  #compiled(pattern: WrittenPattern, substitutes: boolean): P {
    try {
      return this.#dialect.compile(pattern, substitutes);
    } catch (error) {
      throw new Skip((error as Error).message);
    }
  }

  #if(text: string): void {
    const { pattern, rest } = this.#pattern(text);
    const extra = trimLeft(rest);
    if (extra !== '') {
      this.#warn(`ignoring extra text after IF statement: "${extra}"`);
      this.#warn('do not prepend whitespace to statements between IF and ENDIF');
    }
    this.#open.push(this.#add(this.#compiled(pattern, false), pattern.wanted));
  }

  #endif(extra: string): void {
    if (this.#open.length === 0) return this.#warn('ignoring ENDIF without matching IF');
    if (extra !== '') this.#warn('ignoring extra text after ENDIF');
    this.#open.pop()!.after = this.#rules.length;
  }

  /** Negations, delimiter, pattern, delimiter, flags. */
  #pattern(text: string): { pattern: WrittenPattern; rest: string } {
    let start = 0;
    let wanted = true;
    for (; text[start] === '!' || isWhite(text.charCodeAt(start)); start++) if (text[start] === '!') wanted = !wanted;
    if (start >= text.length) throw new Skip('no regexp: skipping this rule');
    const delimiter = text[start]!;
    let end = start + 1;
    while (end < text.length && text[end] !== delimiter) end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) throw new Skip(`no closing regexp delimiter "${delimiter}": ${this.#dialect.noDelimiter} this rule`);
    const flags = this.#flags(text.slice(end + 1));
    return { pattern: { text: text.slice(start + 1, end), flags, wanted }, rest: text.slice(end + 1 + flags.length) };
  }

  #flags(text: string): string {
    let end = 0;
    while (end < text.length && !isWhite(text.charCodeAt(end)) && !(this.#dialect.pairs && text[end] === '!')) end++;
    const flags = text.slice(0, end);
    const bad = this.#dialect.badFlag(flags, (said) => this.#warn(said));
    if (bad !== undefined) throw new Skip(`unknown regexp option "${bad}": skipping this rule`);
    return flags;
  }
}
