/**
 * A process that master(8) has started: it becomes the daemons of its order. Nobody else can start it.
 *
 * Ends with status 0 when its work is finished or master is gone, with 1 after a fatal or panic line in the log.
 */
import { fstatSync } from 'node:fs';
import { ignoreDebugSignal } from '../host/process.ts';
import { openChannel } from '../server/child-channel.ts';
import { systemClock } from '../server/clock.ts';
import { GroupProcess } from '../server/group-process.ts';
import type { Daemon } from '../server/daemon.ts';

/** The daemon of a program name that is in the table of daemons.ts. */
export type LoadDaemon = (program: string) => Promise<Daemon>;

const channelFd = 3;

function startedByMaster(): boolean {
  try {
    return process.argv[2] === 'for-master' && fstatSync(channelFd).isSocket();
  } catch {
    return false;
  }
}

function main(load: LoadDaemon): void {
  let group: GroupProcess | undefined;
  const end = (): void => (group === undefined ? process.exit(0) : group.stop());
  const failed = (error: unknown): void => {
    if (group !== undefined) group.panic(error);
    process.stderr.write(`postern: panic: ${(error as Error).stack ?? String(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', failed);
  process.on('unhandledRejection', failed);
  // A terminal's interrupt is for master, which tells us; a hangup of it concerns nobody.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE'] as const) process.on(signal, () => undefined);
  process.on('SIGTERM', end);
  ignoreDebugSignal();
  const channel = openChannel(channelFd, {
    order: (order) => {
      process.title = order.title;
      process.chdir(order.queueDirectory);
      group = new GroupProcess(order, {
        clock: systemClock, load, exit: (status) => process.exit(status), report: (report) => channel.report(report),
      });
      group.run().catch(failed);
    },
    word: (word) => group?.word(word),
    gone: end,
  });
}

export function serveMaster(load: LoadDaemon): void {
  if (startedByMaster()) return main(load);
  process.stderr.write('postern: fatal: this program is started by master(8); use "postfix start" to start the mail system\n');
  process.exit(1);
}
