/**
 * master(8): the resident process that makes the sockets of the mail system and starts its daemons on demand.
 *
 * Trouble before it serves is fatal: a line in the log and on standard error, status 1. Afterwards nothing ends it but a signal.
 */
import { closeSync } from 'node:fs';
import { isCloseOnExec, setCloseOnExec } from '../../host/descriptors.ts';
import { openDescriptors } from '../../host/process.ts';
import { createLog } from '../../log/log.ts';
import { StderrSink } from '../../log/sinks.ts';
import { parseMasterOptions, UsageError } from './options.ts';
import { monitorStart, readyDescriptor } from './start-monitor.ts';

/** The status to end with; undefined: master runs on. */
export async function main(argv: readonly string[]): Promise<number | undefined> {
  const early = createLog(new StderrSink(), 'master', process.pid, exit);
  process.umask(0o077);
  closeLeaked();
  try {
    const options = parseMasterOptions(argv, process.pid);
    if (options.wait) return await monitorStart(argv, early);
    // Whoever only waits for the start needs nothing of what serves.
    const { serve } = await import('./serve.ts');
    return serve(options, early);
  } catch (error) {
    return early.fatal(error instanceof UsageError ? error.message : (error as Error).stack ?? String(error));
  }
}

/** With this process's arguments behind the program's name, until it ends. */
export function run(): void {
  void main(process.argv.slice(3)).then((status) => { if (status !== undefined) process.exit(status); });
}

/** What our parent left open for us by mistake, it may be waiting to see closed; and our children must not get it. */
function closeLeaked(): void {
  const ours = readyDescriptor();
  for (const fd of openDescriptors()) if (fd > 2 && fd !== ours && !isCloseOnExec(fd)) closeSync(fd);
  if (ours !== undefined) setCloseOnExec(ours, true);
}

function exit(status: number): never {
  process.exit(status);
}
