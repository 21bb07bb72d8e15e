/**
 * The five voices of the mail system, as one interface: who speaks is said once, where it goes is the sink's matter.
 *
 * `fatal` is for broken surroundings (the master starts the daemon again, with a throttle), `panic` for our own mistakes; both
 * end the process. Text is one line as a byte string; unprintable bytes become `?` so that one event is one line
 * (what is valid UTF-8 stays, as in Postfix with smtputf8_enable).
 */
import { printable } from '../text/ascii.ts';

export type Severity = 'info' | 'warning' | 'error' | 'fatal' | 'panic';

/** Takes a finished line: severity, tag (`postfix/smtpd`), the bracketed number, text. Must not throw. */
export interface LogSink {
  write(severity: Severity, tag: string, number: number, text: string): void;
  /** Hand everything over now; called before the process ends. */
  flush(): void;
}

export interface Log {
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
  fatal(text: string): never;
  panic(text: string): never;
  /** The same voice with another bracketed number: one per session, so that log readers can pair lines. */
  numbered(number: number): Log;
  /** The same sink with another tag, as another daemon in this process. */
  tagged(tag: string): Log;
}

/** What ends the process; a daemon's skeleton gives process.exit, a test gives a throw. */
export type Exit = (status: number) => never;

const lineLimit = 2000;

/** A log that writes to `sink`. A child that ends by fatal or panic exits with status 1, as Postfix's do. */
export function createLog(sink: LogSink, tag: string, number: number, exit: Exit): Log {
  const write = (severity: Severity, prefix: string, text: string): void => {
    sink.write(severity, tag, number, printable(prefix + text, '?', true).slice(0, lineLimit));
  };
  const end = (severity: Severity, text: string): never => {
    write(severity, `${severity}: `, text);
    sink.flush();
    return exit(1);
  };
  return {
    info: (text) => write('info', '', text),
    warning: (text) => write('warning', 'warning: ', text),
    error: (text) => write('error', 'error: ', text),
    fatal: (text) => end('fatal', text),
    panic: (text) => end('panic', text),
    numbered: (other) => createLog(sink, tag, other, exit),
    tagged: (other) => createLog(sink, other, number, exit),
  };
}
