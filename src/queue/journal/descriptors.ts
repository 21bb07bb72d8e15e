/**
 * Segments that this process has open for reading and marking: a few, used by many readers, the least recently used closed first.
 *
 * A descriptor stays open as long as a reader has it. Never through symbolic links. Errors of the file system throw.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { tryLockByte } from '../../host/locks.ts';
import { QueueTrouble } from '../store.ts';
import { journalDirectory } from './directory.ts';
import { generationOf } from './segment.ts';

export interface OpenSegment {
  readonly fd: number;
  readonly path: string;
  /** As its name says; -1 where it says none. */
  readonly generation: number;
  users: number;
  /** When it was asked for last: counted, not timed. */
  used: number;
  /** Not in the table any more. */
  dropped: boolean;
  /** How many readers hold the lock of a place. The lock itself belongs to the descriptor, which they share. */
  readonly locks: Map<number, number>;
}

const kept = 8;
const segments = new Map<string, OpenSegment>();
let uses = 0;

/** The segment at `root + name`, to be given back with `letGo`. */
export function holdSegment(root: string, name: string): OpenSegment {
  const path = root + name;
  const segment = segments.get(path) ?? addSegment(root, path);
  segment.users++;
  segment.used = ++uses;
  return segment;
}

function addSegment(root: string, path: string): OpenSegment {
  const segment = openSegment(root, path);
  if (segments.size >= kept) drop(leastUsed());
  segments.set(path, segment);
  return segment;
}

function leastUsed(): OpenSegment {
  let least: OpenSegment | undefined;
  for (const segment of segments.values()) if (least === undefined || segment.used < least.used) least = segment;
  return least!;
}

export function letGo(segment: OpenSegment): void {
  segment.users--;
  if (segment.dropped && segment.users === 0) closeSync(segment.fd);
}

/**
 * As long as one of us holds it, whoever recovers the journal of a writer that died knows that this message is still being delivered.
 * False when someone recovers it now.
 */
export function lockPlace({ fd, locks }: OpenSegment, offset: number): boolean {
  const holders = locks.get(offset) ?? 0;
  if (holders === 0 && !tryLockByte(fd, offset, 'shared')) return false;
  locks.set(offset, holders + 1);
  return true;
}

export function unlockPlace({ fd, locks }: OpenSegment, offset: number): void {
  const holders = locks.get(offset)! - 1;
  if (holders > 0) return void locks.set(offset, holders);
  locks.delete(offset);
  tryLockByte(fd, offset, 'none');
}

function drop(segment: OpenSegment): void {
  segments.delete(segment.path);
  segment.dropped = true;
  if (segment.users === 0) closeSync(segment.fd);
}

/** Open it anew at the next use: it is not what its name says. */
export function dropSegment(segment: OpenSegment): void {
  if (!segment.dropped) drop(segment);
}

function openSegment(root: string, path: string): OpenSegment {
  if (!lstatSync(root + journalDirectory).isDirectory()) throw new QueueTrouble('ENOTDIR', `${root}${journalDirectory}: not a directory`);
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return { fd, path, generation: generationOf(path.slice(path.lastIndexOf('/') + 1)) ?? -1, users: 0, used: 0, dropped: false, locks: new Map() };
  closeSync(fd);
  throw new QueueTrouble('EINVAL', `${path}: not a regular file`);
}
