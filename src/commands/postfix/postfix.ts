/**
 * postfix(1): starts, stops and checks the mail system.
 *
 * Speaks as Postfix's own script does, on standard error and in the log. Exit status 0 when it did what was asked.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { createLog, type Exit, type Log, type LogSink } from '../../log/log.ts';
import { StderrSink, TeeSink } from '../../log/sinks.ts';
import { openLogTarget, sinkOf } from '../../log/target.ts';
import { printable } from '../../text/ascii.ts';
import { check } from './check.ts';
import { logrotate } from './logrotate.ts';
import { mayRun } from './permission.ts';
import { abort, drain, flush, reload, status, stop } from './running.ts';
import type { Situation, Subcommand } from './situation.ts';
import { start, startForeground } from './start.ts';

const subcommands: ReadonlyMap<string, Subcommand> = new Map<string, Subcommand>([
  ['start', start], ['start-fg', startForeground], ['stop', stop], ['abort', abort], ['drain', drain], ['reload', reload],
  ['status', status], ['check', check], ['flush', flush], ['logrotate', logrotate],
]);

const later = ['set-permissions', 'upgrade-configuration', 'tls', 'non-bdb'];
const usage = 'usage: postfix [-c config_dir] [-Dv] command';

interface CommandLine {
  directory: string | undefined;
  debug: boolean;
  verbose: number;
  words: string[];
}

class Fatal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

const leave: Exit = (status) => { throw new Fatal(status); };

export interface CommandStreams { readonly stderr: { write(bytes: Buffer): unknown } }

export async function main(argv: string[], environment: NodeJS.ProcessEnv, { stderr }: CommandStreams): Promise<number> {
  const voice = new StderrSink((text) => stderr.write(Buffer.from(text, 'latin1')));
  const say = (text: string): void => voice.write('fatal', 'postfix', process.pid, printable(text, '?', true));
  const early = createLog(voice, 'postfix', process.pid, leave);
  process.umask(0o022);
  try {
    return await run(parse(argv, early, say), environment, voice, early);
  } catch (error) {
    if (error instanceof Fatal) return error.status;
    if (!(error instanceof ConfigurationError)) throw error;
    say(`fatal: ${error.message}`);
    return 1;
  }
}

async function run(line: CommandLine, environment: NodeJS.ProcessEnv, voice: LogSink, early: Log): Promise<number> {
  const name = line.words[0] ?? '';
  if (name.startsWith('/'))
    early.fatal(`${name}: this command starts no other programs; to make an alias table use "postalias ${name}" or "newaliases", for other tables "postmap"`);
  const config = Configuration.load(configDirectory(line.directory, environment), { warn: (text) => early.warning(text) });
  mayRun(config, early);
  const sink = scriptSink(config, voice, early);
  const log = createLog(sink, `${config.get('syslog_name')}/postfix-script`, process.pid, leave);
  const queueDirectory = config.get('queue_directory');
  const situation: Situation = {
    config, log, queueDirectory, pidFile: `${queueDirectory}/pid/master.pid`, debug: line.debug, verbose: line.verbose,
    environment: { ...environment, MAIL_CONFIG: config.directory },
  };
  try {
    return await subcommand(line.words, log)(situation);
  } finally {
    sink.flush();
  }
}

function subcommand(words: readonly string[], log: Log): Subcommand {
  const [name = '', ...rest] = words;
  const found = subcommands.get(name);
  if (later.includes(name)) log.fatal(`"postfix ${name}" is not part of this release`);
  if (found === undefined)
    return log.fatal(`unknown command: '${name}'. Usage: postfix start (or stop, reload, abort, flush, check, status, start-fg, logrotate)`);
  if (rest.length > 0) log.fatal(`usage postfix ${name} (no arguments)`);
  return found;
}

/** Standard error, and the mail log when we can write it: a command that cannot log still does its work. */
function scriptSink(config: Configuration, voice: LogSink, early: Log): LogSink {
  try {
    const file = config.get('maillog_file');
    if (file === '/dev/stdout') return voice;
    return new TeeSink(voice, sinkOf(openLogTarget({
      file, prefixes: config.get('maillog_file_prefixes'), permissions: config.get('maillog_file_permissions'),
      facility: config.get('syslog_facility'), hostname: config.get('myhostname'),
    }), 'command'));
  } catch (error) {
    early.warning((error as Error).message);
    return voice;
  }
}

function parse(argv: readonly string[], log: Log, say: (text: string) => void): CommandLine {
  const wrong = (trouble: string): never => (say(trouble), log.fatal(usage));
  const line: CommandLine = { directory: undefined, debug: false, verbose: 0, words: [] };
  const rest = [...argv];
  for (let word = rest[0]; word !== undefined && /^-./.test(word); word = rest[0]) {
    rest.shift();
    if (word === '--') break;
    for (let at = 1; at < word.length; at++) {
      const letter = word[at];
      if (letter === 'v') line.verbose++;
      else if (letter === 'D') line.debug = true;
      else if (letter === 'c') {
        const value = at + 1 < word.length ? word.slice(at + 1) : rest.shift();
        if (value === undefined) return wrong("option requires an argument -- 'c'");
        if (!value.startsWith('/')) log.fatal('-c requires absolute pathname');
        line.directory = value;
        break;
      } else wrong(`invalid option -- '${letter}'`);
    }
  }
  line.words = rest;
  return line;
}
