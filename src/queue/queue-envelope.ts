/**
 * The envelope of a queue file, and where its content begins: the same for a file on disk and for one in memory.
 *
 * What is no good queue file throws what `corrupt` gives for the reason.
 */
import { readSync } from 'node:fs';
import type { Envelope } from '../message/envelope.ts';
import { EnvelopeReader } from '../message/envelope-reader.ts';
import { parseSize, recordText, recordType } from '../message/record.ts';
import { RecordFile, reasonOf, recordsUntilEnd } from './record-file.ts';

export interface QueueFileBytes {
  /** A descriptor, or all bytes of the file. */
  readonly source: number | Buffer;
  readonly size: number;
  corrupt(reason: string): Error;
}

/** The size record is the first of a queue file; this is enough to hold it. */
const sizeRecordRoom = 256;

/** For files that fit in: most do, and thousands are read one after the other. What is kept of an envelope are copies. */
const scratch = Buffer.allocUnsafeSlow(16 << 10);

/** Envelope and extracted records; content is passed over. */
export function readEnvelope(bytes: QueueFileBytes): { envelope: Envelope; warnings: readonly string[] } {
  const file = new RecordFile(wholeOf(bytes));
  const reader = new EnvelopeReader();
  while (reader.trouble === undefined && reader.segment !== 'end') {
    const step = file.next();
    if (step.kind !== 'record') throw bytes.corrupt(reasonOf(step));
    reader.take(step.record);
    if (step.record.type === recordType.message) skipContent(file, reader.envelope, bytes);
  }
  if (reader.trouble !== undefined) throw bytes.corrupt(reader.trouble);
  return reader;
}

function wholeOf({ source, size }: QueueFileBytes): number | Buffer {
  if (typeof source !== 'number' || size > scratch.length) return source;
  return scratch.subarray(0, readSync(source, scratch, 0, size, 0));
}

// Files of the maildrop queue do not say how large their content is: there the records are read one by one.
function skipContent(file: RecordFile, { size }: Envelope, bytes: QueueFileBytes): void {
  if (size === undefined || size.dataOffset <= 0) return;
  if (size.dataOffset + size.contentSize > bytes.size) throw bytes.corrupt('content ends beyond the end of the file');
  file.seek(size.dataOffset + size.contentSize);
}

/** Offset of the first content record. */
export function contentOffset(bytes: QueueFileBytes): number {
  const first = new RecordFile(bytes.source, { maximumLength: sizeRecordRoom }).next();
  const size = first.kind === 'record' && first.record.type === recordType.size ? parseSize(recordText(first.record)) : undefined;
  if (size !== undefined && size.dataOffset > 0) return size.dataOffset;
  const records = recordsUntilEnd(new RecordFile(bytes.source), (reason) => {
    throw bytes.corrupt(reason);
  });
  for (const record of records) if (record.type === recordType.message) return record.offset + 2;
  throw bytes.corrupt('no message content');
}
