/**
 * What a long queue costs: deferred messages lie in it, not due for days, while others are relayed.
 */
import { chownSync, lchownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createFileStore } from '../../src/queue/file-store.ts';
import { writeSample } from '../../src/queue/sample-queue.ts';
import { smtpSink } from './arrivals.ts';
import { smtpSource, type Load } from './drivers.ts';
import { variants } from './main-cf.ts';
import { sides, type Bench } from './matrix.ts';
import { MailSystem } from './mail-system.ts';
import { delay } from './processes.ts';
import type { BySide, Growth } from './results.ts';
import { runLoad } from './run.ts';
import { figure } from './statistics.ts';

const load: Load = { messages: 2500, size: 5000, sessions: 20 };
const daysAhead = 3;
/** Messages that are written at a time: they share flushes. */
const batch = 200;
const freshLimit = 120_000;
const settling = 4000;

/** Messages with proper queue ids, as the mail system's own, stamped for a time that does not come. */
export async function fillDeferred(queue: string, owner: { readonly uid: number; readonly gid: number }, count: number): Promise<void> {
  const store = createFileStore({ root: queue, hashQueueNames: 'deferred, defer', hashQueueDepth: 1, longQueueIds: false });
  const due = Date.now() + daysAhead * 86_400_000;
  for (let done = 0; done < count; done += batch) {
    await Promise.all(Array.from({ length: Math.min(batch, count - done) }, async () => {
      const writer = store.create();
      writeSample(writer, { sender: 's@src.test', recipients: ['late@deferred.test'] });
      await writer.commit('incoming');
      store.move(writer.queueId, 'incoming', 'deferred');
      store.stamp(writer.queueId, 'deferred', due);
    }));
  }
  giveTo(join(queue, 'deferred'), owner);
}

function giveTo(directory: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid!() !== 0) return;
  chownSync(directory, uid, gid);
  for (const name of readdirSync(directory, { recursive: true })) lchownSync(join(directory, String(name)), uid, gid);
}

/** Start with what lies there: until a fresh message comes out, idle, and under load. */
async function measureDepth(bench: Bench, system: MailSystem, deferred: number): Promise<Growth> {
  const driver = smtpSource(bench.test);
  const arrivals = smtpSink(bench.test, system.sinkPort);
  await arrivals.open();
  const begin = performance.now();
  await system.start();
  await driver(system, { ...load, messages: 1, sessions: 1 }, freshLimit);
  const start = (await arrivals.all(1, freshLimit) - begin) / 1000;
  await arrivals.close();
  await delay(settling);
  const idlePss = system.memory().pss;
  await runLoad(system, { ...load, messages: 1000 }, driver, arrivals);
  const { endToEnd, cpu, pss } = await runLoad(system, load, driver, arrivals);
  await system.stop();
  return { deferred, start, idlePss, peakPss: pss, endToEnd, cpu };
}

export async function measureGrowth(bench: Bench, depths: readonly number[]): Promise<BySide<Growth>[]> {
  const found: { postern: Growth[]; postfix: Growth[] } = { postern: [], postfix: [] };
  for (const side of sides) {
    const programs = bench.programs[side];
    const system = await MailSystem.create(programs, bench.base, variants.shipped);
    let there = 0;
    for (const depth of depths) {
      console.log(`queue of ${depth} deferred messages, ${side}`);
      await fillDeferred(system.queue, { uid: programs.ownerId, gid: programs.ownerGroupId }, depth - there);
      there = depth;
      const growth = await measureDepth(bench, system, depth);
      console.log(`  first message after ${figure(growth.start)} s, ${figure(growth.endToEnd)}/s, ${figure(growth.cpu)} ms CPU, ${figure(growth.idlePss)} MB idle, ${figure(growth.peakPss)} MB at most`);
      found[side].push(growth);
    }
    await system.remove();
  }
  return found.postern.map((postern, index) => ({ postern, postfix: found.postfix[index]! }));
}
