import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import { hasLmdb } from '../host/lmdb.ts';
import { LmdbReader } from '../host/lmdb-reader.ts';
import type { TableContext } from './table.ts';
import { openWritten } from './written.ts';

const skip = !hasLmdb() && 'liblmdb is missing';

function place(t: TestContext): { readonly directory: string; readonly warnings: string[]; readonly context: TableContext } {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/written-`);
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const warnings: string[] = [];
  const context: TableContext = { parameter: (name) => (name === 'default_database_type' ? 'lmdb' : ''), warn: (text) => void warnings.push(text) };
  return { directory, warnings, context };
}

test('a table is made, changed, and seen changed at once', { skip }, async (t) => {
  const { directory, warnings, context } = place(t);
  const { table, written } = openWritten(`lmdb:${directory}/new`, context);
  assert.equal(await table.find('a'), undefined);
  await written.update('A', '1');
  await written.update('b', '2');
  await written.update('b', '3');
  await written.update('c', '4');
  assert.deepEqual([...table.entries!()], [['a', '1'], ['b', '3'], ['c', '4']]);
  assert.deepEqual([await written.remove('B'), await written.remove('B'), await table.find('b')], [true, false, undefined]);
  await written.removeAll(['a', 'nobody', 'C']);
  assert.deepEqual([...table.entries!()], []);
  assert.deepEqual(warnings, []);
});

test('case is kept where it matters', { skip }, async (t) => {
  const { directory, context } = place(t);
  const { table, written } = openWritten(`lmdb:${directory}/new`, context, { fold: false });
  await written.update('A', '1');
  assert.deepEqual([await table.find('A'), await table.find('a')], ['1', undefined]);
});

test('a table that cannot be made is said to be so', { skip }, (t) => {
  const { directory, context } = place(t);
  assert.throws(() => openWritten(`lmdb:${directory}/missing/new`, context), /No such file/);
});

const noBerkeley = skip || (!fs.existsSync('/usr/sbin/postmap') && "Debian's postfix is not installed");

test('what another Postfix left in a Berkeley DB file is taken over, once', { skip: noBerkeley }, async (t) => {
  const { directory, warnings, context } = place(t);
  fs.writeFileSync(`${directory}/main.cf`, '');
  fs.writeFileSync(`${directory}/old`, 'joe@example.org 0:0:1700000000:fine\n');
  execFileSync('/usr/sbin/postmap', ['-c', directory, `btree:${directory}/old`], { stdio: 'ignore' });
  const { table, written } = openWritten(`btree:${directory}/old`, context, { fold: false });
  assert.equal(await table.find('joe@example.org'), '0:0:1700000000:fine');
  await written.remove('joe@example.org');
  const again = openWritten(`btree:${directory}/old`, context, { fold: false });
  assert.equal(await again.table.find('joe@example.org'), undefined);
  const reader = new LmdbReader(`${directory}/old.lmdb`);
  assert.deepEqual([...reader.entries()], []);
  reader.close();
  assert.deepEqual(warnings.filter((text) => !text.includes('is older than')), []);
});

test('a damaged Berkeley DB file is left where it is', { skip }, async (t) => {
  const { directory, warnings, context } = place(t);
  fs.writeFileSync(`${directory}/old.db`, 'rubbish');
  const { written } = openWritten(`hash:${directory}/old`, context);
  await written.update('a', '1');
  assert.match(warnings[0]!, /old\.db is not taken over: /);
});
