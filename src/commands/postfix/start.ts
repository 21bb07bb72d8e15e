/**
 * postfix start and start-fg: check, create what is missing, and run master(8) in the background or in our place.
 */
import { spawnSync } from 'node:child_process';
import { isMasterRunning } from '../../server/master-lock.ts';
import { checkFatal, checkWarnings } from './check.ts';
import { program, sharedOptions, type Situation } from './situation.ts';

function prepare(situation: Situation): void {
  const { log, pidFile } = situation;
  if (isMasterRunning(pidFile)) log.fatal('the Postfix mail system is already running');
  if (!checkFatal(situation)) log.fatal('Postfix integrity check failed!');
  checkWarnings(situation);
  log.info('starting the Postfix mail system');
}

function masterOptions(situation: Situation): string[] {
  return [...sharedOptions(situation), ...(situation.debug ? ['-D'] : [])];
}

export function start(situation: Situation): number {
  prepare(situation);
  const done = spawnSync(program.master, [...masterOptions(situation), '-w'], { stdio: 'inherit', env: situation.environment });
  if (done.status !== 0) situation.log.fatal('mail system startup failed');
  return 0;
}

/** Becomes master(8): signals and the exit status are its own. As process 1 it is told so. */
export function startForeground(situation: Situation): number {
  const { log, config } = situation;
  if (config.get('multi_instance_directories') !== '') log.fatal('start-fg does not support multi_instance_directories');
  prepare(situation);
  // Node says once that this call is young; a mail system's standard error is no place for that.
  process.removeAllListeners('warning');
  process.execve!(program.master, [program.master, ...masterOptions(situation), process.pid === 1 ? '-i' : '-s'], cleaned(situation.environment));
  return log.fatal('cannot start-fg the master daemon');
}

function cleaned(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
