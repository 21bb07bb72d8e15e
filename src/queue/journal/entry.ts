/**
 * An entry of the journal: a head, and behind it the image of the queue file that the message would be.
 *
 * The head says what the entry is and proves, with two CRCs, that head and image are as they were written. Two things are changed
 * in place, a byte at a time, and lie outside of the CRCs: the status byte in front of the image, and the type bytes of recipient
 * records (`R` becomes `D`). The tag is a random number that each life of a segment has for itself: bytes of an earlier life, or a
 * forged head in the content of a message, are never taken for an entry. Reading accepts any bytes; nothing throws.
 *
 * Little endian: magic u32, head length u32, tag 8, sequence u32, version u8, queue id length u8, inode length u8, flags u8,
 * recipient count u32, CRC of the image u32; queue id, inode, offsets u32 each; generation u32, image length u32, CRC of all this
 * u32, status u8.
 */
import { crc32 } from 'node:zlib';
import { recordType } from '../../message/record.ts';

/** Entries begin at multiples of this. */
export const entryAlignment = 64;
/** Writes begin at multiples of this: what is acknowledged shares no sector with what is being written. */
export const batchAlignment = 4096;

const magic = 0x454a5350; // PSJE
const version = 1;
const frontLength = 32;
/** Generation, image length, CRC of the head, status: what stands right in front of the image. */
export const tailLength = 13;
export const tagLength = 8;
const longestName = 255;

/** What became of an entry. No flipped bit makes one out of another. */
export const entryStatus = {
  /** Not delivered yet, and no file. */
  wanted: 0x55,
  /** Delivered, removed, or a durable queue file by now. */
  gone: 0xaa,
  /** The write failed: the client heard that the message was not accepted. */
  dropped: 0x99,
} as const;

/** One life of a segment. */
export interface Life {
  readonly generation: number;
  /** `tagLength` random bytes. */
  readonly tag: Buffer;
}

export interface EntryFacts {
  readonly queueId: string;
  /** Inode number as it stands in the queue id. */
  readonly inode: string;
  readonly length: number;
  /** Offsets of the recipient records in the image. */
  readonly recipients: readonly number[];
}

/** Bytes of a head. */
export function headLength({ queueId, inode, recipients }: EntryFacts): number {
  return frontLength + queueId.length + inode.length + 4 * recipients.length + tailLength;
}

/** Bytes up to where the next entry may begin. */
export function aligned(length: number, to: number): number {
  return Math.ceil(length / to) * to;
}

/** Write a head at `at` of `target`, with room enough there; where the image goes comes back. A name that is no name throws. */
export function writeHead(target: Buffer, at: number, life: Life, sequence: number, facts: EntryFacts, imageCrc: number): number {
  const { queueId, inode, length, recipients } = facts;
  if (queueId.length > longestName || inode.length > longestName) throw new RangeError(`queue id ${queueId} is too long`);
  const whole = headLength(facts);
  target.writeUInt32LE(magic, at);
  target.writeUInt32LE(whole, at + 4);
  for (let i = 0; i < tagLength; i++) target[at + 8 + i] = life.tag[i]!;
  target.writeUInt32LE(sequence, at + 16);
  target[at + 20] = version;
  target[at + 21] = queueId.length;
  target[at + 22] = inode.length;
  target[at + 23] = 0;
  target.writeUInt32LE(recipients.length, at + 24);
  target.writeUInt32LE(imageCrc, at + 28);
  let put = writeName(target, at + frontLength, queueId);
  put = writeName(target, put, inode);
  for (let i = 0; i < recipients.length; i++) put = target.writeUInt32LE(recipients[i]!, put);
  put = target.writeUInt32LE(life.generation, put);
  put = target.writeUInt32LE(length, put);
  put = target.writeUInt32LE(crc32(target.subarray(at, put)), put);
  target[put++] = entryStatus.wanted;
  return put;
}

// Names are a dozen letters: a loop is quicker than a call into the runtime.
function writeName(target: Buffer, at: number, name: string): number {
  for (let i = 0; i < name.length; i++) target[at + i] = name.charCodeAt(i);
  return at + name.length;
}

export interface EntryHead extends EntryFacts {
  readonly sequence: number;
  readonly imageCrc: number;
  readonly headLength: number;
  readonly status: number;
}

/** The head that stands at `at`; undefined when there is no good one of this life. The image may reach beyond the bytes. */
export function readHead(bytes: Buffer, at: number, life: Life): EntryHead | undefined {
  if (at + frontLength + tailLength > bytes.length || bytes.readUInt32LE(at) !== magic) return undefined;
  const whole = bytes.readUInt32LE(at + 4);
  const queueIdLength = bytes[at + 21]!;
  const inodeLength = bytes[at + 22]!;
  const count = bytes.readUInt32LE(at + 24);
  if (bytes[at + 20] !== version || whole !== frontLength + queueIdLength + inodeLength + 4 * count + tailLength) return undefined;
  if (at + whole > bytes.length || life.tag.compare(bytes, at + 8, at + 8 + tagLength) !== 0) return undefined;
  const tail = at + whole - tailLength;
  if (bytes.readUInt32LE(tail) !== life.generation || crc32(bytes.subarray(at, tail + 8)) !== bytes.readUInt32LE(tail + 8)) return undefined;
  const names = at + frontLength;
  const offsets = names + queueIdLength + inodeLength;
  return {
    queueId: bytes.toString('latin1', names, names + queueIdLength),
    inode: bytes.toString('latin1', names + queueIdLength, offsets),
    length: bytes.readUInt32LE(tail + 4),
    recipients: Array.from({ length: count }, (_, index) => bytes.readUInt32LE(offsets + 4 * index)),
    sequence: bytes.readUInt32LE(at + 16),
    imageCrc: bytes.readUInt32LE(at + 28),
    headLength: whole,
    status: bytes[tail + 12]!,
  };
}

/** The CRC of an image as it was written, before any recipient was marked; undefined when a listed offset is no recipient record. */
export function originalCrc(image: Buffer, recipients: readonly number[]): number | undefined {
  let crc = 0;
  let from = 0;
  for (const offset of ascending(recipients)) {
    const type = image[offset];
    if (type === recordType.recipient) continue;
    if (type !== recordType.done) return undefined;
    crc = crc32(unmarked, crc32(image.subarray(from, offset), crc));
    from = offset + 1;
  }
  return crc32(image.subarray(from), crc);
}

const unmarked = Buffer.from([recordType.recipient]);

function ascending(offsets: readonly number[]): readonly number[] {
  for (let i = 1; i < offsets.length; i++) if (offsets[i]! <= offsets[i - 1]!) return [...new Set(offsets)].sort((a, b) => a - b);
  return offsets;
}

/** Do the `tailLength` bytes in front of an image say that it is of this generation, this long, and still wanted? */
export function isWanted(tail: Buffer, generation: number, length: number): boolean {
  const status = tail[tailLength - 1];
  return tail.readUInt32LE(0) === generation && tail.readUInt32LE(4) === length && status !== entryStatus.gone && status !== entryStatus.dropped;
}
