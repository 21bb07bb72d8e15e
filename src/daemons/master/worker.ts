/**
 * One process of the mail system, seen from master: started with its order and its sockets, heard, spoken to, reaped.
 *
 * Listening descriptors and the log are inherited; descriptor 3 carries the order, words and reports. Nothing here throws:
 * a process that cannot be started ends at once with the Error that says why.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import os from 'node:os';
import type net from 'node:net';
import { fileURLToPath } from 'node:url';
import { knownDaemon } from '../daemons.ts';
import { daemonFlags } from './node-flags.ts';
import { LineReader, encodeLine, type ProcessOrder, type Report, type Word } from '../../server/order.ts';

export interface WorkerEvents {
  readonly report: (report: Report) => void;
  /** Once, when the process is gone. `error`: it could not be started. */
  readonly end: (status: number | null, signal: number | null, error?: Error) => void;
}

/** Descriptors from here on are the caller's, in the order they were given. */
export const firstDescriptor = 4;

/** glibc keeps what the compiling threads of V8 have freed, in a pool for each of them; mallopt(3). */
const memory = { MALLOC_ARENA_MAX: '2' };
const isBuilt = import.meta.url.endsWith('.js');
const script = fileURLToPath(new URL(`../child.${isBuilt ? 'cjs' : 'ts'}`, import.meta.url));

/** The program file that has all daemons of an order, by their group; a process that hosts only some of them does not mind the others. */
function programOf({ services }: ProcessOrder): string[] {
  const groups = new Set(services.map(({ row }) => knownDaemon(row.program)?.group));
  return isBuilt && groups.size === 1 ? [[...groups].join().replaceAll(' ', '-')] : [];
}

export class Worker {
  readonly #child: ChildProcess;
  readonly #channel: net.Socket | undefined;
  #gone = false;

  constructor(order: ProcessOrder, descriptors: readonly number[], environment: Record<string, string>, events: WorkerEvents) {
    this.#child = spawn(process.execPath, [...daemonFlags, script, 'for-master', ...programOf(order)], {
      env: { ...memory, ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...descriptors],
    });
    this.#child.on('error', (error) => this.#end(events, null, null, error));
    // Not before its last reports have been read: whether it served a client decides about its successor.
    this.#child.on('close', (status, signal) => this.#end(events, status, signal === null ? null : os.constants.signals[signal]));
    this.#channel = this.#child.stdio[3] as net.Socket | undefined;
    if (this.#channel === undefined || this.#child.pid === undefined) return;
    this.#listen(this.#channel, events);
    this.#channel.write(encodeLine(order), 'latin1');
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  tell(word: Word): void {
    if (this.#channel?.writable) this.#channel.write(encodeLine(word), 'latin1');
  }

  /** The process will not end by itself. */
  kill(): void {
    if (!this.#gone) this.#child.kill('SIGKILL');
  }

  #listen(channel: net.Socket, events: WorkerEvents): void {
    const lines = new LineReader();
    channel.on('error', () => channel.destroy());
    channel.on('data', (chunk: Buffer) => {
      try {
        for (const report of lines.read(chunk)) if (!this.#gone) events.report(report as Report);
      } catch {
        this.kill(); // it does not speak our language: its end is logged
      }
    });
  }

  #end(events: WorkerEvents, status: number | null, signal: number | null, error?: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    events.end(status, signal, error);
  }
}
