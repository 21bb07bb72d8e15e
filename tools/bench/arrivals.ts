/**
 * Where the messages of a run arrive, and how many have. Every kind counts exactly: what is missing or comes twice is seen.
 */
import { closeSync, existsSync, openSync, readSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import type { TestPrograms } from './debian-postfix.ts';
import { opens } from './ports.ts';
import { delay, endProgram, startProgram, until, type Program } from './processes.ts';
import { SinkCount } from './sink-count.ts';

export interface Arrivals {
  /** Ready to count from nothing. */
  open(): Promise<void>;
  /** When as many have arrived, on the clock of performance.now(); an error that tells the count when they don't in time. */
  all(messages: number, milliseconds: number): Promise<number>;
  /** The count now. */
  count(): number;
  close(): Promise<void>;
}

const readyLimit = 10_000;
/** Connections that the sink takes at a time: more than any run opens. */
const sinkSessions = 2000;

/** A program that receives by SMTP and writes smtp-sink's running counter. */
export class SinkArrivals implements Arrivals {
  readonly #command: readonly [command: string, ...args: string[]];
  readonly #port: number;
  readonly #environment: NodeJS.ProcessEnv;
  #program: Program | undefined;
  #counted = new SinkCount();
  #wanted = Infinity;
  #reached: ((time: number) => void) | undefined;
  #output = '';

  constructor(port: number, command: readonly [command: string, ...args: string[]], environment = process.env) {
    this.#port = port;
    this.#environment = environment;
    this.#command = command;
  }

  async open(): Promise<void> {
    const [command, ...args] = this.#command;
    this.#counted = new SinkCount();
    const program = this.#program = startProgram(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: this.#environment });
    program.child.stdout!.on('data', (chunk: Buffer) => this.#feed(chunk));
    await until(readyLimit, 'the sink listens', async () => {
      if (program.child.exitCode !== null) throw new Error(`the sink ended: ${program.said()}`);
      return opens(this.#port);
    });
  }

  #feed(chunk: Buffer): void {
    const text = chunk.toString('latin1');
    this.#output = (this.#output + text).slice(-outputLimit);
    this.#counted.feed(text);
    if (this.#counted.messages >= this.#wanted) this.#reached?.(performance.now());
  }

  /** The last of what it wrote. */
  get output(): string {
    return this.#output;
  }

  count(): number {
    return this.#counted.messages;
  }

  all(messages: number, milliseconds: number): Promise<number> {
    this.#wanted = messages;
    if (this.count() >= messages) return Promise.resolve(performance.now());
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the sink got ${this.count()} of ${messages} messages in ${milliseconds / 1000} s`)), milliseconds);
      this.#reached = (time) => {
        clearTimeout(late);
        resolve(time);
      };
    });
  }

  async close(): Promise<void> {
    this.#wanted = Infinity;
    if (this.#program !== undefined) await endProgram(this.#program);
  }
}

/** Enough for the figures of the latency sink. */
const outputLimit = 4 << 20;

/** smtp-sink on a port; `host` empty: on every address. */
export function smtpSink({ commands, environment }: TestPrograms, port: number, host = '127.0.0.1'): SinkArrivals {
  const as = process.getuid!() === 0 ? ['-u', 'nobody'] : [];
  return new SinkArrivals(port, [`${commands}/smtp-sink`, ...as, '-c', '-m', String(sinkSessions), `${host}:${port}`, '1000'], environment);
}

/** Counts what a look at the disk shows. */
abstract class LookingArrivals implements Arrivals {
  abstract open(): Promise<void>;
  abstract count(): number;

  async all(messages: number, milliseconds: number): Promise<number> {
    const end = performance.now() + milliseconds;
    while (this.count() < messages) {
      if (performance.now() > end) throw new Error(`${this.count()} of ${messages} messages were delivered in ${milliseconds / 1000} s`);
      await delay(lookPause);
    }
    return performance.now();
  }

  async close(): Promise<void> {}
}

const lookPause = 25;

/** Files in the `new` directories of Maildirs. */
export class MaildirArrivals extends LookingArrivals {
  readonly #maildirs: readonly string[];
  /** A directory is measured again under its name: each round's number is one that is not there yet. */
  #rounds = Date.now();

  constructor(maildirs: readonly string[]) {
    super();
    this.#maildirs = maildirs;
  }

  async open(): Promise<void> {
    // Moved away and not removed: ext4 without a journal passes over lately deleted inodes one by one for a minute, at every create.
    for (const path of this.#maildirs) if (existsSync(path)) renameSync(path, `${path}.${this.#rounds++}`);
  }

  count(): number {
    return this.#maildirs.reduce((sum, path) => sum + (existsSync(`${path}/new`) ? readdirSync(`${path}/new`).length : 0), 0);
  }
}

/** Messages in mailbox files: lines that begin with "From " behind an empty line, counted as the files grow. */
export class MailboxArrivals extends LookingArrivals {
  readonly #files: readonly MailboxFile[];

  constructor(paths: readonly string[]) {
    super();
    this.#files = paths.map((path) => new MailboxFile(path));
  }

  async open(): Promise<void> {
    for (const file of this.#files) file.restart();
  }

  count(): number {
    return this.#files.reduce((sum, file) => sum + file.count(), 0);
  }
}

const mark = '\n\nFrom ';
const readSize = 1 << 20;

class MailboxFile {
  readonly #path: string;
  #seen = 0;
  #messages = 0;
  #tail = '\n\n';

  constructor(path: string) {
    this.#path = path;
  }

  restart(): void {
    rmSync(this.#path, { force: true });
    this.#seen = this.#messages = 0;
    this.#tail = '\n\n';
  }

  count(): number {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > this.#seen) this.#read(size);
    return this.#messages;
  }

  #read(size: number): void {
    const fd = openSync(this.#path, 'r');
    const block = Buffer.alloc(readSize);
    while (this.#seen < size) {
      const got = readSync(fd, block, 0, readSize, this.#seen);
      if (got === 0) break;
      this.#seen += got;
      this.#scan(block.toString('latin1', 0, got));
    }
    closeSync(fd);
  }

  #scan(chunk: string): void {
    const text = this.#tail + chunk;
    for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) this.#messages++;
    this.#tail = text.slice(-(mark.length - 1));
  }
}
