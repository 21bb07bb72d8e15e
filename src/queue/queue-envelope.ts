/**
 * The envelope of a queue file, and where its content begins: the same for a file on disk and for one in memory.
 *
 * What is no good queue file throws what `corrupt` gives for the reason.
 */
import { readSync } from 'node:fs';
import type { Envelope, EnvelopeRecipient } from '../message/envelope.ts';
import { EnvelopeReader } from '../message/envelope-reader.ts';
import { fixedNumber, parseSize, recordText, recordType } from '../message/record.ts';
import { RecordFile, reasonOf, recordsUntilEnd } from './record-file.ts';

export interface QueueFileBytes {
  /** A descriptor, or all bytes of the file. */
  readonly source: number | Buffer;
  readonly size: number;
  corrupt(reason: string): Error;
}

/** The size record is the first of a queue file; this is enough to hold it. */
const sizeRecordRoom = 256;

const warnedText = fixedNumber(-1);

/** For files that fit in: most do, and thousands are read one after the other. What is kept of an envelope are copies. */
const scratch = Buffer.allocUnsafeSlow(16 << 10);

/** Envelope and extracted records; content is passed over. `most`: so many recipients that are not done, see EnvelopeReader. */
export function readEnvelope(bytes: QueueFileBytes, most?: number): { envelope: Envelope; warnings: readonly string[] } {
  const file = new RecordFile(wholeOf(bytes));
  const reader = new EnvelopeReader(most);
  while (reader.trouble === undefined && reader.segment !== 'end') {
    const step = file.next();
    if (step.kind !== 'record') throw bytes.corrupt(reasonOf(step));
    reader.take(step.record);
    if (step.record.type === recordType.message) skipContent(file, reader.envelope, bytes);
  }
  if (reader.trouble !== undefined) throw bytes.corrupt(reader.trouble);
  return reader;
}

/** The delay record of a message whose sender was told. */
export const warnRecord = Buffer.from(`${String.fromCharCode(recordType.warn, warnedText.length)}${warnedText}`, 'latin1');

/** Can this be written over with `warnRecord`? */
export function isWarnRecord(record: Buffer): boolean {
  return record[0] === recordType.warn && record[1] === warnedText.length;
}

/** Where reading of recipients was broken off: behind the record at `after`. */
export interface Rest { readonly dataOffset: number; readonly contentSize: number; readonly after: number }

export interface RecipientChunk { readonly recipients: readonly EnvelopeRecipient[]; readonly more: boolean }

/** The next recipients of a file that are not done, `most` of them. */
export function readRecipients(bytes: QueueFileBytes, { dataOffset, contentSize, after }: Rest, most: number): RecipientChunk {
  const file = new RecordFile(bytes.source, { offset: after });
  // Pointers lead from one part of a file to another: what it holds of recipients is read as if it stood in one part.
  const reader = new EnvelopeReader(most);
  for (let first = true; reader.envelope.more !== true; first = false) {
    const step = file.next();
    if (step.kind !== 'record') throw bytes.corrupt(reasonOf(step));
    const { type } = step.record;
    if (type === recordType.end) break;
    if (type === recordType.message) file.seek(dataOffset + contentSize);
    // The first is the one that was the last to be read.
    else if (!first && aboutRecipients.has(type)) reader.take(step.record);
    if (reader.trouble !== undefined) throw bytes.corrupt(reader.trouble);
  }
  return { recipients: reader.envelope.recipients, more: reader.envelope.more === true };
}

const aboutRecipients: ReadonlySet<number> = new Set([
  recordType.recipient, recordType.done, recordType.canceled, recordType.originalRecipient, recordType.attribute, recordType.dsnOrcpt, recordType.dsnNotify,
]);

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
