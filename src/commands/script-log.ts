/**
 * The voice of what Postfix does by scripts and postlog(1): on standard error and in the mail log.
 *
 * In the log the tag is `postfix/postfix-script`; on standard error it is the same for a person at a terminal, and `postlog` for
 * programs, as from postlog(1). A log that cannot be opened is warned of, and the command still does its work.
 */
import type { Configuration } from '../config/configuration.ts';
import { configuredLog } from '../config/log-target.ts';
import { createLog, type Exit, type Log, type LogSink, type Severity } from '../log/log.ts';
import { sinkOf } from '../log/target.ts';

export interface Screen {
  write(bytes: Uint8Array): unknown;
  readonly isTTY?: boolean;
}

export interface ScriptLog {
  /** @param script `postfix-script`, `postfix-tls-script`, ... */
  voice(script: string): Log;
  flush(): void;
}

export function openScriptLog(config: Configuration, screen: Screen, exit: Exit, warn: (text: string) => void): ScriptLog {
  const sink = new ScriptSink(screen, openLog(config, warn));
  const name = config.get('syslog_name');
  return { voice: (script) => createLog(sink, `${name}/${script}`, process.pid, exit), flush: () => sink.flush() };
}

function openLog(config: Configuration, warn: (text: string) => void): LogSink | undefined {
  if (config.get('maillog_file') === '/dev/stdout') return undefined;
  try {
    return sinkOf(configuredLog(config), 'command');
  } catch (error) {
    warn((error as Error).message);
    return undefined;
  }
}

class ScriptSink implements LogSink {
  readonly #screen: Screen;
  readonly #log: LogSink | undefined;

  constructor(screen: Screen, log: LogSink | undefined) {
    this.#screen = screen;
    this.#log = log;
  }

  write(severity: Severity, tag: string, number: number, text: string): void {
    this.#screen.write(Buffer.from(`${this.#screen.isTTY ? tag : 'postlog'}: ${text}\n`, 'latin1'));
    this.#log?.write(severity, tag, number, text);
  }

  flush(): void {
    this.#log?.flush();
  }
}
