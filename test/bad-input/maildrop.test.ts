/**
 * A maildrop that another user fills: with thousands of things that are no messages, with messages that claim more than their user
 * may, with one that is too large. pickup goes on, others' mail arrives, nothing is lost, believed or followed, and neither memory nor the
 * log grows with it. In a maildrop that every user may write to, and in one that only a group may (Postfix's mode), as a member of it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createDirectories } from '../../src/server/mail-directories.ts';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { openSink } from '../faults/sink.ts';
import { eventually, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import type { Order } from './planter.ts';

const planter = fileURLToPath(new URL('planter.ts', import.meta.url));
const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const skip = process.getuid!() !== 0 && 'only root can be two other users';
const planterUid = 64_998;
const other = { uid: 64_997, gid: 64_997 };
const order: Order = { good: 200, junk: 1500, large: 30 << 20 };
/** Rounds through the maildrop that the junk is looked at in: one each second. */
const row = 'pickup unix n - n 1 1 pickup';

interface Scene { readonly instance: Instance; readonly taken: string[] }

async function scene(t: TestContext, isOpen: boolean): Promise<Scene> {
  const taken: string[] = [];
  const sink = await openSink((text) => void taken.push(text));
  t.after(() => sink.close());
  const instance = await Instance.create({
    masterCf: `${row}\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry showq')}\n`,
    mainCf: `relayhost = [127.0.0.1]:${sink.port}\nmydestination =\nsmtp_send_xforward_command = yes\nmessage_size_limit = 10240000\nnotify_classes =\n`,
  });
  t.after(() => instance.stop());
  const { uid, gid, groupId } = instanceAccounts();
  for (const name of ['public', 'maildrop']) rmSync(`${instance.directory}/queue/${name}`, { recursive: true });
  createDirectories({ queueDirectory: `${instance.directory}/queue`, dataDirectory: `${instance.directory}/data`, owner: { uid, gid }, setgidGroup: groupId, forUsers: isOpen });
  writeFileSync(`${instance.directory}/secret`, 'a file of root');
  chmodSync(`${instance.directory}/secret`, 0o744);
  return { instance, taken };
}

async function run(words: readonly string[], input: string, user: { uid: number; gid: number }): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, ['--disable-sigusr1', ...words], { stdio: ['pipe', 'pipe', 'inherit'], ...user });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  child.stdin.end(input);
  return new Promise((resolve) => { child.on('close', (status) => resolve({ status, said })); });
}

const peakOf = (pid: number): number => Number(/^VmHWM:[ \t]+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
const recipientOf = (text: string): string => /^Subject: (.*)\r$/m.exec(text)?.[1] ?? '?';
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex') + statSync(path).mode + statSync(path).nlink;

for (const isOpen of [true, false]) {
  test(isOpen ? 'in a maildrop that all may write to' : 'in a maildrop that a group may write to', { skip }, async (t) => {
    const { instance, taken } = await scene(t, isOpen);
    const queue = `${instance.directory}/queue`;
    const secret = digest(`${instance.directory}/secret`);
    await instance.start();
    const [queuePid] = await eventually('the queue process', () => [...instance.children()].find(([, title]) => title.includes('queue')));
    const before = peakOf(queuePid);
    const { status, said } = await run([planter, `${queue}/maildrop`, `${instance.directory}/secret`], JSON.stringify(order), { uid: planterUid, gid: isOpen ? planterUid : instanceAccounts().groupId });
    assert.equal(status, 0);
    const planted = JSON.parse(said) as Record<string, number>;
    assert.deepEqual([planted.good, planted.unreadable, planted.links, planted.directories], [order.good, order.junk, order.junk, order.junk]);

    const mine = await run([commands, 'sendmail', '-C', `${instance.directory}/etc`, '-f', 'other@sink.test', 'other@sink.test'], 'Subject: other\n\nhello\n', isOpen ? other : { uid: 0, gid: 0 });
    assert.deepEqual(mine, { status: 0, said: '' });
    await eventually('all good messages, and that of somebody else', () => taken.filter((text) => /^Subject: (good-|other)/m.test(text)).length >= order.good + 1);
    await eventually('the last of the planted ones', () => instance.lines(/: removed/).length >= order.good + 1 && instance.lines(/to=<dots@sink\.test>.*status=sent/).length > 0);
    const wanted = new Set(['other', 'dots', 'old', 'odd', 'linked', 'claims-client', 'claims-login', 'claims-filter', 'claims-trace', ...Array.from({ length: order.good }, (_, at) => `good-${at}`)]);
    const arrived = taken.map(recipientOf);
    assert.deepEqual(arrived.filter((each, at) => arrived.indexOf(each) !== at), [], 'nothing comes twice');
    assert.deepEqual(arrived.filter((each) => !wanted.has(each)), [], 'nothing that is no message');
    // What was not believed is told of, on one line each, and nowhere else.
    const believed = instance.lines(/injected@|trusted\.sink|elsewhere|192\.0\.2\.|sasl_username|a file of root|root:x:0/);
    assert.deepEqual(believed.filter((line) => !/ postfix\/pickup\[[0-9]+\]: warning: uid=64998: /.test(line)), []);
    assert.equal(taken.some((text) => /trusted|a file of root|root:x:0|sasl/i.test(text)), false);
    assert.equal(digest(`${instance.directory}/secret`), secret);
    assert.ok(peakOf(queuePid) - before < 120_000, `${before} kB have become ${peakOf(queuePid)}`);
    // A line for each that was a message or was thrown away, and a bounded number for those that stay.
    const aboutJunk = instance.lines(/warning: .*(not a regular file|Permission denied|chmod)/);
    assert.ok(aboutJunk.length < 1000, `${aboutJunk.length} lines`);
    assert.deepEqual(instance.lines(/panic|fatal|throttl|ended by|TypeError|RangeError/), []);

    const late = await run([commands, 'sendmail', '-C', `${instance.directory}/etc`, '-f', 'late@sink.test', 'late@sink.test'], 'Subject: late\n\nhello\n', isOpen ? other : { uid: 0, gid: 0 });
    assert.equal(late.status, 0);
    await eventually('what is no message and can be thrown away is gone', () => !readdirSync(`${queue}/maildrop`).some((name) => name.startsWith('F')));
    await eventually('pickup still works', () => taken.some((text) => recipientOf(text) === 'late'));
  });
}
