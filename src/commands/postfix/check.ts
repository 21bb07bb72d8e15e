/**
 * postfix check: everything that would keep the mail system from working is an error, everything odd a warning.
 *
 * `postfix start` runs the same: an error in main.cf stops it, a bad row of master.cf only that row.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { checkConfiguration } from '../../config/checks.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { describeTrouble, readMasterCf } from '../../config/master-cf.ts';
import { readConfigurationFile } from '../../config/main-cf.ts';
import { checkPipeArguments } from '../../config/pipe-arguments.ts';
import { isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { parameterNames } from '../../parameters/parameters.ts';
import { createDirectories, hasSetgidPostdrop } from '../../server/mail-directories.ts';
import { mailOwner, setgidGroup } from '../../server/mail-owner.ts';
import { headerNotes } from './master-cf-header.ts';
import { ownershipWarnings } from './ownership.ts';
import { program, type Situation } from './situation.ts';

export function check(situation: Situation): number {
  const usable = checkFatal(situation);
  const rows = checkMasterCf(situation, (text) => situation.log.error(text));
  if (usable) checkWarnings(situation);
  return usable && rows ? 0 : 1;
}

/** Can the mail system run at all? Makes directories that are missing. */
export function checkFatal(situation: Situation): boolean {
  return checkMainCf(situation) && checkDirectories(situation);
}

function checkMainCf({ config, log }: Situation): boolean {
  const troubles = new Set<string>();
  const attempt = (work: () => unknown): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      troubles.add(error.message);
    }
  };
  for (const name of parameterNames()) if (config.has(name)) attempt(() => config.get(name));
  attempt(() => checkConfiguration(config));
  if (isRoot()) {
    attempt(() => mailOwner(config));
    attempt(() => setgidGroup(config));
  }
  for (const trouble of troubles) log.error(trouble);
  return troubles.size === 0;
}

function checkDirectories({ config, log, queueDirectory }: Situation): boolean {
  const root = isRoot();
  const ourselves = { uid: process.geteuid!(), gid: process.getegid!() };
  const group = root ? setgidGroup(config).gid : ourselves.gid;
  try {
    createDirectories({
      queueDirectory, dataDirectory: config.get('data_directory'), owner: root ? mailOwner(config) : ourselves, setgidGroup: group,
      forUsers: root && !hasSetgidPostdrop(config.get('command_directory'), group),
    });
  } catch (error) {
    log.error(`unable to create missing queue directories: ${(error as NodeJS.ErrnoException).path ?? queueDirectory}: ${errorText(error)}`);
    return false;
  }
  if (existsSync(`${config.directory}/master.cf`)) return true;
  log.error(`no ${config.directory}/master.cf file found`);
  return false;
}

/** False when a row cannot be used. */
function checkMasterCf({ config, log }: Situation, report: (text: string) => void): boolean {
  const file = `${config.directory}/master.cf`;
  if (!existsSync(file)) return false;
  const { rows, troubles } = readMasterCf(file, { warn: (text) => log.warning(text) });
  const all = [...troubles, ...rows.flatMap(checkPipeArguments)].sort((one, other) => one.line - other.line);
  for (const trouble of all) report(describeTrouble(trouble));
  return all.length === 0;
}

/** postconf(1) knows which settings nobody uses; it says so on standard error. */
function warnOfUnused(situation: Situation): void {
  spawnSync(program.postconf, ['-c', situation.config.directory, '-n'], { stdio: ['ignore', 'ignore', 'inherit'], env: situation.environment });
}

/** What is odd: owners and permissions, a master.cf that was written for other defaults. */
export function checkWarnings(situation: Situation): void {
  const { config, log, queueDirectory } = situation;
  warnOfUnused(situation);
  const file = `${config.directory}/master.cf`;
  if (existsSync(file)) for (const note of headerNotes(readConfigurationFile(file), file)) log.warning(note);
  const root = isRoot();
  for (const warning of ownershipWarnings({
    queueDirectory, configDirectory: config.directory, dataDirectory: config.get('data_directory'),
    root: root ? { uid: 0, name: 'root' } : { uid: process.geteuid!(), name: 'you' },
    owner: root ? mailOwner(config) : { uid: process.geteuid!(), name: 'you' },
    group: root ? setgidGroup(config) : undefined,
  })) log.warning(warning);
}
