/**
 * What /proc says of processes: who descends from whom, CPU, memory. Processes that vanish while being looked at count as gone.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** CPU figures of /proc count hundredths of a second on every Linux that Node runs on. */
const tick = 10;

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    return '';
  }
}

/** Fields of /proc/PID/stat from the third on; the second may hold anything in its parentheses. */
function statFields(pid: number): string[] {
  const text = readProc(`${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Does it still run? What is dead and waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  const [state] = statFields(pid);
  return state !== undefined && state !== '' && state !== 'Z' && state !== 'X';
}

/** The process and all that descend from it. */
export function processTree(root: number): number[] {
  const parents = new Map(readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map((name) => [Number(name), Number(statFields(Number(name))[1])]));
  if (!parents.has(root)) return [];
  const tree = [root];
  for (let at = 0; at < tree.length; at++) {
    for (const [pid, parent] of parents) if (parent === tree[at]) tree.push(pid);
  }
  return tree;
}

/** Milliseconds of CPU that these processes used, threads and ended children that were waited for included. */
export function cpuOfProcesses(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const [user, system, childUser, childSystem] = statFields(pid).slice(11, 15).map(Number);
    ticks += (user ?? 0) + (system ?? 0) + (childUser ?? 0) + (childSystem ?? 0);
  }
  return ticks * tick;
}

/** Milliseconds of CPU of the children of this process that have ended and been waited for. */
export function cpuOfEndedChildren(): number {
  const [user, system] = statFields(process.pid).slice(13, 15).map(Number);
  return ((user ?? 0) + (system ?? 0)) * tick;
}

/** Their memory in MB, with what several share counted once (proportional set size). */
export function proportionalMemory(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) kilobytes += Number(/^Pss:\s+([0-9]+)/m.exec(readProc(`${pid}/smaps_rollup`))?.[1] ?? 0);
  return kilobytes / 1024;
}
