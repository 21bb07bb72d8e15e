/**
 * postfix(1): starts, stops and checks the mail system.
 *
 * Speaks as Postfix's own scripts do, on standard error and in the log. Exit status 0 when it did what was asked.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { parseLevel } from '../../config/comparison.ts';
import { createLog, type Exit, type Log } from '../../log/log.ts';
import { StderrSink } from '../../log/sinks.ts';
import { printable, splitList } from '../../text/ascii.ts';
import { getopt } from '../../text/getopt.ts';
import { openScriptLog, type Screen } from '../script-log.ts';
import { byteStrings } from '../voice.ts';
import { mayRun } from './permission.ts';
import type { Situation, Subcommand } from './situation.ts';

/** Each comes with its modules when it is asked for. */
const subcommands: ReadonlyMap<string, () => Promise<Subcommand>> = new Map<string, () => Promise<Subcommand>>([
  ['start', async () => (await import('./start.ts')).start],
  ['start-fg', async () => (await import('./start.ts')).startForeground],
  ['stop', async () => (await import('./running.ts')).stop],
  ['quick-stop', async () => (await import('./running.ts')).quickStop],
  ['abort', async () => (await import('./running.ts')).abort],
  ['drain', async () => (await import('./running.ts')).drain],
  ['reload', async () => (await import('./running.ts')).reload],
  ['status', async () => (await import('./running.ts')).status],
  ['flush', async () => (await import('./running.ts')).flush],
  ['check', async () => (await import('./check.ts')).check],
  ['check-fatal', async () => (await import('./check.ts')).checkFatalOnly],
  ['check-warn', async () => (await import('./check.ts')).checkWarningsOnly],
  ['logrotate', async () => (await import('./logrotate.ts')).logrotate],
  ['set-permissions', async () => ((await import('./set-permissions.ts')).setPermissionsCommand)],
  ['upgrade-configuration', async () => (await import('./upgrade-configuration.ts')).upgradeConfiguration],
  ['tls', async () => (await import('./tls/tls.ts')).tls],
  ['non-bdb', async () => (await import('./non-bdb/non-bdb.ts')).nonBdb],
]);

/** Those that take arguments, and say themselves which. */
const withWords: ReadonlySet<string> = new Set(['check', 'logrotate', 'tls', 'non-bdb']);

const listed = 'start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, logrotate, tls, non-bdb)';
const usage = 'usage: postfix [-c config_dir] [-Dv] command';
/** Programs that the command runs find the system's own by this. */
const searchPath = '/usr/bin:/bin:/usr/sbin:/sbin';

interface CommandLine {
  readonly directory: string | undefined;
  readonly debug: boolean;
  readonly verbose: number;
  readonly words: readonly string[];
}

class Fatal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

const leave: Exit = (status) => { throw new Fatal(status); };

export interface CommandStreams {
  readonly stdout?: { write(bytes: Uint8Array): unknown };
  readonly stderr: Screen;
}

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new StderrSink((text) => streams.stderr.write(Buffer.from(text, 'latin1')));
  const say = (text: string): void => voice.write('fatal', 'postfix', process.pid, printable(text, '?', true));
  const early = createLog(voice, 'postfix', process.pid, leave);
  process.umask(0o022);
  try {
    return await run(parse(byteStrings(argv), early, say), environment, streams, early);
  } catch (error) {
    if (error instanceof Fatal) return error.status;
    if (!(error instanceof ConfigurationError)) throw error;
    if (argv.includes('check') && argv.includes('--json')) await reportFatal(error, streams);
    say(`fatal: ${error.message}`);
    return 1;
  }
}

/** A main.cf that cannot be read is all that there is to find. */
async function reportFatal({ message, file, line }: ConfigurationError, { stdout = process.stdout }: CommandStreams): Promise<void> {
  const { jsonReporter } = await import('./findings.ts');
  jsonReporter({ stdout }).report('fatal', message, { ...(file === undefined ? {} : { file }), ...(line === undefined ? {} : { line }) });
}

async function run(line: CommandLine, environment: NodeJS.ProcessEnv, streams: CommandStreams, early: Log): Promise<number> {
  const [name = ''] = line.words;
  if (name.startsWith('/'))
    early.fatal(`${name}: this command starts no other programs; to make an alias table use "postalias ${name}" or "newaliases", for other tables "postmap"`);
  const config = Configuration.load(configDirectory(line.directory && Buffer.from(line.directory, 'latin1').toString('utf8'), environment), { warn: (text) => early.warning(text) });
  mayRun(config, early);
  const script = openScriptLog(config, streams.stderr, leave, (text) => early.warning(text));
  const log = script.voice('postfix-script');
  const queueDirectory = config.get('queue_directory');
  const situation: Situation = {
    config, log, queueDirectory, pidFile: `${queueDirectory}/pid/master.pid`, debug: line.debug, verbose: line.verbose,
    voice: (name) => script.voice(name), stdout: streams.stdout ?? process.stdout, stderr: streams.stderr,
    environment: { ...environment, MAIL_CONFIG: Buffer.from(config.directory, 'latin1').toString('utf8'), ...flags(line) },
  };
  try {
    warnOfOldLevel(config, early);
    const isNamed = line.directory !== undefined || environment['MAIL_CONFIG'] !== undefined;
    if (!isNamed && splitList(config.get('multi_instance_directories')).length > 0) return (await import('./hand-over.ts')).handOver(situation, line.words, early);
    return await subcommand(line.words, situation);
  } finally {
    script.flush();
  }
}

function flags({ debug, verbose }: CommandLine): Record<string, string> {
  return { PATH: searchPath, ...(debug ? { MAIL_DEBUG: '' } : {}), ...(verbose > 0 ? { MAIL_VERBOSE: '' } : {}) };
}

/** The last level with which something changed. */
const lastLevel = '3.11';

function warnOfOldLevel(config: Configuration, log: Log): void {
  if (!isOldLevel(config.get('compatibility_level'))) return;
  log.info('Postfix is using backwards-compatible default settings');
  log.info('See https://www.postfix.org/COMPATIBILITY_README.html for details');
  log.info(`To disable backwards compatibility use "postconf compatibility_level=${lastLevel}" and "postfix reload"`);
}

/** A level that makes no sense is told of when main.cf is checked. */
function isOldLevel(level: string): boolean {
  try {
    return parseLevel(level) < parseLevel(lastLevel);
  } catch {
    return false;
  }
}

async function subcommand([name = '', ...rest]: readonly string[], situation: Situation): Promise<number> {
  const load = subcommands.get(name);
  if (load === undefined) return situation.log.fatal(`unknown command: '${name}'. Usage: postfix ${listed}`);
  const command = await load();
  if (rest.length > 0 && !withWords.has(name)) situation.log.fatal(`usage postfix ${name} (no arguments)`);
  return command(situation, rest);
}

function parse(argv: readonly string[], log: Log, say: (text: string) => void): CommandLine {
  const { found, operands, trouble } = getopt(argv, 'c:Dv');
  if (trouble !== undefined) {
    say(trouble);
    log.fatal(usage);
  }
  const directory = found.findLast(([letter]) => letter === 'c')?.[1];
  if (directory !== undefined && !directory.startsWith('/')) log.fatal('-c requires absolute pathname');
  return { directory, debug: found.some(([letter]) => letter === 'D'), verbose: found.filter(([letter]) => letter === 'v').length, words: operands };
}
