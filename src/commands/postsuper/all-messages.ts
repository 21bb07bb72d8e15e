/**
 * postsuper(1) on everything in the queues: one mass operation at a time, or the repair of the queue's structure.
 *
 * Repair brings files to the right subdirectory, gives them the name that fits their inode number, and removes what does not
 * belong there. A file that gets another name is called `ID#FIX` first, together with its logs, so that an interrupted
 * repair can be taken up again; a second pass takes the suffix away.
 */
import { lstatSync, rmdirSync, type BigIntStats } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { ownerMask, readyMode } from '../../queue/open-ok.ts';
import { inodeOf, isLongQueueId, queueIdOk, renameToInode } from '../../queue/queue-id.ts';
import { walk, type Found } from './directory-walk.ts';
import { expireFile, removeDirectory, removeFile, renameFile } from './file-changes.ts';
import { logQueues, placeOf, type Place, type Workplace } from './places.ts';

export type MassOperation = 'delete' | 'requeue' | 'hold' | 'release' | 'expire' | 'expire and release';

export interface Repair {
  /** -p: remove temporary files that a crash left. */
  readonly purge: boolean;
  /** -s */
  readonly structure: boolean;
  /** -S: long names must fit the inode number as well. */
  readonly redundant: boolean;
}

const suffix = '#FIX';
const oldestTemporary = 7 * 86_400_000;

/** Does something to one file; true when the file is done with (gone, or under another name). */
type Step = (file: QueueFile) => boolean;

class QueueFile {
  readonly at: Workplace;
  readonly place: Place;
  readonly status: BigIntStats;
  path: string;
  queueId: string;

  constructor(at: Workplace, place: Place, { directory, name }: Found, status: BigIntStats) {
    this.at = at;
    this.place = place;
    this.status = status;
    this.path = `${directory}/${name}`;
    this.queueId = name;
  }

  get ready(): boolean {
    return (Number(this.status.mode) & ownerMask) === readyMode;
  }

  warn(text: string): true {
    this.at.voice.warning(`${text}: ${this.path}`);
    return true;
  }

  /** Move to another queue; always done with. */
  moveTo(queue: string, count?: 'requeued' | 'held' | 'released'): true {
    if (renameFile(this.path, this.at.paths.path(queue, this.queueId), this.at.voice) && count) this.at.counts[count]++;
    return true;
  }
}

/** One pass over the queues. */
export function repairAll(at: Workplace, repair: Repair): void {
  pass(at, [
    (file) => removeStale(file, repair.purge),
    ...(repair.structure ? [stripSuffix, refuseBadName, (file: QueueFile) => fixInode(file, repair.redundant), fixPosition] : [refuseBadName]),
  ]);
}

export function operateOnAll(at: Workplace, operation: MassOperation): void {
  pass(at, operation === 'delete' ? [removeAny] : [(file) => removeStale(file, false), refuseBadName, ...massSteps[operation]]);
}

function pass(at: Workplace, steps: readonly Step[]): void {
  const { voice, paths } = at;
  for (const name of at.queues) {
    const place = placeOf(name, voice);
    const wantedDepth = paths.depth(name);
    if (wantedDepth > 0 && !place.recurse) voice.fatal(`${name} queue must not be hashed`);
    const surplus = (path: string): void => void removeDirectory(path, voice);
    for (const found of walk(name, { recurse: place.recurse, wantedDepth, voice, surplus })) {
      at.progress.step();
      const status = look(`${found.directory}/${found.name}`);
      if (status === undefined) continue;
      if (status.isDirectory()) removeAlien(`${found.directory}/${found.name}`, at);
      else {
        const file = new QueueFile(at, place, found, status);
        steps.some((step) => step(file));
      }
    }
  }
}

function look(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return undefined; // just gone
  }
}

// In maildrop anyone may have made a directory that cannot be removed: that must not keep us from the rest.
function removeAlien(path: string, { voice }: Workplace): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') voice.warning(`remove subdirectory ${path}: ${errorText(error)}`);
  }
}

const removeAny: Step = (file) => {
  if (removeFile(file.path, file.at.voice) && file.place.messages && file.ready) file.at.counts.deleted++;
  return true;
};

// Logs are never too old, and a message that is complete is never temporary.
function removeStale(file: QueueFile, purge: boolean): boolean {
  const temporary = purge && file.place.messages && !file.ready && Date.now() > Number(file.status.mtimeMs) + oldestTemporary;
  if (file.status.isFile() && !temporary) return false;
  removeFile(file.path, file.at.voice);
  return true;
}

const stripSuffix: Step = (file) => {
  const { queueId, place, at } = file;
  if (queueId.length <= suffix.length || !queueId.endsWith(suffix)) return false;
  const name = queueId.slice(0, -suffix.length);
  if (!queueIdOk(name)) return file.warn('bogus file name');
  if (place.messages) {
    const inode = inodeOf(name);
    if (inode === undefined) return file.warn('bogus file name');
    if (inode !== file.status.ino) return file.warn('name/inode mismatch');
  }
  const wanted = at.paths.path(place.name, name);
  if (!renameFile(file.path, wanted, at.voice)) return true;
  if (place.messages) at.counts.fixed++;
  file.path = wanted;
  file.queueId = name;
  return false;
};

const refuseBadName: Step = (file) => !queueIdOk(file.queueId) && file.warn('bogus file name');

function fixInode(file: QueueFile, redundant: boolean): boolean {
  const { queueId, at, status } = file;
  if (!file.place.messages) return false;
  const inode = inodeOf(queueId);
  if (inode === undefined) return file.warn('bogus file name');
  const long = isLongQueueId(queueId);
  if (!(long && !at.longQueueIds) && (inode === status.ino || (long && !redundant))) return false;
  at.counts.inodeMismatches++;
  const wanted = renameToInode(queueId, status.ino, at.longQueueIds);
  for (const log of logQueues) renameFile(at.paths.path(log, queueId), at.paths.path(log, wanted) + suffix, at.voice);
  renameFile(file.path, at.paths.path(file.place.name, wanted) + suffix, at.voice);
  return true;
}

const fixPosition: Step = (file) => {
  const wanted = file.at.paths.path(file.place.name, file.queueId);
  if (file.path === wanted) return false;
  file.at.counts.positionMismatches++;
  return file.moveTo(file.place.name);
};

const inMessages = (but: readonly string[], step: Step): Step => (file) => file.place.messages && !but.includes(file.place.name) && step(file);

const expire: Step = inMessages(['maildrop'], (file) => {
  if (file.ready && expireFile(file.path, file.at.voice)) file.at.counts.expired++;
  return false;
});
const release: Step = (file) => file.place.name === 'hold' && file.moveTo('deferred', 'released');

const massSteps: { readonly [O in Exclude<MassOperation, 'delete'>]: readonly Step[] } = {
  requeue: [inMessages(['maildrop'], (file) => file.moveTo('maildrop', 'requeued'))],
  hold: [inMessages(['maildrop', 'hold'], (file) => file.moveTo('hold', 'held'))],
  release: [release],
  expire: [expire],
  'expire and release': [expire, release],
};
