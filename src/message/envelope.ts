/**
 * A queue file's envelope: who sent the message, to whom, when, and what was said about it, as one value.
 *
 * EnvelopeReader (envelope-reader.ts) takes the records of a file or a connection; writeEnvelope and writeExtracted give
 * them back in the order in which Postfix's cleanup writes them. Nothing here fails.
 */
import { FewMap } from '../text/few-map.ts';
import type { TimeValue } from '../text/time.ts';
import type { RecordWriter } from './record-writer.ts';
import type { SizeRecord } from './record.ts';
import { attributeName } from './envelope-names.ts';
import { fixedNumber, recordType, renderSize } from './record.ts';

/** A recipient and what goes with it. Empty texts and zero mean: not said. */
export interface EnvelopeRecipient {
  /** where mail goes, internal form (unquoted) */
  address: string;
  /** before virtual and canonical mapping (type O) */
  originalAddress: string;
  /** "rfc822;joe@example.org", decoded */
  dsnOrcpt: string;
  /** mask, see dsnNotify in dsn.ts */
  dsnNotify: number;
  /** where the type byte of its R (or D) record stands; there a done mark is written */
  offset: number;
  /** delivered or bounced (D), or canceled by a milter (/) */
  done: boolean;
  canceled?: boolean;
}

/** What readers of attributes need; a Map has it too. */
export interface Attributes extends Iterable<[string, string]> {
  get(name: string): string | undefined;
  has(name: string): boolean;
  set(name: string, value: string): unknown;
}

export interface Envelope {
  size: SizeRecord | undefined;
  arrivalTime: TimeValue;
  /** seconds; base of the message's lifetime in the queue; 0 when the file does not say */
  createTime: number;
  /** internal form, '' is the null sender; undefined while no S record was seen */
  sender: string | undefined;
  recipients: EnvelopeRecipient[];
  /** named attributes except those that have a field here */
  attributes: Attributes;
  fullName: string | undefined;
  contentFilter: string | undefined;
  inspector: string | undefined;
  redirect: string | undefined;
  verpDelimiters: string | undefined;
  /** when to tell the sender that mail is late: seconds, 0 never, negative: was told */
  warnTime: number;
  warnOffset: number;
  dsnEnvid: string;
  dsnRet: number;
  traceFlags: number;
  traceFlagsOffset: number;
  /** was the E record seen: is the file complete? */
  complete: boolean;
  /** Where recipients were read up to a limit: are there more, and what NOTIFY of all of them asks for. */
  more?: boolean;
  wishes?: number;
}

export function emptyEnvelope(): Envelope {
  return {
    size: undefined,
    arrivalTime: { seconds: 0, microseconds: 0 },
    createTime: 0,
    sender: undefined,
    recipients: [],
    attributes: new FewMap<string>(),
    fullName: undefined,
    contentFilter: undefined,
    inspector: undefined,
    redirect: undefined,
    verpDelimiters: undefined,
    warnTime: 0,
    warnOffset: 0,
    dsnEnvid: '',
    dsnRet: 0,
    traceFlags: 0,
    traceFlagsOffset: 0,
    complete: false,
  };
}

export const emptySize: SizeRecord = {
  contentSize: 0, dataOffset: 0, recipientCount: 0, queueFlags: 0, contentLength: 0, sendOptions: 0,
};

/** "%ld %ld" of a T record. */
export function renderTimeRecord({ seconds, microseconds }: TimeValue): string {
  return `${seconds} ${microseconds}`;
}

const timeForm = /^[ \t]*([0-9]{1,15})(?:[ \t]+([0-9]{1,15}))?/;

/** A T record's time; a missing second number is 0, and no number at all is the time 0. */
export function parseTimeRecord(text: string): TimeValue {
  const found = timeForm.exec(text);
  return found === null ? { seconds: 0, microseconds: 0 } : { seconds: Number(found[1]), microseconds: Number(found[2] ?? 0) };
}

export interface WriteOptions {
  /**
   * Leave room for the changes milters may make: pointer records at the places where Postfix puts them. In the content that is
   * the caller's to do: a pointer behind the last header and one behind the body, padding (type w) behind a header's
   * first record when its payload is shorter than a pointer's.
   */
  readonly room?: boolean;
}

/** What a record must at least hold to be written over with a pointer. */
export const pointerPayload = 15;

// What smtpd and sendmail send before the sender; all other attributes follow it.
const beforeSender: readonly string[] = [
  attributeName.logIdent, attributeName.rewriteContext, attributeName.saslMethod, attributeName.saslUsername, attributeName.saslSender,
];

/**
 * Everything before the content: C, T, ..., S, attributes, recipients, M. `recipients` says whose records go here rather than behind
 * the content; their offsets are filled in. Returns the data offset. The size record is written as the envelope has it;
 * when it is not yet known, write it over at offset 0 (renderSize has a fixed length).
 */
export function writeEnvelope(writer: RecordWriter, envelope: Envelope, recipients = envelope.recipients, options: WriteOptions = {}): number {
  writer.put(recordType.size, renderSize(envelope.size ?? emptySize));
  writer.put(recordType.time, renderTimeRecord(envelope.arrivalTime));
  if (envelope.createTime) writer.attribute(attributeName.createTime, envelope.createTime);
  writeBeforeSender(writer, envelope);
  const sender = envelope.sender ?? '';
  writer.put(recordType.sender, sender);
  if (options.room && sender.length < pointerPayload) writePadding(writer, recordType.pointer, pointerPayload - sender.length);
  writeAfterSender(writer, envelope);
  writeRecipients(writer, recipients);
  if (options.room) writer.pointer();
  writer.put(recordType.message);
  return writer.offset;
}

function writeBeforeSender(writer: RecordWriter, envelope: Envelope): void {
  if (envelope.contentFilter !== undefined) writer.put(recordType.filter, envelope.contentFilter);
  if (envelope.inspector !== undefined) writer.put(recordType.inspector, envelope.inspector);
  // smtpd names the context first, sendmail last.
  const fromClient = envelope.attributes.has(attributeName.logClientName);
  if (!fromClient) writeDsn(writer, envelope);
  for (const name of beforeSender) {
    const value = envelope.attributes.get(name);
    if (value !== undefined) writer.attribute(name, value);
  }
  if (fromClient) writeDsn(writer, envelope);
  if (envelope.fullName !== undefined) writer.put(recordType.fullName, envelope.fullName);
}

function writeDsn(writer: RecordWriter, envelope: Envelope): void {
  if (envelope.dsnEnvid !== '') writer.attribute(attributeName.dsnEnvid, envelope.dsnEnvid);
  if (envelope.dsnRet) writer.attribute(attributeName.dsnRet, envelope.dsnRet);
}

function writeAfterSender(writer: RecordWriter, envelope: Envelope): void {
  for (const [name, value] of envelope.attributes)
    if (value !== '' && name !== attributeName.messageId && !beforeSender.includes(name)) writer.attribute(name, value);
  if (envelope.traceFlags) writer.attribute(attributeName.traceFlags, envelope.traceFlags);
  if (envelope.verpDelimiters !== undefined) writer.put(recordType.verp, envelope.verpDelimiters);
  if (envelope.warnTime) writer.put(recordType.warn, fixedNumber(envelope.warnTime));
}

/** The records of these recipients: A notify, A orcpt, O, R (or D, /). Sets each recipient's offset. */
export function writeRecipients(writer: RecordWriter, recipients: readonly EnvelopeRecipient[]): void {
  for (const recipient of recipients) {
    if (recipient.dsnNotify) writer.attribute(attributeName.dsnNotify, recipient.dsnNotify);
    if (recipient.dsnOrcpt !== '') writer.attribute(attributeName.dsnOrcpt, recipient.dsnOrcpt);
    if (recipient.originalAddress !== '') writer.put(recordType.originalRecipient, recipient.originalAddress);
    recipient.offset = writer.put(recipientType(recipient), recipient.address);
  }
}

function recipientType(recipient: EnvelopeRecipient): number {
  if (recipient.canceled) return recordType.canceled;
  return recipient.done ? recordType.done : recordType.recipient;
}

/**
 * Everything behind the content: X, what was found in headers, recipients, E. Returns the offset of X, so that the size
 * record's contentSize is that minus the data offset.
 */
export function writeExtracted(writer: RecordWriter, envelope: Envelope, recipients: readonly EnvelopeRecipient[] = [], options: WriteOptions = {}): number {
  const start = writer.put(recordType.extracted);
  if (envelope.redirect !== undefined) writer.put(recordType.redirect, envelope.redirect);
  for (const name of [attributeName.messageId, attributeName.encoding]) {
    const value = envelope.attributes.get(name);
    if (value) writer.attribute(name, value);
  }
  if (options.room) writer.pointer();
  writeRecipients(writer, recipients);
  writer.put(recordType.end);
  return start;
}

/** A record of at least `length` bytes in all, that readers skip: type p with payload 0, or type w. */
export function writePadding(writer: RecordWriter, type: number, length: number): number {
  return writer.put(type, '0'.padStart(Math.max(length - 2, 1)));
}
