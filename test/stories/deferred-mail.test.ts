/**
 * A long deferred queue: it does not hold up the start, nor fresh mail, and memory is bounded by the active limit. DEFERRED_MESSAGES=100000
 * tells it in full length; the usual form is a tenth of that.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { deadAddress, livingAddress, pause, peakOf, Scene, slowAddress, type SceneOptions, type Waiting } from '../deferred-scene.ts';
import { eventually } from '../instance.ts';

const count = Number(process.env.DEFERRED_MESSAGES ?? 10_000);
/** As the default of qmgr_message_active_limit is to 100,000. */
const activeLimit = count / 5;
/** Messages that are due among those that are not. */
const dueCount = 50;
const startLimit = 15_000;
/** For half of the fresh mail, and for all of it: other tests may be running. */
const usualLimit = 1000;
const freshLimit = 5000;
const memoryLimit = 250_000; // kilobytes
/** Fresh messages are sent at this distance, and as many of them. */
const rhythm = 100;
const freshCount = 40;

const day = 86_400_000;

function* list(waiting: (number: number) => Waiting): Generator<Waiting> {
  for (let number = 0; number < count; number++) yield waiting(number);
}

async function open(t: TestContext, waiting: (number: number) => Waiting, options: Partial<SceneOptions> = {}): Promise<Scene> {
  const scene = await Scene.create({ side: 'ours', compiled: true, waiting: list(waiting), mainCf: `qmgr_message_active_limit = ${activeLimit}\n`, ...options });
  t.after(() => scene.stop());
  return scene;
}

/** Fresh mail while something else goes on: how long each took, sorted. */
async function freshMail(scene: Scene, meanwhile: () => void = () => undefined): Promise<number[]> {
  const delays: Promise<number>[] = [];
  for (let turn = 0; turn < freshCount; turn++) {
    delays.push(scene.fresh());
    meanwhile();
    await pause(rhythm);
  }
  return (await Promise.all(delays)).sort((one, other) => one - other);
}

function assertQuick(t: TestContext, delays: readonly number[]): void {
  const [half, all] = [delays[delays.length >> 1]!, delays.at(-1)!];
  t.diagnostic(`fresh mail: half of it within ${half.toFixed(0)} ms, all within ${all.toFixed(0)} ms`);
  assert.ok(half < usualLimit && all < freshLimit, `${half} ${all}`);
}

function assertSmall(t: TestContext, scene: Scene): void {
  const peak = peakOf(scene.queueManager);
  t.diagnostic(`the queue process had at most ${peak} kB`);
  assert.ok(peak < memoryLimit, `${peak} kB`);
}

/** Until so many were deferred; fails when half a minute brings no more. The log is long: it is not read all the time. */
async function allDeferred(scene: Scene, want: number): Promise<void> {
  for (let seen = 0, before = 0; seen < want; before = seen) {
    seen = await eventually('more is deferred', async () => {
      await pause(500);
      const now = scene.house.lines(/status=deferred/).length;
      return now > before || now >= want ? now : undefined;
    });
  }
}

/** The second of a log line, milliseconds since the epoch. */
function whenOf(line: string): number {
  return Date.parse(`${line.slice(0, 15)} ${new Date().getFullYear()}`);
}

test(`${count} deferred messages that are not due: the start does not wait for them, nor does fresh mail`, async (t) => {
  const step = count / dueCount;
  const scene = await open(t, (number) => (number % step === 7
    ? { recipients: [`due@[${livingAddress}]`], due: Date.now() - 1000 }
    : { recipients: ['late@deferred.test'], due: Date.now() + day }));
  const began = Date.now();
  t.diagnostic(`first greeting after ${(await scene.start()).toFixed(0)} ms`);
  const delays = await freshMail(scene);
  await eventually('all that is due is found', () => scene.house.lines(/to=<due@.*status=sent/).length === dueCount);
  const last = whenOf(scene.house.lines(/to=<due@.*status=sent/).at(-1)!) - began;
  t.diagnostic(`the last that was due left within ${Math.max(last / 1000 + 1, 1).toFixed(0)} s of the start`);
  assert.ok(last < startLimit, `${last} ms`);
  assertQuick(t, delays);
  assertSmall(t, scene);
});

test(`${count} due messages, each for a dead destination of its own: fresh mail passes them, and memory keeps its bound`, async (t) => {
  const scene = await open(t, (number) => ({ recipients: [`joe@[${deadAddress(number)}]`], due: Date.now() - 1000 }));
  await scene.start();
  let most = 0;
  const delays = await freshMail(scene, () => { most = Math.max(most, scene.files('active')); });
  t.diagnostic(`at most ${most} active`);
  assert.ok(most <= activeLimit, `${most} active`);
  assertQuick(t, delays);
  assertSmall(t, scene);
  const tried = new Set(scene.house.lines(/status=deferred \(connect to/).map((line) => /to=<([^>]*)>/.exec(line)![1]));
  assert.ok(tried.size > freshCount, `${tried.size} tried`);
});

test(`${count} due messages for ten destinations, one slow and nine dead: the dead hold up nobody`, async (t) => {
  const scene = await open(t, (number) => ({ recipients: [`joe@[${number % 10 === 0 ? slowAddress : deadAddress(number % 10)}]`], due: Date.now() - 1000 }));
  await scene.start();
  assertQuick(t, await freshMail(scene));
  assert.ok(scene.slowlyTaken > freshCount, `${scene.slowlyTaken} by the slow one`);
  await allDeferred(scene, count * 9 / 10);
  // Nine windows of deliveries were tried, and the rest was not.
  const suspended = scene.house.lines(/status=deferred \(delivery temporarily suspended: connect to/).length;
  assert.ok(suspended > count * 9 / 10 - 500, `${suspended} suspended`);
  assertSmall(t, scene);
});
