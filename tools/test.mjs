// `npm test`: installs and builds, as root also installs the Debian packages that tests use, then runs every test.
// Arguments are passed to the test runner: `npm test -- --test-name-pattern=reload`, or names of test files.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from './build.mjs';
import { fail, pinnedNode, root, runPinned } from './install.mjs';

const policy = '/usr/sbin/policy-rc.d';

function packages() {
  return readFileSync(`${root}/tools/debian-packages.txt`, 'utf8').split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

function isThere(name) {
  const done = spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' });
  return done.status === 0 && done.stdout.startsWith('install ok installed');
}

function apt(...args) {
  return spawnSync('apt-get', ['-y', '-q', '-o', 'Dpkg::Use-Pty=0', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).status === 0;
}

/** Tests that need a missing package are skipped by name, so trouble here is only said. */
function installPackages() {
  if (process.getuid() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const missing = packages().filter((name) => !isThere(name));
  if (missing.length === 0) return;
  console.log(`postern: installing Debian packages for the tests: ${missing.join(' ')}`);
  // Debian starts what it installs, unless this file says no.
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  spawnSync('debconf-set-selections', { input: 'postfix postfix/main_mailer_type select No configuration\n' });
  if (!apt('install', '--no-install-recommends', ...missing) && !(apt('update') && apt('install', '--no-install-recommends', ...missing)))
    console.log('postern: some Debian packages could not be installed; tests that need them are skipped');
  if (ours) rmSync(policy);
}

build();
if (runPinned([`${root}/node_modules/typescript/bin/tsc`, '-p', 'tsconfig.test.json']) !== 0) fail('the tests do not compile; the compiler\'s messages stand above');
installPackages();
const own = process.argv.slice(2);
const files = own.some((word) => !word.startsWith('-')) ? [] : ['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts'];
const environment = { ...process.env, PATH: `${dirname(pinnedNode)}:${root}/node_modules/.bin:${process.env.PATH ?? '/usr/bin:/bin'}` };
process.exit(runPinned(['--test', '--test-concurrency=2', '--test-reporter=spec', ...own, ...files], { env: environment }));
