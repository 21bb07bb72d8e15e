import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Clock } from '../../server/clock.ts';
import { patient, ServiceRests } from './patient-calls.ts';

/** Time that passes when told. */
class HandClock implements Clock {
  #time = 0;
  readonly #timers = new Set<{ readonly due: number; readonly run: () => void }>();

  now(): number { return this.#time; }
  monotonic(): number { return this.#time; }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const timer = { due: this.#time + milliseconds, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  pass(milliseconds: number): void {
    this.#time += milliseconds;
    for (const timer of [...this.#timers]) {
      if (timer.due > this.#time) continue;
      this.#timers.delete(timer);
      timer.run();
    }
  }

  get waiting(): number { return this.#timers.size; }
}

/** A service that answers by hand. */
function scene() {
  const clock = new HandClock();
  const answers: ((value: string) => void)[] = [];
  const calls = { ask: (_request: string): string | Promise<string> => new Promise((resolve) => { answers.push(resolve); }) };
  return { clock, answers, calls, patiently: patient(calls, 'anvil', clock, 2000) };
}

test('an answer in time is the answer, and nothing is left behind', async () => {
  const { clock, answers, patiently } = scene();
  const answer = patiently.ask('x');
  clock.pass(1999);
  answers[0]!('yes');
  assert.equal(await answer, 'yes');
  await Promise.resolve();
  assert.equal(clock.waiting, 0);
});

test('a slow service is trouble for one caller, then rests, then is asked again', async () => {
  const { clock, answers, patiently } = scene();
  const answer = patiently.ask('x') as Promise<string>;
  clock.pass(2000);
  await assert.rejects(answer, (error: Error) => error instanceof ServiceTrouble && !(error instanceof ServiceRests) && error.message === 'anvil: no answer for 2 s');
  assert.throws(() => patiently.ask('y'), ServiceRests);
  clock.pass(19_999);
  assert.throws(() => patiently.ask('y'), ServiceRests);
  assert.equal(answers.length, 1);
  clock.pass(1);
  const again = patiently.ask('z');
  answers[1]!('yes');
  assert.equal(await again, 'yes');
});

test('an answer at once costs no timer; without a limit the calls are as they were', () => {
  const clock = new HandClock();
  const calls = { ask: () => 'at once' };
  assert.equal(patient(calls, 'anvil', clock, 2000).ask(), 'at once');
  assert.equal(clock.waiting, 0);
  assert.equal(patient(calls, 'anvil', clock, 0), calls);
});
