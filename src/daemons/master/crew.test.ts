import assert from 'node:assert/strict';
import test from 'node:test';
import { parseMasterCf } from '../../config/master-cf.ts';
import { knownDaemon } from '../daemons.ts';
import { Crew, endLines } from './crew.ts';
import { place } from './placement.ts';

function crew(text: string, { oneClient = false, processes = 1 } = {}): Crew {
  const { rows } = parseMasterCf(text, 'master.cf');
  const candidates = rows.map((row) => ({ row, daemon: knownDaemon(row.program)!, oneClient, apart: false }));
  const settings = { groups: ['queue', 'network-in'], processes, defaultProcessLimit: 100, serviceClientLimit: 10_000 };
  const [placement, ...others] = place(candidates, settings);
  assert.deepEqual(others, []);
  return new Crew(placement!, { throttle: 60_000, program: '/libexec/it' });
}

const died = { pid: 7, status: 1, signal: null };
const killed = { pid: 7, status: null, signal: 9 };
const finished = { pid: 7, status: 0, signal: null };
const two = 'a unix - - n - 0 cleanup\nb unix - - n - 0 bounce';

test('the sockets of all rows are watched until a process serves them, and again when it ends', () => {
  const it = crew(two);
  assert.deepEqual(it.watched(0), [0, 1]);
  assert.equal(it.wanted(1, 0), 0);
  it.started(1, 0, 0);
  assert.deepEqual(it.watched(0), []);
  assert.equal(it.wanted(1, 0), undefined);
  it.used(1);
  assert.deepEqual(it.ended(1, finished, 10), []);
  assert.deepEqual(it.watched(10), [0, 1]);
});

test('a process that retires is replaced before it has ended, and its end throttles nothing', () => {
  const it = crew(two);
  it.started(1, 0, 0);
  it.retired(1);
  assert.deepEqual(it.watched(5), [0, 1]);
  it.started(2, 0, 5);
  assert.deepEqual(it.ended(1, died, 6), ['process /libexec/it pid 7 exit status 1']);
  assert.equal(it.throttled(6), false);
  assert.deepEqual(it.watched(6), []);
});

test('a process that dies before its first client throttles the service for service_throttle_time', () => {
  const it = crew(two);
  it.started(1, 0, 1000);
  assert.deepEqual(it.ended(1, died, 1500), ['process /libexec/it pid 7 exit status 1', '/libexec/it: bad command startup -- throttling']);
  assert.deepEqual(it.watched(1500), []);
  assert.equal(it.wanted(0, 61_499), undefined);
  assert.equal(it.wakeAt(1500), 61_500);
  assert.deepEqual(it.watched(61_500), [0, 1]);
});

test('one that served before it died does not', () => {
  const it = crew(two);
  it.started(1, 0, 0);
  it.used(1);
  assert.deepEqual(it.ended(1, killed, 10), ['process /libexec/it pid 7 killed by signal 9']);
  assert.deepEqual(it.watched(10), [0, 1]);
});

test('nor one that lived long without a client', () => {
  const it = crew(two);
  it.started(1, 0, 0);
  assert.deepEqual(it.ended(1, killed, 60_000), ['process /libexec/it pid 7 killed by signal 9']);
  assert.equal(it.throttled(60_000), false);
});

test('a process of many services that was killed from outside is back soon, if it does not go on', () => {
  const it = crew(two);
  let now = 0;
  const pauses = [];
  for (let id = 1; id <= 8; id++) {
    it.started(id, 0, now);
    it.ended(id, killed, now);
    pauses.push(it.wakeAt(now)! - now);
    now = it.wakeAt(now)!;
  }
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  it.started(9, 0, now);
  it.used(9);
  it.ended(9, killed, now);
  it.started(10, 0, now);
  it.ended(10, killed, now);
  assert.equal(it.wakeAt(now)! - now, 1000);
});

test('a fork that fails throttles', () => {
  const it = crew(two);
  it.startFailed(100);
  assert.deepEqual([it.watched(100), it.watched(60_100)], [[], [0, 1]]);
});

test('one client per process: a taken process calls for another, up to the limit', () => {
  const it = crew('25 inet n - n - 2 smtpd', { oneClient: true });
  it.started(1, it.wanted(0, 0)!, 0);
  assert.deepEqual(it.watched(0), []);
  it.available(1, false);
  assert.deepEqual(it.watched(0), [0]);
  assert.equal(it.wanted(0, 0), 1);
  it.started(2, 1, 0);
  it.available(2, false);
  assert.deepEqual(it.watched(0), [], 'both processes are taken: the next client waits');
  it.available(1, true);
  it.available(1, false);
  it.used(2);
  it.ended(2, finished, 5);
  assert.deepEqual(it.watched(5), [0]);
});

test('a limit split over two processes: a row with one client at a time lives in the first', () => {
  const it = crew('25 inet n - n - 3 smtpd\n26 inet n - n - 1 smtpd', { processes: 2 });
  assert.deepEqual([it.shares(0), it.shares(1)], [new Map([[0, 2], [1, 1]]), new Map([[0, 1]])]);
  it.started(1, 1, 0);
  assert.deepEqual(it.watched(0), [1], 'the second process does not serve row 1');
  assert.equal(it.wanted(1, 0), 0);
});

test('a row that failed is not watched and not given to the next process', () => {
  const it = crew(two);
  it.started(1, 0, 0);
  it.failed(1);
  assert.deepEqual(it.shares(0), new Map([[0, 0]]));
  it.retired(1);
  assert.deepEqual(it.watched(0), [0]);
});

test('the queue manager is always there: at once, at once again after a long life, else after a pause', () => {
  const it = crew('qmgr unix n - n 300 1 qmgr');
  assert.equal(it.missing(0), 0);
  it.started(1, 0, 0);
  assert.equal(it.missing(0), undefined);
  it.used(1);
  it.ended(1, killed, 20_000);
  assert.equal(it.missing(20_000), 0);
  it.started(2, 0, 20_000);
  it.used(2);
  it.ended(2, killed, 20_500);
  assert.equal(it.missing(20_500), undefined);
  assert.equal(it.wakeAt(20_500), 21_500);
  assert.equal(it.missing(21_500), 0);
});

for (const [name, end, want] of [
  ['a good end says nothing', { pid: 5, status: 0, signal: null }, []],
  ['a status', { pid: 5, status: 75, signal: null }, ['process p pid 5 exit status 75']],
  ['a signal', { pid: 5, status: null, signal: 11 }, ['process p pid 5 killed by signal 11']],
  ['one that stood still', { pid: 5, status: null, signal: 14 }, ['process p pid 5 killed by signal 14 -- watchdog timeout']],
  ['our own signal', { pid: 5, status: null, signal: 9, asked: true }, []],
] as const) {
  test(`the words for an end: ${name}`, () => assert.deepEqual(endLines('p', end), want));
}
