/**
 * System calls per message: strace counts those of every process of the mail system, new ones included, while a load runs.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Arrivals } from './arrivals.ts';
import type { Driver, Load } from './drivers.ts';
import type { MailSystem } from './mail-system.ts';
import { delay, endProgram, startProgram, until, within } from './processes.ts';
import { runLoad } from './run.ts';
import { parseStraceTable, type StraceTable } from './strace-table.ts';

const strace = '/usr/bin/strace';
const breath = 300;
const attachLimit = 20_000;
const detachLimit = 30_000;

/** Why they cannot be counted here; undefined: they can. */
export function noStrace(): string | undefined {
  return existsSync(strace) ? undefined : 'strace is not installed';
}

/** Calls of one run; its total divided by the messages is the figure. */
export async function countSystemCalls(system: MailSystem, load: Load, driver: Driver, arrivals: Arrivals): Promise<StraceTable> {
  const file = `${system.directory}/strace`;
  const pids = system.pids();
  const tracer = startProgram(strace, ['-f', '-c', '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])]);
  try {
    await until(attachLimit, 'strace attached', () => isTraced(pids) || tracer.child.exitCode !== null);
    if (tracer.child.exitCode !== null) throw new Error(`strace ended: ${tracer.said()}`);
    await delay(breath); // for the threads, which come after
    await runLoad(system, load, driver, arrivals);
    tracer.child.kill('SIGINT');
    await within(detachLimit, 'strace wrote its table', tracer.ended);
    return parseStraceTable(readFileSync(file, 'latin1'));
  } finally {
    await endProgram(tracer);
    rmSync(file, { force: true });
  }
}

function isTraced(pids: readonly number[]): boolean {
  return pids.every((pid) => {
    try {
      return !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
    } catch {
      return true; // gone meanwhile
    }
  });
}
