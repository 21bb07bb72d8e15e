/** The scheduler and those around it, with mail and trouble of chance: whatever happens, each recipient ends once and nothing is left over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDsn } from '../../ipc/deliver.ts';
import { Mail, type Entry, type Scheduler } from './scheduler.ts';
import { scheduler, simulate } from './simulation.ts';

const down = { ...noDsn, status: '4.4.1', reason: 'connection refused' };

function dice(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * most);
  };
}

interface Letter { readonly name: number; left: number; open: number; ended: number; readonly size: number; isOver: boolean }
type Load = number;
type Machine = Scheduler<Load, Letter>;

/** What manager.ts does, without files and agents. */
class Post {
  readonly letters: Letter[] = [];
  readonly machine: Machine;
  readonly #roll: (most: number) => number;

  constructor(machine: Machine, roll: (most: number) => number) {
    this.machine = machine;
    this.#roll = roll;
  }

  bring(size: number): void {
    const first = Math.min(size, 40);
    const letter: Letter = { name: this.letters.length, size, left: size - first, open: 1, ended: 0, isOver: false };
    const mail = new Mail<Load, Letter>(letter, this.#roll(2) === 0, 5);
    this.letters.push(letter);
    mail.more = letter.left > 0;
    mail.unread = letter.left;
    this.#put(mail, first);
    this.#close(mail);
  }

  #put(mail: Mail<Load, Letter>, recipients: number): void {
    for (let left = recipients; left > 0; ) {
      const transport = `t${this.#roll(3)}`;
      const queue = `d${this.#roll(12)}`;
      const size = Math.min(left, 1 + this.#roll(4));
      left -= size;
      const last = this.machine.waiting(mail, transport, queue);
      if (last !== undefined && this.#roll(2) === 0) this.machine.grow(last, size);
      else this.#add({ transport, queue, mail, size, load: 0 });
    }
  }

  #add(entry: Entry<Load, Letter>): void {
    entry.mail.message.open++;
    if (this.machine.suspended(entry.transport, entry.queue) === undefined) this.machine.add(entry);
    else this.defer(entry);
  }

  defer(entry: Entry<Load, Letter>): void {
    if (entry.transport !== 'retry' && this.machine.suspended('retry', '') === undefined) this.machine.add({ ...entry, transport: 'retry', queue: '' });
    else this.#ended(entry);
  }

  refill(mail: Mail<Load, Letter>): void {
    const letter = mail.message;
    if (letter.left === 0) return;
    letter.open++;
    const count = Math.min(Math.max(mail.limit - mail.count, 1), letter.left);
    letter.left -= count;
    this.#put(mail, count);
    this.machine.refilled(mail, letter.left > 0, letter.left);
    this.#close(mail);
  }

  delivered(entry: Entry<Load, Letter>): void {
    this.#ended(entry);
  }

  #ended(entry: Entry<Load, Letter>): void {
    entry.mail.message.ended += entry.size;
    this.#close(entry.mail);
  }

  #close(mail: Mail<Load, Letter>): void {
    const letter = mail.message;
    assert.ok(!letter.isOver);
    if (--letter.open > 0) return;
    if (letter.left === 0) letter.isOver = true;
    else if (!mail.refilling) {
      mail.refilling = true;
      this.#later.push(mail);
    }
  }

  readonly #later: Mail<Load, Letter>[] = [];

  goOn(): void {
    for (let mail = this.#later.shift(); mail !== undefined; mail = this.#later.shift()) this.refill(mail);
  }
}

for (let seed = 1; seed <= 30; seed++) {
  test(`mail and trouble of chance number ${seed}`, () => {
    const roll = dice(seed * 104_729);
    const limit = 20 + roll(200);
    const machine = scheduler({
      recipientLimit: limit, extraRecipients: roll(30), refillLimit: 1 + roll(30), refillDelay: 1000 * (1 + roll(5)), initialConcurrency: 1 + roll(4), slotCost: roll(6), slotLoan: roll(4),
      destinationDelay: roll(5) === 0 ? 700 : 0, transportDelay: roll(6) === 0 ? 30 : 0, failedCohortLimit: roll(3),
    }, { room: () => ({ all: 12, again: 10 }), deadTime: 4000, retryTime: 3000 }) as unknown as Machine;
    const post = new Post(machine, roll);
    const events = Array.from({ length: 60 }, () => ({
      at: roll(20_000), run: () => {
        if (roll(12) === 0) for (const entry of machine.transportFailed(`t${roll(3)}`, { ...down })) post.defer(entry);
        else if (roll(10) === 0) machine.revive();
        else post.bring(roll(4) === 0 ? 1 + roll(600) : 1 + roll(5));
        post.goOn();
      },
    }));
    simulate(machine as unknown as Scheduler<number>, {
      takes: () => 20 + roll(400),
      fails: (entry) => (entry.transport !== 'retry' && roll(4) === 0 ? { ...down } : undefined),
      events,
      // As manager.ts: first what comes back, then the end of the one that was delivered.
      given: (entries) => { for (const entry of entries) post.defer(entry as unknown as Entry<Load, Letter>); },
      finished: (entry) => {
        post.delivered(entry as unknown as Entry<Load, Letter>);
        post.goOn();
      },
      wanting: (mail) => {
        post.refill(mail as unknown as Mail<Load, Letter>);
        post.goOn();
      },
    });
    for (const { name, size, ended, isOver } of post.letters) assert.deepEqual([name, ended, isOver], [name, size, true]);
    assert.deepEqual([machine.recipients, machine.jobs], [0, 0]);
    machine.expire(1e6);
    machine.expire(2e6);
    assert.equal(machine.size, 0);
    for (const transport of ['t0', 't1', 't2', 'retry']) assert.equal(machine.spare(transport), limit, transport);
    assert.ok(post.letters.length > 30);
  });
}
