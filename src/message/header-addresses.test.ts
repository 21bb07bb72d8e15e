import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteAddressField, type AddressStep } from './header-addresses.ts';

const complete: AddressStep = (address) => (address.includes('@') ? undefined : `${address}@here.test`);
const rewritten = (field: string, steps: readonly AddressStep[] = [complete], tokenLimit = 0) => {
  const colon = field.indexOf(':');
  return rewriteAddressField(field, field.slice(0, colon), field.slice(colon + 1), { steps, tokenLimit, warn: assert.fail });
};

for (const [name, field, want] of [
  ['nothing to do', 'To:  a@x ,b@y', 'To:  a@x ,b@y'],
  ['one of two', 'To: a, b@y', 'To: a@here.test, b@y'],
  ['the name as it was written', 'tO: a', 'tO: a@here.test'],
  ['names and comments stay', 'From: "A, B" <a> (really)', 'From: "A, B" <a@here.test>(really)'],
  ['groups', 'To: friends: a, b;', 'To: friends: a@here.test, b@here.test;'],
  ['forgotten commas', 'To: a b', 'To: a@here.test, b@here.test'],
  ['words in brackets become one', 'To: <a b>', 'To: <ab@here.test>'],
  ['quotes that are not needed go', 'To: "a", "b c"', 'To: a@here.test, "b c"@here.test'],
  ['long lists are folded', `To: ${'user, '.repeat(6)}user`, 'To: user@here.test, user@here.test, user@here.test, user@here.test,\nuser@here.test, user@here.test, user@here.test'],
] as const) test(name, () => assert.equal(rewritten(field), want));

test('steps follow each other, each on what the one before left', () => {
  const seen: string[] = [];
  const second: AddressStep = (address) => (seen.push(address), address === 'a@here.test' ? '"b c"@x' : undefined);
  const third: AddressStep = (address) => (seen.push(address), undefined);
  assert.equal(rewritten('To: a, z@y', [complete, second, third]), 'To: "b c"@x, z@y');
  assert.deepEqual(seen, ['a@here.test', '"b c"@x', 'z@y', 'z@y']);
});

test('what some step touched is laid out anew, even when it ends as it was', () => {
  const back: AddressStep = (address) => (address === 'a@here.test' ? 'a' : undefined);
  assert.equal(rewritten('To:   a  (x)', [complete, back]), 'To: a (x)');
});

test('late answers keep their order', async () => {
  const late: AddressStep = (address) => new Promise((resolve) => { setImmediate(() => resolve(complete(address))); });
  const field = rewritten('Cc: a, b@y, c', [late, (address) => (address === 'c@here.test' ? 'd@z' : undefined)]);
  assert.ok(field instanceof Promise);
  assert.equal(await field, 'Cc: a@here.test, b@y, d@z');
});

test('a step that fails fails the field', async () => {
  await assert.rejects(async () => rewritten('To: a, b', [async () => { throw new Error('down'); }]), /down/);
});

test('tokens beyond the limit are gone from a field that is laid out anew', () => {
  assert.equal(rewritten('To: a, b, c, d', [complete], 3), 'To: a@here.test, b@here.test');
  assert.equal(rewritten('To: a@x, b@x', [complete], 3), 'To: a@x, b@x');
});

test('many addresses, some late, need no deep stack', async () => {
  const count = 20_000;
  const step: AddressStep = (address) => (address === 'u7' ? Promise.resolve('x@y') : complete(address));
  const field = await rewritten(`To: ${Array.from({ length: count }, (_, at) => `u${at}`).join(', ')}`, [step]);
  assert.equal(field.split('@').length - 1, count);
});
