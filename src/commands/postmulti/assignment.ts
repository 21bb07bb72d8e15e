/**
 * New instances and new names: what the operator gave, completed from the primary instance. Trouble is a CommandFailed in Postfix's words.
 */
import type { Configuration } from '../../config/configuration.ts';
import { splitNameValue } from '../../config/main-cf.ts';
import { CommandFailed } from '../voice.ts';
import type { Writer } from '../within.ts';
import { loadInstance, namePrefix, type Instance, type Instances } from './instances.ts';
import type { CommandLine, EditAction } from './options.ts';

/** What is to be written into the instance's main.cf; undefined stays as it is. */
export interface NewNames {
  readonly name?: string;
  readonly group?: string;
}

const safe = /^[A-Za-z0-9!@%\-_=+:./]*$/;

function fail(text: string): never {
  throw new CommandFailed(text);
}

export function checkNames({ name, group }: CommandLine): void {
  if (name !== undefined && name !== '') {
    if (!safe.test(name)) fail(`Unsafe characters in new instance name: '${name}'`);
    if (name.includes('/')) fail(`Illegal '/' character in new instance name: '${name}'`);
    if (!name.startsWith(namePrefix)) fail(`New instance name must start with '${namePrefix}'`);
  }
  if (group !== undefined && group !== '' && !safe.test(group)) fail(`Unsafe characters in '-G ${group}'`);
}

/** Names that change, in the instance and in the answer. */
export function assignNames(instance: Instance, { name, group }: CommandLine, instances: Instances): NewNames {
  let changes: NewNames = {};
  if (name !== undefined && name !== instance.name) {
    instances.claim(instance.configDirectory, 'multi_instance_name', name);
    instance.name = name;
    changes = { ...changes, name };
  }
  if (group !== undefined && group !== instance.group) {
    instance.group = group;
    changes = { ...changes, group };
  }
  return changes;
}

type Private = 'config_directory' | 'queue_directory' | 'data_directory';

/** The new instance, not yet in the list. */
export async function newInstance(line: CommandLine, config: Configuration, instances: Instances, stderr: Writer): Promise<Instance> {
  const action = line.mode as EditAction;
  const given = new Map(line.operands.map((operand) => parseSetting(operand, action)));
  const path = (parameter: Private): string =>
    given.get(parameter) ?? privatePath(parameter, parameter === 'config_directory' ? config.directory : config.get(parameter), line.name);
  const configDirectory = path('config_directory');
  const owner = instances.ownerOf(configDirectory);
  if (owner !== undefined) fail(`new config_directory=${configDirectory} is already in use by instance ${owner}=${configDirectory}`);
  if (action === 'import') return loadInstance(configDirectory, stderr);
  return { configDirectory, queueDirectory: path('queue_directory'), dataDirectory: path('data_directory'), name: '', group: '', enabled: false, primary: false };
}

function parseSetting(operand: string, action: EditAction): [Private, string] {
  const pair = splitNameValue(operand);
  if (typeof pair === 'string') return fail(`Malformed parameter setting '${operand}'`);
  const [name, value] = pair;
  const known = name === 'config_directory' || (action !== 'import' && (name === 'queue_directory' || name === 'data_directory'));
  if (!known) fail(`Parameter '${name}' not valid with action ${action}`);
  if (!value.startsWith('/')) fail(`Parameter setting '${name}' is not an absolute path`);
  // A shell's completion leaves a slash.
  const path = value.replace(/\/+$/, '');
  return path === '' ? fail(`Parameter setting '${name}' is the root directory`) : [name as Private, path];
}

/** Beside the primary instance's, under the new name. */
function privatePath(parameter: Private, primary: string, name: string | undefined): string {
  if (name === undefined || name === '') return fail(`Missing ${parameter} parameter value`);
  if (!primary.startsWith('/')) fail(`Invalid default ${parameter} parameter value: '${primary}': specify an absolute pathname`);
  const base = primary.replace(/\/+$/, '').replace(/\/+[^/]*$/, '');
  return `${base}/${name}`;
}
