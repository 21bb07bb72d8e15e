/**
 * The power goes while mail comes in by many connections and goes out by relay and into a Maildir, and comes back. What was acknowledged
 * before is delivered, or is in the queue and delivered then: nothing lost, nothing corrupt. Copies beyond the first are allowed, and
 * counted.
 *
 * POSTERN_POWER_CUTS=20 sets how often, for each file system. With every flush made a lie the same test must report losses.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { eventually } from '../instance.ts';
import { Account, type Verdict } from './account.ts';
import { CutDisk, noCutDisk, type FileSystem } from './cut-disk.ts';
import { lieAboutFlushes, noLie } from './no-sync.ts';
import { Routes } from './routes.ts';
import { sendAll } from './senders.ts';

const cuts = Number(process.env['POSTERN_POWER_CUTS'] ?? 2);
/** So many copies too many are what was just being delivered, at both ways out; everything that had been delivered would be hundreds. */
const extraPerCut = 40;
const most = 400;

/** Bytes of a message: mostly small, some that have a batch for themselves, some too large for the journal. */
function size(): number {
  const luck = Math.random();
  return luck < 0.9 ? 500 + Math.random() * 8000 : luck < 0.99 ? 50_000 + Math.random() * 100_000 : 1_200_000;
}

class Stage {
  readonly disk: CutDisk;
  readonly routes: Routes;
  readonly account = new Account();
  readonly recipients: readonly string[];

  constructor(disk: CutDisk, routes: Routes, recipients: readonly string[]) {
    this.disk = disk;
    this.routes = routes;
    this.recipients = recipients;
  }

  /** `ways`: out of Routes.recipients, relay and Maildir. What a program takes is not the mail system's to keep. */
  static async open(t: TestContext, kind: FileSystem, { mainCf = '', ways = [0, 1] }: { readonly mainCf?: string; readonly ways?: readonly number[] } = {}): Promise<Stage> {
    // All mail of all rounds stays there, in the Maildir and in the log.
    const disk = await CutDisk.create(kind, 320 + 16 * cuts);
    const routes = await Routes.open({ below: disk.path, mainCf, sink: { wait: 15 } });
    t.after(async () => {
      if (!t.passed) t.diagnostic(routes.instance.lines(/warning|error|fatal|panic/).slice(-40).join('\n'));
      await routes.instance.killAll();
      await routes.close().finally(() => disk.remove());
    });
    await disk.sync();
    await routes.instance.start();
    return new Stage(disk, routes, ways.map((way) => routes.recipients[way]!));
  }

  /** Mail comes in until so many more are acknowledged; the power goes somewhere on the way, and comes back. */
  async round(sizes = size): Promise<void> {
    const { account, routes, disk, recipients } = this;
    const before = account.acknowledged;
    const moment = before + 1 + Math.floor(Math.random() * most);
    const abandoned = new AbortController();
    let struck: Promise<void> | undefined;
    let trouble: Error | undefined;
    const strike = async (): Promise<void> => {
      disk.cut();
      await routes.instance.killAll();
      await disk.restore();
      await routes.instance.start();
    };
    // A disk that does not come back is the test's failure: nobody sends for ever.
    const giveUp = (error: Error): void => {
      trouble = error;
      abandoned.abort();
    };
    await sendAll({
      port: routes.port, account, recipients, count: before + most, connections: 30, perConnection: 5, size: sizes, abandoned: abandoned.signal,
      acknowledged: (count) => { if (count >= moment) struck ??= strike().catch(giveUp); },
    });
    await struck;
    if (trouble !== undefined) throw trouble;
  }

  async verdict(): Promise<Verdict> {
    await eventually('the queue is empty', () => this.routes.queued().length === 0);
    return this.account.verdict(this.routes.arrived());
  }
}

for (const kind of ['ext4', 'xfs'] satisfies FileSystem[]) {
  test(`the power is cut ${cuts} times under load, on ${kind}: nothing lost, nothing corrupt`, { skip: noCutDisk() ?? false }, async (t) => {
    const stage = await Stage.open(t, kind);
    for (let cut = 1; cut <= cuts; cut++) {
      await stage.round();
      const verdict = await stage.verdict();
      assert.deepEqual(verdict.lost, [], `cut ${cut}`);
      assert.deepEqual(verdict.corrupt, [], `cut ${cut}`);
    }
    const verdict = await stage.verdict();
    const { acknowledged, unanswered, refused, extra, extraBy } = verdict;
    t.diagnostic(JSON.stringify({ cuts, acknowledged, unanswered, refused, lost: verdict.lost.length, corrupt: verdict.corrupt.length, extra, extraBy }));
    assert.ok(extra <= extraPerCut * cuts, `${extra} extra copies after ${cuts} cuts`);
    assert.equal(await stage.routes.instance.end(), 0);
  });
}

test('the test sees what is lost: with every flush a lie, mail is', { skip: noCutDisk() ?? noLie() ?? false }, async (t) => {
  const lie = lieAboutFlushes();
  t.after(() => lie.remove());
  const stage = await Stage.open(t, 'ext4', { mainCf: lie.mainCf });
  await stage.round();
  const { lost, acknowledged } = await stage.verdict();
  t.diagnostic(`${lost.length} of ${acknowledged} lost`);
  assert.ok(lost.length > 0);
});
