/**
 * postmulti(1): several mail systems on one machine, listed, commanded together, made and taken away.
 *
 * The instances are those that the primary main.cf names in multi_instance_directories. Ends with 0, or with 1 when something could
 * not be done or a command failed.
 */
import { statSync } from 'node:fs';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { openScriptLog, type Screen } from '../script-log.ts';
import { byteStrings, CommandFailed, runCommand, Voice } from '../voice.ts';
import { assignNames, checkNames, newInstance, type NewNames } from './assignment.ts';
import { Instances, isSelected, loadAll, primaryInstance, type Instance } from './instances.ts';
import { isEdit, parseCommandLine, type CommandLine } from './options.ts';

export interface CommandStreams {
  readonly stdout: { write(bytes: Uint8Array): unknown };
  readonly stderr: Screen;
}

interface Session {
  readonly line: CommandLine;
  readonly config: Configuration;
  readonly instances: Instances;
  readonly environment: NodeJS.ProcessEnv;
  readonly streams: CommandStreams;
  readonly voice: Voice;
}

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new Voice('postmulti', streams.stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, streams, voice));
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams, voice: Voice): Promise<number> {
  process.umask(0o022);
  const config = Configuration.load(configDirectory(undefined, environment), { environment, warn: (text) => voice.warning(text) });
  voice.attach(config);
  const usual = configDirectory(undefined, {});
  if (config.directory !== usual) voice.fatal(`Non-default configuration directory: MAIL_CONFIG=${config.directory}`);
  const line = parseCommandLine(argv, (text) => voice.complain(text));
  const session: Session = { line, config, instances: new Instances(), environment: line.verbose ? { ...environment, MAIL_VERBOSE: '' } : environment, streams, voice };
  claimShared(session);
  return isEdit(line.mode) ? manage(session) : iterate(session);
}

const sharedDirectories = ['command_directory', 'daemon_directory', 'meta_directory', 'shlib_directory'] as const;

/** Directories of programs are nobody's own. One that is missing is no hindrance: our programs are found without them. */
function claimShared({ config, instances }: Session): void {
  for (const name of sharedDirectories) {
    const path = config.get(name);
    if (!path.startsWith('/')) continue;
    const found = statSync(Buffer.from(path, 'latin1'), { throwIfNoEntry: false });
    if (found !== undefined && !found.isDirectory()) throw new CommandFailed(`${name} = '${path}' is not a directory`);
    // It usually is one of the others.
    if (name !== 'meta_directory') instances.claim(config.directory, name, path);
  }
}

async function iterate({ line, config, instances, environment, streams, voice }: Session): Promise<number> {
  const { list, runCommands, runPostfix, selected } = await import('./iterate.ts');
  await loadAll(instances, config, streams.stderr);
  const selection = line.selection.kind === 'none' ? { kind: 'all' } as const : line.selection;
  if (line.mode === 'postfix') return runPostfix(instances.all, selection, line.operands, config, environment, voice);
  if (line.mode === 'command') return runCommands(instances.all, selection, line.reverse, line.operands, config, environment, voice);
  streams.stdout.write(Buffer.from(list(selected(instances.all, selection, line.reverse), line.json), 'latin1'));
  return 0;
}

async function manage(session: Session): Promise<number> {
  const { line, config, streams, voice } = session;
  const { target, names } = await prepare(session);
  if (line.mode === 'assign' && Object.keys(names).length === 0) return 0;
  const { changeInstance } = await import('./life-cycle.ts');
  const script = openScriptLog(config, streams.stderr, () => { throw new Said(); }, (text) => voice.complain(`warning: ${text}`));
  try {
    return await changeInstance({
      action: line.mode as Exclude<CommandLine['mode'], 'list' | 'postfix' | 'command'>, target, config, names,
      directories: session.instances.directories, log: script.voice('postmulti-script'), stderr: streams.stderr,
    });
  } catch (error) {
    if (!(error instanceof Said)) throw error;
    return 1;
  } finally {
    script.flush();
  }
}

/** The reason was told. */
class Said extends Error {}

async function prepare(session: Session): Promise<{ target: Instance; names: NewNames }> {
  const { line, config, instances, streams } = session;
  if (line.mode === 'init') return { target: primaryInstance(config), names: {} };
  const stderr = streams.stderr;
  await loadAll(instances, config, stderr);
  if (line.mode === 'create' || line.mode === 'import') {
    checkNames(line);
    const target = await newInstance(line, config, instances, stderr);
    const names = assignNames(target, line, instances);
    instances.insert(target, line.selection);
    return { target, names };
  }
  const target = existing(session);
  if (line.mode === 'assign') {
    checkNames(line);
    return { target, names: assignNames(target, line, instances) };
  }
  if (line.mode === 'destroy' || line.mode === 'deport') detach(target, instances);
  return { target, names: {} };
}

function existing({ line: { selection }, instances }: Session): Instance {
  if (selection.kind !== 'name') throw new CommandFailed("Select an instance via '-i name'");
  const found = instances.all.find((instance) => isSelected(instance, selection));
  if (found === undefined) throw new CommandFailed(`No instance named ${selection.name}`);
  return found;
}

function detach(target: Instance, instances: Instances): void {
  if (target.primary) throw new CommandFailed('Cannot remove the primary instance');
  if (target.enabled) throw new CommandFailed('Cannot remove enabled instances');
  instances.remove(target);
}
