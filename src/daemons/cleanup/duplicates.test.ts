import assert from 'node:assert/strict';
import test from 'node:test';
import { Duplicates, type NamedRecipient } from './duplicates.ts';

const plain = (address: string): NamedRecipient => ({ address, originalAddress: address, dsnOrcpt: `rfc822;${address}`, dsnNotify: 0 });
const joe = plain('joe@a.test');

const all = (recipients: readonly NamedRecipient[], byOriginal: boolean, limit = 0): boolean[] => {
  const duplicates = new Duplicates();
  return recipients.map((each) => duplicates.isNew(each, byOriginal, limit));
};

test('the same address is one recipient, in whatever case', () => {
  assert.deepEqual(all([joe, plain('JOE@A.test'), joe, plain('sue@a.test')], true), [true, false, false, true]);
  assert.deepEqual(all([joe, { ...joe, originalAddress: 'list@a.test' }], false), [true, false]);
});

test('with the original address, what the client said and wished tells two apart', () => {
  const others = [{ ...joe, originalAddress: 'list@a.test' }, { ...joe, dsnNotify: 1 }, { ...joe, dsnOrcpt: 'rfc822;list@a.test' }, { ...joe, dsnOrcpt: '' }, { ...joe, dsnOrcpt: 'utf-8;joe@a.test' }];
  assert.deepEqual(all([joe, ...others, joe, ...others], true), [...Array(6).fill(true), ...Array(6).fill(false)]);
  assert.deepEqual(all([...others, joe, joe], true), [...Array(6).fill(true), false]);
});

test('nobody is lost to an address that is made to look like another with its wishes', () => {
  const odd = { ...joe, dsnNotify: 1 };
  assert.deepEqual(all([plain('x@a.test'), odd, plain('rfc822;joe@a.test\n1\njoe@a.test\njoe@a.test')], true), [true, true, true]);
});

test('beyond the limit nothing is remembered', () => {
  const [sue, ann] = [plain('sue@a.test'), plain('ann@a.test')];
  assert.deepEqual(all([joe, sue, sue, ann, ann, joe], true, 2), [true, true, false, true, true, false]);
});

test('who was taken out may come again, the first as well', () => {
  const duplicates = new Duplicates();
  const sue = plain('sue@a.test');
  for (const each of [joe, sue]) assert.equal(duplicates.isNew(each, true, 0), true);
  for (const each of [joe, sue]) duplicates.forget(each, true);
  assert.deepEqual([joe, sue, joe].map((each) => duplicates.isNew(each, true, 0)), [true, true, false]);
  const alone = new Duplicates();
  alone.isNew(joe, true, 0);
  alone.forget(plain('JOE@a.test'), true);
  assert.equal(alone.isNew(joe, true, 0), true);
});
