/**
 * `master -w`: the real master starts in the background in a session of its own; the foreground process waits until it
 * serves, and ends with status 0, or until it has failed.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Log } from '../../log/log.ts';

/** Names that may have to be looked up at start can be slow: milliseconds. */
const patience = 100_000;
const variable = 'MASTER_READY_DESCRIPTOR';

/** The descriptor on which a background master tells that it serves; undefined for one in the foreground. */
export function readyDescriptor(): number | undefined {
  const fd = Number(process.env[variable]);
  return fd > 2 ? fd : undefined;
}

/** Status 0, or a fatal line. `argv` is the command line of the foreground process. */
export function monitorStart(argv: readonly string[], log: Log): Promise<number> {
  const words = argv.map((word) => (/^-[Ddistvw]+$/.test(word) ? word.replaceAll('w', '') : word)).filter((word) => word !== '-');
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1, -argv.length), ...words], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: { ...process.env, [variable]: '3' },
  });
  return new Promise((resolve) => {
    const ready = child.stdio[3] as Readable;
    const failed = (): void => log.fatal('daemon initialization failure -- see logs for details');
    const timer = setTimeout(() => {
      log.warning('timeout while waiting for daemon initialization');
      child.kill('SIGKILL');
      failed();
    }, patience);
    ready.once('data', () => {
      clearTimeout(timer);
      resolve(0);
    });
    child.on('error', failed);
    child.on('exit', failed);
  });
}
