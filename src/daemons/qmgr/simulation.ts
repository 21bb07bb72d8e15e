/** For tests of the scheduler: a machine with plain rules, mail for it, and a world in which deliveries take time. */
import { Mail, Scheduler, type Entry, type SchedulerRules, type TransportRules } from './scheduler.ts';
import type { Dsn } from '../../ipc/deliver.ts';

export const usual: TransportRules = {
  initialConcurrency: 5, concurrencyLimit: 20, failedCohortLimit: 1, positiveFeedback: () => 1, negativeFeedback: () => 1,
  destinationDelay: 0, transportDelay: 0, slotCost: 5, slotLoan: 3, slotDiscount: 50, minimumSlots: 3,
  recipientLimit: 20_000, extraRecipients: 1000, refillLimit: 100, refillDelay: 5000,
};

const endless = { all: Infinity, again: Infinity };

export function scheduler(rules: Partial<TransportRules> = {}, changes: Partial<SchedulerRules> = {}): Scheduler<number> {
  return new Scheduler<number>({ transport: () => ({ ...usual, ...rules }), room: () => endless, deadTime: 300_000, retryTime: 60_000, deadLimit: 20_000, ...changes });
}

export function entryOf<T>(mail: Mail<NoInfer<T>>, queue: string, load: T, { transport = 'smtp', size = 1 } = {}): Entry<T> {
  return { transport, queue, mail, size, load };
}

/** So many messages with one recipient. */
export function fill(machine: Scheduler<number>, queue: string, count: number, transport = 'smtp'): void {
  for (let load = 0; load < count; load++) machine.add(entryOf(new Mail(load, false), queue, load, { transport }));
}

/** A message of which each entry goes to a destination of its own, or all to one. */
export function listMail(machine: Scheduler<number>, load: number, entries: number, queue: (number: number) => string, again = false): Mail<number> {
  const mail = new Mail<number>(load, again);
  for (let number = 0; number < entries; number++) machine.add(entryOf(mail, queue(number), load));
  return mail;
}

export function drain(machine: Scheduler<number>): Entry<number>[] {
  const taken: Entry<number>[] = [];
  for (let entry = machine.next(); entry !== undefined; entry = machine.next()) taken.push(entry);
  return taken;
}

/** One delivery after the other: whose they are, in order. */
export function oneByOne(machine: Scheduler<number>, most = Infinity): number[] {
  const order: number[] = [];
  for (let entry = machine.next(); entry !== undefined && order.length < most; entry = machine.next()) {
    order.push(entry.load);
    machine.finished(entry);
  }
  return order;
}

export interface Delivery<T> { readonly entry: Entry<T>; readonly began: number; readonly ended: number }

interface World<T> {
  /** Milliseconds that a delivery takes, and whether the destination is out of reach then. */
  readonly takes: (entry: Entry<T>) => number;
  readonly fails?: (entry: Entry<T>) => Dsn | undefined;
  /** What happens at certain times besides. */
  readonly events?: readonly { readonly at: number; readonly run: () => void }[];
  readonly ended?: (delivery: Delivery<T>) => void;
  /** After the machine knows of the end, and what it gave back is dealt with. */
  readonly finished?: (entry: Entry<T>) => void;
  readonly given?: (entries: readonly Entry<T>[], now: number) => void;
  /** Of these messages more is to be read. */
  readonly wanting?: (mail: Mail<T>) => void;
  readonly until?: number;
}

/** Run a machine until nothing is left to happen. Time is what is counted here, not what passes. Returns when the last delivery ended. */
export function simulate<T>(machine: Scheduler<T>, { takes, fails, events = [], ended, finished, given, wanting, until = Infinity }: World<T>): number {
  const agenda = new Agenda<() => void>();
  for (const { at, run } of events) agenda.add(at, run);
  let now = 0;
  let last = 0;
  const begin = (): void => {
    for (let entry = machine.next(); entry !== undefined; entry = machine.next()) deliver(entry);
    const more = machine.wanting();
    for (const mail of more) wanting?.(mail);
    if (more.length > 0) begin();
  };
  const deliver = (entry: Entry<T>): void => {
    const began = now;
    agenda.add(now + takes(entry), () => {
      last = now;
      ended?.({ entry, began, ended: now });
      const back = machine.finished(entry, fails?.(entry));
      if (back.length > 0) given?.(back, now);
      finished?.(entry);
    });
  };
  begin();
  for (;;) {
    const due = Math.min(agenda.first, machine.deadline() ?? Infinity);
    if (due === Infinity || due > until) return last;
    now = Math.max(now, due);
    machine.expire(now);
    while (agenda.first <= now) agenda.take()();
    begin();
  }
}

/** What is due when, the earliest first. */
class Agenda<T> {
  readonly #heap: { readonly at: number; readonly order: number; readonly what: T }[] = [];
  #order = 0;

  get first(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  add(at: number, what: T): void {
    const heap = this.#heap;
    let place = heap.push({ at, order: this.#order++, what }) - 1;
    while (place > 0 && this.#isBefore(place, (place - 1) >> 1)) place = this.#swap(place, (place - 1) >> 1);
  }

  take(): T {
    const heap = this.#heap;
    const { what } = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) heap[0] = last;
    for (let place = 0; ; ) {
      let least = 2 * place + 1;
      if (least + 1 < heap.length && this.#isBefore(least + 1, least)) least++;
      if (least >= heap.length || !this.#isBefore(least, place)) return what;
      place = this.#swap(place, least);
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one]!, this.#heap[other]!];
    return a.at === b.at ? a.order < b.order : a.at < b.at;
  }

  #swap(one: number, other: number): number {
    [this.#heap[one], this.#heap[other]] = [this.#heap[other]!, this.#heap[one]!];
    return other;
  }
}
