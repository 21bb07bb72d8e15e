import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionCache } from './tls-session-cache.ts';
import { HandTicker } from './testing.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

test('a session is there for its time', () => {
  const clock = new HandTicker();
  const cache = new SessionCache(clock, 10);
  cache.save(bytes('a'), bytes('one'));
  clock.pass(9999);
  assert.deepEqual([cache.recall(bytes('a')), cache.recall(bytes('b'))], [bytes('one'), undefined]);
  cache.save(bytes('b'), bytes('two'));
  clock.pass(1);
  assert.deepEqual([cache.recall(bytes('a')), cache.recall(bytes('b'))], [undefined, bytes('two')]);
});

test('what is too long is not kept', () => {
  const cache = new SessionCache(new HandTicker(), 10);
  cache.save(bytes('a'), Buffer.alloc(16_384));
  cache.save(bytes('b'), Buffer.alloc(16_385));
  assert.deepEqual(['a', 'b'].map((id) => cache.recall(bytes(id)) !== undefined), [true, false]);
});

test('the oldest of too many goes', () => {
  const cache = new SessionCache(new HandTicker(), 10);
  for (let at = 0; at < 1001; at++) cache.save(bytes(`s${at}`), bytes('x'));
  assert.deepEqual(['s0', 's1', 's1000'].map((id) => cache.recall(bytes(id)) !== undefined), [false, true, true]);
  cache.save(bytes('s1'), bytes('y'));
  cache.save(bytes('new'), bytes('z'));
  assert.deepEqual(['s1', 's2', 'new'].map((id) => cache.recall(bytes(id)) !== undefined), [true, false, true]);
});
