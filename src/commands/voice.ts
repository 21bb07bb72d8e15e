/**
 * How a command speaks: on standard error as "postsuper: warning: ...", and the same line to the mail log once main.cf is known.
 *
 * `fatal` throws CommandFailed; `runCommand` says its text and turns it, and what main.cf is guilty of, into an exit status.
 */
import { ConfigurationError } from '../config/configuration-error.ts';
import { configuredLog } from '../config/log-target.ts';
import type { Configuration } from '../config/configuration.ts';
import type { LogSink, Severity } from '../log/log.ts';
import { sinkOf } from '../log/target.ts';
import { printable } from '../text/ascii.ts';

export interface Output { write(bytes: Uint8Array): unknown }

/** The command ends, after its text was told. */
export class CommandFailed extends Error {}

/** sysexits(3): EX_UNAVAILABLE */
export const unavailable = 69;

export class Voice {
  readonly program: string;
  readonly #stderr: Output;
  #config: Configuration | undefined;
  #sink: LogSink | undefined;

  constructor(program: string, stderr: Output) {
    this.program = program;
    this.#stderr = stderr;
  }

  /** Speak to the log as well; it is opened with the first line, or now. */
  attach(config: Configuration, options: { now?: boolean } = {}): void {
    this.#config = config;
    if (options.now) this.#open();
  }

  info(text: string): void {
    this.#say('info', text);
  }

  warning(text: string): void {
    this.#say('warning', `warning: ${text}`);
  }

  error(text: string): void {
    this.#say('error', `error: ${text}`);
  }

  fatal(text: string): never {
    throw new CommandFailed(text);
  }

  /** Say why the command ends. */
  last(text: string): void {
    this.#say('fatal', `fatal: ${text}`);
  }

  /** Hand over what the log has not taken yet. */
  flush(): void {
    this.#sink?.flush();
  }

  /** To standard error only, as it is. */
  complain(text: string): void {
    this.#stderr.write(Buffer.from(`${this.program}: ${text}\n`, 'latin1'));
  }

  #say(severity: Severity, text: string): void {
    const line = printable(text, '?', true);
    this.complain(line);
    this.#open();
    this.#sink?.write(severity, `${this.#config!.get('syslog_name')}/${this.program}`, process.pid, line);
  }

  // A user who may not write the log still hears what is said.
  #open(): void {
    const config = this.#config;
    if (config === undefined || this.#sink !== undefined) return;
    try {
      this.#sink = sinkOf(configuredLog(config));
    } catch {
      this.#sink = { write: () => undefined, flush: () => undefined };
    }
  }
}

/** Run a command's work; its exit status. `failed` is the status of a command that failed. */
export async function runCommand(voice: Voice, work: () => Promise<number>, failed = 1): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CommandFailed || error instanceof ConfigurationError) voice.last(error.message);
    else throw error;
    return failed;
  } finally {
    voice.flush();
  }
}

/** Arguments as byte strings. */
export function byteStrings(argv: readonly string[]): string[] {
  return argv.map((word) => Buffer.from(word, 'utf8').toString('latin1'));
}
