/**
 * Which processes have a file open for writing. The kernel tells us of those that we may look at: as root of all.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';

const access = 0o3;

/** Process ids, without `except`. A file that is gone has no writers. */
export function writersOf(path: string, except: number): number[] {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) return [];
  const isIt = (fd: string): boolean => {
    const found = statSync(fd, { throwIfNoEntry: false });
    return found !== undefined && found.ino === file.ino && found.dev === file.dev;
  };
  return listed('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== except)
    .filter((pid) => listed(`/proc/${pid}/fd`).some((fd) => attempt(() => isIt(`/proc/${pid}/fd/${fd}`) && writes(pid, fd)) ?? false)).map(Number);
}

function writes(pid: string, fd: string): boolean {
  const flags = /^flags:\t([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
  return flags !== undefined && (Number.parseInt(flags.slice(-1), 8) & access) !== 0;
}

function listed(directory: string): string[] {
  return attempt(() => readdirSync(directory)) ?? [];
}

/** Processes end while we look at them. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
