/**
 * Programs that the bench starts, and the promise that it ends them: each by its own id, at the end, on failure and on a signal.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The last of what it wrote to standard error. */
  said(): string;
}

type Cleanup = () => void | Promise<void>;

const cleanups = new Set<Cleanup>();
const saidLimit = 4000;
/** Milliseconds between SIGTERM and SIGKILL. */
const patience = 3000;

/** Run this at the end of the bench at the latest; the answer takes it off the list. */
export function atEnd(cleanup: Cleanup): () => void {
  cleanups.add(cleanup);
  return () => { cleanups.delete(cleanup); };
}

let over = false;

/** Everything that was started last goes first. A cleanup that fails does not keep the others from theirs. */
export async function endAll(): Promise<void> {
  over = true;
  for (let cleanup = [...cleanups].at(-1); cleanup !== undefined; cleanup = [...cleanups].at(-1)) {
    cleanups.delete(cleanup);
    try {
      await cleanup();
    } catch (error) {
      console.error(`bench: while ending: ${(error as Error).message}`);
    }
  }
}

/** What begins something new asks first: after a signal there is only an end. */
export function assertGoing(): void {
  if (over) throw new Error('the bench is ending');
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The value, or an error that names what did not happen in time. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds / 1000} s: ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Look every few milliseconds until it is so. */
export async function until(milliseconds: number, what: string, isSo: () => boolean | Promise<boolean>, pause = 10): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not within ${milliseconds / 1000} s: ${what}`);
    await delay(pause);
  }
}

export function startProgram(command: string, args: readonly string[], options: SpawnOptions = {}): Program {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => { said = (said + chunk.toString('latin1')).slice(-saidLimit); });
  const ended = new Promise<Ended>((resolve) => {
    child.on('error', (error) => { said += error.message; resolve({ status: 127, signal: null }); });
    child.on('close', (status, signal) => resolve({ status, signal }));
  });
  const program: Program = { child, ended, said: () => said.trim() };
  const done = atEnd(async () => { await endProgram(program); });
  void ended.then(done);
  return program;
}

/** End it, politely first. */
export async function endProgram({ child, ended }: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
  if (child.exitCode !== null || child.signalCode !== null) return ended;
  child.kill(signal);
  const hard = setTimeout(() => child.kill('SIGKILL'), patience);
  const how = await ended;
  clearTimeout(hard);
  return how;
}

/** Run it to its end; an error with its own words when it fails or takes too long. */
export async function runProgram(command: string, args: readonly string[], milliseconds: number, options: SpawnOptions = {}): Promise<void> {
  const program = startProgram(command, args, options);
  const name = command.slice(command.lastIndexOf('/') + 1);
  try {
    const { status, signal } = await within(milliseconds, `${name} ended`, program.ended);
    if (status !== 0) throw new Error(`${name} ended with ${signal ?? `status ${status}`}: ${program.said() || 'it said nothing'}`);
  } finally {
    await endProgram(program);
  }
}
