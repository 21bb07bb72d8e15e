/**
 * Crowds of clients that say nothing, dribble, do not read or never end their handshake: whoever has mail to deliver is served
 * meanwhile, memory stays small, and when the crowd has left everything is as before.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { openFileLimit } from '../../src/host/process.ts';
import { eventually } from '../instance.ts';
import { descriptorsOf, Horde, processNamed, served, treeSize, type HordeKind } from './horde.ts';
import { openScene, type HordeScene } from './horde-scene.ts';

/** Of the messages of a client with mail to deliver. */
const enough = 0.9;
const messages = 10;
const crowd = 300;
/** Descriptors of kept connections to other services that come and go. */
const slack = 20;

/** Nothing has ended, nothing went wrong in a way that we have not foreseen. */
function assertCalm({ instance }: HordeScene, pids: readonly number[]): void {
  assert.deepEqual(instance.lines(/(panic|fatal|unexpected|internal error)/), []);
  for (const pid of pids) assert.ok(instance.children().has(pid), `process ${pid} is still there`);
}

test(`${crowd} at a time, of every kind`, async (t) => {
  const scene = await openScene();
  const { instance, port } = scene;
  t.after(() => instance.stop());
  assert.equal(await served(port, 2), 2);
  const pids = [...instance.children().keys()];
  const server = processNamed(instance, 'network-in');
  const before = descriptorsOf(server);
  let accepted = 2;
  for (const [kind, share] of [['idle', 1], ['trickle', enough], ['data', enough], ['handshake', enough], ['churn', enough], ['unread', 1]] as const) {
    await t.test(kind satisfies HordeKind, async () => {
      const memory = treeSize(instance);
      const horde = new Horde({ port, kind, count: crowd });
      try {
        await horde.stuck(crowd);
        const taken = await served(port, messages);
        accepted += taken;
        assert.ok(taken >= messages * share, `${taken} of ${messages} messages were taken`);
        const each = (treeSize(instance) - memory) / crowd;
        t.diagnostic(`${kind}: ${taken} of ${messages}, ${each.toFixed(0)} kB for each of the crowd`);
        assert.ok(each < 1000, `${each} kB for each of the crowd`);
        if (kind !== 'churn') assert.deepEqual([horde.report.refused, horde.report.dropped], [0, 0]);
      } finally {
        await horde.leave();
      }
      await eventually('their descriptors are free again', () => descriptorsOf(server) <= before + slack);
    });
  }
  await eventually('every message that was taken is there', () => scene.delivered() === accepted);
  assertCalm(scene, pids);
});

test('more from one address than smtpd_client_connection_count_limit are told so', async (t) => {
  const scene = await openScene();
  const { instance, port } = scene;
  t.after(() => instance.stop());
  const horde = new Horde({ port, kind: 'idle', count: 60, sources: 1 });
  t.after(() => horde.leave());
  await horde.stuck(60);
  assert.equal(horde.report.refused, 10);
  assert.equal(instance.lines(/warning: Connection concurrency limit exceeded: (?:5[1-9]|60) from unknown\[127\.0\.1\.1\] for service /).length, 10);
  assert.equal(await served(port, 3), 3);
});

for (const kind of ['idle', 'data', 'handshake'] as const) {
  test(`${kind}: who fills all places before the times are bad has no more time than who comes then`, async (t) => {
    const scene = await openScene('smtpd_timeout = ${stress?{1}:{300}}s\nsmtpd_starttls_timeout = ${stress?{1}:{300}}s\n', '20');
    const { instance, port } = scene;
    t.after(() => instance.stop());
    const all = new Horde({ port, kind, count: 20 });
    t.after(() => all.leave());
    await all.stuck(20);
    assert.equal(await served(port, 2), 2);
    await eventually('they are sent away', () => all.report.dropped === 20);
    assertCalm(scene, [...instance.children().keys()]);
  });
}

const horde = 10_000;
const hasDescriptors = openFileLimit() >= horde + 500;

test(`${horde} silent clients are as many as smtpd serves: they get little time then, and others are served`, { skip: hasDescriptors ? false : `needs ${horde + 500} descriptors` }, async (t) => {
  const scene = await openScene('smtpd_timeout = ${stress?{2}:{300}}s\n');
  const { instance, port } = scene;
  t.after(() => instance.stop());
  assert.equal(await served(port, 1), 1);
  const pids = [...instance.children().keys()];
  const server = processNamed(instance, 'network-in');
  const before = descriptorsOf(server);
  const silent = new Horde({ port, kind: 'idle', count: horde, sources: 240 });
  t.after(() => silent.leave());
  await silent.stuck(horde * 0.9);
  const memory = treeSize(instance);
  t.diagnostic(`${silent.report.stuck} clients: ${Math.round(memory / 1000)} MB`);
  assert.ok(memory < 600_000, `${memory} kB`);
  const taken = await served(port, messages);
  assert.ok(taken >= messages * enough, `${taken} of ${messages} messages were taken`);
  await eventually('the silent ones have used up their patience', () => silent.report.dropped + silent.report.refused >= horde * 0.9);
  await silent.leave();
  assert.equal(await served(port, 1), 1);
  await eventually('their descriptors are free again', () => descriptorsOf(server) <= before + slack);
  await eventually('every message that was taken is there', () => scene.delivered() === taken + 2);
  assertCalm(scene, pids);
});

const few = 64;

test(`${few} descriptors for each process: clients wait, nobody dies, a reload is followed`, async (t) => {
  const scene = await openScene();
  const { instance, port } = scene;
  t.after(() => instance.stop());
  // Processes that start from now on have as few.
  execFileSync('/usr/bin/prlimit', ['--pid', String(instance.pid), `--nofile=${few}:${few}`]);
  assert.equal(await served(port, 1), 1);
  const pids = [...instance.children().keys()];
  const server = processNamed(instance, 'network-in');
  const silent = new Horde({ port, kind: 'idle', count: 60 });
  t.after(() => silent.leave());
  await eventually('no more are let in', () => instance.lines(/warning: all but the last descriptors are in use by [0-9]+ clients: new ones have to wait/).length === 1);
  const spent = processorTime(server);
  assert.ok(descriptorsOf(server) < few);
  await silent.stuck(1);
  assert.ok(silent.report.stuck < 60, `${silent.report.stuck} of 60 were let in`);
  // Those in the kernel's queue are served when there is room, and the process does not look for it all the time.
  await silent.leave();
  assert.equal(await served(port, messages), messages);
  assert.ok(processorTime(server) - spent < 300, 'clock ticks');
  instance.signal('SIGHUP');
  await eventually('master has reloaded or kept what it had', () => instance.lines(/reload -- version/).length === 1);
  assert.equal(await served(port, messages), messages);
  await eventually('every message is there', () => scene.delivered() === 2 * messages + 1);
  assert.equal(instance.lines(/(panic|fatal): /).filter((line) => !/open files/.test(line)).length, 0);
  assert.ok(pids.length > 0);
});

/** In clock ticks: user and system. */
function processorTime(pid: number): number {
  const fields = execFileSync('/bin/cat', [`/proc/${pid}/stat`], { encoding: 'latin1' }).split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
