import test from 'node:test';
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { entryStatus, headLength, isWanted, originalCrc, readHead, tailLength, writeHead, type EntryFacts } from './entry.ts';

const life = { generation: 0x2a, tag: Buffer.from('0102030405060708', 'hex') };

const cases: readonly (readonly [name: string, facts: EntryFacts])[] = [
  ['one recipient', { queueId: '4dGk3M0BVZz6Z1', inode: '6Z1', length: 5000, recipients: [120] }],
  ['many recipients', { queueId: 'A1B2C3D4E5', inode: 'D4E5', length: 70_000, recipients: Array.from({ length: 1000 }, (_, index) => 100 + 30 * index) }],
  ['nobody, nothing', { queueId: '', inode: '', length: 0, recipients: [] }],
  ['a long name', { queueId: 'Z'.repeat(255), inode: '1', length: 1, recipients: [0] }],
];

for (const [name, facts] of cases) {
  test(`a head is read as it was written: ${name}`, () => {
    const bytes = Buffer.alloc(headLength(facts) + 128);
    assert.equal(writeHead(bytes, 64, life, 7, facts, 0xdeadbeef), 64 + headLength(facts));
    assert.deepEqual(readHead(bytes, 64, life), { ...facts, sequence: 7, imageCrc: 0xdeadbeef, headLength: headLength(facts), status: entryStatus.wanted });
    assert.equal(readHead(bytes, 0, life), undefined);
    assert.equal(readHead(bytes.subarray(0, 64 + headLength(facts) - 1), 64, life), undefined);
  });
}

test('a head is of one life only, and every bit of it but the status counts', () => {
  const facts: EntryFacts = { queueId: '4dGk3M0BVZz6Z1', inode: '6Z1', length: 5000, recipients: [120, 180] };
  const length = headLength(facts);
  const bytes = Buffer.alloc(length);
  writeHead(bytes, 0, life, 7, facts, 1);
  assert.equal(readHead(bytes, 0, { ...life, generation: 0x2b }), undefined);
  assert.equal(readHead(bytes, 0, { ...life, tag: Buffer.from('0102030405060709', 'hex') }), undefined);
  for (let bit = 0; bit < 8 * (length - 1); bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(readHead(bytes, 0, life), undefined, `bit ${bit}`);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  bytes[length - 1] = entryStatus.gone;
  assert.equal(readHead(bytes, 0, life)!.status, entryStatus.gone);
});

test('the bytes in front of an image say whose it is', () => {
  const facts: EntryFacts = { queueId: '4dGk3M0BVZz6Z1', inode: '6Z1', length: 5000, recipients: [] };
  const bytes = Buffer.alloc(headLength(facts));
  writeHead(bytes, 0, life, 7, facts, 1);
  const tail = bytes.subarray(bytes.length - tailLength);
  assert.equal(isWanted(tail, 0x2a, 5000), true);
  assert.equal(isWanted(tail, 0x2b, 5000), false);
  assert.equal(isWanted(tail, 0x2a, 5001), false);
  tail[tailLength - 1] = entryStatus.dropped;
  assert.equal(isWanted(tail, 0x2a, 5000), false);
});

test('the CRC of an image is that of its first day, whoever is marked done since', () => {
  const image = Buffer.from('..R..R.....R', 'latin1');
  const crc = crc32(image);
  for (const marked of [[], [2], [5, 11], [2, 5, 11]]) {
    const copy = Buffer.from(image);
    for (const offset of marked) copy[offset] = 0x44;
    for (const listed of [[2, 5, 11], [11, 2, 5]]) assert.equal(originalCrc(copy, listed), crc);
  }
  assert.notEqual(originalCrc(Buffer.from('..R..R....xR', 'latin1'), [2, 5, 11]), crc);
  for (const bad of [[3], [12], [2, 5, 6]]) assert.equal(originalCrc(image, bad), undefined);
});
