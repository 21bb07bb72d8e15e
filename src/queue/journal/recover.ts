/**
 * Finding the messages in the bytes of a segment, whatever became of them.
 *
 * Which entries are gone is told by their status, or by notes in this or a later segment. A bad head or image costs that entry only: the search goes on at the next place where an entry may begin. Entries of earlier
 * lives of the segment are never found. Any bytes are accepted; nothing throws.
 */
import { recordType } from '../../message/record.ts';
import { recordsOf } from '../../message/record-reader.ts';
import { aligned, entryAlignment, entryStatus, originalCrc, readHead, type EntryHead } from './entry.ts';
import { readNotes, type Note } from './notes.ts';
import { readSegmentHead, segmentHeadLength } from './segment-head.ts';

export interface RecoveredEntry {
  readonly queueId: string;
  /** Inode number as it stands in the queue id. */
  readonly inode: string;
  /** Bytes from the start of the segment to the image. */
  readonly offset: number;
  /** The queue file, recipients marked done as they are. A view of the bytes that were scanned. */
  readonly image: Buffer;
  /** Offsets of the recipient records in the image. */
  readonly recipients: readonly number[];
}

export interface ScannedSegment {
  /** What is still wanted, in the order of its acceptance. */
  readonly entries: RecoveredEntry[];
  /** Entries whose head is good and whose image is not: the end of what was being written, or a bad disk. */
  readonly damaged: number;
  /** What became of entries, of earlier segments too. Those of this segment are left out of `entries` already. */
  readonly notes: readonly Note[];
  /** Of its life; undefined when it has no good head. */
  readonly generation: number | undefined;
}

export function scanSegment(bytes: Buffer): ScannedSegment {
  const entries: RecoveredEntry[] = [];
  const notes: Note[] = [];
  let damaged = 0;
  let sequence = 0;
  const life = readSegmentHead(bytes);
  if (life === undefined) return { entries, damaged, notes, generation: undefined };
  for (let at = segmentHeadLength; at < bytes.length; ) {
    const record = readNotes(bytes, at, life);
    const head = record === undefined ? readHead(bytes, at, life) : undefined;
    const found = record ?? head;
    if (found === undefined || found.sequence <= sequence) {
      at += entryAlignment;
      continue;
    }
    sequence = found.sequence;
    if (record !== undefined) for (const note of record.notes) notes.push(note);
    else if (head!.status !== entryStatus.gone && head!.status !== entryStatus.dropped) {
      const entry = wholeEntry(bytes, at, head!);
      if (entry === undefined) damaged++;
      else entries.push(entry);
    }
    at = aligned(at + (record?.length ?? head!.headLength + head!.length), entryAlignment);
  }
  return { entries: without(entries, notes, life.generation), damaged, notes, generation: life.generation };
}

/** The entries that no note of these says are gone. */
export function without(entries: RecoveredEntry[], notes: Iterable<Note>, generation: number): RecoveredEntry[] {
  const gone = new Set<number>();
  for (const note of notes) if (note.generation === generation) gone.add(note.offset);
  return gone.size === 0 ? entries : entries.filter(({ offset }) => !gone.has(offset));
}

function wholeEntry(bytes: Buffer, at: number, { queueId, inode, length, recipients, headLength, imageCrc }: EntryHead): RecoveredEntry | undefined {
  const offset = at + headLength;
  if (offset + length > bytes.length) return undefined;
  const image = bytes.subarray(offset, offset + length);
  if (originalCrc(image, recipients) !== imageCrc && !wasKilledIn(image, recipients, imageCrc)) return undefined;
  return { queueId, inode, offset, image, recipients };
}

/** More than a message has: a delay warning and trace flags. */
const killLimit = 3;
const killable = [recordType.killed, recordType.warn, recordType.attribute];

/** Is the image what was written, but for records that were killed in place? */
function wasKilledIn(image: Buffer, recipients: readonly number[], imageCrc: number): boolean {
  const killed: number[] = [];
  for (const step of recordsOf(image)) if (step.kind === 'record' && step.record.type === recordType.killed) killed.push(step.record.offset);
  if (killed.length === 0 || killed.length > killLimit) return false;
  const copy = Buffer.from(image);
  const matches = (index: number): boolean => {
    const offset = killed[index];
    if (offset === undefined) return originalCrc(copy, recipients) === imageCrc;
    return killable.some((type) => {
      copy[offset] = type;
      return matches(index + 1);
    });
  };
  return matches(0);
}
