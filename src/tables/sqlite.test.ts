/** sqlite tables: queries, settings, changes under way, and keys that would like to be more than data. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { openTable } from './open.ts';
import { TableTrouble } from './table.ts';
import { contextOf, sqliteRows } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-sqlite-'));
after(() => rmSync(folder, { recursive: true }));
const database = (rows: readonly (readonly [string, string])[]) => sqliteRows(folder, rows);

test('sqlite: a changed row is seen at the next look-up, another file in its place within a second', () => {
  const { context, clock } = contextOf();
  const { path, config } = database([['key', 'one']]);
  const table = openTable(`sqlite:${config}`, context);
  assert.equal(table.find('key'), 'one');
  const other = new DatabaseSync(path);
  other.exec("update rows set value = 'two'");
  assert.equal(table.find('key'), 'two');
  other.exec('begin exclusive; delete from rows');
  assert.throws(() => table.find('key'), (error) => error instanceof TableTrouble && error.message === 'database is locked');
  other.exec('rollback');
  assert.equal(table.find('key'), 'two');
  other.exec('drop table rows');
  assert.throws(() => table.find('key'), (error) => error instanceof TableTrouble && error.message === 'no such table: rows');
  other.close();
  const { path: better } = database([['key', 'three']]);
  renameSync(better, path);
  clock.now += 1001;
  assert.equal(table.find('key'), 'three');
  rmSync(path);
  clock.now += 1001;
  assert.throws(() => table.find('key'), TableTrouble);
  table.close();
});

for (const [why, settings, key, want] of [
  ['the old settings', 'table = rows\nselect_field = value\nwhere_field = name\nadditional_conditions = and value > 1', "o'neil@example.org", '42'],
  ['parts of the key', "query = select value from rows where name = '%u@%d'", "o'neil@example.org", '42'],
  ['a text around a part', "query = select name from rows where name like '%%%u%%' order by name", "o'neil@x", "o'neil@example.org"],
  ['no domain in the key', "query = select value from rows where name = '%u@%d'", 'joe', undefined],
  ['labels of the domain', "query = select '%2.%1' from rows where name = 'joe'", 'a@b.example.org', 'example.org'],
  ['a format', "query = select value from rows where name = '%s'\nresult_format = <%s> of %S", 'joe', '<one two> of joe'],
  ['several rows', "query = select value from rows where value is not 'x' order by value", 'joe', '42,one two'],
  ['NULL is nothing', "query = select null from rows where name = '%s'", 'joe', undefined],
  ['other types of values', "query = select 7 where 'a' <> '%s' union all select 1.5 union all select cast('b' as blob)", 'joe', '7,1.5,b'],
  ['not in the domain', "domain = example.com\nquery = select value from rows where name = '%s'", "o'neil@example.org", undefined],
  ['in the domain', "domain = example.com, example.org\nquery = select value from rows where name = '%s'", "o'neil@example.org", '42'],
  ['no quotes, and yet no injection', 'query = select value from rows where name = %s', 'joe" or 1 = 1', undefined],
  ['the quotes of names', 'query = select value from rows where name = "%s"', 'joe', 'one two'],
  ['doubled quotes', "query = select value from rows where name = 'o''neil@' || '%d'", 'x@example.org', '42'],
] as const) {
  test(`sqlite: ${why}`, () => {
    const { context, said } = contextOf();
    const { path, config } = database([["o'neil@example.org", '42'], ['joe', 'one two']]);
    writeFileSync(config, `dbpath = ${path}\n${settings}\n`);
    const table = openTable(`sqlite:${config}`, context);
    assert.equal(table.find(key), want);
    const unquoted = /= (%s|"%s")/.test(settings) ? [`sqlite:${config}: query >${settings.slice(8)}< contains >%s< without the recommended '' quotes`] : [];
    assert.deepEqual(said, unquoted);
    table.close();
  });
}

for (const [settings, reason] of [
  ['query = select 1', 'bad string length 0 < 1: dbpath = '],
  ['dbpath = PATH\ntable = rows', "'select_field' parameter not defined"],
  ['dbpath = PATH\nquery = select %x', 'Invalid query template: select %x'],
  ['dbpath = PATH\nquery = select from', 'SQL prepare failed: near "from": syntax error'],
  ['dbpath = PATH\nquery = select a from missing', 'SQL prepare failed: no such table: missing'],
  ['dbpath = PATH-not\nquery = select 1', 'open database PATH-not: unable to open database file: No such file or directory'],
  ['dbpath = PATH\nquery = select 1\nexpansion_limit = many', 'bad numerical configuration: expansion_limit = many'],
] as const) {
  test(`sqlite: ${reason}`, () => {
    const { context, said } = contextOf();
    const { path, config } = database([]);
    writeFileSync(config, `${settings.replace('PATH', path)}\n`);
    assert.throws(() => openTable(`sqlite:${config}`, context).find('key'), TableTrouble);
    assert.equal(said.length, 1);
    assert.ok(said[0]!.endsWith(reason.replace('PATH', path)), said[0]);
  });
}

test('sqlite: more rows than expansion_limit are trouble', () => {
  const { context, said } = contextOf();
  const { path, config } = database([['a', '1'], ['b', '2'], ['c', '3']]);
  writeFileSync(config, `dbpath = ${path}\nquery = select value from rows where name <= '%s'\nexpansion_limit = 2\n`);
  const table = openTable(`sqlite:${config}`, context);
  assert.equal(table.find('b'), '1,2');
  assert.throws(() => table.find('c'), TableTrouble);
  assert.equal(table.find('b'), '1,2');
  assert.deepEqual(said, [`sqlite:${config}: Expansion limit exceeded for key: 'c'`]);
});
