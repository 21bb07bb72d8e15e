/**
 * Where log lines go: the system log, a file (maillog_file), standard output, standard error of a command, memory for tests.
 *
 * `write` never throws and never waits. Lines of one step (until the microtasks run) or of one turn of the loop leave together, in
 * order, and before anything that a later step tells another process: its lines must not overtake ours (turn.ts). `flush` hands
 * over what waits at once. What a sink cannot get rid of is kept up to a bound, then counted, and the count is logged when lines
 * flow again.
 */
import { closeSync, constants, fchownSync, openSync, writeSync } from 'node:fs';
import { SyslogSocket } from '../host/syslog.ts';
import type { LogSink, Severity } from './log.ts';
import { fileTime, syslogTime } from './timestamp.ts';

export interface FileSinkOptions {
  /** Writable descriptor, appending where it is a file; it stays the caller's. */
  readonly fd: number;
  /** Name of this host up to the first dot, as it stands in every line. */
  readonly hostname: string;
  readonly now?: () => number;
  /** Runs `work` when the step at hand is over. */
  readonly later?: (work: () => void) => void;
}

/** Bytes that may wait for a file that does not take them, and at which size a step's lines are written early. */
const keepLimit = 1 << 20;
const batchSize = 1 << 16;

/** Lines as Postfix writes them to maillog_file: `Nov 21 03:04:05 host postfix/smtpd[123]: text`. */
export class FileSink implements LogSink {
  readonly #options: FileSinkOptions;
  readonly #later: (work: () => void) => void;
  readonly #now: () => number;
  #waiting = '';
  /** When so much waits it is written before the step ends. */
  #early = batchSize;
  #scheduled = false;
  #lost = 0;
  /** What the last line began with, and of what that was made. */
  #lead = '';
  #leadTime = '';
  #leadTag = '';
  #leadNumber = 0;
  #elsewhere: ((lines: string) => void) | undefined;

  constructor(options: FileSinkOptions) {
    this.#options = options;
    this.#later = options.later ?? queueMicrotask;
    this.#now = options.now ?? Date.now;
  }

  write(_severity: Severity, tag: string, number: number, text: string): void {
    if (this.#waiting.length > keepLimit) {
      this.#lost++;
      return this.#schedule();
    }
    this.#append(this.#line(tag, number, text));
  }

  /** Whole lines that another process has made, as they are to stand in the file. */
  pass(lines: string): void {
    this.#append(lines);
  }

  /** What is written from now on goes to `take` and not to the file, which the caller may close then. */
  redirect(take: (lines: string) => void): void {
    this.flush();
    this.#elsewhere = take;
  }

  #append(lines: string): void {
    this.#waiting += lines;
    if (this.#waiting.length >= this.#early) this.flush();
    else this.#schedule();
  }

  flush(): void {
    if (this.#waiting === '' && this.#lost === 0) return;
    while (this.#waiting !== '') {
      const lines = portion(this.#waiting);
      const written = this.#put(lines);
      if (written === 0) break;
      this.#waiting = written === this.#waiting.length ? '' : this.#waiting.slice(written);
    }
    this.#early = this.#waiting.length + batchSize;
    if (this.#waiting !== '' || this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.write('warning', 'postfix/log', process.pid, `warning: ${lost} log lines were lost: the log could not be written`);
  }

  #line(tag: string, number: number, text: string): string {
    const time = fileTime(this.#now());
    if (time !== this.#leadTime || tag !== this.#leadTag || number !== this.#leadNumber) {
      this.#leadTime = time;
      this.#leadTag = tag;
      this.#leadNumber = number;
      this.#lead = `${time} ${this.#options.hostname} ${tag}[${number}]: `;
    }
    return `${this.#lead}${text}\n`;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(this.#work);
  }

  readonly #work = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** A full disk or a full pipe takes nothing now: the lines wait for those that come next. */
  #put(lines: string): number {
    if (this.#elsewhere !== undefined) {
      this.#elsewhere(lines);
      return lines.length;
    }
    try {
      return writeSync(this.#options.fd, lines, null, 'latin1');
    } catch {
      return 0;
    }
  }
}

/** Whole lines for one write: an attempt that fails must not cost more the more is waiting. */
function portion(lines: string): string {
  return lines.length <= batchSize ? lines : lines.slice(0, lines.lastIndexOf('\n', batchSize - 1) + 1 || batchSize);
}

/** syslog(3): level numbers as Postfix maps its severities, and the facilities by name. */
const levels: { readonly [S in Severity]: number } = { info: 6, warning: 4, error: 3, fatal: 2, panic: 2 };
const facilities: ReadonlyMap<string, number> = new Map([
  ['kern', 0], ['user', 1], ['mail', 2], ['daemon', 3], ['auth', 4], ['syslog', 5], ['lpr', 6], ['news', 7], ['uucp', 8],
  ['cron', 9], ['authpriv', 10], ['ftp', 11], ['security', 4],
  ...Array.from({ length: 8 }, (_, i) => [`local${i}`, 16 + i] as const),
]);

/** The number of a syslog_facility name; undefined when there is none of that name. */
export function facilityNumber(name: string): number | undefined {
  return facilities.get(name);
}

/** The system log, line by line, in the form of syslog(3). Connects now, so that a later chroot does not matter. */
export class SyslogSink implements LogSink {
  readonly #facility: number;
  readonly #socket: SyslogSocket;
  readonly #now: () => number;

  constructor(options: { facility?: number; path?: string; now?: () => number; socket?: SyslogSocket } = {}) {
    this.#facility = options.facility ?? 2;
    this.#now = options.now ?? Date.now;
    this.#socket = options.socket ?? new SyslogSocket({
      ...(options.path === undefined ? {} : { path: options.path }),
      lostLine: (count) => this.#line('warning', 'postfix/log', process.pid, `warning: ${count} log lines were lost: the system log did not take them`),
    });
    this.#socket.open();
  }

  write(severity: Severity, tag: string, number: number, text: string): void {
    this.#socket.send(this.#line(severity, tag, number, text));
  }

  flush(): void {
    this.#socket.flush();
  }

  #line(severity: Severity, tag: string, number: number, text: string): Buffer {
    return Buffer.from(`<${this.#facility * 8 + levels[severity]}>${syslogTime(this.#now())} ${tag}[${number}]: ${text}`, 'latin1');
  }
}

/** A command's own voice on standard error: `postmap: fatal: ...`. */
export class StderrSink implements LogSink {
  readonly #put: (text: string) => void;

  constructor(put: (text: string) => void = putOnStderr) {
    this.#put = put;
  }

  write(_severity: Severity, tag: string, _number: number, text: string): void {
    this.#put(`${tag}: ${text}\n`);
  }

  flush(): void {}
}

function putOnStderr(text: string): void {
  try {
    writeSync(2, Buffer.from(text, 'latin1'));
  } catch {
    // nobody listens there any more
  }
}

/** The same line to several sinks. */
export class TeeSink implements LogSink {
  readonly #sinks: readonly LogSink[];

  constructor(...sinks: LogSink[]) {
    this.#sinks = sinks;
  }

  write(severity: Severity, tag: string, number: number, text: string): void {
    for (const sink of this.#sinks) sink.write(severity, tag, number, text);
  }

  flush(): void {
    for (const sink of this.#sinks) sink.flush();
  }
}

/** For tests: every line is kept as it would stand in the log, without time and host. */
export class MemorySink implements LogSink {
  readonly lines: string[] = [];

  write(_severity: Severity, tag: string, number: number, text: string): void {
    this.lines.push(`${tag}[${number}]: ${text}`);
  }

  flush(): void {}
}

/** Opens maillog_file for appending, created with `mode`; as root it becomes the property of `owner`. Throws Node's errors. */
export function openLogFile(path: string, mode: number, owner?: { uid: number; gid: number }): number {
  const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, mode);
  try {
    if (owner !== undefined && process.geteuid!() === 0) fchownSync(fd, owner.uid, owner.gid);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
