/**
 * Look-ups in regexp and pcre tables: the rules in order, the first that matches gives the result.
 *
 * A search that hits a limit, or a look-up that takes more than about 100 ms, is trouble (try again later) and told with file and
 * line; Postfix would go on with the next rule, and so let through what the rule was for. See docs/decisions/patterns.md.
 */
import { Subject } from '../host/subject.ts';
import { lowerAscii } from '../text/ascii.ts';
import { patternText } from './cidr.ts';
import type { TableDriver, TableKind } from './driver.ts';
import { MatchClock, MatchTrouble } from './match-clock.ts';
import { readPatternRules, type CompiledPattern, type PatternDialect, type PatternRule } from './pattern-rules.ts';
import type { RequiredText } from './required-text.ts';
import { substitute } from './replacement.ts';
import { TableTrouble, type TableContext, type TableOptions } from './table.ts';

export interface SearchPattern extends CompiledPattern {
  /** Without this in it, a text need not be searched. */
  readonly required: RequiredText | undefined;
  /** Throws MatchTrouble. */
  test(subject: Subject, clock: MatchClock): boolean;
  /** What a group of the match just found took in: begin and end. */
  group(subject: Subject, number: number): readonly [number, number] | undefined;
}

/** Looking at the clock costs a third of a search. */
const lookAtClockEvery = 4;

const subject = new Subject();
const clock = new MatchClock();

export function patternKind(dialect: PatternDialect<SearchPattern>, name: string, context: TableContext, options: TableOptions): TableKind {
  const { type } = dialect;
  const open = (): TableDriver => {
    const rules = readPatternRules(patternText(type, name), dialect, {
      file: name, warn: (text) => context.warn(text), noSubstitution: options.noSubstitution ?? false, valueIsFile: options.valueIsFile ?? false,
    });
    return { find: (key) => findIn(rules, key, { type, name, context }), close: () => closeAll(rules) };
  };
  const inline = name.startsWith('{');
  return inline ? { open, fixed: false, owner: { trusted: true, uid: undefined } } : { open, fixed: false, file: name, changes: 'half written' };
}

function closeAll(rules: readonly PatternRule<SearchPattern>[]): void {
  for (const { pattern, second } of rules) {
    pattern.close();
    second?.pattern.close();
  }
}

interface Place {
  readonly type: string;
  readonly name: string;
  readonly context: TableContext;
}

/** One look-up: what is made of the key, when it is first needed. */
class Search {
  readonly #key: string;
  readonly #lower: string;
  #loaded = false;

  constructor(key: string) {
    this.#key = key;
    this.#lower = lowerAscii(key);
  }

  matches(pattern: SearchPattern): boolean {
    const { required } = pattern;
    if (required && !(required.atStart ? this.#lower.startsWith(required.text) : this.#lower.includes(required.text))) return false;
    if (!this.#loaded) subject.load(this.#key);
    this.#loaded = true;
    if (++searches % lookAtClockEvery === 0 && clock.isOver) throw new MatchTrouble('the search takes too long');
    return pattern.test(subject, clock);
  }
}

let searches = 0;

function findIn(rules: readonly PatternRule<SearchPattern>[], key: string, place: Place): string | undefined {
  clock.start(rules.length);
  const search = new Search(key);
  let at = 0;
  try {
    while (at < rules.length) {
      const rule = rules[at]!;
      const matches = search.matches(rule.pattern) === rule.wanted && (!rule.second || search.matches(rule.second.pattern) === rule.second.wanted);
      if (matches && rule.replacement) return result(rule, key);
      at = matches || rule.replacement ? at + 1 : rule.after;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof MatchTrouble)) throw error;
    const text = `${place.type} map ${place.name}, line ${rules[at]!.line}: ${error.message}`;
    place.context.warn(text);
    throw new TableTrouble(`${place.type}:${place.name}`, text);
  }
}

function result({ pattern, second, replacement }: PatternRule<SearchPattern>, key: string): string {
  if (replacement!.literal !== undefined) return replacement!.literal;
  // Where groups are remembered there is place for one pattern's.
  if (second) pattern.test(subject, clock);
  return substitute(replacement!, (number) => {
    const found = pattern.group(subject, number);
    return found === undefined ? '' : key.slice(...found);
  });
}
