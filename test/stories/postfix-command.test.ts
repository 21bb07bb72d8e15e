/**
 * postfix(1): start, status, reload, check, stop, and what each says when it cannot.
 *
 * Runs the sources; master runs from the built package, as an operator would have it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, statSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, Instance } from '../instance.ts';

const root = fileURLToPath(new URL('..', new URL('..', import.meta.url)));

interface Answer { readonly status: number | null; readonly said: string }

function postfix(instance: Instance, ...words: string[]): Answer {
  const { status, stderr } = spawnSync(`${root}bin/postfix`, ['-c', `${instance.directory}/etc`, ...words], { encoding: 'latin1', stdio: ['ignore', 'ignore', 'pipe'] });
  return { status, said: stderr.replaceAll('postlog: ', '') };
}

const rows = 'rewrite unix - - n - - trivial-rewrite\n';

test('start, status, reload, stop, each with Postfix\'s words and status', async (t) => {
  const instance = await Instance.create({ masterCf: rows });
  t.after(() => {
    postfix(instance, 'stop');
    return instance.stop();
  });
  assert.deepEqual(postfix(instance, 'status'), { status: 1, said: 'the Postfix mail system is not running\n' });
  assert.deepEqual(postfix(instance, 'stop'), { status: 1, said: 'fatal: the Postfix mail system is not running\n' });
  assert.deepEqual(postfix(instance, 'start'), { status: 0, said: 'starting the Postfix mail system\n' });
  const { status, said } = postfix(instance, 'status');
  assert.equal(status, 0);
  assert.match(said, /^the Postfix mail system is running: PID: [0-9]+\n$/);
  assert.deepEqual(postfix(instance, 'start'), { status: 1, said: 'fatal: the Postfix mail system is already running\n' });
  assert.deepEqual(postfix(instance, 'reload'), { status: 0, said: 'refreshing the Postfix mail system\n' });
  await eventually('master reloads', () => instance.lines(/postfix\/master\[[0-9]+\]: reload -- version/).length === 1);
  assert.deepEqual(postfix(instance, 'stop'), { status: 0, said: 'stopping the Postfix mail system\n' });
  assert.equal(postfix(instance, 'status').status, 1);
  const tale = instance.lines(/postfix-script|daemon started|terminating/).map((line) => line.replace(/^.*?\]: /, '').replace(/[0-9.]+.*, conf.*| [0-9]+$/, ''));
  assert.deepEqual(tale, [
    'the Postfix mail system is not running', 'fatal: the Postfix mail system is not running', 'starting the Postfix mail system',
    'daemon started -- version ', 'the Postfix mail system is running: PID:', 'fatal: the Postfix mail system is already running',
    'refreshing the Postfix mail system', 'stopping the Postfix mail system', 'terminating on signal', 'the Postfix mail system is not running',
  ]);
});

test('start lets go of the terminal, and so do the daemons that run from the start: who waits for its output sees the end of it', async (t) => {
  const instance = await Instance.create({ masterCf: `${rows}qmgr unix n - n 300 1 qmgr\n` });
  t.after(() => {
    postfix(instance, 'stop');
    return instance.stop();
  });
  const { status, error } = spawnSync(`${root}bin/postfix`, ['-c', `${instance.directory}/etc`, 'start'], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
  assert.deepEqual({ status, error }, { status: 0, error: undefined });
});

// docs/decisions/local-submission.md: root without a set-gid postdrop lets users reach the maildrop themselves.
const userModes = process.getuid!() === 0 ? ['711', '3733'] : ['710', '730'];

test('start makes missing queue directories, with the modes of Postfix or those that users need', async (t) => {
  const instance = await Instance.create({ masterCf: rows });
  t.after(() => instance.stop());
  rmSync(`${instance.directory}/queue`, { recursive: true });
  assert.equal(postfix(instance, 'check').status, 0);
  const mode = (name: string): string => (statSync(`${instance.directory}/queue/${name}`).mode & 0o7777).toString(8);
  assert.deepEqual(['', 'pid', 'incoming', 'private', 'public', 'maildrop'].map(mode), ['755', '755', '700', '700', ...userModes]);
});

test('check names file and line of what is wrong, and how it is likely meant', async (t) => {
  const instance = await Instance.create({
    mainCf: 'default_process_limit = many\nmax_idle = soon\n',
    masterCf: `#               (yes)   (yes)   (yes)   (never) (50)\n${rows}cyrus unix - n n - - pipe flag=R user=cyrus argv=/bin/deliver\n`,
  });
  t.after(() => instance.stop());
  const { status, said } = postfix(instance, 'check');
  assert.equal(status, 1);
  assert.match(said, /^error: bad numerical configuration: default_process_limit = many \(.*\/main\.cf, line 13: /m);
  assert.match(said, /^error: parameter max_idle: bad time value or unit: soon \(.*\/main\.cf, line 14: /m);
  assert.match(said, /^error: .*\/master\.cf: line 3: unknown attribute name: flag=R \(did you mean flags=R\?\)$/m);
  assert.equal(postfix(instance, 'start').status, 1);
  assert.equal(existsSync(`${instance.directory}/queue/pid/master.pid`), false);
});

test('check warns of wrong permissions, and start goes on', async (t) => {
  const instance = await Instance.create({ masterCf: rows });
  t.after(() => {
    postfix(instance, 'stop');
    return instance.stop();
  });
  chmodSync(`${instance.directory}/etc`, 0o777);
  const want = new RegExp(`^warning: group or other writable: ${instance.directory}/etc$`, 'm');
  for (const word of ['check', 'start']) {
    const { status, said } = postfix(instance, word);
    assert.equal(status, 0);
    assert.match(said, want);
  }
});

test('what it does not do', async (t) => {
  const instance = await Instance.create({ masterCf: rows });
  t.after(() => instance.stop());
  for (const [words, want] of [
    [['/etc/aliases'], /^postfix: fatal: \/etc\/aliases: .*"postalias \/etc\/aliases" or "newaliases"/],
    [['frob'], /^fatal: unknown command: 'frob'\. Usage: postfix start \(or /],
    [[], /^fatal: unknown command: ''/],
    [['-x', 'status'], /^postfix: invalid option -- 'x'\npostfix: fatal: usage: postfix \[-c config_dir\] \[-Dv\] command/],
    [['-c', 'etc', 'status'], /^postfix: fatal: -c requires absolute pathname/],
    [['status', 'now'], /^fatal: usage postfix status \(no arguments\)/],
  ] as const) {
    const { status, said } = postfix(instance, ...words);
    assert.match(said, want);
    assert.equal(status, 1);
  }
});
