/**
 * postmulti -e: what becomes of an instance's files, and of the settings in main.cf that name it.
 *
 * Each step that cannot be done ends the command with a fatal line; what was done before stays, and the command can be repeated.
 */
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, renameSync, rmdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { Configuration } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { isRoot } from '../../host/identity.ts';
import type { Log } from '../../log/log.ts';
import { isMasterRunning } from '../../server/master-lock.ts';
import { queueDirectories } from '../../server/mail-directories.ts';
import { splitList } from '../../text/ascii.ts';
import { setPermissions } from '../postfix/set-permissions.ts';
import { stockFile } from '../postfix/situation.ts';
import { runPostconf, type Writer } from '../within.ts';
import type { NewNames } from './assignment.ts';
import type { Instance } from './instances.ts';
import type { EditAction } from './options.ts';

export interface Work {
  readonly action: EditAction;
  readonly target: Instance;
  /** Of the primary instance. */
  readonly config: Configuration;
  /** The new value of multi_instance_directories. */
  readonly directories: string;
  readonly names: NewNames;
  /** As `postfix/postmulti-script`. */
  readonly log: Log;
  readonly stderr: Writer;
}

/** The exit status. */
export async function changeInstance(work: Work): Promise<number> {
  const { action, log, config } = work;
  if (action === 'init') return edit(work, config.directory, ['multi_instance_wrapper = ${command_directory}/postmulti -p --', 'multi_instance_enable = yes']);
  if (config.get('multi_instance_wrapper') === '') log.fatal("multi_instance_wrapper is empty, run 'postmulti -e init' first.");
  if (!config.get('multi_instance_enable')) log.fatal("multi_instance_enable!=yes, run 'postmulti -e init' first.");
  return steps[action](work);
}

const steps: { readonly [A in Exclude<EditAction, 'init'>]: (work: Work) => Promise<number> } = {
  create: add, import: add, destroy, deport,
  enable: (work) => edit(work, work.target.configDirectory, ['multi_instance_enable = yes']),
  disable: (work) => edit(work, work.target.configDirectory, ['multi_instance_enable = no']),
  assign: assignNames,
};

async function edit({ stderr }: Work, directory: string, settings: readonly string[]): Promise<number> {
  if (settings.length === 0) return 0;
  return (await runPostconf(directory, ['-e', ...settings], { stderr })).status;
}

async function assignNames(work: Work): Promise<number> {
  const { names: { name, group }, target } = work;
  const settings = [...(name === undefined ? [] : [`multi_instance_name = ${name}`]), ...(group === undefined ? [] : [`multi_instance_group = ${group}`])];
  return edit(work, target.configDirectory, settings);
}

/** The list of the primary instance; who leaves it, alternate_config_directories remembers. */
async function updateDirectories(work: Work, isMember: boolean): Promise<number> {
  const { config, target: { configDirectory }, directories } = work;
  const before = splitList(config.get('alternate_config_directories'));
  const kept = before.filter((directory) => directory !== configDirectory);
  const isNamed = kept.length < before.length;
  const alternate = (list: readonly string[]): string => `alternate_config_directories =${list.map((directory) => ` ${directory}`).join('')}`;
  const settings = [`multi_instance_directories = ${directories}`];
  if (!isMember && !isNamed) settings.push(alternate([...kept, configDirectory]));
  if (isMember && isNamed) settings.push(alternate(kept));
  return edit(work, config.directory, settings);
}

async function add(work: Work): Promise<number> {
  const { target: { configDirectory }, action, log } = work;
  const [hasMain, hasMaster] = ['main.cf', 'master.cf'].map((name) => existsSync(`${configDirectory}/${name}`));
  if (action === 'import') {
    if (!hasMain) log.fatal(`'${configDirectory}' lacks a main.cf file`);
    if (!hasMaster) log.fatal(`'${configDirectory}' lacks a master.cf file`);
  } else if (!hasMain || !hasMaster) {
    const status = await install(work);
    if (status !== 0) return status;
  }
  // Before the owners are set: an instance that is not in the list would count as one that stands alone.
  if (await assignNames(work) !== 0 || await updateDirectories(work, true) !== 0) return 1;
  setPermissions(Configuration.load(configDirectory, { warn: (text) => log.warning(text) }), log);
  return 0;
}

/** What all instances have in common, and an instance has from the primary one when that has it set. */
const shared = [
  'command_directory', 'daemon_directory', 'meta_directory', 'mail_owner', 'setgid_group', 'sendmail_path', 'mailq_path',
  'newaliases_path', 'html_directory', 'manpage_directory', 'sample_directory', 'readme_directory', 'shlib_directory',
];

/** Stock files with the instance's own settings; master.cf comes last, and with it the instance is complete. */
async function install(work: Work): Promise<number> {
  const { target, config, log, stderr } = work;
  const { configDirectory, queueDirectory, dataDirectory } = target;
  const [main, master] = ['main.cf', 'master.cf'].map((name) => prototype(config, name));
  const made = `${configDirectory}/.tmp`;
  try {
    for (const [path, mode] of [[configDirectory, 0o755], [queueDirectory, 0o755], [dataDirectory, 0o700], [made, 0o700]] as const) mkdirSync(path, { recursive: true, mode });
    copy(main!, `${made}/main.cf`);
    const given = shared.filter((name) => config.settings.has(name) && config.settings.get(name)!.value !== '');
    const others = shared.filter((name) => !given.includes(name));
    if (others.length > 0 && (await runPostconf(made, ['-#', ...others], { stderr })).status !== 0) return 1;
    const settings = [
      `queue_directory = ${queueDirectory}`, `data_directory = ${dataDirectory}`, 'authorized_submit_users =', 'master_service_disable = inet',
      ...given.map((name) => `${name} = ${config.settings.get(name)!.value}`),
    ];
    if (await edit(work, made, settings) !== 0) return 1;
    copy(master!, `${made}/master.cf`);
    for (const name of ['main.cf', 'master.cf']) renameSync(`${made}/${name}`, `${configDirectory}/${name}`);
    rmdirSync(made);
    return 0;
  } catch (error) {
    return log.fatal(`${(error as NodeJS.ErrnoException).path ?? configDirectory}: ${errorText(error)}`);
  }
}

/** meta_directory's, which a packager or operator may have shaped, else the stock file. */
function prototype(config: Configuration, name: string): string {
  const own = `${config.get('meta_directory')}/${name}.proto`;
  return existsSync(own) ? own : stockFile(name);
}

function copy(from: string, to: string): void {
  copyFileSync(from, to);
  const { mode, uid, gid, atime, mtime } = statSync(from);
  if (isRoot()) chownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
  utimesSync(to, atime, mtime);
}

function checkStopped({ target: { configDirectory, queueDirectory }, log }: Work): void {
  if (isMasterRunning(`${queueDirectory}/pid/master.pid`)) log.fatal(`Instance '${configDirectory}' is not stopped`);
}

async function deport(work: Work): Promise<number> {
  if (!existsSync(`${work.target.configDirectory}/main.cf`)) return updateDirectories(work, true);
  checkStopped(work);
  return updateDirectories(work, false);
}

/** Takes away what is known to be ours and empty; the rest is the operator's to look at. */
async function destroy(work: Work): Promise<number> {
  const { target: { configDirectory, queueDirectory, dataDirectory }, log } = work;
  if (!existsSync(`${configDirectory}/main.cf`)) log.fatal(`${configDirectory}/main.cf file not found`);
  checkStopped(work);
  if (await updateDirectories(work, true) !== 0) return 1;
  const names = queueDirectories.map(({ name }) => name).filter((name) => name !== '').sort();
  for (const name of names) removeDirectory(`${queueDirectory}/${name}`, name, work);
  for (const directory of [dataDirectory, queueDirectory]) removeDirectory(directory, directory, work);
  for (const name of ['master.cf', 'main.cf']) rmSync(`${configDirectory}/${name}`, { force: true });
  removeDirectory(configDirectory, configDirectory, work);
  return 0;
}

function removeDirectory(path: string, shown: string, { log, stderr }: Work): void {
  try {
    rmdirSync(path);
  } catch (error) {
    stderr.write(Buffer.from(`rmdir: failed to remove '${shown}': ${errorText(error)}\n`, 'latin1'));
    log.warning(`${path}: please verify contents and remove by hand`);
  }
}
