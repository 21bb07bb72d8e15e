import assert from 'node:assert/strict';
import test from 'node:test';
import { Counters } from './counters.ts';

const who = 'smtp:192.0.2.1';

test('connections count until they end, and again in each time unit', () => {
  const counters = new Counters(60);
  assert.deepEqual(counters.connect(who, 100), { count: 1, rate: 1 });
  assert.deepEqual(counters.connect(who, 110), { count: 2, rate: 2 });
  assert.equal(counters.disconnect(who, 120), true);
  assert.deepEqual(counters.connect(who, 160), { count: 2, rate: 3 });
  assert.deepEqual(counters.connect(who, 161), { count: 3, rate: 1 }, 'a new unit has begun');
  assert.equal(counters.disconnect('smtp:192.0.2.2', 161), false);
});

test('events have rates of their own', () => {
  const counters = new Counters(60);
  counters.connect(who, 0);
  assert.deepEqual([counters.event(who, 'message', 1), counters.event(who, 'message', 2), counters.event(who, 'recipient', 3), counters.event(who, 'auth', 3)], [1, 2, 1, 1]);
  assert.deepEqual(counters.lookup(who, 60), { count: 1, rates: { connection: 1, message: 2, recipient: 1, newtls: 0, auth: 1, tlstrace: 0 } });
  assert.equal(counters.lookup(who, 61).rates.message, 0, 'what is stale is not told');
});

test('a client without connections is forgotten after one time unit', () => {
  const counters = new Counters(60);
  counters.connect(who, 0);
  counters.connect('smtp:192.0.2.2', 0);
  assert.equal(counters.nextExpiry, undefined);
  counters.disconnect(who, 5);
  assert.equal(counters.nextExpiry, 65);
  counters.expire(64);
  assert.equal(counters.size, 2);
  counters.expire(65);
  assert.equal(counters.size, 1);
  assert.deepEqual(counters.connect(who, 66), { count: 1, rate: 1 });
});

test('a client that comes back stays', () => {
  const counters = new Counters(60);
  counters.connect(who, 0);
  counters.disconnect(who, 1);
  counters.connect(who, 30);
  counters.expire(1000);
  assert.equal(counters.size, 1);
});

test('memory is flat once strangers have been gone for a time unit', () => {
  const counters = new Counters(60);
  for (let number = 0; number < 100_000; number++) {
    const name = `smtp:127.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
    counters.connect(name, number / 1000);
    counters.disconnect(name, number / 1000);
  }
  assert.equal(counters.size, 100_000);
  counters.expire(160);
  assert.deepEqual([counters.size, counters.nextExpiry], [0, undefined]);
});

test('an event of a client that nobody knows is forgotten as well', () => {
  const counters = new Counters(60);
  assert.equal(counters.event(who, 'message', 0), 1);
  counters.expire(60);
  assert.equal(counters.size, 0);
});

test('the report tells the most of each kind, then begins anew', () => {
  const counters = new Counters(60);
  counters.connect(who, 1);
  counters.connect(who, 2);
  counters.event(who, 'message', 3);
  counters.connect('smtp:192.0.2.2', 4);
  const lines = [
    `statistics: max connection rate 2/60s for (${who}) at <2>`,
    `statistics: max connection count 2 for (${who}) at <2>`,
    `statistics: max message rate 1/60s for (${who}) at <3>`,
    'statistics: max cache size 2 at <4>',
  ];
  assert.deepEqual(counters.report((seconds) => `<${seconds}>`), lines);
  assert.deepEqual(counters.report(String), []);
});
