/** regexp and pcre tables: rules, results, what is refused, and what takes too long. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasPcre2 } from '../host/pcre2.ts';
import { openTable } from './open.ts';
import { TableTrouble, type TableContext, type TableOptions } from './table.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-patterns-'));
after(() => rmSync(folder, { recursive: true }));
const config = join(folder, 'config');
mkdirSync(config);
writeFileSync(join(config, 'main.cf'), `compatibility_level = 3.6\nqueue_directory = ${folder}\nmyhostname = test.example.org\n`);

function contextOf() {
  const said: string[] = [];
  const context: TableContext = { parameter: () => '', warn: (text) => said.push(text), error: (text) => said.push(`error: ${text}`) };
  return { context, said };
}

let number = 0;
function open(type: string, text: string, options: TableOptions = {}) {
  const path = join(folder, `${type}${number++}`);
  writeFileSync(path, text, 'latin1');
  const { context, said } = contextOf();
  return { table: openTable(`${type}:${path}`, context, options), said, path };
}

const both = ['regexp', 'pcre'] as const;
const types = (which: 'both' | 'regexp' | 'pcre') => (which === 'both' ? both : [which]).filter((type) => type === 'regexp' || hasPcre2());

/** Does Debian's Postfix have this type? */
const theirs = existsSync('/usr/sbin/postconf') ? spawnSync('/usr/sbin/postconf', ['-c', config, '-m'], { encoding: 'latin1' }).stdout.split('\n') : [];

for (const [why, which, rules, key, want] of [
  ['case does not count', 'both', '/^joe@/ x', 'JOE@example.org', 'x'],
  ['case counts with i', 'both', '/^joe@/i x', 'JOE@example.org', undefined],
  ['a group', 'both', '/^(.*)-request@(.*)$/ $1@$2', 'list-request@example.org', 'list@example.org'],
  ['a group in braces', 'both', '/^(.)(.)/ ${2}x$(1)', 'ab', 'bxa'],
  ['the whole match', 'both', '/b+/ <$0>', 'abbbc', '<bbb>'],
  ['a dollar sign', 'both', '/a/ $$1', 'a', '$1'],
  ['a dollar sign beside a group', 'both', '/(a)/ $$$1', 'a', '$a'],
  ['a group that takes no part', 'both', '/(x)?a/ <$1>', 'a', '<>'],
  ['what the key holds is not looked at again', 'both', '/(.*)/ $1', '$0 ${1} $$', '$0 ${1} $$'],
  ['negated', 'both', '!/@/ REJECT', 'joe', 'REJECT'],
  ['negated, and there', 'both', '!/@/ REJECT', 'joe@x', undefined],
  ['negated twice', 'both', '! ! /@/ x', 'joe@x', 'x'],
  ['any delimiter', 'both', '|/usr/(.)|i $1', '/usr/b', 'b'],
  ['an escaped delimiter', 'both', '/a\\/b/ x', 'a/b', 'x'],
  ['inside of an IF', 'both', 'if /^a/\n/b$/ one\nendif\n/./ rest', 'ab', 'one'],
  ['behind an IF', 'both', 'if /^a/\n/b$/ one\nendif\n/./ rest', 'ac', 'rest'],
  ['past an IF', 'both', 'if /^a/\n/./ one\nendif\n/./ rest', 'b', 'rest'],
  ['a negated IF', 'both', 'IF !/^a/\n/./ one\nEndIf\n/./ rest', 'b', 'one'],
  ['nested IFs', 'both', 'if /a/\nif /b/\nif /c/\n/./ abc\nendif\n/./ ab\nendif\n/./ a\nendif', 'ab', 'ab'],
  ['an IF without ENDIF takes the rest', 'both', 'if /a/\n/./ x', 'b', undefined],
  ['the first rule wins', 'both', '/a/ one\n/a/ two', 'a', 'one'],
  ['continued lines', 'both', '/a/\n  two\n  lines', 'a', 'two  lines'],
  ['an empty pattern', 'pcre', '// x', 'anything', 'x'],
  ['a newline in the key', 'both', '/^a.b$/ x', 'a\nb', 'x'],
  ['lines of the key with m', 'both', '/^b$/m x', 'a\nb', 'x'],
  ['the end is before a last newline', 'pcre', '/a$/ x', 'a\n', 'x'],
  ['the end is the end with E', 'pcre', '/a$/E x', 'a\n', undefined],
  ['no newline in a dot without s', 'pcre', '/a.b/s x', 'a\nb', undefined],
  ['white space in the pattern with x', 'pcre', '/a b # remark/x x', 'ab', 'x'],
  ['anchored with A', 'pcre', '/b/A x', 'ab', undefined],
  ['not greedy with U', 'pcre', '/(a+)/U $1', 'aaa', 'a'],
  ['a look ahead', 'pcre', '/^friend@(?!my.domain).*$/ x', 'friend@example.com', 'x'],
  ['a look ahead that fails', 'pcre', '/^friend@(?!my.domain).*$/ x', 'friend@my.domain', undefined],
  ['a named group has a number', 'pcre', '/(?<who>.*)@/ $1', 'joe@x', 'joe'],
  ['UTF-8, where a pattern asks for it', 'pcre', '/(*UTF)^caf.$/ x', 'caf\xc3\xa9', 'x'],
  ['what is no UTF-8 is no error', 'pcre', '/(*UTF)^caf.$/ x\n/(*UTF)(y)/ $1', 'caf\xe9 y', 'y'],
  ['a NUL is data', 'pcre', '/^a\\x00b$/ x', 'a\0b', 'x'],
  ['two patterns', 'regexp', '/^a/!/z$/ x', 'ab', 'x'],
  ['two patterns, and the second is there', 'regexp', '/^a/!/z$/ x', 'az', undefined],
  ['two patterns and a group', 'regexp', '/^a(.)/!/z$/i $1', 'ab', 'b'],
  ['two patterns with back-references, and groups', 'regexp', '/^(a)(b)\\1/!/(c)(c)\\2/ $2', 'aba', 'b'],
  ['two patterns that both match, and groups', 'regexp', '/^(.)(b)\\1/!!/(x)(y)\\2/ $2', 'abaxyy', 'b'],
  ['basic syntax with x', 'regexp', '/^\\(a+\\)$/x $1', 'a+', 'a+'],
  ['a back-reference', 'regexp', '/^(.)(.)\\2\\1$/ $1', 'abba', 'a'],
  ['the empty key', 'both', '/^$/ empty', '', 'empty'],
  ['bytes', 'both', '/^\xe4(.)$/ $1', '\xe4\xff', '\xff'],
  ['braces and commas', 'both', '/^a{2,3}$/ x', 'aaa', 'x'],
] as const) {
  for (const type of types(which)) {
    test(`${type}: ${why}`, () => {
      const { table, said } = open(type, `${rules}\n`);
      assert.equal(table.find(key), want);
      assert.deepEqual(said.filter((text) => !text.includes('IF has no matching')), []);
      assert.equal(table.fixed, false);
      table.close();
    });
  }
}

for (const type of types('both')) {
  test(`${type}: inline rules`, () => {
    const { context } = contextOf();
    const table = openTable(`${type}:{{/^a, (b)/ one $1}, {!/x/ other}}`, context);
    assert.deepEqual(['a, b', 'y', 'x'].map((key) => table.find(key)), ['one b', 'other', undefined]);
  });

  test(`${type}: an empty result is a result`, () => {
    const { table, said, path } = open(type, '/a/\n');
    assert.equal(table.find('a'), '');
    assert.deepEqual(said, [`${type} map ${path}, line 1: no replacement text: using empty string`]);
  });

  test(`${type}: no substitution where a stranger would choose`, () => {
    const { table, said, path } = open(type, '/(a)/ $1\n/a/ $0\n/a/ $$fine\n', { noSubstitution: true });
    assert.equal(table.find('a'), '$fine');
    assert.deepEqual(said, [1, 2].map((line) => `${type} map ${path}, line ${line}: regular expression substitution is not allowed: skipping this rule`));
  });
}

/** Rules with something wrong, each in lines of its own. `$0` is ours, and no fault. */
const faulty: Record<(typeof both)[number], string> = {
  regexp: '/a\n/a/q x\n/(a/ x\n/a/ $1\n/(a)/ $2\n!/(a)/ $1\n/a/ $x\n/a/ ${1\n/a/ $\nif /a/ extra\n/a/ x\nendif more\nendif\nif\nfoo\n!\n!/a\n/a/!/(b/ x\n/a/!/b x\n/[/ x\n/a{2/ x\n/a/!\nif /(/\nifx /a/\nif /a/\n/x/ $(1\n',
  pcre: '/a\n/a/q x\n/(a/ x\n/a/ $1\n/(a)/ $2\n!/(a)/ $1\n/a/ $x\n/a/ ${1\n/a/ $\nif /a/ extra\n/a/ x\nendif more\nendif\nif\nfoo\n!\n!/a\n/a/X y\n/[/ x\n/*/ x\nif /(/\nifx /a/\nif /a/\n/x/ $(1\n',
};

for (const type of types('both')) {
  test(`${type}: faulty rules are skipped, in the words of Debian's Postfix`, { skip: theirs.includes(type) ? false : `Debian's postmap with ${type} is not installed` }, () => {
    const { table, said, path } = open(type, faulty[type]);
    const postmap = spawnSync('/usr/sbin/postmap', ['-c', config, '-q', 'key', `${type}:${path}`], { encoding: 'latin1' });
    const want = postmap.stderr.split('\n').filter((line) => line !== '').map((line) => line.replace('postmap: warning: ', ''));
    assert.ok(want.length > 20, postmap.stderr);
    // Two of Postfix's warnings do not say where.
    const nameless = /^.*: (?=truncated macro reference|empty macro name)/;
    assert.deepEqual(said.map((line) => line.replace(nameless, '')), want);
    assert.equal(table.find('key'), undefined);
  });
}

const xy = `${'x'.repeat(50_000)}${'y'.repeat(50_000)}z`;

for (const [type, rules, key, why] of [
  ['pcre', '/^Subject: (a+)+$/ x', `Subject: ${'a'.repeat(60)}!`, 'match limit exceeded'],
  ['pcre', '/x/ found\n/(?:x|y)*y$/ x', xy.replaceAll('x', 'v').replaceAll('v', 'y'), 'the search takes too long'],
  ['regexp', '/x.*y$/ x', xy, 'the search takes too long'],
  ['regexp', '/^(a+)+\\1b$/ x', `${'a'.repeat(60)}cb`, 'match limit exceeded'],
] as const) {
  test(`${type}: ${rules.split('\n').at(-1)} gives up, and others notice nothing`, { skip: hasPcre2() ? false : 'libpcre2 is not installed' }, () => {
    const { table, said, path } = open(type, `${rules}\n/^fine$/ other\n`);
    const line = rules.split('\n').length;
    for (let times = 1; times <= 2; times++) {
      const trouble = (error: unknown): boolean => error instanceof TableTrouble && error.kind === 'retry';
      assert.throws(() => table.find(key), trouble);
      assert.equal(said.at(-1), `${type} map ${path}, line ${line}: ${why}`);
      assert.equal(said.length, times);
      assert.equal(table.find('fine'), 'other');
    }
  });
}

test('a long text is not a slow one', () => {
  for (const type of types('both')) {
    const { table } = open(type, '/^X-Long: (.*)END$/ found\n/nothing of it/ x\n');
    assert.equal(table.find(`X-Long: ${xy}END`), 'found');
    assert.equal(table.find(`X-Long: ${xy}`), undefined);
  }
});
