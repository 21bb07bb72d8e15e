/**
 * Delivering a message to an external command (pipe_command(3), exec_command(3)).
 *
 * The command runs as the given user and group with no other groups, in a session of its own, with a pipe as standard input and
 * one for its output, of which the first 4096 bytes are kept. Its exit status is read as in sysexits(3); output that begins with
 * an enhanced status code says it better. Out of time, it and all its offspring are killed. No shell is run unless the command
 * needs one. Never rejects.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { constants } from 'node:os';
import { asUser } from '../host/identity.ts';
import { errorText } from '../host/libc.ts';
import { makePipe } from '../host/pipes.ts';
import { insideRoot } from '../host/process.ts';
import type { Log } from '../log/log.ts';
import { dsnValid, exitStatus, splitDsn } from '../message/dsn.ts';
import { printable } from '../text/ascii.ts';
import { commandPath, nativeText } from './environment.ts';
import { DeliveryFailure, failureOf, pathBytes, refusalToActAs, type Failure, type Rights } from './failure.ts';

export interface Command {
  /** Words to execute as they are (pipe), or a text as in an alias file (local): run without a shell if it needs none. */
  readonly run: { readonly argv: readonly string[] } | { readonly text: string; readonly shell: string };
  readonly rights: Rights;
  /** Root directory, entered before the working directory; absent: the mail system's. Only root can change it. */
  readonly root?: string | undefined;
  /** Working directory; absent: the mail system's. */
  readonly directory?: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** command_time_limit, milliseconds. */
  readonly timeLimit: number;
  /** Whose name complaints of ours before the command runs carry: `local`, `pipe`. */
  readonly agent: string;
  /** smtputf8_enable: UTF-8 in its output stays. */
  readonly utf8: boolean;
}

/** What came of it: a Failure, or the command's output (one line, trimmed to 4096 bytes). */
export type CommandOutcome = { readonly failure: Failure } | { readonly output: string };

interface Ended { readonly status: number | null; readonly signal: NodeJS.Signals | null; readonly late: boolean; readonly output: string }

const outputLimit = 4096;

export async function runCommand(command: Command, message: AsyncIterable<Buffer>, log: Log): Promise<CommandOutcome> {
  const refusal = refusalToActAs(command.rights);
  if (refusal !== undefined) return { failure: refusal };
  try {
    return await new Run(command, log).deliver(message);
  } catch (error) {
    return { failure: failureOf(error, 'Delivery failed', '4.3.0').failure };
  }
}

/** The first word, for messages. */
function nameOf({ run }: Command): string {
  return 'argv' in run ? run.argv[0]! : run.text;
}

const shell = '/bin/sh';

/** Characters that mean nothing to a shell, blanks included. */
const plainCommand = /^[0-9!@%_=+:,.\/a-zA-Z \t-]*$/;

/** What to execute, in the order of attempts. */
function attempts({ run }: Command): string[][] {
  if ('argv' in run) return [[...run.argv]];
  const words = (text: string): string[] => text.split(/[ \t]+/).filter((word) => word !== '');
  if (run.shell !== '') return [[...words(run.shell), run.text]];
  const byShell = [shell, '-c', run.text];
  const direct = words(run.text);
  return plainCommand.test(run.text) && direct.length > 0 ? [direct, byShell] : [byShell];
}

class Run {
  readonly #command: Command;
  readonly #log: Log;

  constructor(command: Command, log: Log) {
    this.#command = command;
    this.#log = log;
  }

  async deliver(message: AsyncIterable<Buffer>): Promise<CommandOutcome> {
    this.#checkRoot();
    this.#checkDirectory();
    const ended = await this.#run(message);
    const { output } = ended;
    const quoted = `"${nameOf(this.#command)}"${output === '' ? '' : `. Command output: ${output}`}`;
    if (ended.late) return fail('5.3.0', `Command time limit exceeded: ${quoted}`, output || exitStatus(70).text);
    if (ended.signal !== null) {
      const number = constants.signals[ended.signal];
      return fail('4.3.0', `Command died with signal ${number}: ${quoted}`, output || exitStatus(70).text);
    }
    return this.#judge(ended.status ?? 0, output, quoted);
  }

  #judge(status: number, output: string, quoted: string): CommandOutcome {
    if (status === 0) return { output };
    if (dsnValid(output) > 0) {
      const { status: dsn, text } = splitDsn('5.3.0', output);
      return fail(dsn, text, text);
    }
    const meaning = exitStatus(status);
    const known = status >= 64 && status <= 78;
    const text = known ? `${meaning.text}${output === '' ? '' : `. Command output: ${output}`}` : `Command died with status ${status}: ${quoted}`;
    return fail(meaning.status, text, output || meaning.text);
  }

  #checkRoot(): void {
    const { root } = this.#command;
    if (root === undefined) return;
    try {
      insideRoot(root, () => undefined);
    } catch (error) {
      this.#log.warning(`chroot(${root}): ${errorText(error)}`);
      throw new DeliveryFailure({ dsn: '4.3.0', text: exitStatus(75).text, diagnostic: { type: 'x-unix', text: exitStatus(75).text } });
    }
  }

  /** As that user, because the process that would say so is not there yet. */
  #checkDirectory(): void {
    const { directory, rights, root } = this.#command;
    if (directory === undefined) return;
    const inside = <T>(work: () => T): T => (root === undefined ? work() : insideRoot(root, work));
    try {
      inside(() => asUser(rights, () => {
        if (!fs.statSync(pathBytes(directory)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR', errno: -constants.errno.ENOTDIR });
        fs.accessSync(pathBytes(directory), fs.constants.X_OK);
      }));
    } catch (error) {
      this.#log.warning(`cannot change directory to "${directory}" for uid=${rights.uid} gid=${rights.gid}: ${errorText(error)}`);
      throw new DeliveryFailure({ dsn: '4.3.0', text: exitStatus(75).text, diagnostic: { type: 'x-unix', text: exitStatus(75).text } });
    }
  }

  /** What the process would have said before it could become the command: it would have ended with EX_TEMPFAIL. */
  #complaint(text: string): DeliveryFailure {
    const output = `${this.#command.agent}: fatal: ${text} `;
    this.#log.warning(text);
    return new DeliveryFailure({ dsn: '4.3.0', text: `temporary failure. Command output: ${output}`, diagnostic: { type: 'x-unix', text: output } });
  }

  async #run(message: AsyncIterable<Buffer>): Promise<Ended> {
    const tries = attempts(this.#command);
    for (const [index, argv] of tries.entries()) {
      const started = await this.#start(argv);
      if ('child' in started) return this.#attend(started, message);
      // A word that is no file may be a builtin of the shell.
      const builtin = started.error.code === 'ENOENT' && !argv[0]!.includes('/') && index + 1 < tries.length;
      if (builtin) continue;
      const prefix = 'argv' in this.#command.run ? 'pipe_command: ' : '';
      throw this.#complaint(`${prefix}execvp ${argv[0]}: ${errorText(started.error)}`);
    }
    throw this.#complaint('no command');
  }

  async #start(argv: string[]): Promise<Started | { error: NodeJS.ErrnoException }> {
    const native = argv.map(nativeText);
    const bad = native.indexOf(undefined);
    if (bad >= 0) throw new DeliveryFailure({ dsn: '5.6.7', text: `command argument is not valid UTF-8: "${nameOf(this.#command)}"` });
    // Made as the user, whose they are then: /dev/stdin can be opened.
    const [input, output] = asUser(this.#command.rights, () => [makePipe(), makePipe()] as const);
    try {
      const child = this.#spawn(native as string[], input.readable, output.writable);
      const error = await startOf(child);
      if (error === undefined) return { child, input: input.writable, output: output.readable };
      closeAll(input.writable, output.readable);
      return { error };
    } catch (error) {
      closeAll(input.writable, output.readable);
      throw error;
    } finally {
      closeAll(input.readable, output.writable);
    }
  }

  #spawn(argv: string[], input: number, output: number): ChildProcess {
    const { rights, root, directory, environment } = this.#command;
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(environment)) env[name] = nativeText(value) ?? '';
    // Whatever export_environment says.
    env['PATH'] = commandPath;
    const own = process.getuid!() !== 0 ? {} : { uid: rights.uid, gid: rights.gid };
    const argv0 = argv[0] === shell ? { argv0: 'sh' } : {};
    const start = (): ChildProcess => spawn(argv[0]!, argv.slice(1), { ...own, ...argv0, cwd: directory, env, detached: true, stdio: [input, output, output] });
    return root === undefined ? start() : insideRoot(root, start);
  }

  /** Give it the message, listen to what it says, wait for its end: all within the time limit. */
  #attend({ child, input, output }: Started, message: AsyncIterable<Buffer>): Promise<Ended> {
    const stdin = new net.Socket({ fd: input, readable: false, writable: true });
    const stdout = new net.Socket({ fd: output, readable: true, writable: false });
    const kept: Buffer[] = [];
    let room = outputLimit;
    stdin.on('error', () => { /* a command need not read all of the message */ });
    stdout.on('error', () => { /* the exit status tells */ });
    stdout.on('data', (chunk: Buffer) => {
      if (room > 0) kept.push(chunk.subarray(0, room));
      room -= Math.min(room, chunk.length);
    });
    return new Promise((resolve, reject) => {
      let late = false;
      let ended: { status: number | null; signal: NodeJS.Signals | null } | undefined;
      let silent = false;
      let trouble: unknown;
      const finish = (): void => {
        if (ended === undefined || !silent) return;
        clearTimeout(timer);
        stdin.destroy();
        if (trouble !== undefined) reject(this.#unread(trouble));
        else resolve({ ...ended, late, output: oneLine(Buffer.concat(kept), this.#command.utf8) });
      };
      const timer = setTimeout(() => {
        late = ended === undefined;
        if (late) this.#log.warning(stdin.writableFinished ? 'pipe_command_read: read time limit exceeded' : 'pipe_command_write: write time limit exceeded');
        this.#kill(child);
        // What the offspring still holds open is not waited for.
        stdin.destroy();
        stdout.destroy();
      }, this.#command.timeLimit);
      child.once('exit', (status, signal) => {
        ended = { status, signal };
        finish();
      });
      stdout.once('close', () => {
        silent = true;
        finish();
      });
      feed(stdin, message).catch((error: unknown) => {
        trouble = error;
        this.#kill(child);
        stdout.destroy();
        finish();
      });
    });
  }

  /** The message could not be read to its end: the command has seen half of it, which must not count as delivered. */
  #unread(trouble: unknown): DeliveryFailure {
    const { failure } = failureOf(trouble, 'error reading message', '4.3.0');
    return new DeliveryFailure({ ...failure, text: `Command failed: ${failure.text}: "${nameOf(this.#command)}"` });
  }

  #kill(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    try {
      asUser(this.#command.rights, () => process.kill(-pid, 'SIGKILL'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') this.#log.warning(`cannot kill process (group) ${pid}: ${errorText(error)}`);
    }
  }
}

interface Started { readonly child: ChildProcess; readonly input: number; readonly output: number }

function fail(dsn: string, text: string, diagnostic: string): CommandOutcome {
  return { failure: { dsn, text, diagnostic: { type: 'x-unix', text: diagnostic } } };
}

function startOf(child: ChildProcess): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.on('error', resolve);
  });
}

function closeAll(...fds: number[]): void {
  for (const fd of fds) fs.closeSync(fd);
}

/** Writes until the message or the reader ends; rejects only when the message could not be read. */
async function feed(stdin: net.Socket, message: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of message) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await writable(stdin);
  }
  stdin.end();
}

function writable(stdin: net.Socket): Promise<void> {
  if (stdin.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const go = (): void => {
      stdin.off('drain', go).off('close', go);
      resolve();
    };
    stdin.on('drain', go).on('close', go);
  });
}

/** Output as it goes into a log line: tabs and line ends are blanks, other unprintable bytes underscores. */
function oneLine(output: Buffer, utf8: boolean): string {
  const text = output.toString('latin1');
  const end = text.indexOf('\0');
  return printable((end < 0 ? text : text.slice(0, end)).replace(/[\t\n]/g, ' '), '_', utf8);
}
