import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TransportRules } from './scheduler.ts';
import { fill, listMail, oneByOne, scheduler, simulate, usual, type Delivery } from './simulation.ts';
import { Mail } from './scheduler.ts';

const letters = (order: readonly number[]): string => order.map((load) => (load === 0 ? 'L' : 's')).join('');

/** A message with many recipients, then small ones that came behind it. */
function pattern(large: number, small: number, rules: Partial<TransportRules> = {}, size = 1): string {
  const machine = scheduler({ initialConcurrency: 1000, concurrencyLimit: 0, ...rules });
  listMail(machine, 0, large, (number) => `d${number}`);
  for (let load = 1; load <= small; load++) listMail(machine, load, size, (number) => `s${load}.${number}`);
  return letters(oneByOne(machine));
}

// What qmgr_job.c does with its default values: a slot costs five deliveries, and the first ones are lent.
for (const [name, got, want] of [
  ['small mail goes between the deliveries of large mail', pattern(30, 4), `Ls${'LLLLLs'.repeat(3)}${'L'.repeat(14)}`],
  ['what costs twice as much comes half as often', pattern(30, 2, { slotCost: 10, minimumSlots: 1 }), `Ls${'L'.repeat(10)}s${'L'.repeat(19)}`],
  ['a message that is not large is not held up', pattern(14, 3), `${'L'.repeat(14)}sss`],
  ['a cost below two means that there is none of this', pattern(30, 2, { slotCost: 1 }), `${'L'.repeat(30)}ss`],
  ['without a loan, and without a discount, slots are earned first', pattern(30, 2, { slotLoan: 0, slotDiscount: 0 }), `${'LLLLLs'.repeat(2)}${'L'.repeat(20)}`],
  ['a small one with more recipients waits until they are paid for', pattern(60, 1, { slotLoan: 0, slotDiscount: 0 }, 4), `${'L'.repeat(20)}ssss${'L'.repeat(40)}`],
  ['half of the price is enough, with a discount of one half', pattern(60, 1, { slotLoan: 0 }, 4), `${'L'.repeat(10)}ssss${'L'.repeat(50)}`],
] as const) test(name, () => assert.equal(got, want));

test('one that preempts can be preempted, and all ends in order', () => {
  const machine = scheduler({ concurrencyLimit: 0, slotLoan: 0, slotDiscount: 0, minimumSlots: 1 });
  listMail(machine, 0, 400, (number) => `a${number}`);
  listMail(machine, 1, 40, (number) => `b${number}`);
  fill(machine, 'c', 1);
  const order = oneByOne(machine);
  assert.equal(order.length, 441);
  assert.equal(machine.spare('smtp'), usual.recipientLimit);
});

/** Postfix's way, told as plainly as can be: a list of jobs, of which the first is looked at, and no destination that is ever full. */
interface PlainJob { readonly load: number; readonly came: number; readonly size: number; selected: number; slots: number; used: number; level: number; parent: PlainJob | undefined }

class PlainScheduler {
  readonly jobs: PlainJob[] = [];
  readonly rules: TransportRules;

  constructor(rules: TransportRules) {
    this.rules = rules;
  }

  add(load: number, size: number, came: number): void {
    this.jobs.push({ load, came, size, selected: 0, slots: 0, used: 0, level: 0, parent: undefined });
  }

  next(now: number): number | undefined {
    if (this.jobs.length === 0) return undefined;
    this.#preempt(this.jobs[0]!, now);
    const job = this.jobs[0]!;
    job.selected++;
    job.slots++;
    job.used++;
    if (job.selected === job.size) {
      this.#pop(job);
      for (const each of this.jobs) if (each.parent === job) each.parent = undefined;
      this.jobs.splice(0, 1);
    }
    return job.load;
  }

  #preempt(current: PlainJob, now: number): void {
    const { slotCost, slotLoan, slotDiscount, minimumSlots } = this.rules;
    if (current.slots <= 0 || current.size < minimumSlots * slotCost) return;
    const most = Math.trunc((current.size - current.selected + current.slots) / slotCost);
    let best: PlainJob | undefined;
    let bestScore = 0;
    for (const job of most > 0 ? this.jobs.slice(1) : []) {
      if (this.jobs.some(({ parent }) => parent === job)) continue;
      const waited = Math.floor(now) - Math.floor(job.came) + 1;
      const needs = job.size - job.selected;
      if (needs > 0 && needs <= most && waited / job.size > bestScore) [best, bestScore] = [job, waited / job.size];
      if (waited <= bestScore && job.level === 0) break;
    }
    if (best === undefined) return;
    const needs = best.size - best.selected;
    if (Math.trunc(current.slots / slotCost) + slotLoan < (needs * (100 - slotDiscount)) / 100) return;
    this.#pop(best);
    this.jobs.splice(this.jobs.indexOf(best), 1);
    this.jobs.unshift(best);
    best.parent = current;
    best.level = current.level + 1;
    current.slots -= needs * slotCost;
    best.used = -needs;
  }

  #pop(job: PlainJob): void {
    const { parent } = job;
    if (parent !== undefined && job.level === parent.level + 1) parent.slots -= job.used * this.rules.slotCost;
    for (const each of this.jobs) if (each.parent === job) each.parent = parent;
    job.parent = undefined;
    job.level = 0;
  }
}

/** The same numbers each time. */
function dice(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * most);
  };
}

for (let seed = 1; seed <= 40; seed++) {
  test(`the order is that of the plain way, mail of chance number ${seed}`, () => {
    const roll = dice(seed * 7919);
    const rules: TransportRules = { ...usual, concurrencyLimit: 0, initialConcurrency: 1_000_000, slotCost: 2 + roll(6), slotLoan: roll(5), slotDiscount: roll(101), minimumSlots: roll(5) };
    const machine = scheduler(rules);
    const plain = new PlainScheduler(rules);
    const [got, want]: [number[], number[]] = [[], []];
    for (let step = 0, load = 0; step < 800; step++) {
      const now = step * 0.15;
      machine.expire(now * 1000);
      for (let count = roll(12) === 0 ? 1 + roll(3) : 0; count > 0 && load < 120; count--, load++) {
        const size = roll(3) === 0 ? 1 + roll(60) : 1 + roll(4);
        listMail(machine, load, size, (number) => `d${load}.${number}`);
        plain.add(load, size, now);
      }
      const entry = machine.next();
      if (entry !== undefined) machine.finished(entry);
      const next = plain.next(now);
      if (entry !== undefined || next !== undefined) {
        got.push(entry?.load ?? -1);
        want.push(next ?? -1);
      }
    }
    assert.ok(want.length > 100);
    assert.deepEqual(got, want);
  });
}

test('a list of 50,000 does not hold up single mail, nor much longer than that takes', () => {
  const machine = scheduler({ initialConcurrency: 20 }, { room: () => ({ all: 100, again: 90 }) });
  const waits: number[] = [];
  const came = new Map<number, number>();
  let listed = 0;
  let listEnd = 0;
  const ended = ({ entry, ended: now }: Delivery<number>): void => {
    if (entry.load === 0) [listed, listEnd] = [listed + 1, now];
    else waits.push(now - came.get(entry.load)!);
  };
  listMail(machine, 0, 50_000, (number) => `d${number % 500}`);
  const single = Array.from({ length: 1000 }, (_, number) => ({
    at: 50 + number * 40,
    run: () => {
      came.set(number + 1, 50 + number * 40);
      listMail(machine, number + 1, 1, () => `x${number}`);
    },
  }));
  simulate(machine, { takes: () => 100, events: single, ended });
  assert.equal(listed, 50_000);
  assert.equal(waits.length, 1000);
  // Alone it would take 50 seconds, and the single ones another second of the hundred agents.
  assert.ok(listEnd <= 52_000, `list: ${listEnd} ms`);
  assert.ok(Math.max(...waits) <= 300, `single mail: up to ${Math.max(...waits)} ms`);
});

test('nor does it where its recipients are at one destination', () => {
  const machine = scheduler();
  let last = 0;
  let singleEnd = 0;
  listMail(machine, 0, 1000, () => 'big.test');
  listMail(machine, 1, 1, () => 'other.test');
  simulate(machine, { takes: () => 100, ended: ({ entry, ended: now }) => { if (entry.load === 1) singleEnd = now; else last = now; } });
  assert.equal(singleEnd, 100);
  assert.ok(last <= 6000, `${last} ms`);
});

test('what one that went first did not need after all is given back: the next can go at once', () => {
  const machine = scheduler({ concurrencyLimit: 0, initialConcurrency: 1000, slotLoan: 0, slotDiscount: 0 });
  listMail(machine, 0, 200, (number) => `d${number}`);
  // It seems to have ten recipients, and has one.
  const mail = new Mail<number>(1, false);
  [mail.more, mail.unread] = [true, 9];
  machine.add({ transport: 'smtp', queue: 'x', mail, size: 1, load: 1 });
  const order: number[] = [];
  for (let entry = machine.next(); entry !== undefined; entry = machine.next()) {
    order.push(entry.load);
    machine.finished(entry);
    for (const each of machine.wanting()) machine.refilled(each, false, 0);
    if (entry.load === 1) listMail(machine, 2, 1, () => 'y');
  }
  // Fifty deliveries were paid, and 45 of them are there again.
  assert.equal(order.map((load) => 'Lms'[load]).join('').slice(0, 54), `${'L'.repeat(50)}msLL`);
});

test('many preemptions in front of one job leave the order as it was', () => {
  // More than fit between two numbers by halving: all are numbered anew.
  const machine = scheduler({ concurrencyLimit: 0, initialConcurrency: 1_000_000 });
  listMail(machine, 0, 3000, (number) => `d${number}`);
  const later = new Mail<number>(-1, false);
  machine.add({ transport: 'smtp', queue: 'later', mail: later, size: 1, load: -1 });
  for (let load = 1; load <= 200; load++) listMail(machine, load, 1, () => `s${load}`);
  const order = oneByOne(machine).filter((load) => load !== 0);
  assert.deepEqual(order, [-1, ...Array.from({ length: 200 }, (_, number) => number + 1)]);
});
