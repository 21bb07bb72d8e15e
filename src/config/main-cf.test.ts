import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigurationError } from './configuration-error.ts';
import { parseMainCf } from './main-cf.ts';

function read(text: string): { values: [string, string, number][]; warnings: string[] } {
  const warnings: string[] = [];
  const settings = parseMainCf(text, 'main.cf', (warning) => warnings.push(warning));
  return { values: [...settings].map(([name, { value, line }]) => [name, value, line]), warnings };
}

for (const [title, text, values] of [
  ['nothing', '', []],
  ['one', 'a = b\n', [['a', 'b', 1]]],
  ['no newline at the end', 'a=b', [['a', 'b', 1]]],
  ['white space around', 'a \t=\t b c \r\n', [['a', 'b c', 1]]],
  ['an empty value', 'a =\nb=', [['a', '', 1], ['b', '', 2]]],
  ['= in the value', 'a = b=c', [['a', 'b=c', 1]]],
  ['continuation', 'a = b\n  c\n\td\ne=f', [['a', 'b  c\td', 1], ['e', 'f', 4]]],
  ['comments and empty lines within', 'a = b\n# x\n\n   # y\n  c\n#z\nd=e', [['a', 'b  c', 1], ['d', 'e', 7]]],
  ['# is no comment behind text', 'a = b # c', [['a', 'b # c', 1]]],
  ['bytes beyond ASCII stay', 'a = \xa0\xff\xa0', [['a', '\xa0\xff\xa0', 1]]],
  ['the last of equals holds', 'a=1\nb=2\na=3', [['a', '3', 3], ['b', '2', 2]]],
] as const) test(`main.cf: ${title}`, () => assert.deepEqual(read(text).values, values));

for (const [title, text, warnings] of [
  ['a name set twice', 'a=1\na = 2\na=2', ['main.cf, line 2: overriding earlier entry: a=1']],
  ['white space at the start', '  a=1\nb=2', ['main.cf: logical line must not start with whitespace: "  a=1"']],
  ['a long line of that kind is cut', ` ${'x'.repeat(40)}`, [`main.cf: logical line must not start with whitespace: " ${'x'.repeat(29)}..."`]],
  ['a null byte', 'a=\0\nb=1', ['main.cf, line 1: text after null byte may be ignored']],
] as const) test(`main.cf warns of ${title}`, () => assert.deepEqual(read(text).warnings, warnings));

for (const [title, text, start] of [
  ['no =', 'a=1\n\nfoo bar\n', `main.cf, line 3: missing '=' after attribute name: "foo bar"`],
  ['no name', '= b', 'main.cf, line 1: missing attribute name: "= b"'],
] as const) test(`main.cf refuses a line with ${title}`, () => {
  assert.throws(() => read(text), (error) => error instanceof ConfigurationError && error.message.startsWith(start));
});
