/** From names to tables: which types there are, and what wraps another table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasLmdb } from '../host/lmdb.ts';
import { hasPcre2 } from '../host/pcre2.ts';
import { openTable, splitTypeAndName, tableTypes } from './open.ts';
import { TableTrouble } from './table.ts';
import { contextOf } from './testing.ts';

test('the types that can be opened, and no others', () => {
  const types = tableTypes();
  assert.deepEqual(types, [...new Set(types)].sort());
  for (const type of ['btree', 'cdb', 'cidr', 'debug', 'environ', 'fail', 'hash', 'inline', 'internal', 'nis', 'pipemap', 'randmap', 'regexp', 'sqlite', 'static', 'texthash', 'unionmap', 'unix']) {
    assert.ok(types.includes(type), type);
  }
  assert.deepEqual([types.includes('lmdb'), types.includes('pcre')], [hasLmdb(), hasPcre2()]);
  for (const type of types) {
    const { context, said } = contextOf();
    openTable(`${type}:/nonexistent`, context).close();
    assert.ok(!said.join().includes('unsupported dictionary type'), type);
  }
});

for (const type of ['nisplus', 'netinfo', 'hosts', '__proto__', 'HASH']) {
  test(`${type} is no type`, () => {
    const { context, said } = contextOf();
    assert.throws(() => openTable(`${type}:x`, context).find('key'), TableTrouble);
    assert.deepEqual(said, [`error: unsupported dictionary type: ${type}`]);
  });
}

test('type and name are parted at the first colon', () => {
  assert.deepEqual(['a:b:c', 'a', ':b', 'a:'].map(splitTypeAndName), [['a', 'b:c'], undefined, undefined, undefined]);
});

test('debug tells what it was asked and what came of it', () => {
  const { context, said } = contextOf();
  const told: string[] = [];
  context.info = (text) => told.push(text);
  const [table, failing] = ['debug:inline:{a=b}', 'debug:fail:x'].map((name) => openTable(name, context));
  assert.deepEqual([table!.find('a'), table!.find('c'), [...table!.entries!()]], ['b', undefined, [['a', 'b']]]);
  assert.throws(() => failing!.find('a'), TableTrouble);
  assert.deepEqual(told, [
    'inline:{a=b} lookup: "a" = "b"', 'inline:{a=b} lookup: "c" = "not_found"', 'inline:{a=b} sequence: "a" = "b"', 'inline:{a=b} sequence: found EOF', 'fail:x lookup: "a" = "error"',
  ]);
  assert.deepEqual(said, []);
});
