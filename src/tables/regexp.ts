/**
 * regexp_table(5): POSIX patterns, through the C library; those that it may take very long for are given to libpcre2, where that
 * is installed, and else only to texts of a bearable length.
 */
import { hasPcre2, pcre2Options } from '../host/pcre2.ts';
import { RegexPattern, regexFlags, regexStatus } from '../host/regex.ts';
import type { Subject } from '../host/subject.ts';
import type { TableKind, Treatment } from './driver.ts';
import { MatchTrouble, searchInWindows, type MatchClock } from './match-clock.ts';
import type { PatternDialect, WrittenPattern } from './pattern-rules.ts';
import { patternKind, type SearchPattern } from './pattern-table.ts';
import { PcrePattern } from './pcre.ts';
import { readPosixPattern } from './posix-pattern.ts';
import { requiredText, type RequiredText } from './required-text.ts';
import type { TableContext, TableOptions } from './table.ts';

/** A letter turns its flag on, or off where it is on from the start (i and x). */
const flagOf = new Map<string, number>([['i', regexFlags.ignoreCase], ['m', regexFlags.newline], ['x', regexFlags.extended]]);

/** Starting points times length of the text, for one call. */
const stepsPerCall = 1_000_000;
/** The longest text for a dangerous pattern without libpcre2. */
const bearableLength = 100;

class PosixTablePattern implements SearchPattern {
  readonly #pattern: RegexPattern;
  readonly #longest: number;
  readonly captures: number;
  readonly required: RequiredText | undefined;
  #found = -1;

  constructor(pattern: RegexPattern, longest: number, required: RequiredText | undefined) {
    this.required = required;
    this.#pattern = pattern;
    this.#longest = longest;
    this.captures = pattern.captures;
  }

  test(subject: Subject, clock: MatchClock): boolean {
    const { length } = subject;
    if (length > this.#longest) throw new MatchTrouble('the text is too long for this pattern, for want of libpcre2');
    const first = Math.ceil(stepsPerCall / (length + 1));
    this.#found = length < first
      ? this.#pattern.search(subject, 0, length + 1)
      : searchInWindows(length, first, clock, (start, end) => this.#pattern.search(subject, start, end));
    if (this.#found === regexStatus.trouble) throw new MatchTrouble('Memory exhausted');
    return this.#found >= 0;
  }

  group(subject: Subject, number: number): readonly [number, number] | undefined {
    return this.#pattern.groups(subject, this.#found)[number];
  }

  close(): void {
    this.#pattern.close();
  }
}

function compile({ text, flags }: WrittenPattern, substitutes: boolean): SearchPattern {
  let options: number = regexFlags.extended | regexFlags.ignoreCase;
  for (const flag of flags) options ^= flagOf.get(flag)!;
  // Also for patterns that libpcre2 will search for: what is no POSIX pattern is told of in the C library's words.
  const pattern = new RegexPattern(text, options | (substitutes ? 0 : regexFlags.noSubmatches));
  const newline = (options & regexFlags.newline) !== 0;
  const isExtended = (options & regexFlags.extended) !== 0;
  const { perl, dangerous } = isExtended ? readPosixPattern(text, newline) : basic(text);
  const required = isExtended ? requiredText(text, { perl: false, multiline: newline }) : undefined;
  if (!dangerous) return new PosixTablePattern(pattern, Infinity, required);
  if (perl === undefined || !hasPcre2()) return new PosixTablePattern(pattern, bearableLength, required);
  pattern.close();
  const caseless = (options & regexFlags.ignoreCase) !== 0 ? pcre2Options.caseless : 0;
  return new PcrePattern(perl, caseless | pcre2Options.dollarEndOnly | (newline ? pcre2Options.multiline | pcre2Options.altCircumflex : 0));
}

/** Basic patterns are rare enough not to be taken apart. */
function basic(text: string): { perl: undefined; dangerous: boolean } {
  return { perl: undefined, dangerous: /\\[1-9{]/.test(text) };
}

const dialect: PatternDialect<SearchPattern> = {
  type: 'regexp',
  pairs: true,
  noDelimiter: 'skipping',
  badFlag: (flags) => [...flags].find((flag) => !flagOf.has(flag)),
  compile,
};

export const regexpKind = (name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind =>
  patternKind(dialect, name, context, options);
