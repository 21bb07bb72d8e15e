import assert from 'node:assert/strict';
import test from 'node:test';
import { ServiceTrouble } from '../../ipc/service.ts';
import { HandTicker } from '../../network/testing.ts';
import { parseSites } from '../../protocol/postscreen/lists.ts';
import { Scores } from './scores.ts';

/** Lists that answer when the test wants. */
function bench() {
  const ticker = new HandTicker();
  const asked: string[] = [];
  const warned: string[] = [];
  const answers: ((addresses: string) => void)[] = [];
  const failures: ((error: Error) => void)[] = [];
  const scores = new Scores({
    sites: parseSites('a.test, b.test*2', () => undefined), service: 'dnsblog', timeout: 10,
    clock: { ...ticker, now: () => 0, monotonic: () => ticker.monotonic(), after: (milliseconds, run) => ticker.after(milliseconds, run) },
    warn: (text) => warned.push(text),
    dnsblog: {
      query: (question) => new Promise((resolve, reject) => {
        asked.push(`${question.rbl_domain} ${question.client_address}`);
        answers.push((rbl_addr) => resolve({ ...question, rbl_addr, ttl: 100 }));
        failures.push(reject);
      }),
    },
  });
  return { ticker, asked, warned, answers, failures, scores };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('sessions of one client share the work, and each is told', async () => {
  const { scores, asked, answers } = bench();
  const told: string[] = [];
  const one = scores.want('192.0.2.1', () => told.push('one'));
  scores.want('192.0.2.1', () => told.push('two'));
  assert.deepEqual(asked, ['a.test 192.0.2.1', 'b.test 192.0.2.1']);
  answers[0]!('127.0.0.2');
  await settle();
  assert.deepEqual([told, one.tally.score(1, 1000).total], [[], 1]);
  answers[1]!('127.0.0.2 127.0.0.3');
  await settle();
  assert.deepEqual([told, one.tally.score(1, 1000).total], [['one', 'two'], 3]);
  scores.want('192.0.2.1', () => told.push('late'));
  assert.equal(told.includes('late'), false);
  await settle();
  assert.equal(told.at(-1), 'late');
  assert.equal(asked.length, 2);
});

test('a score is forgotten with the last session that wants it', async () => {
  const { scores, asked, answers } = bench();
  const told: string[] = [];
  const interests = [scores.want('192.0.2.1', () => told.push('one')), scores.want('192.0.2.1', () => told.push('two'))];
  interests[0]!.forget();
  interests[0]!.forget();
  assert.equal(scores.size, 1);
  interests[1]!.forget();
  assert.equal(scores.size, 0);
  for (const answer of answers) answer('');
  await settle();
  assert.deepEqual(told, []);
  scores.want('192.0.2.1', () => undefined);
  assert.equal(asked.length, 4);
});

test('a list that does not answer in time is told, and does not count', async () => {
  const { scores, ticker, answers, warned } = bench();
  const told: string[] = [];
  const interest = scores.want('192.0.2.1', () => told.push('ready'));
  answers[0]!('127.0.0.2');
  await settle();
  ticker.pass(10_000);
  answers[1]!('127.0.0.2');
  await settle();
  assert.deepEqual([told, warned, interest.tally.score(1, 1000).total], [[], ['dnsblog reply timeout 10s for b.test'], 1]);
});

test('a dnsblog that cannot be reached is no reason to wait', async () => {
  const { scores, failures, warned } = bench();
  const told: string[] = [];
  scores.want('192.0.2.1', () => told.push('ready'));
  for (const fail of failures) fail(new ServiceTrouble('private/dnsblog', 'connection refused'));
  await settle();
  assert.deepEqual([told.length, warned.length], [1, 2]);
});
