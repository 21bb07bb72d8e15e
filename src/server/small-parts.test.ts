import assert from 'node:assert/strict';
import test from 'node:test';
import { Lifetime, totalUses } from './lifetime.ts';
import { LineReader, encodeLine } from './order.ts';
import { sessionNumber, Slots } from './slots.ts';

test('slots: the lowest free number, one session at a time', () => {
  const slots = new Slots();
  assert.deepEqual([slots.take(), slots.take(), slots.take()], [1, 2, 3]);
  slots.give(2);
  slots.give(2);
  assert.equal(slots.count, 2);
  assert.deepEqual([slots.take(), slots.take()], [2, 4]);
});

for (const [pid, slot, want] of [
  [123, 1, 1_230_001],
  [123, 9999, 1_239_999],
  [123, 10_000, 1_230_001],
  [4_194_304, 42, 41_943_040_042],
] as const) {
  test(`the log number of slot ${slot} in process ${pid}`, () => assert.equal(sessionNumber(pid, slot), want));
}

test('a process lives while it is used, and max_idle longer', () => {
  const life = new Lifetime({ idle: 100, uses: 0 }, 1000);
  assert.equal(life.idleLeft(1040), 60);
  life.used(1050);
  assert.equal(life.idleLeft(1140), 10);
  life.active(1200);
  assert.equal(life.idleLeft(1400), 0);
  assert.equal(life.wornOut, false);
});

test('a process wears out after its uses, and a resident one never idles out', () => {
  const life = new Lifetime({ idle: 0, uses: 2 }, 0);
  life.used(1);
  assert.equal(life.wornOut, false);
  life.used(2);
  assert.equal(life.wornOut, true);
  assert.equal(life.idleLeft(1_000_000), undefined);
});

test('max_use counts per slot of each service', () => assert.equal(totalUses(100, [1, 5, 0], 100), 100 + 500 + 10_000));

test('lines of the master protocol survive any cut, and byte strings', () => {
  const values = [{ kind: 'ready' }, { text: 'a\u00ff\n"\u0000' }, { kind: 'served', service: 3 }];
  const bytes = Buffer.from(values.map(encodeLine).join(''), 'latin1');
  for (const size of [1, 2, 7, bytes.length]) {
    const lines = new LineReader();
    const got = [];
    for (let at = 0; at < bytes.length; at += size) got.push(...lines.read(bytes.subarray(at, at + size)));
    assert.deepEqual(got, values);
  }
});
