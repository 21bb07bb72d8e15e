/**
 * postfix check: everything that would keep the mail system from working is an error, everything odd a warning.
 *
 * `postfix start` runs the same, but does not look into tables: an error in main.cf stops it, a bad row of master.cf only that row.
 */
import { existsSync, readFileSync } from 'node:fs';
import { checkConfiguration } from '../../config/checks.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { describeTrouble, readMasterCf, type MasterRow, type Trouble } from '../../config/master-cf.ts';
import { readConfigurationFile } from '../../config/main-cf.ts';
import { checkPipeArguments } from '../../config/pipe-arguments.ts';
import { isRoot } from '../../host/identity.ts';
import { parameterNames } from '../../parameters/parameters.ts';
import { mailOwner, setgidGroup } from '../../server/mail-owner.ts';
import { createMissing } from './create-missing.ts';
import { jsonReporter, textReporter, type Reporter } from './findings.ts';
import { headerNotes } from './master-cf-header.ts';
import { ownershipWarnings } from './ownership.ts';
import { checkQueueFiles, reportUnused } from './programs.ts';
import type { Situation } from './situation.ts';

export async function check(situation: Situation, words: readonly string[] = []): Promise<number> {
  const isJson = words.includes('--json');
  if (words.length > (isJson ? 1 : 0)) situation.log.fatal('usage postfix check (no arguments, or --json)');
  const reporter = isJson ? jsonReporter(situation) : textReporter(situation.log);
  const usable = await checkFatal(situation, reporter);
  const { rows, sound } = checkMasterCf(situation, reporter);
  if (usable) {
    await checkWarnings(situation, reporter);
    checkRows(situation, rows, reporter);
    const { checkTables } = await import('./tables.ts');
    checkTables(situation.config, rows, reporter);
  }
  return usable && sound ? 0 : 1;
}

/** Can the mail system run at all? Makes directories that are missing. */
export async function checkFatal(situation: Situation, reporter = textReporter(situation.log)): Promise<boolean> {
  if (!checkMainCf(situation, reporter) || !checkDirectories(situation, reporter)) return false;
  return checkQueueFiles(situation, reporter);
}

function checkMainCf({ config }: Situation, reporter: Reporter): boolean {
  const troubles = new Map<string, string | undefined>();
  const attempt = (work: () => unknown, parameter?: string): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      if (!troubles.has(error.message)) troubles.set(error.message, parameter);
    }
  };
  for (const name of parameterNames()) if (config.has(name)) attempt(() => config.get(name), name);
  attempt(() => checkConfiguration(config));
  if (isRoot()) {
    attempt(() => mailOwner(config), 'mail_owner');
    attempt(() => setgidGroup(config), 'setgid_group');
  }
  for (const [trouble, parameter] of troubles) reporter.report('error', trouble, parameter === undefined ? {} : { parameter });
  return troubles.size === 0;
}

function checkDirectories({ config, queueDirectory }: Situation, reporter: Reporter): boolean {
  const trouble = createMissing(config, queueDirectory);
  if (trouble !== undefined) {
    reporter.report('error', trouble);
    return false;
  }
  if (existsSync(`${config.directory}/master.cf`)) return true;
  reporter.report('error', `no ${config.directory}/master.cf file found`, { file: `${config.directory}/master.cf` });
  return false;
}

interface Rows { readonly rows: readonly MasterRow[]; readonly sound: boolean }

/** Not sound when a row cannot be used. */
function checkMasterCf({ config }: Situation, reporter: Reporter): Rows {
  const file = `${config.directory}/master.cf`;
  if (!existsSync(file)) return { rows: [], sound: false };
  const { rows, troubles } = readMasterCf(file, { warn: (text) => reporter.report('warning', text) });
  const serviceOf = new Map<Trouble, string>();
  const bad = rows.flatMap((row) => checkPipeArguments(row).map((trouble) => (serviceOf.set(trouble, row.service), trouble)));
  const all = [...troubles, ...bad].sort((one, other) => one.line - other.line);
  for (const trouble of all) reporter.report('error', describeTrouble(trouble), { service: serviceOf.get(trouble) });
  return { rows, sound: all.length === 0 };
}

/** They act for users, run programs, or open what only root may: in a jail they do not find what they need. */
const neverJailed: ReadonlySet<string> = new Set(['local', 'pipe', 'proxymap', 'spawn', 'virtual']);

function checkRows({ config }: Situation, rows: readonly MasterRow[], reporter: Reporter): void {
  for (const { program, service, chroot, file, line } of rows)
    if (chroot && neverJailed.has(program))
      reporter.report('warning', `${file}: line ${line}: service "${service}" runs ${program}(8) chrooted, where it cannot do its work (write n in the fifth column)`, { service });
  const hasPostlog = rows.some(({ service, type }) => service === config.get('postlog_service_name') && type === 'unix-dgram');
  if (config.get('maillog_file') !== '' && !hasPostlog)
    reporter.report('warning', "missing 'postlog' service in master.cf - run 'postfix upgrade-configuration'", { file: `${config.directory}/master.cf`, service: 'postlog', parameter: 'maillog_file' });
}

/** What is odd: names that nobody uses, owners and permissions, a master.cf that was written for other defaults, old copies in a jail. */
export async function checkWarnings(situation: Situation, reporter = textReporter(situation.log)): Promise<void> {
  const { config, queueDirectory } = situation;
  await reportUnused(situation, reporter);
  const file = `${config.directory}/master.cf`;
  const warn = (text: string): void => reporter.report('warning', text);
  if (existsSync(file)) headerNotes(readConfigurationFile(file), file).forEach(warn);
  const root = isRoot();
  const you = { uid: process.geteuid!(), name: 'you' };
  ownershipWarnings({
    queueDirectory, configDirectory: config.directory, dataDirectory: config.get('data_directory'),
    root: root ? { uid: 0, name: 'root' } : you, owner: root ? mailOwner(config) : you, group: root ? setgidGroup(config) : undefined,
  }).forEach(warn);
  if (root && ['bin', 'etc', 'lib', 'sbin', 'usr'].some((name) => existsSync(`${queueDirectory}/${name}`))) {
    const { jailWarnings } = await import('./jail.ts');
    for (const text of jailWarnings(queueDirectory)) warn(text);
  }
  for (const text of sendmailWarnings()) warn(text);
}

/** Two files where programs look for sendmail(1), and they are not the same: one is some other mail system's. */
function sendmailWarnings(paths: readonly [string, string] = ['/usr/lib/sendmail', '/usr/sbin/sendmail']): string[] {
  try {
    const [one, other] = paths.map((path) => readFileSync(path));
    return one!.equals(other!) ? [] : [`${paths[0]} and ${paths[1]} differ`, 'Replace one by a symbolic link to the other'];
  } catch {
    return [];
  }
}

export async function checkFatalOnly(situation: Situation): Promise<number> {
  return await checkFatal(situation) ? 0 : 1;
}

export async function checkWarningsOnly(situation: Situation): Promise<number> {
  await checkWarnings(situation);
  return 0;
}
