/**
 * Ten thousand new messages for hosts that take their time: a fresh message for another host leaves at once, while they come in and
 * while they wait. SLOW_MESSAGES says how many.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { pause, Scene, slowAddress } from '../deferred-scene.ts';
import { Account } from '../faults/account.ts';
import { sendAll } from '../faults/senders.ts';

const most = Number(process.env.SLOW_MESSAGES ?? 10_000);
/** Milliseconds: for half of the fresh mail, and for all of it, as other tests may be running. */
const usualLimit = 1000;
const freshLimit = 5000;
const rhythm = 100;
const freshCount = 20;

const slowDomains = Array.from({ length: 10 }, (_, number) => `slow${number}.test`);

for (const [count, title, recipients] of [
  [most, 'one slow host', [`joe@[${slowAddress}]`]],
  [most / 2, 'ten slow hosts, which could use up all deliveries at once', slowDomains.map((domain) => `joe@${domain}`)],
] as const) test(`${count} messages for ${title}: a fresh message for another leaves within a second`, async (t) => {
  const scene = await Scene.create({ side: 'ours', compiled: true, waiting: [], mainCf: `transport_maps = inline:{ ${slowDomains.map((domain) => `{${domain} = smtp:[${slowAddress}]}`).join(' ')} }\n` });
  t.after(() => scene.stop());
  await scene.start();
  let isComing = true;
  const coming = sendAll({ port: scene.port, account: new Account(), recipients, count, connections: 20, perConnection: 500, size: 300 }).finally(() => { isComing = false; });
  const delays = { meanwhile: [] as number[], afterwards: [] as number[] };
  while (isComing) {
    delays.meanwhile.push(await scene.fresh());
    await pause(rhythm);
  }
  await coming;
  const waiting = count - scene.slowlyTaken;
  for (let turn = 0; turn < freshCount; turn++) {
    delays.afterwards.push(await scene.fresh());
    await pause(rhythm);
  }
  t.diagnostic(`${waiting} waited when all had come`);
  // Or else there was nothing to pass.
  assert.ok(waiting > count / 2, `${waiting} wait`);
  for (const [when, list] of Object.entries(delays)) {
    list.sort((one, other) => one - other);
    const [half, all] = [list[list.length >> 1]!, list.at(-1)!];
    t.diagnostic(`${when}: half of ${list.length} fresh messages within ${half.toFixed(0)} ms, all within ${all.toFixed(0)} ms`);
    assert.ok(half < usualLimit && all < freshLimit, `${when}: ${half} ${all}`);
  }
  assert.deepEqual(scene.house.lines(/status=(?:deferred|bounced)/), []);
});
