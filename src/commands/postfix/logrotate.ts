/**
 * postfix logrotate: moves maillog_file aside, has master open it anew, and compresses what was.
 *
 * Not before everybody has let go of the old file: a process that finishes its work after the reload writes into it until master takes
 * its lines (docs/decisions/log-file-by-master.md), and a compressor would lose what comes behind its back. When somebody does not let go
 * the file stays as it is, with a warning.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, renameSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { errorText } from '../../host/libc.ts';
import { isMasterRunning, masterPid } from '../../server/master-lock.ts';
import type { Situation } from './situation.ts';
import { writersOf } from './writers.ts';

/** Milliseconds for the writers to let go, and between two looks. */
const patience = 30_000;
const look = 100;

export async function logrotate({ config, log, pidFile }: Situation, words: readonly string[]): Promise<number> {
  if (words.length > 0) log.fatal('usage postfix logrotate (no arguments)');
  const [file, compressor, suffix] = (['maillog_file', 'maillog_file_compressor', 'maillog_file_rotate_suffix'] as const)
    .map((name) => config.get(name) || log.fatal(`empty '${name}' parameter value - logfile rotation failed`)) as [string, string, string];
  if (file.startsWith('/dev/')) log.fatal(`not rotating '${file}'`);
  const rotated = `${file}.${formatTime(suffix, new Date())}`;
  const failed = (why: string): never => log.fatal(`logfile '${file}' rotation failed: ${why}`);
  try {
    if (lstatSync(rotated, { throwIfNoEntry: false }) !== undefined) failed(`${rotated} is there already`);
    renameSync(file, rotated);
  } catch (error) {
    failed(errorText(error));
  }
  if (isMasterRunning(pidFile)) process.kill(masterPid(pidFile)!, 'SIGHUP');
  // Our own lines of before are in it, too.
  const ours = process.pid;
  for (let left = patience; writersOf(rotated, ours).length > 0; left -= look) {
    if (left <= 0) {
      log.warning(`${rotated} is not compressed: process ${writersOf(rotated, ours).join(', ')} still writes to it`);
      return 0;
    }
    await pause(look);
  }
  const done = spawnSync(compressor, [rotated], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'latin1' });
  if (done.status !== 0) failed(done.error?.message ?? done.stderr.replaceAll('\n', ' '));
  return 0;
}

const two = (value: number): string => String(value).padStart(2, '0');
const short = (locale: Intl.DateTimeFormatOptions) => (time: Date): string => new Intl.DateTimeFormat('en-US', locale).format(time);
const dayOfYear = (time: Date): number => Math.round((Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) - Date.UTC(time.getFullYear(), 0, 1)) / 86_400_000) + 1;

/** The Thursday of the same ISO week, whose year is the week's. */
function thursday(time: Date): Date {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate() + 3 - (time.getDay() + 6) % 7);
}

function zone(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`;
}

const fields: { readonly [letter: string]: (time: Date) => string } = {
  Y: (time) => String(time.getFullYear()),
  C: (time) => two(Math.floor(time.getFullYear() / 100)),
  y: (time) => two(time.getFullYear() % 100),
  G: (time) => String(thursday(time).getFullYear()),
  g: (time) => two(thursday(time).getFullYear() % 100),
  m: (time) => two(time.getMonth() + 1),
  b: short({ month: 'short' }),
  h: short({ month: 'short' }),
  B: short({ month: 'long' }),
  d: (time) => two(time.getDate()),
  e: (time) => String(time.getDate()).padStart(2),
  j: (time) => String(dayOfYear(time)).padStart(3, '0'),
  a: short({ weekday: 'short' }),
  A: short({ weekday: 'long' }),
  u: (time) => String(time.getDay() || 7),
  w: (time) => String(time.getDay()),
  U: (time) => two(Math.floor((dayOfYear(time) + 6 - time.getDay()) / 7)),
  W: (time) => two(Math.floor((dayOfYear(time) + 6 - (time.getDay() + 6) % 7) / 7)),
  V: (time) => two(Math.ceil(dayOfYear(thursday(time)) / 7)),
  H: (time) => two(time.getHours()),
  I: (time) => two(time.getHours() % 12 || 12),
  M: (time) => two(time.getMinutes()),
  S: (time) => two(time.getSeconds()),
  N: (time) => `${String(time.getMilliseconds()).padStart(3, '0')}000000`,
  p: (time) => (time.getHours() < 12 ? 'AM' : 'PM'),
  P: (time) => (time.getHours() < 12 ? 'am' : 'pm'),
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  z: zone,
  '%': () => '%',
};

/** Letters that stand for several others. */
const combined: ReadonlyMap<string, string> = new Map([['F', '%Y-%m-%d'], ['T', '%H:%M:%S'], ['R', '%H:%M'], ['D', '%m/%d/%y']]);

/** As date(1) writes it, for the letters that a file name may want; others stay as they are. Pure, in the local zone. */
export function formatTime(format: string, time: Date): string {
  return format.replace(/%([A-Za-z%])/g, (all, letter: string) => {
    const more = combined.get(letter);
    if (more !== undefined) return formatTime(more, time);
    return Object.hasOwn(fields, letter) ? fields[letter]!(time) : all;
  });
}
