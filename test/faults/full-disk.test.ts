/**
 * The disk is full, or fails: what cannot be kept is refused for now, what was acknowledged stays, also through a kill while there is
 * no room, and is delivered when there is room again.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { journaled } from '../../src/queue/journal-listing.ts';
import { QueuePaths } from '../../src/queue/queue-paths.ts';
import { eventually } from '../instance.ts';
import { Account } from './account.ts';
import { CutDisk, noCutDisk } from './cut-disk.ts';
import { Routes, type RouteOptions } from './routes.ts';
import { GoneAway, SmtpClient } from './smtp-client.ts';

const skip = noCutDisk() ?? false;
const sender = 'sender@client.example.test';
const messageSize = 60_000;
/** Bytes left for the mail system, and how often it is tried when there are none. */
const room = 6 << 20;
const refusals = 20;

async function open(t: TestContext, options: RouteOptions): Promise<{ disk: CutDisk; routes: Routes }> {
  const disk = await CutDisk.create('ext4');
  const routes = await Routes.open({ ...options, below: disk.path });
  t.after(async () => {
    if (!t.passed) t.diagnostic(routes.instance.lines(/warning|error|fatal|panic/).slice(-40).join('\n'));
    await routes.instance.killAll();
    await routes.close().finally(() => disk.remove());
  });
  await disk.sync();
  return { disk, routes };
}

/** Leave so many bytes to everybody but root. */
function fill(disk: CutDisk, left: number): string {
  const { bavail, bsize } = statfsSync(disk.path);
  const ballast = `${disk.path}/ballast`;
  execFileSync('fallocate', ['-l', String(bavail * bsize - left), ballast]);
  return ballast;
}

/** Hand over one message; the code of the last reply. */
async function offer({ port, recipients: [recipient] }: Routes, account: Account): Promise<number> {
  const { id, wire } = account.message(sender, recipient!, messageSize);
  const client = await SmtpClient.meet(port);
  try {
    for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA']) {
      const { code } = await client.command(line);
      if (code >= 400) return code;
    }
    account.settle(id, 'unanswered');
    const { code } = await client.content(wire);
    account.settle(id, code < 400 ? 'acknowledged' : 'refused');
    return code;
  } finally {
    client.drop();
  }
}

/** Queue ids of all messages that there are, as files or in the journal. */
function queueIds({ instance }: Routes): Set<string> {
  const root = `${instance.directory}/queue`;
  const ids = new Set<string>(Array.from(journaled(new QueuePaths({ hashQueueNames: 'deferred', hashQueueDepth: 1, root })), ({ queueId }) => queueId));
  for (const queue of ['incoming', 'active', 'deferred']) {
    for (const entry of readdirSync(`${root}/${queue}`, { recursive: true, withFileTypes: true })) {
      const status = entry.isFile() ? statSync(`${entry.parentPath}/${entry.name}`, { throwIfNoEntry: false }) : undefined;
      if (status !== undefined && (status.mode & 0o100) !== 0) ids.add(entry.name);
    }
  }
  return ids;
}

/** Files move from queue to queue while we look: who was lost is never seen, who moved is the next time. */
async function complete(routes: Routes, account: Account): Promise<void> {
  await eventually('all that was acknowledged is there', () => queueIds(routes).size >= account.acknowledged);
}

const journalSizes = 'journal_segment_size = 1048576\njournal_size_limit = 4194304\n';

for (const [name, mainCf, warnings] of [
  ['with the journal', journalSizes, 0],
  ['with no room for a journal', 'journal_segment_size = 33554432\njournal_size_limit = 33554432\n', 1],
  ['without the journal', 'journal_enable = no\n', 0],
  ['with cleanup and the queue manager in different processes', 'service_groups =\n', 0],
] as const) {
  test(`a full disk, ${name}: refused with 45x, nothing lost, accepted again when there is room`, { skip }, async (t) => {
    const { disk, routes } = await open(t, { mainCf: `${mainCf}message_size_limit = 100000\ndefer_transports = smtp\nqueue_run_delay = 1s\n` });
    const { instance } = routes;
    const account = new Account();
    const ballast = fill(disk, room);
    await instance.start();
    const codes = new Map<number, number>();
    for (let refused = 0, tries = 0; refused < refusals && tries < 500; tries++) {
      const code = await offer(routes, account);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      refused = code < 400 ? 0 : refused + 1;
    }
    t.diagnostic(JSON.stringify(Object.fromEntries(codes)));
    assert.ok(instance.lines(/cannot make a journal segment/).length >= warnings);
    assert.deepEqual([...codes.keys()].filter((code) => ![250, 451, 452].includes(code)), []);
    assert.ok((codes.get(250) ?? 0) >= 10, 'some was accepted');
    assert.ok((codes.get(451) ?? 0) + (codes.get(452) ?? 0) >= refusals, 'it was full');
    await complete(routes, account);
    await instance.killAll();
    await instance.start();
    assert.ok((await offer(routes, account)) > 400, 'it is still full');
    await complete(routes, account);
    unlinkSync(ballast);
    await eventually('mail is accepted again', async () => (await offer(routes, account)) === 250);
    instance.mainCf('defer_transports =\n');
    instance.signal('SIGHUP');
    await eventually('the queue is empty', () => queueIds(routes).size === 0);
    const { lost, corrupt, extra } = account.verdict(routes.arrived());
    assert.deepEqual({ lost, corrupt, extra }, { lost: [], corrupt: [], extra: 0 });
    assert.equal(await instance.end(), 0);
    assert.deepEqual(instance.lines(/: panic: /), []);
  });
}

test('a disk that fails: nothing is acknowledged any more, and what was is there when it works again', { skip }, async (t) => {
  const { disk, routes } = await open(t, { mainCf: journalSizes, sink: { wait: 20 } });
  const { instance } = routes;
  const account = new Account();
  await instance.start();
  for (let count = 0; count < 30; count++) assert.equal(await offer(routes, account), 250);
  disk.cut();
  const codes: number[] = [];
  for (let tries = 0; tries < 40; tries++) {
    codes.push(await offer(routes, account).catch((error: unknown) => {
      // A process that cannot even be started takes no connection.
      if (error instanceof GoneAway) return 421;
      throw error;
    }));
  }
  assert.deepEqual(codes.filter((code) => code < 400 || code >= 500), []);
  await instance.killAll();
  await disk.restore();
  await instance.start();
  await eventually('the queue is empty', () => queueIds(routes).size === 0);
  const { lost, corrupt } = account.verdict(routes.arrived());
  assert.deepEqual({ lost, corrupt }, { lost: [], corrupt: [] });
});
