/**
 * CPU of one mail system: everything that its start command brought forth, ended processes included.
 *
 * Best is a control group of its own (version 1 `cpuacct`, or version 2): the kernel counts, and nothing escapes. Where none can be
 * made, /proc is summed over the process tree; then a process that leaves the tree takes its figures with it.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { cpuOfProcesses, processTree } from './process-tree.ts';

export interface Meter {
  readonly way: string;
  /** The command words that make a program count. */
  counted(command: string, args: readonly string[]): [command: string, args: string[]];
  /** Where the tree begins, for the meter that needs to know. */
  root: number;
  pids(): number[];
  /** Milliseconds so far. */
  cpu(): number;
  close(): void;
}

/** The shell joins the group, then becomes the program. */
const join = 'echo $$ >"$0" && exec "$@"';

class GroupMeter implements Meter {
  readonly way: string;
  root = 0;
  readonly #directory: string;
  readonly #read: (directory: string) => number;

  constructor(way: string, directory: string, read: (directory: string) => number) {
    this.way = way;
    this.#directory = directory;
    this.#read = read;
    mkdirSync(directory);
    this.cpu();
  }

  counted(command: string, args: readonly string[]): [string, string[]] {
    return ['/bin/sh', ['-c', join, `${this.#directory}/cgroup.procs`, command, ...args]];
  }

  pids(): number[] {
    return readFileSync(`${this.#directory}/cgroup.procs`, 'latin1').split('\n').filter((line) => line !== '').map(Number);
  }

  cpu(): number {
    return this.#read(this.#directory);
  }

  close(): void {
    try {
      rmdirSync(this.#directory);
    } catch { /* a process is still in it: whoever ends that one says so */ }
  }
}

class TreeMeter implements Meter {
  readonly way = '/proc';
  root = 0;

  counted(command: string, args: readonly string[]): [string, string[]] {
    return [command, [...args]];
  }

  pids(): number[] {
    return this.root === 0 ? [] : processTree(this.root);
  }

  cpu(): number {
    return cpuOfProcesses(this.pids());
  }

  close(): void {}
}

const firstVersion = '/sys/fs/cgroup/cpuacct';
const secondVersion = '/sys/fs/cgroup';

function nanoseconds(directory: string): number {
  return Number(readFileSync(`${directory}/cpuacct.usage`, 'latin1')) / 1e6;
}

function microseconds(directory: string): number {
  return Number(/^usage_usec ([0-9]+)/m.exec(readFileSync(`${directory}/cpu.stat`, 'latin1'))![1]) / 1e3;
}

function ownGroup(): string {
  return /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1]?.replace(/\/$/, '') ?? '';
}

/** Meters in order of preference; the first that can be made counts. */
const makers: readonly ((name: string) => Meter | undefined)[] = [
  (name) => (existsSync(`${firstVersion}/cpuacct.usage`) ? new GroupMeter('cgroup v1', `${firstVersion}/${name}`, nanoseconds) : undefined),
  (name) => (existsSync(`${secondVersion}/cgroup.controllers`) ? new GroupMeter('cgroup v2', `${secondVersion}${ownGroup()}/${name}`, microseconds) : undefined),
];

/** `name` is new on this machine. */
export function makeMeter(name: string): Meter {
  for (const make of makers) {
    try {
      const meter = make(name);
      if (meter !== undefined) return meter;
    } catch { /* not allowed here: the next way */ }
  }
  return new TreeMeter();
}
