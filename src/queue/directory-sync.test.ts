import test from 'node:test';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { DirectorySync } from './directory-sync.ts';

test('who comes while a round is under way shares the next one', async () => {
  const rounds: ((error: Error | null) => void)[] = [];
  const sync = new DirectorySync((directory, done) => {
    assert.equal(directory, 'incoming');
    rounds.push(done);
  });
  const order: string[] = [];
  const all = ['a', 'b', 'c'].map((name) => sync.sync('incoming').then(() => order.push(name)));
  assert.equal(rounds.length, 1);
  rounds[0]!(null);
  await all[0];
  assert.deepEqual(order, ['a']);
  assert.equal(rounds.length, 2);
  rounds[1]!(null);
  await Promise.all(all);
  assert.deepEqual(order, ['a', 'b', 'c']);
  assert.equal(rounds.length, 2);
  const later = sync.sync('incoming');
  assert.equal(rounds.length, 3);
  rounds[2]!(null);
  await later;
});

test('directories do not wait for one another', () => {
  const begun: string[] = [];
  const sync = new DirectorySync((directory) => begun.push(directory));
  void sync.sync('incoming');
  void sync.sync('hold');
  assert.deepEqual(begun, ['incoming', 'hold']);
});

test('trouble reaches everyone of its round and no one else', async () => {
  const rounds: ((error: Error | null) => void)[] = [];
  const sync = new DirectorySync((_, done) => rounds.push(done));
  const all = [sync.sync('incoming'), sync.sync('incoming'), sync.sync('incoming')];
  rounds[0]!(null);
  rounds[1]!(new Error('EIO'));
  assert.deepEqual((await Promise.allSettled(all)).map(({ status }) => status), ['fulfilled', 'rejected', 'rejected']);
});

test('the real thing', async () => {
  const sync = new DirectorySync();
  await sync.sync(tmpdir());
  await assert.rejects(sync.sync('/nonexistent'), { code: 'ENOENT' });
});
