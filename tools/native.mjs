// The compiled sendmail: made by `npm run build` where a C compiler is, and set up for a private instance by tests, the benchmark and
// `npm start`. Everything works without it, slower.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { root } from './install.mjs';

const source = `${root}/native/sendmail.c`;
const folder = `${root}/native/build`;
const program = `${folder}/sendmail`;

function isCurrent() {
  return existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs;
}

/** The path of the compiled program; undefined where it cannot be made. Says why not on standard error, unless there is no compiler. */
export function compileNative() {
  if (isCurrent()) return program;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const unfinished = `${program}.${process.pid}`;
  const { CC: compiler = 'cc', CFLAGS: flags = '-O2' } = process.env;
  const done = spawnSync(compiler, ['-std=gnu11', '-Wall', ...flags.split(' ').filter((word) => word !== ''), '-o', unfinished, source], { encoding: 'utf8' });
  if (done.error?.code === 'ENOENT') return undefined;
  if (done.error || done.status !== 0) {
    rmSync(unfinished, { force: true });
    console.error(`postern: ${compiler} could not make the compiled sendmail, which is faster than Node's and does the same: ${done.error?.message ?? done.stderr}`);
    return undefined;
  }
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, program);
  return program;
}

/**
 * A compiled sendmail of its own for the instance with this configuration directory: `DIRECTORY/native/build/sendmail`, which
 * becomes `DIRECTORY/bin/sendmail` (Node's, with -C) where it must. The instance's main.cf needs the line that is the answer's
 * `setting`. undefined where nothing can be compiled.
 */
export function privateSendmail(directory, configDirectory, { launcher = `${root}/bin/sendmail` } = {}) {
  const made = compileNative();
  if (made === undefined) return undefined;
  for (const name of ['bin', 'native/build']) mkdirSync(`${directory}/${name}`, { recursive: true, mode: 0o755 });
  const path = `${directory}/native/build/sendmail`;
  copyFileSync(made, path);
  chmodSync(path, 0o755);
  writeFileSync(`${directory}/bin/sendmail`, `#!/bin/sh\nexec '${launcher}' -C '${configDirectory}' "$@"\n`, { mode: 0o755 });
  return { path, setting: `sendmail_socket_file = ${path}.socket` };
}
