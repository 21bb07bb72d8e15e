/**
 * The messages that are in the journal now: where each lies, who has it in hand, and how it becomes a queue file.
 *
 * A message is made a file by writing its image, as it stands in the segment with all done marks, into the empty file whose inode
 * number is in its queue id, and giving that the message's name. Only when file and directory entry are durable is the place in the
 * segment given up. Agents that have the message meanwhile go on marking in the segment; what they marked is copied when they
 * answer.
 */
import { close, closeSync, constants, fchmodSync, fsync, open as openFile, openSync, renameSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { recordType } from '../message/record.ts';
import type { DirectorySync } from './directory-sync.ts';
import { moveFile } from './file-writer.ts';
import { readyMode } from './open-ok.ts';
import type { Place } from './journal/place.ts';
import { openPlace, type PlaceReader } from './journal/reader.ts';
import type { Spare } from './journal/spares.ts';
import type { QueuePaths } from './queue-paths.ts';
import { QueueTrouble, type OpenOptions, type QueueName } from './store.ts';
import { SteadyMap } from '../text/steady.ts';

export interface Resident {
  readonly queueId: string;
  readonly place: Place;
  readonly spare: Spare;
  /** Offsets of the recipient records in the image. */
  readonly recipients: readonly number[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  active: boolean;
  /** Agents that have it now. */
  taken: number;
  /** Where its file is, once it has one. */
  file: QueueName | undefined;
  settling: Promise<void> | undefined;
  /** Something was written to the spare file: it is no spare any more. */
  spoiled: boolean;
}

const openAsync = promisify(openFile);
const syncAsync = promisify(fsync);
const closeAsync = promisify(close);

export interface SettleTools {
  readonly paths: QueuePaths;
  readonly sync: DirectorySync;
  /** The spare file comes back, or has become something else. */
  readonly give: (spare: Spare) => void;
  readonly used: () => void;
  /** The place is not wanted any more. */
  readonly release: (place: Place) => void;
}

/** Open a resident as a message. */
export function openResident({ queueId, place, active }: Pick<Resident, 'queueId' | 'place' | 'active'>, root: string, options: OpenOptions = {}): PlaceReader {
  return openPlace(place, { queue: active ? 'active' : 'incoming', queueId }, options, root);
}

/**
 * Write an image into an empty file and give it a name in a queue: durable when this resolves. Rejects with QueueTrouble; then the queue
 * does not have the file, whose message is still in the journal and would be delivered twice.
 */
export async function writeMessage(image: Buffer, source: string, target: string, sync: DirectorySync): Promise<void> {
  try {
    const fd = await openAsync(source, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_TRUNC);
    try {
      for (let at = 0; at < image.length; ) at += writeSync(fd, image, at, image.length - at, at);
      // A file of this mode is a message as soon as it has the name of one.
      fchmodSync(fd, readyMode);
      await syncAsync(fd);
    } finally {
      await closeAsync(fd);
    }
    moveFile(source, target);
    await sync.sync(target.slice(0, target.lastIndexOf('/'))).catch((error: Error) => {
      renameSync(target, source);
      throw error;
    });
  } catch (error) {
    throw QueueTrouble.from(error, `write queue file ${target}`);
  }
}

/** Mark done in a file whoever is marked done in the image. Throws errors of the file system. */
export function copyMarks(image: Buffer, recipients: readonly number[], path: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    for (const offset of recipients) if (image[offset] === recordType.done) writeSync(fd, Buffer.from([recordType.done]), 0, 1, offset);
  } finally {
    closeSync(fd);
  }
}

export class ResidentMap {
  readonly #residents = new SteadyMap<string, Resident>();
  #untaken = 0;
  readonly #tools: SettleTools;

  constructor(tools: SettleTools) {
    this.#tools = tools;
  }

  get size(): number {
    return this.#residents.size;
  }

  get(queueId: string): Resident | undefined {
    return this.#residents.get(queueId);
  }

  /** How many are not active. */
  get untaken(): number {
    return this.#untaken;
  }

  activate(resident: Resident): void {
    if (resident.active) return;
    resident.active = true;
    this.#untaken--;
  }

  add(resident: Resident): void {
    if (!resident.active) this.#untaken++;
    this.#residents.set(resident.queueId, resident);
  }

  values(): Iterable<Resident> {
    return this.#residents.values();
  }

  /** It is a file, or will not be one: the place may be used again once no agent has it. */
  forget(resident: Resident): void {
    if (resident.taken > 0 || !this.#residents.delete(resident.queueId)) return;
    if (!resident.active) this.#untaken--;
    this.#tools.release(resident.place);
    if (resident.spoiled) this.#tools.used();
    else this.#tools.give(resident.spare);
  }

  settle(resident: Resident): Promise<void> {
    if (resident.file !== undefined) return Promise.resolve();
    resident.settling ??= this.#write(resident).finally(() => { resident.settling = undefined; });
    return resident.settling;
  }

  released(resident: Resident): void {
    resident.taken--;
    if (resident.file === undefined) return;
    this.#copyMarks(resident);
    this.forget(resident);
  }

  /** The mail system ends: whoever still has it will not answer us. */
  leave(resident: Resident): void {
    if (resident.file === undefined) return;
    resident.taken = 1;
    this.released(resident);
  }

  async #write(resident: Resident): Promise<void> {
    const { paths, sync } = this.#tools;
    const queue: QueueName = resident.active ? 'active' : 'incoming';
    resident.spoiled = true;
    await writeMessage(this.image(resident), resident.spare.path, paths.path(queue, resident.queueId), sync);
    resident.file = queue;
    // An agent may have come, marked and gone while the image was on its way to the disk.
    this.#copyMarks(resident);
    this.forget(resident);
  }

  /** What agents marked in the segment after the image was taken. The file may have gone to another queue, or be gone. */
  #copyMarks(resident: Resident): void {
    const image = this.image(resident);
    if (!resident.recipients.some((offset) => image[offset] === recordType.done)) return;
    for (const queue of ['active', 'incoming', 'deferred', 'hold'] as const) {
      try {
        return copyMarks(image, resident.recipients, this.#tools.paths.path(queue, resident.queueId));
      } catch { /* it is not there */ }
    }
  }

  /** With all done marks. */
  image(resident: Resident): Buffer {
    const reader = openResident(resident, this.#tools.paths.root);
    try {
      return reader.image();
    } finally {
      reader.close();
    }
  }
}
