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
  /** `tail` begins with an ASCII character and goes on with the text. What many lines in a row end with costs little when it is said so. */
  info(text: string, tail?: string): void;
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
  return new Voice(sink, tag, number, exit);
}

let lastTail = '';
let lastPrintable = '';

/** Looked at once for all lines in a row that end with it. */
function printableTail(tail: string): string {
  if (tail === '') return tail;
  if (tail !== lastTail) lastPrintable = printable(lastTail = tail, '?', true);
  return lastPrintable;
}

/** One per session, so it is made of fields only. */
class Voice implements Log {
  readonly #sink: LogSink;
  readonly #tag: string;
  readonly #number: number;
  readonly #exit: Exit;

  constructor(sink: LogSink, tag: string, number: number, exit: Exit) {
    this.#sink = sink;
    this.#tag = tag;
    this.#number = number;
    this.#exit = exit;
  }

  info(text: string, tail = ''): void {
    this.#write('info', text, tail);
  }

  warning(text: string): void {
    this.#write('warning', `warning: ${text}`);
  }

  error(text: string): void {
    this.#write('error', `error: ${text}`);
  }

  fatal(text: string): never {
    return this.#end('fatal', text);
  }

  panic(text: string): never {
    return this.#end('panic', text);
  }

  numbered(number: number): Log {
    return new Voice(this.#sink, this.#tag, number, this.#exit);
  }

  tagged(tag: string): Log {
    return new Voice(this.#sink, tag, this.#number, this.#exit);
  }

  #write(severity: Severity, text: string, tail = ''): void {
    const line = printable(text, '?', true) + printableTail(tail);
    this.#sink.write(severity, this.#tag, this.#number, line.length > lineLimit ? line.slice(0, lineLimit) : line);
  }

  #end(severity: Severity, text: string): never {
    this.#write(severity, `${severity}: ${text}`);
    this.#sink.flush();
    return this.#exit(1);
  }
}
