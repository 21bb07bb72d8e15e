/**
 * postfix start and start-fg: check, create what is missing, and run master(8) in the background or in our place.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { isMasterRunning } from '../../server/master-lock.ts';
import { checkFatal, checkWarnings } from './check.ts';
import { quickStartMark } from './running.ts';
import { program, sharedOptions, type Situation } from './situation.ts';

async function prepare(situation: Situation): Promise<void> {
  const { log, pidFile } = situation;
  if (isMasterRunning(pidFile)) log.fatal('the Postfix mail system is already running');
  if (!isQuick(situation)) {
    if (!await checkFatal(situation)) log.fatal('Postfix integrity check failed!');
    await checkWarnings(situation);
  }
  log.info('starting the Postfix mail system');
}

/** After "postfix quick-stop", once. */
function isQuick(situation: Situation): boolean {
  try {
    rmSync(quickStartMark(situation));
    return true;
  } catch {
    return false;
  }
}

function masterOptions(situation: Situation): string[] {
  return [...sharedOptions(situation), ...(situation.debug ? ['-D'] : [])];
}

export async function start(situation: Situation): Promise<number> {
  await prepare(situation);
  const done = spawnSync(program.master, [...masterOptions(situation), '-w'], { stdio: 'inherit', env: situation.environment });
  if (done.status !== 0) situation.log.fatal('mail system startup failed');
  return 0;
}

/** Becomes master(8): signals and the exit status are its own. As process 1 it is told so. */
export async function startForeground(situation: Situation): Promise<number> {
  const { log, config } = situation;
  if (config.get('multi_instance_directories') !== '') log.fatal('start-fg does not support multi_instance_directories');
  await prepare(situation);
  // Node says once that this call is young; a mail system's standard error is no place for that.
  process.removeAllListeners('warning');
  process.execve!(program.master, [program.master, ...masterOptions(situation), process.pid === 1 ? '-i' : '-s'], cleaned(situation.environment));
  return log.fatal('cannot start-fg the master daemon');
}

function cleaned(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
