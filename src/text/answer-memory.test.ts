import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerMemory, longest } from './answer-memory.ts';

test('an answer is remembered for its lifetime, and the oldest goes when there are too many', () => {
  let now = 0;
  const memory = new AnswerMemory<number>(2, 1000, () => now);
  memory.keep('a', 1);
  now = 500;
  memory.keep('b', 2);
  assert.deepEqual([memory.get('a'), memory.get('b'), memory.get('c')], [1, 2, undefined]);
  now = 1000;
  assert.deepEqual([memory.get('a'), memory.get('b')], [undefined, 2]);
  memory.keep('c', 3);
  memory.keep('d', 4);
  assert.deepEqual([memory.get('b'), memory.get('c'), memory.get('d')], [undefined, 3, 4]);
});

test('a long question is answered and not remembered', () => {
  const memory = new AnswerMemory<number>(2, 1000, () => 0);
  const question = 'x'.repeat(longest + 1);
  assert.equal(memory.keep(question, 1), 1);
  assert.equal(memory.get(question), undefined);
});

test('an answer can have a lifetime of its own', () => {
  let now = 0;
  const memory = new AnswerMemory<number>(2, 1000, () => now);
  memory.keep('a', 1, 10);
  now = 9;
  assert.equal(memory.get('a'), 1);
  now = 10;
  assert.equal(memory.get('a'), undefined);
});
