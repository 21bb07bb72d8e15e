/**
 * postqueue(1): shows the queue, and has what is in it tried.
 *
 * Needs no privilege of its own: it asks services. Ends with 0, or with 69 (EX_UNAVAILABLE) whatever went wrong, as Postfix's.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import { getopt } from '../../text/getopt.ts';
import { validHostname, validMailhostLiteral } from '../../text/hostname.ts';
import { byteStrings, runCommand, unavailable, Voice, type Output } from '../voice.ts';
import { authorize } from './authorization.ts';
import { flushAll, flushOne, flushSite } from './flush-queue.ts';
import { listQueue, type TextOutput } from './list-queue.ts';

const usage = 'usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site';
const modes = 'fijps';

interface CommandLine {
  readonly mode: string;
  readonly value: string;
  readonly directory: string | undefined;
}

export interface CommandStreams { readonly stdout: TextOutput; readonly stderr: Output }

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new Voice('postqueue', streams.stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, streams.stdout, voice), unavailable);
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, out: TextOutput, voice: Voice): Promise<number> {
  process.umask(0o022);
  const { mode, value, directory } = parse(argv, voice);
  const config = Configuration.load(configDirectory(directory, environment), { environment, warn: (text) => voice.warning(text) });
  voice.attach(config);
  enter(config.get('queue_directory'), voice);
  if (mode === 's') checkSite(value, voice);
  if (mode === 'i') checkId(value, voice);
  if (mode === 'p' || mode === 'j') {
    await authorize('authorized_mailq_users', 'view', config, voice);
    await listQueue(mode === 'j' ? 'json' : 'text', config, voice, out);
    return 0;
  }
  await authorize('authorized_flush_users', 'flush', config, voice);
  if (mode === 'f') await flushAll(config, voice);
  else await (mode === 'i' ? flushOne : flushSite)(value, config, voice);
  return 0;
}

function parse(argv: readonly string[], voice: Voice): CommandLine {
  const { found, operands, trouble } = getopt(argv, 'c:fi:jps:v');
  if (trouble !== undefined) voice.complain(trouble);
  const chosen = found.filter(([letter]) => modes.includes(letter));
  if (trouble !== undefined || chosen.length !== 1 || operands.length > 0) voice.fatal(usage);
  const [mode, value] = chosen[0]!;
  return { mode, value, directory: found.findLast(([letter]) => letter === 'c')?.[1] };
}

function enter(directory: string, voice: Voice): void {
  try {
    process.chdir(directory);
  } catch (error) {
    voice.fatal(`chdir ${directory}: ${errorText(error)}`);
  }
}

function shortened(text: string): string {
  return text.slice(0, 100) + (text.length > 100 ? '...' : '');
}

function checkSite(site: string, voice: Voice): void {
  const good = site.startsWith('[') ? validMailhostLiteral(site) : validHostname(site);
  if (!good) voice.fatal(`Cannot flush mail queue - invalid destination: "${shortened(site)}"`);
}

function checkId(queueId: string, voice: Voice): void {
  if (!queueIdOk(queueId)) voice.fatal(`Cannot flush queue ID - invalid name: "${shortened(queueId)}"`);
}
