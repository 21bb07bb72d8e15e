/** What a pattern is said to require must never keep it from a text that it matches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasPcre2, pcre2Options, Pcre2Trouble } from '../host/pcre2.ts';
import { RegexPattern, regexFlags } from '../host/regex.ts';
import { Subject } from '../host/subject.ts';
import { MatchClock } from './match-clock.ts';
import { PcrePattern } from './pcre.ts';
import { requiredText } from './required-text.ts';

const perl = { perl: true, multiline: false };
const posix = { perl: false, multiline: false };
for (const [pattern, syntax, text, atStart] of [
  ['^Subject: .*Free', perl, 'subject: ', true],
  ['^Subject: .*Free', { perl: true, multiline: true }, 'subject: ', false],
  ['viagra', perl, 'viagra', false],
  ['^joe\\.doe@', posix, 'joe.doe@', true],
  ['colou?r', perl, 'colo', false],
  ['ab+c', posix, 'ab', false],
  ['ab+?c', posix, undefined, false],
  ['ab+?cd', perl, 'ab', false],
  ['foo|bar', perl, undefined, false],
  ['(foo|bar)baz', perl, 'baz', false],
  ['x(?!my)domain', perl, 'domain', false],
  ['(?x) a b', perl, undefined, false],
  ['(?i)abc', perl, undefined, false],
  ['(*UTF)abc', perl, undefined, false],
  ['\\Qa.b\\E', perl, undefined, false],
  ['a\\x41bc', perl, undefined, false],
  ['\\<word\\>', posix, 'word', false],
  ['\\<word\\>', perl, '<word>', false],
  ['[abc]def[[:alpha:]]', posix, 'def', false],
  ['[]x]abc', posix, 'abc', false],
  ['ab{0,3}cd', posix, 'cd', false],
  ['^', perl, undefined, false],
  ['', perl, undefined, false],
  ['.', perl, undefined, false],
] as const) {
  test(`/${pattern}/ ${syntax.perl ? 'of Perl' : 'of POSIX'} requires ${text ?? 'nothing'}`, () => {
    assert.deepEqual(requiredText(pattern, syntax), text === undefined ? undefined : { text, atStart });
  });
}

let state = 99;
function below(limit: number): number {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % limit;
}
const of = <T>(values: readonly T[]): T => values[below(values.length)]!;
const common = ['a', 'b', 'ab', 'abc', 'B', '.', '\\.', '\\w', '[ab]', '[^a]', '[]b]', '[a\\]', '(ab)', '(a|b)', 'a*', 'b+', 'c?', 'a{2}', 'b{0,1}', '^', '$', '|', '\\1', ' '];
const perlOnly = ['a+?', 'b*+', '(?:ab)', '(?=a)', '(?!b)', '(?<=a)', '(?i)', '(?<n>a)', '\\x61', '\\bab', '\\d', '[\\]a]', '{', '(?#x)', '\\Qa\\E', '(?x)', '\\n', '\\K', '(?i:A)'];
const posixOnly = ['a+?', 'b*?', '\\<', '\\>', 'a**', '[[:alpha:]]', '[[.a.]]'];
const texts = Array.from({ length: 60 }, () => Array.from({ length: below(9) }, () => of(['a', 'b', 'c', 'A', 'ab', '.', ' ', '\n', 'x'])).join(''));
const allows = (pattern: string, syntax: typeof perl, text: string): boolean => {
  const required = requiredText(pattern, syntax);
  return !required || (required.atStart ? text.toLowerCase().startsWith(required.text) : text.toLowerCase().includes(required.text));
};

const subject = new Subject();
const clock = new MatchClock();
clock.start(100_000_000);

test('random patterns of Perl', { skip: hasPcre2() ? false : 'libpcre2 is not installed' }, () => {
  let told = 0;
  for (let number = 0; number < 4000; number++) {
    const text = Array.from({ length: 1 + below(5) }, () => of([...common, ...common, ...perlOnly])).join('');
    let pattern: PcrePattern;
    try {
      pattern = new PcrePattern(text, pcre2Options.caseless | pcre2Options.dotAll);
    } catch (error) {
      if (error instanceof Pcre2Trouble) continue;
      throw error;
    }
    if (requiredText(text, perl)) told++;
    for (const one of texts) {
      subject.load(one);
      if (pattern.test(subject, clock)) assert.ok(allows(text, perl, one), `/${text}/ matches "${one}"`);
    }
    pattern.close();
  }
  assert.ok(told > 500, `only ${told}`);
});

test('random patterns of POSIX', () => {
  let told = 0;
  for (let number = 0; number < 4000; number++) {
    const text = Array.from({ length: 1 + below(5) }, () => of([...common, ...common, ...posixOnly])).join('');
    let pattern: RegexPattern;
    try {
      pattern = new RegexPattern(text, regexFlags.extended | regexFlags.ignoreCase);
    } catch {
      continue;
    }
    if (requiredText(text, posix)) told++;
    for (const one of texts) {
      subject.load(one);
      if (pattern.search(subject, 0, one.length + 1) >= 0) assert.ok(allows(text, posix, one), `/${text}/ matches "${one}"`);
    }
    pattern.close();
  }
  assert.ok(told > 500, `only ${told}`);
});
