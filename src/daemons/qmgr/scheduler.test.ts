import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDsn } from '../../ipc/deliver.ts';
import { parseFeedback } from './feedback.ts';
import { drain, entryOf, fill, scheduler } from './simulation.ts';
import { Mail, type Entry, type Scheduler } from './scheduler.ts';

const down = { ...noDsn, status: '4.4.1', reason: 'connection refused' };

test('a destination gets no more deliveries at once than its window', () => {
  const machine = scheduler();
  fill(machine, 'a', 50);
  assert.equal(drain(machine).length, 5);
});

test('mail of one destination goes out in the order it came', () => {
  const machine = scheduler({ initialConcurrency: 1, concurrencyLimit: 1 });
  fill(machine, 'a', 4);
  const order: number[] = [];
  for (let entry = machine.next(); entry !== undefined; entry = machine.next()) {
    order.push(entry.load);
    machine.finished(entry);
  }
  assert.deepEqual(order, [0, 1, 2, 3]);
});

test('transports take turns; at each messages go in the order they came, past a destination that takes no more', () => {
  const machine = scheduler({ initialConcurrency: 2 });
  fill(machine, 'a', 3);
  fill(machine, 'b', 3);
  fill(machine, 'x', 3, 'local');
  assert.deepEqual(drain(machine).map(({ queue }) => queue), ['a', 'x', 'a', 'x', 'b', 'b']);
});

test('the window grows with success up to the limit, and only while it is used', () => {
  const machine = scheduler({ concurrencyLimit: 8 });
  fill(machine, 'a', 100);
  let open = drain(machine);
  for (let round = 0; round < 20; round++) {
    for (const entry of open) machine.finished(entry);
    open = drain(machine);
    if (open.length === 0) break;
    assert.ok(open.length <= 8);
  }
  const idle = scheduler();
  for (let message = 0; message < 100; message++) {
    fill(idle, 'a', 1);
    idle.finished(idle.next()!);
  }
  fill(idle, 'a', 50);
  assert.equal(drain(idle).length, 6);
});

test('after a failed cohort the destination is dead: what waits comes back, others go on', () => {
  const machine = scheduler();
  fill(machine, 'a', 20);
  fill(machine, 'b', 1, 'smtp');
  const open = drain(machine).filter(({ queue }) => queue === 'a');
  const given = open.flatMap((entry) => machine.finished(entry, down));
  assert.equal(given.length, 15);
  assert.deepEqual(machine.suspended('smtp', 'a'), down);
  assert.equal(machine.suspended('smtp', 'b'), undefined);
  machine.expire(299_999);
  assert.deepEqual(machine.suspended('smtp', 'a'), down);
  machine.expire(300_000);
  assert.equal(machine.suspended('smtp', 'a'), undefined);
});

test('one failure among many makes the window smaller, not the destination dead', () => {
  const machine = scheduler({ concurrencyLimit: 10 });
  fill(machine, 'a', 30);
  const [first, ...rest] = drain(machine);
  assert.deepEqual(machine.finished(first!, down), []);
  assert.equal(machine.suspended('smtp', 'a'), undefined);
  for (const entry of rest) machine.finished(entry);
  assert.ok(drain(machine).length > 0);
});

test('a transport without agent gives all its mail back and is tried again after transport_retry_time', () => {
  const machine = scheduler();
  fill(machine, 'a', 2, 'pipe');
  fill(machine, 'b', 2);
  const given = machine.transportFailed('pipe', down);
  assert.equal(given.length, 2);
  assert.deepEqual(drain(machine).map(({ transport }) => transport), ['smtp', 'smtp']);
  machine.expire(2000); // until then the destinations are remembered
  assert.equal(machine.deadline(), 60_000);
  machine.expire(60_000);
  fill(machine, 'a', 1, 'pipe');
  assert.equal(machine.next()?.transport, 'pipe');
});

test('flush: the dead are tried at once', () => {
  const machine = scheduler({ initialConcurrency: 1 });
  fill(machine, 'a', 2);
  machine.finished(machine.next()!, down);
  machine.revive();
  fill(machine, 'a', 1);
  assert.equal(machine.next()?.queue, 'a');
});

test('destinations without mail are forgotten, after a moment', () => {
  const machine = scheduler();
  for (let i = 0; i < 1000; i++) fill(machine, `d${i}`, 1);
  for (const entry of drain(machine)) machine.finished(entry);
  assert.equal(machine.size, 1000);
  machine.expire(2000);
  assert.equal(machine.size, 0);
});

test('connections are kept when deliveries come back to back, not for a first burst, and not when they come slowly', () => {
  const machine = scheduler();
  machine.expire(10_000);
  fill(machine, 'a', 5);
  const burst = drain(machine);
  assert.deepEqual(burst.map(({ reuse }) => reuse?.store), [false, false, false, false, false]);
  for (const entry of burst) machine.finished(entry);
  fill(machine, 'a', 1);
  const next = machine.next()!;
  assert.deepEqual(next.reuse, { load: true, store: true });
  machine.finished(next);
  machine.expire(11_900);
  fill(machine, 'a', 1);
  assert.deepEqual(machine.next()!.reuse, { load: true, store: false });
});

test('100,000 messages to 1,000 destinations, each delivered once', () => {
  const machine = scheduler();
  for (let i = 0; i < 100_000; i++) machine.add(entryOf(new Mail(i, false), `d${i % 1000}`, i));
  const seen = new Set<number>();
  const open: Entry<number>[] = drain(machine);
  for (const entry of open) {
    assert.ok(!seen.has(entry.load));
    seen.add(entry.load);
    machine.finished(entry);
    open.push(...drain(machine));
  }
  assert.equal(seen.size, 100_000);
});

/** Old mail, each message for a destination of its own. */
function fillOld(machine: Scheduler<number>, count: number): void {
  for (let i = 0; i < count; i++) machine.add(entryOf(new Mail(i, true), `old${i}`, i));
}

const ages = (entries: readonly Entry<number>[]): string => entries.map(({ mail: { again } }) => (again ? 'o' : 'n')).join('');

test('new mail takes turns with old mail, however many destinations that is for', () => {
  const machine = scheduler();
  fillOld(machine, 1000);
  fill(machine, 'a', 3);
  assert.match(ages(drain(machine)), /^nononoo*$/);
});

test('and so at one destination, where new and old mail wait', () => {
  const machine = scheduler({ initialConcurrency: 6 });
  for (let load = 0; load < 10; load++) machine.add(entryOf(new Mail(load, true), 'a', load));
  fill(machine, 'a', 2);
  assert.equal(ages(drain(machine)), 'nonooo');
});

test('no more is taken than there is room for, and old mail leaves a part of it to new mail', () => {
  const machine = scheduler({}, { room: () => ({ all: 10, again: 9 }) });
  fillOld(machine, 100);
  const old = drain(machine);
  assert.equal(ages(old), 'ooooooooo');
  fill(machine, 'a', 2);
  const [fresh, ...more] = drain(machine);
  assert.deepEqual([ages([fresh!]), more], ['n', []]);
  machine.finished(old[0]!);
  assert.equal(ages(drain(machine)), 'o');
  machine.finished(fresh!);
  assert.equal(ages(drain(machine)), 'n');
});

test('more room is used when it is said', () => {
  const room = { all: 1, again: 1 };
  const machine = scheduler({}, { room: () => room });
  fillOld(machine, 10);
  assert.equal(drain(machine).length, 1);
  Object.assign(room, { all: 4, again: 3 });
  machine.roomier('smtp');
  assert.equal(drain(machine).length, 2);
});

test('no more dead destinations are remembered than the limit: the first to die is tried first', () => {
  const machine = scheduler({ initialConcurrency: 1 }, { deadLimit: 2 });
  for (const queue of ['a', 'b', 'c']) {
    fill(machine, queue, 1);
    machine.finished(machine.next()!, down);
  }
  assert.deepEqual(['a', 'b', 'c'].map((queue) => machine.suspended('smtp', queue) !== undefined), [false, true, true]);
});

test('a destination that was revived and died again is dead for the whole time', () => {
  const machine = scheduler({ initialConcurrency: 1 });
  const die = (): void => {
    fill(machine, 'a', 1);
    machine.finished(machine.next()!, { ...down });
  };
  die();
  machine.expire(200_000);
  machine.revive('smtp', 'a');
  die();
  machine.expire(300_000);
  assert.deepEqual(machine.suspended('smtp', 'a'), down);
  machine.expire(500_000);
  assert.equal(machine.suspended('smtp', 'a'), undefined);
});

for (const [text, window, want] of [
  ['1', 4, 1], ['0.5', 4, 0.5], ['1/8', 4, 0.125], ['1/concurrency', 4, 0.25], ['1 / sqrt_concurrency', 4, 0.5], ['0', 4, 0],
  ['2', 4, undefined], ['x', 4, undefined], ['1/0', 4, undefined], ['1/x', 4, undefined], ['-1', 4, undefined], ['1/2/3', 4, undefined], ['', 4, undefined],
] as const) test(`feedback ${text}`, () => assert.equal(parseFeedback(text)?.(window), want));
