/** What libpcre2 is asked in place of the C library must be the same question. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasPcre2, pcre2Options } from '../host/pcre2.ts';
import { RegexPattern, regexFlags } from '../host/regex.ts';
import { Subject } from '../host/subject.ts';
import { MatchClock } from './match-clock.ts';
import { PcrePattern } from './pcre.ts';
import { readPosixPattern } from './posix-pattern.ts';

const subject = new Subject();
const clock = new MatchClock();
clock.start(1);

let state = 12345;
function below(limit: number): number {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % limit;
}
const of = <T>(values: readonly T[]): T => values[below(values.length)]!;

const odd = ['[]a]', '[^]a]', '[a\\]', '[a-c]', '[c-]', '[[:alpha:]x]', '[[.a.]b]', '[^b]', '[[=a=]]', '[$^]', '[a[]', '\\.', '\\<', '\\>', '\\b', '\\w', '\\W', '\\s', "\\'", '\\`', '\\q', '#', ' ', '/', '-'];

function expression(depth: number): string {
  const atom = (): string => (below(3) > 0 ? of(['a', 'b', 'c', 'A', '.', '\n']) : depth < 3 && below(2) === 0 ? `(${expression(depth + 1)})` : of(odd));
  const repeat = (): string => (below(3) === 0 ? of(['*', '+', '?', '{2}', '{0,2}', '{,2}', '{1,}', '*?', '+*', '??', '{2}{2}']) : '');
  const branch = (): string => Array.from({ length: below(4) }, () => atom() + repeat()).join('');
  return `${of(['', '', '^'])}${branch()}${of(['', '', `|${branch()}`])}${of(['', '', '$'])}`;
}

const texts = ['', 'a', 'abc', 'cab', 'aab b', 'a\nb', 'b\n', '\na', 'A]b', 'a\\b', '^$', 'aabbcc', 'a.b-c', 'c#a /b', 'q', '[a', 'xcabx'];

for (const newline of [false, true]) {
  test(`random patterns${newline ? ', with newlines' : ''}: both libraries say the same`, { skip: hasPcre2() ? false : 'libpcre2 is not installed' }, () => {
    let compared = 0;
    for (let number = 0; number < 3000; number++) {
      const text = expression(0);
      let posix: RegexPattern;
      try {
        posix = new RegexPattern(text, regexFlags.extended | regexFlags.ignoreCase | (newline ? regexFlags.newline : 0));
      } catch {
        continue;
      }
      const { perl } = readPosixPattern(text, newline);
      if (perl !== undefined) {
        compared++;
        const options = pcre2Options.caseless | pcre2Options.dollarEndOnly | (newline ? pcre2Options.multiline | pcre2Options.altCircumflex : 0);
        const other = new PcrePattern(perl, options);
        assert.equal(other.captures, posix.captures, text);
        for (const one of texts) {
          subject.load(one);
          assert.equal(other.test(subject, clock), posix.search(subject, 0, one.length + 1) >= 0, `/${text}/ as /${perl}/ on "${one}"`);
        }
        other.close();
      }
      posix.close();
    }
    assert.ok(compared > 1500, `only ${compared} were compared`);
  });
}

for (const [text, dangerous] of [
  ['^Subject: .*free', false],
  ['(.)\\1\\1', true],
  ['.*a.{30}', true],
  ['.*a..............................', true],
  ['^[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}$', false],
  ['(a|b)*a(a|b){20}c', true],
  ['(foo|bar|baz|a long word with many letters)+', false],
  ['[\\1]', false],
  ['a\\.b', false],
] as const) {
  test(`/${text}/ is ${dangerous ? '' : 'not '}dangerous`, () => assert.equal(readPosixPattern(text, false).dangerous, dangerous));
}
