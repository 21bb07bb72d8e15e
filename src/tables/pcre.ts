/**
 * pcre_table(5): Perl-compatible patterns, through libpcre2.
 */
import { hasPcre2, Pcre2Pattern, pcre2Message, pcre2Options, pcre2Status, Pcre2Trouble } from '../host/pcre2.ts';
import type { Subject } from '../host/subject.ts';
import type { TableKind, Treatment } from './driver.ts';
import { MatchTrouble, searchInWindows, type MatchClock } from './match-clock.ts';
import type { PatternDialect, WrittenPattern } from './pattern-rules.ts';
import { patternKind, type SearchPattern } from './pattern-table.ts';
import { requiredText, type RequiredText } from './required-text.ts';
import type { TableContext, TableOptions } from './table.ts';

/** A letter turns its option on, or off where it is on from the start (i and s). */
const optionOf = new Map<string, number>([
  ['i', pcre2Options.caseless], ['m', pcre2Options.multiline], ['s', pcre2Options.dotAll], ['x', pcre2Options.extended],
  ['A', pcre2Options.anchored], ['E', pcre2Options.dollarEndOnly], ['U', pcre2Options.ungreedy], ['X', 0],
]);

export class PcrePattern implements SearchPattern {
  readonly #pattern: Pcre2Pattern;
  readonly captures: number;
  readonly required: RequiredText | undefined;

  constructor(text: string, options: number) {
    const isPlain = (options & pcre2Options.extended) === 0;
    this.required = isPlain ? requiredText(text, { perl: true, multiline: (options & pcre2Options.multiline) !== 0 }) : undefined;
    this.#pattern = new Pcre2Pattern(text, options);
    this.captures = this.#pattern.captures;
  }

  test(subject: Subject, clock: MatchClock): boolean {
    const pattern = this.#pattern;
    const { length } = subject;
    const first = pattern.anchored ? length + 1 : pattern.firstWindow(length);
    const found = length < first
      ? pattern.search(subject, 0, length + 1)
      : searchInWindows(length, first, clock, (start, end) => pattern.search(subject, start, end));
    if (found > 0) return true;
    if (found === pcre2Status.noMatch) return false;
    throw new MatchTrouble(pcre2Message(found));
  }

  group(_subject: Subject, number: number): readonly [number, number] | undefined {
    return this.#pattern.group(number);
  }

  close(): void {
    this.#pattern.close();
  }
}

function compile({ text, flags }: WrittenPattern): PcrePattern {
  let options: number = pcre2Options.caseless | pcre2Options.dotAll;
  for (const flag of flags) options ^= optionOf.get(flag)!;
  try {
    return new PcrePattern(text, options);
  } catch (error) {
    if (!(error instanceof Pcre2Trouble)) throw error;
    throw new Error(`error in regex at offset ${error.offset}: ${error.message}`);
  }
}

const dialect: PatternDialect<SearchPattern> = {
  type: 'pcre',
  pairs: false,
  noDelimiter: 'ignoring',
  badFlag(flags, warn) {
    for (const flag of flags) {
      if (!optionOf.has(flag)) return flag;
      if (flag === 'X') warn('ignoring obsolete regexp option "X"');
    }
    return undefined;
  },
  compile,
};

export function pcreKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const kind = patternKind(dialect, name, context, options);
  if (hasPcre2()) return kind;
  const open = (): never => {
    throw new Error('the PCRE2 library (libpcre2-8.so.0) is not installed; install it (Debian: libpcre2-8-0)');
  };
  return { open, fixed: false, owner: { trusted: true, uid: undefined } };
}
