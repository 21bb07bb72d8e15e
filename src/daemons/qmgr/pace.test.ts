import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDsn } from '../../ipc/deliver.ts';
import { Mail, type Crowd, type Entry, type Scheduler, type TransportRules } from './scheduler.ts';
import { drain, entryOf, fill, listMail, scheduler, simulate, usual, type Delivery } from './simulation.ts';

const down = { ...noDsn, status: '4.4.1', reason: 'connection refused' };

/** When deliveries of 100 ms each began. */
function begins(rules: Partial<TransportRules>, load: (machine: Scheduler<number>) => void): number[] {
  const machine = scheduler(rules);
  const times: number[] = [];
  load(machine);
  simulate(machine, { takes: () => 100, ended: ({ began }) => { times.push(began); } });
  return times;
}

// postconf(5) default_destination_rate_delay: the pause is counted from the end of a delivery, and there is one at a time.
test('a destination with a rate delay rests after each delivery; others do not', () => {
  const times = begins({ destinationDelay: 5000 }, (machine) => {
    fill(machine, 'a', 3);
    fill(machine, 'b', 2);
  });
  assert.deepEqual(times.sort((a, b) => a - b), [0, 0, 5100, 5100, 10_200]);
});

test('it rests also when nothing waits for it any more', () => {
  const machine = scheduler({ destinationDelay: 5000 });
  fill(machine, 'a', 1);
  machine.finished(machine.next()!);
  machine.expire(3000);
  fill(machine, 'a', 1);
  assert.equal(machine.next(), undefined);
  machine.expire(5000);
  assert.equal(machine.next()?.queue, 'a');
});

test('and it is never dead for longer than its pause', () => {
  const machine = scheduler({ destinationDelay: 5000 });
  fill(machine, 'a', 3);
  assert.equal(machine.finished(machine.next()!, down).length, 2);
  assert.equal(machine.suspended('smtp', 'a'), undefined);
  fill(machine, 'a', 1);
  assert.equal(machine.next(), undefined);
  machine.expire(5000);
  assert.equal(machine.next()?.queue, 'a');
});

// postconf(5) default_transport_rate_delay
test('a transport with a rate delay pauses before each delivery, whatever the destination', () => {
  const times = begins({ transportDelay: 1000 }, (machine) => {
    fill(machine, 'a', 2);
    fill(machine, 'b', 1);
  });
  assert.deepEqual(times, [1000, 2100, 3200]);
});

test('other transports go on meanwhile', () => {
  const machine = scheduler();
  const slow = scheduler({ transportDelay: 1000 });
  for (const each of [machine, slow]) fill(each, 'a', 1);
  assert.equal(drain(machine).length, 1);
  assert.equal(drain(slow).length, 0);
  assert.equal(slow.deadline(), 1000);
});

test('a transport with a rate delay whose agent was not there goes on when it is tried again', () => {
  const machine = scheduler({ transportDelay: 1000 });
  fill(machine, 'a', 2);
  assert.equal(machine.next(), undefined);
  machine.expire(1000);
  const entry = machine.next()!;
  assert.equal(machine.transportFailed('smtp', down).length, 1);
  machine.finished(entry);
  machine.expire(61_000);
  fill(machine, 'a', 1);
  assert.equal(machine.next(), undefined);
  machine.expire(62_000);
  assert.equal(machine.next()?.queue, 'a');
});

test('a destination with 10,000 messages that is slow does not hold up one for another', () => {
  const machine = scheduler({}, { room: () => ({ all: 100, again: 90 }) });
  fill(machine, 'slow.test', 10_000);
  let single: Delivery<number> | undefined;
  const event = { at: 5000, run: () => machine.add(entryOf(new Mail(-1, false), 'quick.test', -1)) };
  simulate(machine, {
    takes: ({ queue }) => (queue === 'slow.test' ? 30_000 : 100), events: [event], until: 100_000,
    ended: (delivery) => { if (delivery.entry.load === -1) single = delivery; },
  });
  assert.deepEqual([single?.began, single?.ended], [5000, 5100]);
});

test('a dead destination with 10,000 messages gives them back at once, and its next mail without a try', () => {
  const machine = scheduler();
  fill(machine, 'dead.test', 10_000);
  let given = 0;
  let tries = 0;
  simulate(machine, { takes: () => 30_000, fails: () => down, ended: () => { tries++; }, given: (entries) => { given += entries.length; }, until: 200_000 });
  assert.deepEqual([tries, given], [5, 9995]);
  assert.deepEqual(machine.suspended('smtp', 'dead.test'), down);
});

test('100,000 messages for 2,000 destinations of all kinds: each once, all places for recipients free in the end', () => {
  const machine = scheduler({}, { room: () => ({ all: 200, again: 180 }) });
  const kind = (queue: string): number => Number(queue.slice(1)) % 10;
  const open = new Set<number>();
  const back: Entry<number>[] = [];
  const arrive = (first: number): void => {
    for (let load = first; load < first + 10_000; load++) {
      const entry = entryOf<number>(new Mail(load, load % 3 === 0), `d${(load * 7) % 2000}`, load);
      if (machine.suspended('smtp', entry.queue) !== undefined) {
        back.push(entry);
        continue;
      }
      open.add(load);
      machine.add(entry);
    }
  };
  const end = simulate(machine, {
    takes: ({ queue }) => (kind(queue) === 0 ? 2000 : 20), fails: ({ queue }) => (kind(queue) === 1 ? down : undefined),
    events: Array.from({ length: 10 }, (_, part) => ({ at: part * 1000, run: () => arrive(part * 10_000) })),
    ended: ({ entry }) => assert.ok(open.delete(entry.load), `${entry.load} twice`),
    given: (entries) => { for (const entry of entries) { assert.ok(open.delete(entry.load)); back.push(entry); } },
  });
  assert.equal(open.size, 0);
  assert.ok(back.every(({ queue }) => kind(queue) === 1));
  assert.ok(end < 200_000, `${end} ms`);
  assert.equal(machine.recipients, 0);
  assert.equal(machine.spare('smtp'), usual.recipientLimit);
});

// ---- messages with more recipients than may be in hand

/** What a message holds that is read piece by piece: a part of its recipients at a time. */
function refill(machine: Scheduler<number>, left: Map<Mail<number>, number>, queue: (number: number) => string): (mail: Mail<number>) => void {
  return (mail) => {
    const rest = left.get(mail)!;
    const count = Math.min(Math.max(mail.limit - mail.count, 1), 5000, rest);
    for (let number = rest - count; number < rest; number++) machine.add(entryOf(mail, queue(number), mail.message as number));
    left.set(mail, rest - count);
    machine.refilled(mail, rest > count, rest - count);
  };
}

function large(machine: Scheduler<number>, left: Map<Mail<number>, number>, load: number, size: number, first: number, queue: (number: number) => string): Mail<number> {
  const mail = new Mail<number>(load, false);
  mail.more = size > first;
  mail.unread = size - first;
  left.set(mail, size - first);
  for (let number = size - first; number < size; number++) machine.add(entryOf(mail, queue(number), load));
  return mail;
}

test('of a message with 100,000 recipients no more than the limit are in hand, and all get it', () => {
  const machine = scheduler({ recipientLimit: 2000 }, { room: () => ({ all: 100, again: 90 }) });
  const left = new Map<Mail<number>, number>();
  const queue = (number: number): string => `d${number % 997}`;
  const seen = new Set<string>();
  let most = 0;
  let ends = 0;
  const mail = large(machine, left, 0, 100_000, 2000, queue);
  const more = refill(machine, left, queue);
  simulate(machine, {
    takes: () => 50, wanting: more,
    ended: ({ entry }) => {
      most = Math.max(most, machine.recipients);
      ends++;
      seen.add(entry.queue);
    },
  });
  assert.deepEqual([ends, seen.size, left.get(mail), mail.more], [100_000, 997, 0, false]);
  assert.ok(most <= 2010, `${most} in hand`);
  assert.equal(machine.spare('smtp'), 2000);
});

test('while one is being read, others get in with their few recipients', () => {
  const machine = scheduler({ recipientLimit: 2000 }, { room: () => ({ all: 100, again: 90 }) });
  const left = new Map<Mail<number>, number>();
  const queue = (number: number): string => `d${number % 100}`;
  const waits: number[] = [];
  large(machine, left, 0, 20_000, 2000, queue);
  const events = Array.from({ length: 100 }, (_, number) => ({ at: number * 50, run: () => machine.add(entryOf(new Mail(number + 1, false), `x${number}`, number + 1)) }));
  simulate(machine, { takes: () => 100, wanting: refill(machine, left, queue), events, ended: ({ entry, ended }) => { if (entry.load > 0) waits.push(ended - (entry.load - 1) * 50); } });
  assert.equal(waits.length, 100);
  assert.ok(Math.max(...waits) <= 300, `${Math.max(...waits)} ms`);
});

test('two that are too large: the first is read before the second, and both end', () => {
  const machine = scheduler({ recipientLimit: 1000 }, { room: () => ({ all: 50, again: 45 }) });
  const left = new Map<Mail<number>, number>();
  const queue = (number: number): string => `d${number % 50}`;
  const ends = [0, 0];
  const counts = [0, 0];
  large(machine, left, 0, 5000, 1000, queue);
  large(machine, left, 1, 5000, 10, queue);
  simulate(machine, {
    takes: () => 100, wanting: refill(machine, left, queue),
    ended: ({ entry, ended }) => {
      counts[entry.load]!++;
      ends[entry.load] = ended;
    },
  });
  assert.deepEqual(counts, [5000, 5000]);
  assert.ok(ends[0]! < ends[1]!);
  assert.equal(machine.spare('smtp'), 1000);
});

test('recipients of one large message that wait for a slow destination do not keep those for quick ones in their file', () => {
  const machine = scheduler({ recipientLimit: 1000, refillDelay: 5000 }, { room: () => ({ all: 50, again: 45 }) });
  const left = new Map<Mail<number>, number>();
  // The first 900 that are read are for one slow destination.
  const queue = (number: number): string => (number >= 4100 ? 'slow' : `d${number % 50}`);
  let quick = 0;
  large(machine, left, 0, 5000, 1000, queue);
  simulate(machine, { takes: (entry) => (entry.queue === 'slow' ? 10_000 : 100), wanting: refill(machine, left, queue), ended: ({ entry, ended }) => { if (entry.queue !== 'slow') quick = ended; } });
  assert.ok(quick <= 60_000, `${quick} ms`);
});

test('entries that wait take in further recipients', () => {
  const machine = scheduler({ initialConcurrency: 1 });
  const mail = listMail(machine, 0, 2, () => 'a');
  const taken = machine.next()!;
  const waiting = machine.waiting(mail, 'smtp', 'a')!;
  assert.notEqual(waiting, taken);
  machine.grow(waiting, 3);
  assert.equal(waiting.size, 4);
  assert.equal(machine.recipients, 5);
  machine.finished(taken);
  machine.finished(machine.next()!);
  assert.equal(machine.waiting(mail, 'smtp', 'a'), undefined);
  assert.equal(machine.recipients, 0);
});

// ---- what is said

test('a destination at which much of the active queue waits is worth a word, now and then', () => {
  const heard: Crowd[] = [];
  const machine = scheduler({}, { crowd: { limit: 10, pause: 300_000, tell: (crowd) => { heard.push(crowd); } } });
  fill(machine, 'a', 30);
  fill(machine, 'b', 10);
  assert.deepEqual(heard, [{ transport: 'smtp', queue: 'a', length: 11, busy: 0, window: 5, alone: true }]);
  machine.expire(300_000);
  fill(machine, 'a', 1);
  assert.deepEqual(heard.map(({ length, alone }) => [length, alone]), [[11, true], [31, false]]);
});

test('the window and why it changes, for those who want to see it', () => {
  const lines: string[] = [];
  const machine = scheduler({ initialConcurrency: 2, positiveFeedback: (window) => 1 / window }, { debug: (text) => { lines.push(text); } });
  fill(machine, 'a', 2);
  const [one, two] = drain(machine);
  machine.finished(one!);
  machine.finished(two!, down);
  assert.deepEqual(lines, [
    'qmgr_queue_unthrottle: feedback 0.5',
    'qmgr_queue_unthrottle: queue a: limit 20 window 2 success 0.5 failure 0 fail_cohorts 0',
    'qmgr_queue_throttle: feedback 1',
    'qmgr_queue_throttle: queue a: limit 20 window 1 success 0 failure 1 fail_cohorts 0.5',
  ]);
});
