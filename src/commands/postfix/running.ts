/**
 * The subcommands for a mail system that runs (or not): status, stop, quick-stop, abort, drain, reload, flush.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isMasterRunning, masterPid } from '../../server/master-lock.ts';
import { reportUnused } from './programs.ts';
import { program, sharedOptions, type Situation } from './situation.ts';

/** The running master's process id; a fatal line when there is none. */
function runningMaster({ log, pidFile }: Situation): number {
  const pid = isMasterRunning(pidFile) ? masterPid(pidFile) : undefined;
  return pid ?? log.fatal('the Postfix mail system is not running');
}

export async function status(situation: Situation): Promise<number> {
  const { log, pidFile } = situation;
  await reportUnused(situation);
  const running = isMasterRunning(pidFile);
  log.info(running ? `the Postfix mail system is running: PID: ${masterPid(pidFile)}` : 'the Postfix mail system is not running');
  return running ? 0 : 1;
}

/** Seconds that master gets to end by itself. */
const patience = 5;
/** Looks per second. */
const looks = 20;

export async function stop(situation: Situation): Promise<number> {
  const { log, pidFile } = situation;
  const pid = runningMaster(situation);
  const children = childrenOf(pid);
  log.info('stopping the Postfix mail system');
  process.kill(pid, 'SIGTERM');
  for (let look = 1; look <= patience * looks; look++) {
    if (!isMasterRunning(pidFile)) return 0;
    await pause(1000 / looks);
    if (look % looks === 0) log.info('waiting for the Postfix mail system to terminate');
  }
  if (!isMasterRunning(pidFile)) return 0;
  log.warning('stopping the Postfix mail system with force');
  for (const each of [pid, ...children]) kill(each);
  return 0;
}

/** The next start comes without its checks; also when there is nothing to stop. */
export async function quickStop(situation: Situation): Promise<number> {
  try {
    await stop(situation);
  } catch (error) {
    // It has been said that nothing runs.
    if (isMasterRunning(situation.pidFile)) throw error;
  }
  writeFileSync(quickStartMark(situation), '');
  return 0;
}

/** The file that says so. */
export function quickStartMark({ queueDirectory }: Situation): string {
  return `${queueDirectory}/quick-start`;
}

/** Only processes that master started; the kernel knows them by their parent. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const found = /^PPid:\t([0-9]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}

export function abort(situation: Situation): number {
  const pid = runningMaster(situation);
  situation.log.info('aborting the Postfix mail system');
  process.kill(pid, 'SIGTERM');
  return 0;
}

/** Master goes at once; its processes notice, finish what they do, and end. */
export function drain(situation: Situation): number {
  const pid = runningMaster(situation);
  situation.log.info('stopping the Postfix mail system');
  process.kill(pid, 'SIGKILL');
  return 0;
}

export async function reload(situation: Situation): Promise<number> {
  await reportUnused(situation);
  const pid = runningMaster(situation);
  situation.log.info('refreshing the Postfix mail system');
  process.kill(pid, 'SIGHUP');
  return 0;
}

export function flush(situation: Situation): number {
  const done = spawnSync(program.postqueue, [...sharedOptions(situation), '-f'], { stdio: 'inherit', env: situation.environment });
  if (done.error !== undefined) situation.log.fatal(`cannot execute ${program.postqueue}: ${done.error.message}`);
  return done.status ?? 1;
}
