/**
 * postfix logrotate: moves maillog_file aside, has master open it anew, and compresses what was.
 */
import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { errorText } from '../../host/libc.ts';
import { isMasterRunning, masterPid } from '../../server/master-lock.ts';
import type { Situation } from './situation.ts';

export async function logrotate({ config, log, pidFile }: Situation): Promise<number> {
  const [file, compressor, suffix] = (['maillog_file', 'maillog_file_compressor', 'maillog_file_rotate_suffix'] as const)
    .map((name) => config.get(name) || log.fatal(`empty '${name}' parameter value - logfile rotation failed`)) as [string, string, string];
  if (file.startsWith('/dev/')) log.fatal(`not rotating '${file}'`);
  const rotated = `${file}.${formatTime(suffix, new Date())}`;
  try {
    renameSync(file, rotated);
  } catch (error) {
    log.fatal(`logfile '${file}' rotation failed: ${errorText(error)}`);
  }
  if (isMasterRunning(pidFile)) process.kill(masterPid(pidFile)!, 'SIGHUP');
  // Processes of before the reload have lines of their last turn to write.
  await pause(1000);
  const done = spawnSync(compressor, [rotated], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'latin1' });
  if (done.status !== 0) log.fatal(`logfile '${file}' rotation failed: ${done.error?.message ?? done.stderr.replaceAll('\n', ' ')}`);
  return 0;
}

const two = (value: number): string => String(value).padStart(2, '0');
const fields: { readonly [letter: string]: (time: Date) => string } = {
  Y: (time) => String(time.getFullYear()),
  m: (time) => two(time.getMonth() + 1),
  d: (time) => two(time.getDate()),
  H: (time) => two(time.getHours()),
  M: (time) => two(time.getMinutes()),
  S: (time) => two(time.getSeconds()),
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  '%': () => '%',
};

/** strftime(3) for the letters that a file name needs; others stay as they are. */
export function formatTime(format: string, time: Date): string {
  return format.replace(/%([A-Za-z%])/g, (all, letter: string) => (Object.hasOwn(fields, letter) ? fields[letter]!(time) : all));
}
