import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { arrivalOf, hashText, inodeOf, isLongQueueId, makeQueueId, queueIdOk, renameToInode } from './queue-id.ts';

// Ids that Postfix 3.12 gave to files with these inode numbers.
for (const [name, arrival, inode, long, want] of [
  ['short', { seconds: 1795230317, microseconds: 0x89e01 }, 0x210081n, false, '89E01210081'],
  ['short, small microseconds', { seconds: 1, microseconds: 7 }, 255n, false, '00007FF'],
  ['long', { seconds: 1795233068, microseconds: 756405 }, 2163474n, true, '4jWdXr5MkFzJHm3'],
  ['long, small microseconds', { seconds: 0, microseconds: 0 }, 51n, true, '0000000000z10'],
] as const) {
  test(`queue id, ${name}`, () => {
    assert.equal(makeQueueId(arrival, inode, long), want);
  });
}

for (const [id, ok] of [
  ['89E01210081', true], ['4lH5bs46Jlzk1VT', true], ['example_com', true], ['a'.repeat(255), true],
  ['', false], ['a'.repeat(256), false], ['../x', false], ['..', false], ['a/b', false], ['A1#FIX', false], ['123.456', false],
  ['A\nB', false], ['AB\n', false], ['\u00e9', false], ['A B', false], ['A\0', false],
] as const) test(`${JSON.stringify(id.slice(0, 20))} may ${ok ? '' : 'not '}be a queue id`, () => assert.equal(queueIdOk(id), ok));

test('an id tells what it was made of', () => {
  fc.assert(fc.property(fc.nat(4_000_000_000), fc.nat(999_999), fc.bigInt(1n, (1n << 64n) - 1n), fc.boolean(), (seconds, microseconds, inode, long) => {
    const id = makeQueueId({ seconds, microseconds }, inode, long);
    assert.ok(queueIdOk(id));
    assert.equal(isLongQueueId(id), long);
    assert.equal(inodeOf(id), inode);
    assert.deepEqual(arrivalOf(id), long ? { seconds, microseconds } : undefined);
    assert.equal(hashText(id).slice(0, 5), microseconds.toString(16).toUpperCase().padStart(5, '0'));
  }));
});

test('an id follows its file to another inode', () => {
  const arrival = { seconds: 1795230317, microseconds: 0x89e01 };
  assert.equal(renameToInode('89E01210081', 0xabcn, true), '89E01ABC');
  assert.equal(renameToInode(makeQueueId(arrival, 5n, true), 7n, true), makeQueueId(arrival, 7n, true));
  assert.equal(renameToInode(makeQueueId(arrival, 5n, true), 7n, false), '89E017');
});

test('what is no id has no inode number', () => {
  for (const id of ['', '12345', 'hello_world', '12345G', '1234567890z', '1234567890zz']) assert.equal(inodeOf(id), undefined, id);
});
