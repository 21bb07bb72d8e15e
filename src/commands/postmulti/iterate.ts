/**
 * postmulti -l, -p and -x: the selected instances listed, and postfix(1) or any command run for each of them.
 *
 * Each command gets the instance by MAIL_CONFIG, and with -x by variables of its own. The status is 0, or 1 when a command failed.
 */
import { spawnSync } from 'node:child_process';
import type { Configuration } from '../../config/configuration.ts';
import { splitList } from '../../text/ascii.ts';
import { ourPrograms, program } from '../postfix/situation.ts';
import { CommandFailed, type Voice } from '../voice.ts';
import { isSelected, type Instance } from './instances.ts';
import type { Selection } from './options.ts';

export function list(instances: readonly Instance[], json: boolean): string {
  return instances.map((instance) => (json ? jsonLine(instance) : textLine(instance))).join('');
}

function textLine({ name, group, enabled, configDirectory }: Instance): string {
  return `${(name || '-').padEnd(15)} ${(group || '-').padEnd(15)} ${(enabled ? 'y' : 'n').padEnd(9)} ${configDirectory}\n`;
}

function jsonLine({ name, group, enabled, configDirectory }: Instance): string {
  const quoted = (text: string): string => JSON.stringify(text).replace(/\u007f/g, '\\u007f');
  return `{"name": ${quoted(name || '-')},"group": ${quoted(group || '-')},"enabled": "${enabled ? 'y' : 'n'}","config_directory": ${quoted(configDirectory)}}\n`;
}

interface Course {
  readonly reverse?: boolean;
  /** Disabled instances are passed over, or only checked. */
  readonly disabled?: 'skip' | 'check';
}

export function selected(instances: readonly Instance[], selection: Selection, reverse: boolean): Instance[] {
  const found = instances.filter((instance) => isSelected(instance, selection));
  return reverse ? found.reverse() : found;
}

/** postfix(1): which commands go backwards, and what they do with disabled instances, main.cf says. */
export function runPostfix(instances: readonly Instance[], selection: Selection, words: readonly string[], config: Configuration, environment: NodeJS.ProcessEnv, voice: Voice): number {
  const listed = (parameter: 'postmulti_start_commands' | 'postmulti_stop_commands' | 'postmulti_control_commands'): boolean =>
    splitList(config.get(parameter)).includes(words[0]!);
  const course: Course = listed('postmulti_start_commands') ? { disabled: 'check' }
    : listed('postmulti_stop_commands') ? { disabled: 'skip', reverse: true }
    : listed('postmulti_control_commands') ? { disabled: 'skip' } : {};
  return forEach(selected(instances, selection, course.reverse ?? false), course, (instance) => {
    const own = course.disabled === 'check' && !instance.enabled ? ['check', ...words.slice(1)] : words;
    return run(program.postfix, ['--', ...own], { ...environment, MAIL_CONFIG: instance.configDirectory }, voice);
  });
}

export function runCommands(instances: readonly Instance[], selection: Selection, reverse: boolean, words: readonly string[], config: Configuration, environment: NodeJS.ProcessEnv, voice: Voice): number {
  const shared = {
    PATH: searchPath(config, environment), daemon_directory: config.get('daemon_directory'), command_directory: config.get('command_directory'),
  };
  return forEach(selected(instances, selection, reverse), {}, (instance) => run(words[0]!, words.slice(1), {
    ...environment, ...shared, MAIL_CONFIG: instance.configDirectory, config_directory: instance.configDirectory,
    queue_directory: instance.queueDirectory, data_directory: instance.dataDirectory,
    multi_instance_name: instance.name, multi_instance_group: instance.group, multi_instance_enable: instance.enabled ? 'yes' : 'no',
  }, voice));
}

/** Our own commands first, whatever else is in command_directory. */
function searchPath(config: Configuration, environment: NodeJS.ProcessEnv): string {
  return `${ourPrograms}:${config.get('command_directory')}:${environment['PATH'] || '/usr/bin:/bin:/usr/sbin:/sbin'}`;
}

function forEach(instances: readonly Instance[], { disabled }: Course, work: (instance: Instance) => number): number {
  const chosen = instances.filter(({ enabled }) => disabled !== 'skip' || enabled);
  if (chosen.length === 0) throw new CommandFailed('No matching instances');
  return chosen.map(work).some((status) => status !== 0) ? 1 : 0;
}

function run(file: string, words: readonly string[], environment: NodeJS.ProcessEnv, voice: Voice): number {
  const [decoded = '', ...rest] = [file, ...words].map((word) => Buffer.from(word, 'latin1').toString('utf8'));
  const { status, error } = spawnSync(decoded, rest, { stdio: 'inherit', env: environment });
  if (error !== undefined) voice.last(`execvp ${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'No such file or directory' : error.message}`);
  return status ?? 1;
}
