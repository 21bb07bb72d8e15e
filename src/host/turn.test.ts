import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterThisTurn, leavesThisTurn } from './turn.ts';

test('a turn: first what others wait for, then work, then what that says', async () => {
  const told: string[] = [];
  const says = (text: string): void => leavesThisTurn({ flush: () => told.push(text) });
  afterThisTurn(() => { told.push('work'); says('said by work'); afterThisTurn(() => told.push('later work')); });
  says('answer');
  setImmediate(() => told.push('next immediate'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(told, ['answer', 'work', 'said by work', 'next immediate', 'later work']);
});
