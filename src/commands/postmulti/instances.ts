/**
 * The instances that the primary one's main.cf names, who is selected, and what may not be shared between them.
 *
 * Every name and private directory is claimed once; who claims what is another's ends the command. Trouble is a CommandFailed in
 * Postfix's words.
 */
import type { Configuration } from '../../config/configuration.ts';
import { splitList } from '../../text/ascii.ts';
import { CommandFailed } from '../voice.ts';
import { runPostconf, type Writer } from '../within.ts';
import type { Selection } from './options.ts';

export interface Instance {
  readonly configDirectory: string;
  queueDirectory: string;
  dataDirectory: string;
  /** '': none. */
  name: string;
  group: string;
  enabled: boolean;
  readonly primary: boolean;
}

export const namePrefix = 'postfix-';

export class Instances {
  /** In order, the primary one first. */
  readonly all: Instance[] = [];
  readonly #claims = new Map<string, string>();

  /** What nobody may have as an own directory. */
  claim(configDirectory: string, parameter: string, value: string): void {
    const claimant = `${configDirectory}, ${parameter}`;
    const owner = this.#claims.get(value);
    if (owner === undefined) this.#claims.set(value, claimant);
    else if (owner !== claimant) throw new CommandFailed(`instance ${configDirectory}, ${parameter}=${value} conflicts with instance ${owner}=${value}`);
  }

  ownerOf(value: string): string | undefined {
    return this.#claims.get(value);
  }

  /** In front of the first secondary instance that is selected, else at the end. */
  insert(instance: Instance, before: Selection = { kind: 'none' }): void {
    this.#claimAttributes(instance);
    const at = before.kind === 'none' ? -1 : this.all.findIndex((other) => !other.primary && isSelected(other, before));
    if (at < 0 && before.kind !== 'none' && before.kind !== 'all') throw new CommandFailed('No matching secondary instances');
    this.all.splice(at < 0 ? this.all.length : at, 0, instance);
  }

  remove(instance: Instance): void {
    this.all.splice(this.all.indexOf(instance), 1);
  }

  /** The value of multi_instance_directories for those that are here. */
  get directories(): string {
    return this.all.filter(({ primary }) => !primary).map(({ configDirectory }) => configDirectory).join(' ');
  }

  #claimAttributes({ configDirectory, queueDirectory, dataDirectory, name }: Instance): void {
    if (name !== '') this.claim(configDirectory, 'multi_instance_name', name);
    this.claim(configDirectory, 'config_directory', configDirectory);
    this.claim(configDirectory, 'queue_directory', queueDirectory);
    this.claim(configDirectory, 'data_directory', dataDirectory);
  }
}

export function primaryInstance(config: Configuration): Instance {
  return {
    configDirectory: config.directory, queueDirectory: config.get('queue_directory'), dataDirectory: config.get('data_directory'),
    name: config.get('multi_instance_name'), group: config.get('multi_instance_group'), enabled: config.get('multi_instance_enable'), primary: true,
  };
}

/** Adds them to `instances`. */
export async function loadAll(instances: Instances, config: Configuration, stderr: Writer): Promise<void> {
  const others = splitList(config.get('multi_instance_directories'));
  const primary = primaryInstance(config);
  if (others.length === 0) primary.enabled = true;
  instances.insert(primary);
  for (const directory of others) instances.insert(await loadInstance(directory, stderr));
}

const wanted = ['queue_directory', 'data_directory', 'multi_instance_name', 'multi_instance_group', 'multi_instance_enable'];

/** A secondary instance as its main.cf has it. */
export async function loadInstance(directory: string, stderr: Writer): Promise<Instance> {
  const { stdout, status } = await runPostconf(directory, ['-x', ...wanted], { stderr });
  const values = new Map(stdout.split('\n').filter((line) => line !== '').map((line): [string, string] => {
    const at = line.indexOf(' =');
    if (at < 1) throw new CommandFailed(`Invalid ${directory}/main.cf parameter: ${line}`);
    return [line.slice(0, at), line.slice(at + 2).replace(/^ /, '')];
  }));
  const value = (name: string): string => values.get(name)!;
  const enabled = value('multi_instance_enable')?.toLowerCase();
  if (enabled !== undefined && enabled !== 'yes' && enabled !== 'no')
    throw new CommandFailed(`Unexpected ${directory}/main.cf entry: multi_instance_enable = ${value('multi_instance_enable')}`);
  if (!wanted.every((name) => values.has(name))) throw new CommandFailed(`Failed to obtain all required ${directory}/main.cf parameters`);
  if (status !== 0) throw new CommandFailed(`Cannot parse ${directory}/main.cf file`);
  return {
    configDirectory: directory, queueDirectory: value('queue_directory'), dataDirectory: value('data_directory'),
    name: value('multi_instance_name'), group: value('multi_instance_group'), enabled: enabled === 'yes', primary: false,
  };
}

/** By all, group, directory, name, or name without its prefix; `-` is the primary instance. */
export function isSelected(instance: Instance, selection: Selection): boolean {
  switch (selection.kind) {
    case 'none': return false;
    case 'all': return true;
    case 'group': return instance.group !== '' && instance.group === selection.name;
    case 'name': return selection.name === knownAs(instance, selection.name) || (instance.primary && selection.name === '-');
  }
}

function knownAs({ name, configDirectory }: Instance, asked: string): string {
  if (asked.startsWith('/') || name === '') return configDirectory;
  return !asked.startsWith(namePrefix) && name.startsWith(namePrefix) ? name.slice(namePrefix.length) : name;
}
