import assert from 'node:assert/strict';
import test from 'node:test';
import { loosePath } from './address.ts';
import { discardedNames, discardSet } from './keywords.ts';
import { softened, withFooter } from './replies.ts';

for (const [text, want] of [
  ['<a@b>', 'a@b'], [' <a@b> SIZE=3', 'a@b'], ['a@b SIZE=3', 'a@b'], ['<>', ''], ['', ''], ['<@r,@s:a@b>', 'a@b'], ['<"x y"@b>', 'x y@b'], ['<"a>"@b> x', 'a>@b'], ['<a\\>@b>', 'a>@b'],
  ['<a\\', 'a'], ['<@no-colon>', '@no-colon'], ['<a', 'a'],
] as const) test(`the address in "${text}"`, () => assert.equal(loosePath(text), want));

for (const [reply, want] of [['550 5.7.1 no', '450 4.7.1 no'], ['521 5.3.2 x', '421 4.3.2 x'], ['501 Syntax', '401 Syntax'], ['250 5', '250 4'], ['450 4.3.2 x', '450 4.3.2 x']] as const)
  test(`softened: ${reply}`, () => assert.equal(softened(reply), want));

for (const [reply, footer, want] of [
  ['550 5.7.1 no', '', '550 5.7.1 no'], ['550 5.7.1 no', 'call us', '550-5.7.1 no\r\n550 5.7.1 call us'], ['501 Syntax', 'a\\nb', '501-Syntax\r\n501-a\r\n501 b'],
  ['550 5.7.1 no', '\\c. Sorry', '550 5.7.1 no. Sorry'], ['550 5.7.1 no', '\\c. Sorry\\nx', '550-5.7.1 no. Sorry\r\n550 5.7.1 x'],
] as const) test(`footer "${footer}" of ${reply}`, () => assert.equal(withFooter(reply, footer), want));

test('keywords that nobody knows do not count', () => {
  const discarded = discardSet('VRFY, nonsense dsn');
  assert.deepEqual([...discarded], ['vrfy', 'dsn']);
  assert.equal(discardedNames(discarded), 'VRFY, DSN');
  assert.equal(discardedNames(discardSet('dsn silent-discard')), '');
});
