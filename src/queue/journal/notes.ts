/**
 * Notes that ride along with a batch: which entries of this and of earlier segments are not wanted any more.
 *
 * The status byte of an entry says the same, but nobody waits until the kernel has written that: after a power cut everything that was
 * delivered since the last write-back would be delivered again. A note is as durable as the batch that it goes with. It is a
 * record among the entries, in their sequence, with the tag of its segment's life. Reading accepts any bytes; nothing throws.
 *
 * Little endian: magic u32, count u32, tag 8, sequence u32, generation u32; generation and offset of each entry, u32 each; CRC of all
 * this u32.
 */
import { crc32 } from 'node:zlib';
import { tagLength, type Life } from './entry.ts';

const magic = 0x4e4a5350; // PSJN
const frontLength = 24;
const noteLength = 8;
const crcLength = 4;

/** An entry that is gone: the generation of its segment, and the offset of its image. */
export interface Note { readonly generation: number; readonly offset: number }

/** Bytes of a record of so many notes. */
export function notesLength(count: number): number {
  return frontLength + noteLength * count + crcLength;
}

/** Notes for which there is room in so many bytes. */
export function notesIn(room: number): number {
  return Math.max(0, Math.floor((room - frontLength - crcLength) / noteLength));
}

export function writeNotes(target: Buffer, at: number, life: Life, sequence: number, notes: readonly Note[]): void {
  target.writeUInt32LE(magic, at);
  target.writeUInt32LE(notes.length, at + 4);
  life.tag.copy(target, at + 8, 0, tagLength);
  target.writeUInt32LE(sequence, at + 16);
  target.writeUInt32LE(life.generation, at + 20);
  let put = at + frontLength;
  for (const { generation, offset } of notes) put = target.writeUInt32LE(offset, target.writeUInt32LE(generation, put));
  target.writeUInt32LE(crc32(target.subarray(at, put)), put);
}

export interface NotesRecord { readonly sequence: number; readonly length: number; readonly notes: readonly Note[] }

/** The record that stands at `at`; undefined when there is no good one of this life. */
export function readNotes(bytes: Buffer, at: number, life: Life): NotesRecord | undefined {
  if (at + notesLength(0) > bytes.length || bytes.readUInt32LE(at) !== magic) return undefined;
  const count = bytes.readUInt32LE(at + 4);
  const length = notesLength(count);
  if (at + length > bytes.length || life.tag.compare(bytes, at + 8, at + 8 + tagLength) !== 0 || bytes.readUInt32LE(at + 20) !== life.generation) return undefined;
  const end = at + length - crcLength;
  if (crc32(bytes.subarray(at, end)) !== bytes.readUInt32LE(end)) return undefined;
  const notes = Array.from({ length: count }, (_, index) => {
    const start = at + frontLength + noteLength * index;
    return { generation: bytes.readUInt32LE(start), offset: bytes.readUInt32LE(start + 4) };
  });
  return { sequence: bytes.readUInt32LE(at + 16), length, notes };
}
