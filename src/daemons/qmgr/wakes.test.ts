import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line } from './line.ts';
import { Wakes } from './wakes.ts';

test('who waits is woken when it is time, each wait by itself', () => {
  const wakes = new Wakes({ long: 100, short: 10 });
  const heard: string[] = [];
  wakes.after('long', () => heard.push('first long'));
  wakes.after('short', () => heard.push('short'));
  assert.equal(wakes.deadline(), 10);
  wakes.expire(10);
  wakes.after('long', () => heard.push('second long'));
  assert.deepEqual([heard.splice(0), wakes.deadline()], [['short'], 100]);
  wakes.expire(109);
  assert.deepEqual(heard.splice(0), ['first long']);
  wakes.expire(110);
  assert.deepEqual([heard, wakes.deadline()], [['second long'], undefined]);
});

test('beyond the limit the oldest is woken now', () => {
  const wakes = new Wakes({ wait: 100 });
  const heard: number[] = [];
  for (let i = 0; i < 5; i++) {
    wakes.after('wait', () => heard.push(i));
    wakes.limit('wait', 3);
  }
  assert.deepEqual(heard, [0, 1]);
});

test('a line gives what it was given, in order', () => {
  const line = new Line<number>();
  for (let i = 0; i < 3; i++) line.push(i);
  assert.deepEqual([line.first, line.shift(), line.length], [0, 0, 2]);
  line.push(3);
  assert.deepEqual([line.empty(), line.length, line.shift(), line.first], [[1, 2, 3], 0, undefined, undefined]);
  line.push(4);
  assert.equal(line.shift(), 4);
});
