/**
 * What a process that died has left in its journal becomes files of the incoming queue.
 *
 * A message that an agent still delivers waits until the agent is through (it holds a lock on the place). One whose recipients are all
 * done is only wanted when reports about it are still to be sent. One that is a file already (the process died between writing the
 * file and giving the place up) only has its done marks brought over. A segment is given free when nothing in it is wanted any
 * more; until then it stays, and so does the mail.
 */
import { closeSync, existsSync, lstatSync, openSync, readSync, writeSync, constants } from 'node:fs';
import { tryLockByte } from '../host/locks.ts';
import { recordType } from '../message/record.ts';
import type { DirectorySync } from './directory-sync.ts';
import { entryStatus } from './journal/entry.ts';
import type { Journal } from './journal/journal.ts';
import type { RecoveredEntry } from './journal/recover.ts';
import type { Spares } from './journal/spares.ts';
import { inodeOf } from './queue-id.ts';
import { ownerMask, readyMode } from './open-ok.ts';
import type { QueuePaths } from './queue-paths.ts';
import { copyMarks, writeMessage } from './residents.ts';

export interface RecoveryTools {
  readonly journal: Pick<Journal, 'abandoned' | 'hasForeign'>;
  readonly spares: Spares;
  readonly paths: QueuePaths;
  readonly sync: DirectorySync;
  readonly warn: (text: string) => void;
  readonly removed: (queueId: string) => void;
  /** Those that have to wait: told anew with each pass. */
  readonly waiting: Set<string>;
}

const queues = ['incoming', 'active', 'deferred', 'hold', 'corrupt'] as const;
const logs = ['bounce', 'defer', 'trace'] as const;
/** Files written at once. */
const width = 32;

/** True: some of it has to wait, or another process is still finishing; look again soon. */
export async function recoverMessages(tools: RecoveryTools): Promise<boolean> {
  const left = new Set<string>();
  for (const { segment, entries, settled } of tools.journal.abandoned()) {
    const fd = openSync(tools.paths.root + segment, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      if (await recoverAll(entries, fd, tools, left)) settled();
    } finally {
      closeSync(fd);
    }
  }
  tools.waiting.clear();
  for (const queueId of left) tools.waiting.add(queueId);
  if (left.size === 0) tools.spares.adopt();
  return left.size > 0 || tools.journal.hasForeign();
}

/** False: something of it is still wanted. That is added to `left`. */
async function recoverAll(entries: readonly RecoveredEntry[], fd: number, tools: RecoveryTools, left: Set<string>): Promise<boolean> {
  const rest = [...entries];
  const before = left.size;
  const work = async (): Promise<void> => {
    for (let entry = rest.pop(); entry !== undefined; entry = rest.pop()) {
      try {
        if (!await recoverUnheld(entry, fd, tools)) left.add(entry.queueId);
      } catch (error) {
        left.add(entry.queueId);
        tools.warn(`${entry.queueId}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, rest.length) }, work));
  return left.size === before;
}

/** False: an agent is still delivering it. While the lock is ours none can begin, so that no done mark comes too late. */
async function recoverUnheld(entry: RecoveredEntry, fd: number, tools: RecoveryTools): Promise<boolean> {
  if (!tryLockByte(fd, entry.offset, 'exclusive')) return false;
  try {
    readSync(fd, entry.image, 0, entry.image.length, entry.offset); // with the marks that were made meanwhile
    await recover(entry, tools);
    writeSync(fd, Buffer.from([entryStatus.gone]), 0, 1, entry.offset - 1);
    return true;
  } finally {
    tryLockByte(fd, entry.offset, 'none');
  }
}

async function recover(entry: RecoveredEntry, { paths, spares, sync, removed }: RecoveryTools): Promise<void> {
  const { queueId, image, recipients } = entry;
  const place = queues.map((queue) => paths.path(queue, queueId)).find((path) => isReady(path));
  if (place !== undefined) return copyMarks(image, recipients, place);
  const isDone = recipients.every((offset) => image[offset] === recordType.done);
  if (isDone && !logs.some((log) => existsSync(paths.path(log, queueId)))) return removed(queueId);
  const spare = spares.find(inodeOf(queueId) ?? 0n) ?? spares.take();
  await writeMessage(image, spare.path, paths.path('incoming', queueId), sync);
}

function isReady(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status !== undefined && (status.mode & ownerMask) === readyMode;
}
