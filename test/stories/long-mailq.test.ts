/**
 * mailq of 100,000 messages: the first lines come while the queue is still being gone through, and neither the command nor the
 * mail system grows with the queue. Through showq(8), and with the mail system down.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { Instance } from '../instance.ts';

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const count = 100_000;
/** ext4 allows 65,000 names of one file. */
const namesPerFile = 30_000;
/** Kilobytes at most, whatever the queue: Node itself with our modules takes 100,000. */
const enough = 190_000;

const record = (type: string, text: string): Buffer => Buffer.concat([Buffer.from([type.charCodeAt(0), text.length]), Buffer.from(text, 'latin1')]);
const message = Buffer.concat([
  record('T', '1700000000 5'), record('A', 'create_time=1700000000'), record('S', 'sender@example.test'), record('R', 'one@example.test'),
  record('M', ''), record('N', 'Subject: x'), record('N', ''), record('N', 'hello'), record('X', ''), record('E', ''),
]);

/** Few files with many names each: as many messages as names, for whoever looks at names. */
function fill(directory: string): void {
  const { uid, gid } = instanceAccounts();
  const asRoot = process.getuid!() === 0;
  let file = '';
  for (let number = 0; number < count; number++) {
    const first = '0123456789ABCDEF'[number % 16]!;
    const folder = `${directory}/${first}`;
    if (number < 16) mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (number < 16 && asRoot) chownSync(folder, uid, gid);
    const name = `${folder}/${first}${(0x1000000 + number).toString(16).toUpperCase()}`;
    if (number % namesPerFile > 0) linkSync(file, name);
    else {
      file = name;
      writeFileSync(file, message, { mode: 0o700 });
      if (asRoot) chownSync(file, uid, gid);
    }
  }
}

/** The most memory that a process has had, in kilobytes; undefined when it is gone, or has none any more. */
function peak(pid: number): number | undefined {
  try {
    const found = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}

interface Listing { readonly status: number | null; readonly messages: number; readonly last: string; readonly peak: number; readonly said: string }

/** @param early is called when the first lines are there, and nothing more is read until it returns */
function mailq(instance: Instance, words: readonly string[], early: () => void = () => undefined): Promise<Listing> {
  const child = spawn(process.execPath, ['--max-semi-space-size=1', runner, ...words, '-c', `${instance.directory}/etc`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [messages, last, most, said] = [0, '', 0, ''];
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  child.stdout.once('data', () => early());
  child.stdout.on('data', (chunk: Buffer) => {
    most = peak(child.pid!) ?? most;
    const text = last.slice(-6) + chunk.toString('latin1'); // a word may be cut
    for (let at = text.indexOf('sender@'); at >= 0; at = text.indexOf('sender@', at + 1)) messages++;
    last = text.slice(-80);
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, messages, last, peak: most, said })));
}

test('100,000 messages', { timeout: 120_000 }, async (t) => {
  const instance = await Instance.create({ masterCf: 'showq unix n - n - - showq\n' });
  t.after(() => instance.stop());
  const { directory } = instance;
  fill(`${directory}/queue/deferred`);

  await t.test('through showq: all are told, and neither side grows with them', async () => {
    await instance.start();
    const listing = await mailq(instance, ['postqueue', '-p']);
    assert.deepEqual([listing.status, listing.messages], [0, count]);
    assert.ok(listing.last.endsWith(`\n-- ${Math.floor(count * message.length / 1024)} Kbytes in ${count} Requests.\n`), listing.last);
    assert.ok(listing.peak > 0 && listing.peak < enough, `the command: ${listing.peak} kB`);
    for (const pid of instance.children().keys()) assert.ok(peak(pid)! < enough, `${pid}: ${peak(pid)} kB`);
  });

  await t.test('-j, with the mail system down', async () => {
    await instance.end();
    const listing = await mailq(instance, ['postqueue', '-j']);
    assert.deepEqual([listing.status, listing.messages], [0, count]);
    assert.match(listing.said, /Mail system is down -- accessing queue directly/);
    assert.ok(listing.peak > 0 && listing.peak < enough, `${listing.peak} kB`);
  });

  await t.test('the first lines come before the queue has been gone through: what is removed then is not told', async () => {
    const listing = await mailq(instance, ['postqueue', '-p'], () => {
      for (const name of readdirSync(`${directory}/queue/deferred`).slice(8)) rmSync(`${directory}/queue/deferred/${name}`, { recursive: true });
    });
    assert.equal(listing.status, 0);
    assert.ok(listing.messages > 0 && listing.messages < count, String(listing.messages));
  });
});
