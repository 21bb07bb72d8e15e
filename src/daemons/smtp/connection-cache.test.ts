import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandTicker } from '../../network/testing.ts';
import type { Connection } from './connection.ts';
import { ConnectionCache } from './connection-cache.ts';

function connection(): Connection & { left: number; usable: boolean } {
  return { usable: true, left: 0, quit(this: { left: number }) { this.left++; }, onGone: () => {} } as unknown as Connection & { left: number; usable: boolean };
}

const kept = (one: Connection, destination: string, endpoint = 'e') => ({ connection: one, keys: { destination, endpoint }, address: '192.0.2.1', bestMx: true });

test('found by either key, once', () => {
  const cache = new ConnectionCache(new HandTicker(), 2);
  const one = connection();
  cache.keep(kept(one, 'd'));
  assert.equal(cache.take('d')?.connection, one);
  assert.equal(cache.take('e'), undefined);
  cache.keep(kept(one, ''));
  assert.equal(cache.take('d'), undefined);
  assert.equal(cache.take('e')?.connection, one);
  assert.equal(cache.size, 0);
});

test('left politely when the time is over, and at the end', () => {
  const ticker = new HandTicker();
  const cache = new ConnectionCache(ticker, 2);
  const [early, late] = [connection(), connection()];
  cache.keep(kept(early, 'd'));
  ticker.pass(1500);
  cache.keep(kept(late, 'd'));
  ticker.pass(500);
  assert.deepEqual([early.left, late.left, cache.size], [1, 0, 1]);
  cache.close();
  assert.deepEqual([late.left, cache.size, ticker.waiting], [1, 0, 0]);
});

test('what the server has closed, or cannot be used, is not given out', () => {
  const cache = new ConnectionCache(new HandTicker(), 2);
  const [gone, dull, good] = [connection(), connection(), connection()];
  for (const one of [gone, dull, good]) cache.keep(kept(one, 'd'));
  gone.onGone();
  dull.usable = false;
  assert.equal(cache.take('d')?.connection, good);
  assert.equal(cache.take('d'), undefined);
});

test('a busy connection with room is better than an idle one, and can be had more than once', () => {
  const cache = new ConnectionCache(new HandTicker(), 2);
  const [busy, idle] = [connection(), connection()];
  for (const one of [busy, idle]) cache.keep(kept(one, 'd'));
  assert.equal(cache.take('d')?.connection, idle);
  assert.equal(cache.take('d')?.connection, busy);
  assert.equal(cache.take('d'), undefined);
  cache.keep(kept(idle, 'd'));
  Object.assign(busy, { room: 2, usable: false });
  assert.deepEqual([cache.take('d')?.connection, cache.take('e')?.connection, cache.size], [busy, busy, 1]);
  Object.assign(busy, { room: 0 });
  assert.equal(cache.take('e')?.connection, idle);
});

test('each connection is left when its own time is over', () => {
  const ticker = new HandTicker();
  const cache = new ConnectionCache(ticker, 2);
  const all = [0, 1, 2].map(() => connection());
  for (const one of all) {
    cache.keep(kept(one, 'd'));
    ticker.pass(500);
  }
  assert.equal(cache.take('d')?.connection, all[2]);
  cache.keep(kept(all[2]!, 'd'));
  for (const left of [[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]]) {
    ticker.pass(500);
    assert.deepEqual(all.map((one) => one.left), left);
  }
});
