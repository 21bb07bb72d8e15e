/**
 * postlog(1): a line of a script for the mail log, from the command line or line by line from standard input.
 *
 * The log is what main.cf says: maillog_file, or the system log. Who may not write the file goes through the postlog service. Ends
 * with 0, or with 1 for a command line or a main.cf that makes no sense; a line that could not be logged was seen on standard error.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import type { LogSink, Severity } from '../../log/log.ts';
import { printable } from '../../text/ascii.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { openMailLog } from './mail-log.ts';

const usage = 'usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]';

const severities: ReadonlyMap<string, Severity> = new Map<string, Severity>([
  ['info', 'info'], ['warn', 'warning'], ['warning', 'warning'], ['error', 'error'], ['err', 'error'],
  ['fatal', 'fatal'], ['crit', 'fatal'], ['panic', 'panic'],
]);

/** Longer lines are cut: a log is read by people, and a datagram has an end. */
const lineLimit = 2000;

export interface CommandStreams {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stderr: Output & { readonly isTTY?: boolean };
}

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new Voice('postlog', streams.stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, streams, voice));
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams, voice: Voice): Promise<number> {
  process.umask(0o022);
  const { found, operands, trouble } = getopt(argv, 'c:ip:t:v');
  // Options that stand before the trouble are complained about first.
  const severity = severityOf(found, voice);
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined) voice.fatal(usage);
  const option = (letter: string): string | undefined => found.findLast(([each]) => each === letter)?.[1];
  const config = Configuration.load(configDirectory(option('c'), environment), { environment, warn: (text) => voice.complain(`warning: ${text}`) });
  const named = option('t');
  const tag = named === undefined ? `${config.get('syslog_name')}/postlog` : printable(named, '?', true);
  const logger = new Logger(severity, tag, streams.stderr.isTTY ? tag : 'postlog', streams.stderr, openMailLog(config, (text) => voice.complain(`warning: ${text}`)));
  if (operands.length > 0) logger.line(operands.join(' '));
  else await logger.lines(streams.stdin);
  logger.end();
  return 0;
}

function severityOf(found: readonly (readonly [string, string])[], voice: Voice): Severity {
  let severity: Severity = 'info';
  for (const [letter, name] of found) if (letter === 'p') severity = severities.get(name.toLowerCase()) ?? voice.fatal(`bad severity: "${name}"`);
  return severity;
}

class Logger {
  readonly #severity: Severity;
  readonly #tag: string;
  readonly #screenTag: string;
  readonly #screen: Output;
  readonly #sink: LogSink;

  constructor(severity: Severity, tag: string, screenTag: string, screen: Output, sink: LogSink) {
    this.#severity = severity;
    this.#tag = tag;
    this.#screenTag = screenTag;
    this.#screen = screen;
    this.#sink = sink;
  }

  line(text: string): void {
    const severity = this.#severity;
    const line = printable(severity === 'info' ? text : `${severity}: ${text}`, '?', true).slice(0, lineLimit);
    this.#screen.write(Buffer.from(`${this.#screenTag}: ${line}\n`, 'latin1'));
    this.#sink.write(severity, this.#tag, process.pid, line);
  }

  /** As they come, so that a log which is followed shows them then. */
  async lines(input: AsyncIterable<Uint8Array | string>): Promise<void> {
    let rest = '';
    for await (const chunk of input) {
      const lines = (rest + Buffer.from(chunk as Uint8Array).toString('latin1')).split('\n');
      rest = lines.pop()!.slice(0, 2 * lineLimit);
      for (const line of lines) this.line(line);
    }
    if (rest !== '') this.line(rest);
  }

  end(): void {
    this.#sink.flush();
  }
}
