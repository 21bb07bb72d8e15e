/**
 * sendmail(1): the program that other programs call to send mail, and much else by its many old names and options.
 *
 * Command line and a message's way in src/submission/, SMTP on standard input and output in stand-alone.ts. Whatever goes
 * wrong ends with status 75 (EX_TEMPFAIL), as Postfix's: the caller may try again.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { getpwuid } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { directoryOf, read, scan, type CommandLine, type Mode, type Words } from '../../submission/command-line.ts';
import { enqueue, type Surroundings } from '../../submission/enqueue.ts';
import { userOf } from '../../submission/user.ts';
import { WayOut } from '../../submission/way-out.ts';
import { openSubmitters } from '../../tables/submitters.ts';
import { commandTables } from '../postdrop/postdrop.ts';
import { byteStrings, runCommand, Voice } from '../voice.ts';
import { openWay } from './way-out.ts';

export interface SendmailStreams {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

interface Call {
  readonly line: CommandLine;
  readonly config: Configuration;
  readonly voice: Voice;
  readonly environment: NodeJS.ProcessEnv;
  readonly streams: SendmailStreams;
}

const temporaryFailure = 75;

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: SendmailStreams): Promise<number> {
  const voice = new Voice('sendmail', streams.stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, streams, voice), temporaryFailure);
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, streams: SendmailStreams, voice: Voice): Promise<number> {
  process.umask(0o022);
  const words = scan(argv, (text) => voice.warning(text));
  if (words.trouble !== undefined) voice.complain(words.trouble);
  const config = load(words, environment, voice);
  voice.attach(config);
  enter(config.get('queue_directory'), voice);
  const rules = { verpDelimiterFilter: config.get('verp_delimiter_filter'), requireTls: config.get('requiretls_enable'), smtputf8: config.get('smtputf8_enable') };
  const line = read(words, voice, rules, environment['MAIL_VERBOSE'] === undefined ? 0 : 1);
  if (line.interval && line.mode !== 'daemon') return 0;
  return perform[line.mode]({ line, config, voice, environment, streams });
}

function load(words: Words, environment: NodeJS.ProcessEnv, voice: Voice): Configuration {
  const named = directoryOf(words);
  const directory = named ?? configDirectory(undefined, environment);
  return Configuration.load(directory, { environment, warn: (text) => voice.warning(text) });
}

function enter(directory: string, voice: Voice): void {
  try {
    process.chdir(directory);
  } catch (error) {
    voice.fatal(`chdir ${directory}: ${errorText(error)}`);
  }
}

// What few callers want is loaded when it is wanted.
const perform: Readonly<Record<Mode, (call: Call) => Promise<number>>> = {
  deliver,
  list: (call) => queueCommand(call, 'display queue mode', ['-p']),
  flush: (call) => queueCommand(call, 'flush queue mode', ['-f']),
  nothing: async () => 0,
  aliases: async ({ line, config, voice, environment, streams }) => {
    noOperands(line, 'alias initialization mode', voice);
    const { rebuildAliases } = await import('../../tables/alias-command.ts');
    return rebuildAliases(config.directory, environment, streams, line.aliases);
  },
  daemon: async ({ line, config, voice, environment }) => {
    noOperands(line, 'daemon mode', voice);
    const { startMailSystem } = await import('./start-mail-system.ts');
    return startMailSystem(config, environment);
  },
  talk: async (call) => {
    noOperands(call.line, 'stand-alone mode', call.voice);
    const around = await welcome(call);
    const { talkSmtp } = await import('./stand-alone.ts');
    await talkSmtp(around, call.streams, () => openWay(call.config, call.streams.stderr));
    return 0;
  },
};

async function deliver(call: Call): Promise<number> {
  const { line } = call;
  if (line.site !== undefined) return queueCommand(call, 'flush site', ['-s', line.site]);
  if (line.queueId !== undefined) return queueCommand(call, 'flush queue_id', ['-i', line.queueId]);
  await enqueue(line, await welcome(call));
  return 0;
}

/** Whoever takes the mail checks again; here it is said at once. */
async function welcome({ config, voice, environment, streams }: Call): Promise<Surroundings> {
  const uid = process.getuid!();
  const name = environment['NAME'];
  const user = userOf(uid, name === undefined ? undefined : byteStrings([name])[0], getpwuid(uid));
  const submitters = openSubmitters(commandTables(config, voice));
  const refused = await submitters.refused(user.uid);
  if (refused !== undefined) voice.fatal(`User ${refused}(${user.uid}) is not allowed to submit mail`);
  return { config, voice, user, submitters, wayOut: new WayOut(() => openWay(config, streams.stderr)), stdin: streams.stdin, stdout: streams.stdout };
}

function noOperands({ operands }: CommandLine, what: string, voice: Voice): void {
  if (operands.length > 0) voice.fatal(`${what} requires no recipient`);
}

async function queueCommand({ line, config, voice, environment, streams }: Call, what: string, argv: readonly string[]): Promise<number> {
  noOperands(line, what, voice);
  const { main: postqueue } = await import('../postqueue/postqueue.ts');
  const bytes = argv.map((word) => Buffer.from(word, 'latin1').toString('utf8'));
  return postqueue(['-c', Buffer.from(config.directory, 'latin1').toString('utf8'), ...bytes], environment, streams);
}
