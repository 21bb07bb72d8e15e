/**
 * The first page of a segment: which life of it this is. Written and synced before the first entry of that life.
 *
 * It stands there twice. Little endian: magic 8, version u32, generation u32, size of the segment u32, tag 8, CRC of these u32.
 */
import { crc32 } from 'node:zlib';
import { tagLength, type Life } from './entry.ts';

/** Entries begin behind it. */
export const segmentHeadLength = 4096;
const magic = Buffer.from('PSJRNL\r\n', 'latin1');
const version = 1;
const copies = [0, segmentHeadLength / 2] as const;
const tagAt = 20;
const crcAt = tagAt + tagLength;

export interface SegmentLife extends Life { readonly size: number }

export function segmentHead({ generation, size, tag }: SegmentLife): Buffer {
  const page = Buffer.alloc(segmentHeadLength);
  for (const at of copies) {
    magic.copy(page, at);
    page.writeUInt32LE(version, at + 8);
    page.writeUInt32LE(generation, at + 12);
    page.writeUInt32LE(size, at + 16);
    tag.copy(page, at + tagAt, 0, tagLength);
    page.writeUInt32LE(crc32(page.subarray(at, at + crcAt)), at + crcAt);
  }
  return page;
}

/** The newest good copy; undefined when there is none. */
export function readSegmentHead(bytes: Buffer): SegmentLife | undefined {
  let found: SegmentLife | undefined;
  for (const at of copies) {
    const life = readCopy(bytes, at);
    if (life !== undefined && (found === undefined || life.generation > found.generation)) found = life;
  }
  return found;
}

function readCopy(bytes: Buffer, at: number): SegmentLife | undefined {
  if (bytes.length < at + crcAt + 4 || magic.compare(bytes, at, at + magic.length) !== 0 || bytes.readUInt32LE(at + 8) !== version) return undefined;
  if (crc32(bytes.subarray(at, at + crcAt)) !== bytes.readUInt32LE(at + crcAt)) return undefined;
  return { generation: bytes.readUInt32LE(at + 12), size: bytes.readUInt32LE(at + 16), tag: bytes.subarray(at + tagAt, at + crcAt) };
}
