/**
 * Local users send mail: while the mail system runs, while it does not, as root and as somebody else, whatever lies in the maildrop.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { createDirectories } from '../../src/server/mail-directories.ts';
import { eventually, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const rows = `${masterRows('pickup cleanup qmgr rewrite bounce defer trace discard')}
`;
const isRoot = process.getuid!() === 0;
/** Somebody who is neither root nor the mail owner. */
const stranger = { uid: 64_999, gid: 64_999 };

async function mailSystem(t: TestContext, mainCf = ''): Promise<Instance> {
  const instance = await Instance.create({ masterCf: rows, mainCf: `default_transport = discard:gone\nmydestination =\n${mainCf}` });
  t.after(() => instance.stop());
  return instance;
}

/** As Postfix makes these directories, or as `postfix start` does where no set-gid postdrop is. */
function makeDirectories(instance: Instance, forUsers: boolean): void {
  const { uid, gid, groupId } = instanceAccounts();
  for (const name of ['public', 'maildrop']) rmSync(`${instance.directory}/queue/${name}`, { recursive: true });
  createDirectories({ queueDirectory: `${instance.directory}/queue`, dataDirectory: `${instance.directory}/data`, owner: { uid, gid }, setgidGroup: groupId, forUsers });
}

function sendmail(instance: Instance, words: readonly string[], message: string, user?: { uid: number; gid: number }): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, ['--disable-sigusr1', commands, 'sendmail', '-C', `${instance.directory}/etc`, ...words], { stdio: ['pipe', 'ignore', 'pipe'], ...user });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  child.stdin.end(message);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, said })));
}

const message = 'From: ann@example.org\nTo: joe@example.org\nSubject: a letter\n\nhello\n';
const maildrop = (instance: Instance): string[] => readdirSync(`${instance.directory}/queue/maildrop`);
const sent = (instance: Instance, recipient: string): string[] => instance.lines(new RegExp(`to=<${recipient}>.* status=sent`));

test('the log tells one story under one queue id: pickup, cleanup, qmgr, delivery', async (t) => {
  const instance = await mailSystem(t);
  await instance.start();
  assert.deepEqual(await sendmail(instance, ['-t', '-f', 'ann@example.org'], message), { status: 0, said: '' });
  const [delivery] = await eventually('delivery', () => (sent(instance, 'joe@example.org').length > 0 ? sent(instance, 'joe@example.org') : undefined));
  const id = /: ([0-9A-Za-z]+): to=/.exec(delivery!)![1]!;
  await eventually('the end of it', () => instance.lines(new RegExp(`${id}: removed`)).length > 0);
  const programs = instance.lines(new RegExp(`\\]: ${id}: `)).map((line) => /postfix\/([a-z]+)\[/.exec(line)![1]!);
  assert.deepEqual([...new Set(programs)], ['pickup', 'cleanup', 'qmgr', 'discard']);
  assert.match(instance.lines(/pickup/)[0]!, new RegExp(`\\]: ${id}: uid=${process.getuid!()} from=<ann@example\\.org>$`));
});

test('mail sent while the mail system is down leaves when it comes up', async (t) => {
  const instance = await mailSystem(t);
  assert.equal((await sendmail(instance, ['-f', 'ann@example.org', 'one@example.org'], message)).status, 0);
  assert.equal((await sendmail(instance, ['-f', 'ann@example.org', 'two@example.org'], message)).status, 0);
  assert.equal(maildrop(instance).length, 2);
  await instance.start();
  await eventually('both deliveries', () => sent(instance, 'one@example.org').length === 1 && sent(instance, 'two@example.org').length === 1);
  await eventually('an empty maildrop', () => maildrop(instance).length === 0);
});

test('a user who may not write to the maildrop is told so, and keeps the message', { skip: !isRoot && 'only root can be somebody else' }, async (t) => {
  const instance = await mailSystem(t, 'command_directory = /nonexistent\n');
  makeDirectories(instance, false);
  const { status, said } = await sendmail(instance, ['-f', 'x@example.org', 'joe@example.org'], message, stranger);
  assert.equal(status, 75);
  assert.match(said, /^sendmail: fatal: x@example\.org\(64999\): cannot hand over mail: the mail system does not answer, and this user may not write to .*\/queue\/maildrop$/m);
  assert.deepEqual(maildrop(instance), []);
});

test('any user sends mail where no set-gid program is, whether the mail system is up or down', { skip: !isRoot && 'only root can be somebody else' }, async (t) => {
  const instance = await mailSystem(t);
  makeDirectories(instance, true);
  assert.deepEqual((await sendmail(instance, ['-f', 'x@example.org', 'down@example.org'], message, stranger)).status, 0);
  const [name] = maildrop(instance);
  assert.match(name!, /^[0-9A-F]{32}$/);
  await instance.start();
  assert.deepEqual(await sendmail(instance, ['-f', 'x@example.org', 'up@example.org'], message, stranger), { status: 0, said: '' });
  await eventually('both deliveries', () => sent(instance, 'down@example.org').length === 1 && sent(instance, 'up@example.org').length === 1);
  assert.equal(instance.lines(/pickup.*uid=64999 from=<x@example\.org>$/).length, 2);
});

test('what is no message does not stop what is one', async (t) => {
  const instance = await mailSystem(t);
  const put = (name: string, text: string): void => {
    writeFileSync(`${instance.directory}/queue/maildrop/${name}`, text);
    chmodSync(`${instance.directory}/queue/maildrop/${name}`, 0o744);
  };
  put('AAAA', 'garbage');
  put('BBBB', '');
  await sendmail(instance, ['-f', 'ann@example.org', 'joe@example.org'], message);
  await instance.start();
  await eventually('the delivery', () => sent(instance, 'joe@example.org').length === 1);
  await eventually('the others are gone', () => !existsSync(`${instance.directory}/queue/maildrop/AAAA`) && !existsSync(`${instance.directory}/queue/maildrop/BBBB`));
  assert.equal(instance.lines(/pickup.*warning: uid=[0-9]+: unexpected or malformed record type -[12]$/).length, 2);
});
