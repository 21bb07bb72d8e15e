import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import test from 'node:test';
import { hasLmdb } from './lmdb.ts';
import { LmdbReader } from './lmdb-reader.ts';
import { changeLmdb, LmdbWriter } from './lmdb-writer.ts';

const skip = hasLmdb() ? false : 'liblmdb is not installed';

function inFolder(work: (file: string) => void): void {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/lmdb-writer-`);
  try {
    work(`${directory}/cache.lmdb`);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

test('changes are seen by readers that were there before, and by nobody else than the owner', { skip }, () => inFolder((file) => {
  const writer = new LmdbWriter(file, 1 << 20);
  const reader = new LmdbReader(file);
  writer.change([['a', '1'], ['b', '2']]);
  assert.deepEqual([...reader.entries()], [['a', '1'], ['b', '2']]);
  writer.change([['a', '3'], ['b', undefined], ['none', undefined]]);
  assert.deepEqual([...reader.entries()], [['a', '3']]);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  reader.close();
  writer.close();
  assert.throws(() => writer.change([['a', '1']]), /closed/);
}));

test('a file grows beyond its address space, by us and by others', { skip }, () => inFolder((file) => {
  const writer = new LmdbWriter(file, 64 << 10);
  const reader = new LmdbReader(file);
  const many = (from: number): [string, string][] => Array.from({ length: 500 }, (_, at) => [`key ${from + at}`, 'x'.repeat(400)]);
  writer.change(many(0));
  assert.equal(reader.get('key 499'), 'x'.repeat(400));
  changeLmdb(file, many(1000), { mapSize: 4 << 20, replace: true });
  writer.change([['last', 'one']]);
  assert.deepEqual([reader.get('key 1499'), reader.get('last'), [...reader.entries()].length], ['x'.repeat(400), 'one', 1001]);
  reader.close();
  writer.close();
}));

test('it goes on when its name is taken away', { skip }, () => inFolder((file) => {
  const writer = new LmdbWriter(file, 1 << 20);
  writer.change([['a', '1']]);
  fs.renameSync(file, `${file}.moved`);
  writer.change([['a', '2']]);
  const reader = new LmdbReader(`${file}.moved`);
  assert.equal(reader.get('a'), '2');
  reader.close();
  writer.close();
}));
