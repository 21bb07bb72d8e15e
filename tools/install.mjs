// Installs what package-lock.json pins, when it is not there yet. Plain JavaScript for any Node from 16 on: this runs before
// the pinned Node exists. Ends the process with a clear line when it cannot.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// As root, part of the mail system runs as another account, which must be able to read what is installed and built here.
process.umask(0o022);

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
/** In its package: the link in .bin is not made by every npm. */
export const pinnedNode = `${root}/node_modules/node-linux-${process.arch}/bin/node`;

export function fail(text) {
  console.error(`postern: ${text}`);
  process.exit(1);
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Does node_modules hold the versions of the lock file? Packages for other machines may be absent. */
export function isInstalled() {
  const wanted = readJson(`${root}/package-lock.json`)?.packages ?? {};
  const there = readJson(`${root}/node_modules/.package-lock.json`)?.packages;
  if (there === undefined || !existsSync(pinnedNode)) return false;
  return Object.entries(wanted).every(([name, { version, optional }]) =>
    name === '' || there[name]?.version === version || (optional && there[name] === undefined));
}

export function install() {
  if (isInstalled()) return;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) fail(`this program runs on Linux on x64 or arm64, not on ${process.platform} on ${process.arch}`);
  console.log('postern: installing the pinned packages (npm ci --ignore-scripts)');
  const npm = process.env.npm_execpath;
  const [command, first] = npm && /\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  const done = spawnSync(command, [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
  if (done.error) fail(`cannot run npm: ${done.error.message}`);
  if (done.status !== 0) fail('npm ci failed; its own message stands above (is the package registry within reach?)');
  if (!isInstalled()) fail('npm ci left node_modules incomplete; remove node_modules and try again');
}

/** Run a program with the pinned Node; the answer is its exit status. */
export function runPinned(args, options = {}) {
  const done = spawnSync(pinnedNode, args, { cwd: root, stdio: 'inherit', ...options });
  if (done.error) fail(`cannot run ${pinnedNode}: ${done.error.message}`);
  return done.status ?? 1;
}
