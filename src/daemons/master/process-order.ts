/**
 * What one process is told to be: its rows and their shares, its user and root directory, the descriptors it inherits.
 */
import type { MasterRow } from '../../config/master-cf.ts';
import { isRoot } from '../../host/identity.ts';
import type { Log } from '../../log/log.ts';
import type { LogTarget } from '../../log/target.ts';
import type { ProcessOrder, ServiceOrder } from '../../server/order.ts';
import { rowKey, type Placement } from './placement.ts';
import type { MasterSettings } from './settings.ts';
import { firstDescriptor } from './worker.ts';

/** What a generation of processes is made from: changes with each reload. */
export interface Generation {
  readonly number: number;
  readonly settings: MasterSettings;
  readonly log: Log;
  /** Where processes log to; a descriptor of master's own. */
  readonly logTo: LogTarget;
  /** Lines for the log from a process that has let go of the file. */
  readonly passLines: (lines: string) => void;
  readonly environment: Record<string, string>;
  readonly verbose: number;
  /** Listening descriptors by rowKey. */
  readonly sockets: ReadonlyMap<string, readonly number[]>;
}

/** Master's listening descriptors for a row. */
export function socketsOf({ sockets }: Generation, row: MasterRow): readonly number[] {
  return sockets.get(rowKey(row)) ?? [];
}

/** `shares`: rows of the placement by index, and how many clients of each. `descriptors`: what the process inherits, in order. */
export function processOrder(placement: Placement, shares: ReadonlyMap<number, number>, generation: Generation): { order: ProcessOrder; descriptors: number[] } {
  const { settings, logTo, number, verbose } = generation;
  const descriptors: number[] = [];
  const inherit = (fd: number): number => firstDescriptor + descriptors.push(fd) - 1;
  const services = [...shares].map(([index, limit]): ServiceOrder => {
    const { row } = placement.rows[index]!;
    return { row, limit, alone: row.maxproc === 1 && !placement.oneClient, descriptors: socketsOf(generation, row).map(inherit) };
  });
  const { uid, gid, name } = settings.owner;
  const { title, resident, oneClient } = placement;
  const order: ProcessOrder = {
    title, resident, oneClient, services, verbose,
    generation: number,
    configDirectory: settings.config.directory,
    settings: [...settings.config.settings],
    queueDirectory: process.cwd(),
    log: logTo.kind === 'syslog' ? logTo : { ...logTo, fd: inherit(logTo.fd) },
    user: placement.unprivileged && isRoot() ? { uid, gid, name } : undefined,
    chroot: placement.chroot && isRoot(),
  };
  return { order, descriptors };
}
