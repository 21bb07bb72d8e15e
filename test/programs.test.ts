/**
 * The program files of commands and daemons (tools/bundle.mjs): made of what tsc wrote, run as the modules would be, with a compiled form
 * that this Node takes. Needs dist/, which `npm test` builds first. Daemons at work: the stories that say `compiled`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import test from 'node:test';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { knownDaemon, knownPrograms } from '../src/daemons/daemons.ts';
import { daemonFlags } from '../src/daemons/master/node-flags.ts';
import type { Daemon } from '../src/server/daemon.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const flags = ['--disable-sigusr1', '--max-semi-space-size=1'];
const flagsFor = (name: string): readonly string[] => (name.startsWith('daemons-') ? daemonFlags : flags);
const place = mkdtempSync(`${os.tmpdir()}/postern-programs-`);
const dist = `${place}/dist`;
test.after(() => rmSync(place, { recursive: true }));

/** A copy of the package, bundled anew: what another build does to dist/ meanwhile is no concern of ours. */
test.before(() => {
  assert.ok(existsSync(`${root}dist/commands/start.cjs`), 'dist/ is there: run "npm run build"');
  chmodSync(place, 0o755);
  cpSync(`${root}dist`, dist, { recursive: true, preserveTimestamps: true, filter: (name) => !name.endsWith('/dist/programs') });
  writeFileSync(`${place}/package.json`, '{"type":"module"}');
  symlinkSync(`${root}node_modules`, `${place}/node_modules`);
  const { status, stderr } = spawnSync(process.execPath, [`${root}tools/bundle.mjs`, dist], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  writeFileSync(`${place}/main.cf`, `compatibility_level = 3.12\nqueue_directory = ${place}\nmyhostname = host.example.test\n`);
  writeFileSync(`${place}/table`, 'joe  joe@example.test\n');
});

const names = readdirSync(`${root}src/commands`, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);

function run(script: string, words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, `${dist}/commands/${script}`, ...words], { encoding: 'utf8', input: '', env: { PATH: process.env['PATH'], MAIL_CONFIG: place } });
  return { status, stdout, stderr };
}

const groups = new Set(knownPrograms().map((program) => `daemons-${knownDaemon(program)!.group.replaceAll(' ', '-')}`));
const programs = [...names, 'master', ...groups].sort();

test('every command and every group of daemons has a program file, and each file one compiled form', () => {
  const files = readdirSync(`${dist}/programs`);
  assert.deepEqual(files.filter((name) => name.endsWith('.js')).sort(), programs.map((name) => `${name}.js`).sort());
  assert.equal(files.length, 2 * programs.length);
});

test('every program of a group is in its file', () => {
  const require = createRequire(`${dist}/program-file.cjs`);
  for (const group of groups) {
    const source = readFileSync(`${dist}/programs/${group}.js`, 'latin1');
    const { daemons } = new vm.Script(source).runInThisContext()(require, pathToFileURL(`${dist}/`).href) as { daemons: Record<string, () => { daemon: Daemon }> };
    for (const program of knownPrograms().filter((each) => group === `daemons-${knownDaemon(each)!.group.replaceAll(' ', '-')}`))
      assert.equal(`daemons-${daemons[knownDaemon(program)!.folder]!().daemon.card.group.replaceAll(' ', '-')}`, group, program);
  }
});

test('a child of nobody says who starts it', () => {
  for (const words of [[], ['for-master'], ['for-master', 'queue'], ['for-master', '../x']]) {
    const { status, stderr } = spawnSync(process.execPath, [...daemonFlags, `${dist}/daemons/child.cjs`, ...words], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [1, 'postern: fatal: this program is started by master(8); use "postfix start" to start the mail system\n']);
  }
});

for (const [name, ...words] of [
  ...names.map((each) => [each, '-?']), ['postmap', '-q', 'joe', `texthash:${place}/table`], ['postconf', 'myhostname'], ['postconf', '-m'], ['postconf', '-d', 'smtpd_timeout', 'mynetworks'],
  ['postconf', '-e', 'x'], ['sendmail', '-bd', 'x'], ['sendmail', '-bi', 'x'], ['nosuch'],
] as const) {
  test(`the program file does what the modules do: ${[name, ...words].join(' ').replace(place, '')}`, () => {
    const [program, modules] = ['start.cjs', 'run.js'].map((script) => run(script, [name!, ...words]));
    assert.deepEqual(program, modules);
    assert.ok(program!.stdout !== '' || program!.stderr !== '');
  });
}

test('the compiled form is taken, under the flags of the launcher', () => {
  assert.ok(readFileSync(`${root}libexec/launch`, 'latin1').includes(`exec "$node" ${flags.join(' ')} `));
  assert.ok(readFileSync(`${root}src/daemons/master/worker.ts`, 'latin1').includes('spawn(process.execPath, [...daemonFlags, script, '));
  const script = `const fs = require('fs'), vm = require('vm'); const [, dist, name] = process.argv;
    const source = fs.readFileSync(dist + '/programs/' + name + '.js', 'latin1');
    const made = new vm.Script(source, { cachedData: fs.readFileSync(dist + '/programs/' + name + '.' + source.slice(2, 18) + '.v8') });
    console.log(made.cachedDataRejected)`;
  for (const name of programs) assert.equal(spawnSync(process.execPath, [...flagsFor(name), '-e', script, dist, name], { encoding: 'utf8' }).stdout, 'false\n', name);
});

test('a program file that is older than the last compilation is passed over', () => {
  const file = `${dist}/programs/mailq.js`;
  const before = run('start.cjs', ['mailq', '-?']);
  writeFileSync(file, 'this is no program');
  const info = `${dist}/.tsbuildinfo`;
  if (!existsSync(info)) writeFileSync(info, '');
  utimesSync(file, 1, 1);
  assert.deepEqual(run('start.cjs', ['mailq', '-?']), before);
  rmSync(file);
  assert.deepEqual(run('start.cjs', ['mailq', '-?']), before);
});

test('modules of a kind that is not known end the build', () => {
  const file = `${dist}/text/ascii.js`;
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, `${text}\nexport default 1;\n`);
  const { status, stderr } = spawnSync(process.execPath, [`${root}tools/bundle.mjs`, dist], { encoding: 'utf8' });
  writeFileSync(file, text);
  assert.deepEqual([status, stderr], [1, 'postern: tools/program-text.mjs: text/ascii.js: cannot read "export default 1;"\n']);
});
