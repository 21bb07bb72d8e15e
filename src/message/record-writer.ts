/**
 * Putting records one behind the other, for a queue file or a connection to cleanup.
 *
 * Large payloads are kept by reference, small records are packed into blocks, and take() hands out what was written since
 * the last take(), fit for writev. `offset` always is the place of the next record. A payload beyond the format's limit
 * (256 MB) throws RangeError; nothing else fails.
 */
import { recordLength, recordType, renderPointer, writeRecordHead } from './record.ts';

/** The first block holds what most messages have beside their body. */
const firstBlock = 2_048;
const blockSize = 16_384;
const largeLimit = 2_048;

export class RecordWriter {
  #offset: number;
  #done: Buffer[] = [];
  #block = Buffer.allocUnsafe(0);
  #start = 0;
  #at = 0;

  /** @param offset where in the file the first record goes */
  constructor(offset = 0) {
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Append a record and return the offset of its type byte. A string payload is a byte string. */
  put(type: number, payload: string | Buffer = ''): number {
    const placed = this.#offset;
    const length = payload.length;
    const byReference = typeof payload !== 'string' && length > largeLimit;
    this.#reserve(byReference ? 6 : recordLength(length));
    this.#at = writeRecordHead(this.#block, this.#at, type, length);
    if (byReference) {
      this.#flush();
      this.#done.push(payload);
    } else if (typeof payload === 'string') this.#at += this.#block.write(payload, this.#at, 'latin1');
    else this.#at += payload.copy(this.#block, this.#at);
    this.#offset += recordLength(length);
    return placed;
  }

  /** Append a named attribute (type A). */
  attribute(name: string, value: string | number): number {
    return this.put(recordType.attribute, `${name}=${value}`);
  }

  /** Append a pointer; without `offset` a place for one. */
  pointer(offset = 0): number {
    return this.put(recordType.pointer, renderPointer(offset));
  }

  /** So many bytes went to the same place by another way, after all that was taken. */
  skip(bytes: number): void {
    this.#offset += bytes;
  }

  /** What was written since the last call. */
  take(): Buffer[] {
    this.#flush();
    const taken = this.#done;
    this.#done = [];
    return taken;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#block.length) return;
    this.#flush();
    this.#block = Buffer.allocUnsafe(Math.max(this.#block.length === 0 ? firstBlock : blockSize, length));
    this.#start = this.#at = 0;
  }

  #flush(): void {
    if (this.#at > this.#start) this.#done.push(this.#block.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}
