/**
 * From records to an Envelope (envelope.ts).
 *
 * A reader never throws: what is wrong but can be lived with goes to `warnings`, in the words of Postfix's log, what cannot
 * to `trouble`. Both want the queue id put in front.
 */
import type { Envelope, EnvelopeRecipient } from './envelope.ts';
import type { QueueRecord } from './record.ts';
import { allDigits } from '../text/ascii.ts';
import { dsnNotifyValid, dsnRetValid } from './dsn.ts';
import { attributeName, queueFlagMask, sendOptionMask, splitAttribute, traceFlag, traceFlagMask, type NamedValue } from './envelope-names.ts';
import { emptyEnvelope, parseTimeRecord } from './envelope.ts';
import { RecordReader } from './record-reader.ts';
import { parseSize, recordText, recordType, segmentTypes, typeIn, type SizeRecord } from './record.ts';

/** What a reader keeps of a good size record. Before Postfix 2.4 there was no content length; options of later releases are not ours to keep. */
export function sizeAsRead(size: SizeRecord): SizeRecord {
  const { contentSize, dataOffset, recipientCount, queueFlags, contentLength, sendOptions } = size;
  return { contentSize, dataOffset, recipientCount, queueFlags, contentLength: contentLength || contentSize, sendOptions: sendOptions & sendOptionMask };
}

type Segment = 'envelope' | 'content' | 'extracted' | 'end';

type Taker = (reader: EnvelopeReader, text: string, offset: number, type: number) => void;

export class EnvelopeReader {
  // Attributes that stand for a record type of their own (rec_attr_map) come in by the same road.
  static readonly #takers: ReadonlyMap<number, Taker> = new Map<number, Taker>([
    [recordType.size, (reader, text) => reader.#size(text)],
    [recordType.time, (reader, text) => {
      if (reader.envelope.arrivalTime.seconds === 0) reader.envelope.arrivalTime = parseTimeRecord(text);
    }],
    [recordType.createTime, (reader, text) => {
      if (reader.envelope.createTime === 0) reader.envelope.createTime = leadingNumber(text);
    }],
    [recordType.fullName, (reader, text) => (reader.envelope.fullName ??= text)],
    [recordType.filter, (reader, text) => (reader.envelope.contentFilter = text)],
    [recordType.inspector, (reader, text) => (reader.envelope.inspector = text)],
    [recordType.redirect, (reader, text) => (reader.envelope.redirect = text)],
    [recordType.sender, (reader, text) => (reader.envelope.sender ??= text)],
    [recordType.verp, (reader, text) => reader.#verp(text)],
    [recordType.warn, (reader, text, offset) => reader.#warn(text, offset)],
    [recordType.attribute, (reader, text, offset) => reader.#attribute(text, offset)],
    [recordType.dsnEnvid, (reader, text) => (reader.envelope.dsnEnvid = text)],
    [recordType.dsnRet, (reader, text) => reader.#dsnRet(text)],
    [recordType.dsnOrcpt, (reader, text) => reader.#setOrcpt(text)],
    [recordType.dsnNotify, (reader, text) => reader.#setNotify(text)],
    [recordType.originalRecipient, (reader, text) => reader.#setOriginal(text)],
    [recordType.recipient, (reader, text, offset, type) => reader.#recipient(text, offset, type)],
    [recordType.done, (reader, text, offset, type) => reader.#recipient(text, offset, type)],
    [recordType.canceled, (reader, text, offset, type) => reader.#recipient(text, offset, type)],
    [recordType.message, (reader) => (reader.#segment = 'content')],
    [recordType.end, (reader) => reader.#end()],
  ]);

  readonly envelope: Envelope = emptyEnvelope();
  readonly warnings: string[] = [];
  /** why this cannot be a good queue file; then nothing more is taken */
  trouble: string | undefined;
  #segment: Segment = 'envelope';
  readonly #most: number | undefined;
  #originalAddress = '';
  #dsnOrcpt = '';
  #dsnNotify = 0;

  /** With `most` no more recipients are kept than that, and none that is done: `more` and `wishes` of the envelope then tell of the others. */
  constructor(most?: number) {
    this.#most = most;
  }

  /** Where the next record belongs. In `content` a file reader may skip to size.dataOffset + size.contentSize. */
  get segment(): Segment {
    return this.#segment;
  }

  take(record: QueueRecord): void {
    if (this.#segment === 'content') this.takeText(record.type, '', record.offset);
    else this.takeText(record.type, recordText(record), record.offset);
  }

  /** The same for whoever has the record as text, without a NUL in it. */
  takeText(type: number, text: string, offset: number): void {
    if (!this.#takes(type, offset)) return;
    if (this.#segment === 'content') {
      if (type === recordType.extracted) this.#segment = 'extracted';
      return;
    }
    EnvelopeReader.#takers.get(type)?.(this, text, offset, type);
  }

  /** The same for whoever knows what an attribute's record says. */
  takeAttribute({ name, value }: NamedValue, offset: number): void {
    if (this.#takes(recordType.attribute, offset) && this.#segment !== 'content') this.#named(name, value, offset);
  }

  #takes(type: number, offset: number): boolean {
    if (this.trouble !== undefined || this.#segment === 'end') return false;
    if (typeIn(segmentTypes[this.#segment], type)) return true;
    this.trouble = `Unexpected record type '${String.fromCharCode(type)}' at offset ${offset}`;
    return false;
  }

  /** Would a group of recipient records be read here, and nothing be kept back? */
  get takesRecipients(): boolean {
    return this.trouble === undefined && this.#most === undefined && (this.#segment === 'envelope' || this.#segment === 'extracted') && this.#dsnOrcpt === '' && this.#originalAddress === '' && this.#dsnNotify === 0;
  }

  /** What a group of records would say, for whoever writes them; only where it `takesRecipients`. */
  addRecipient(recipient: EnvelopeRecipient): void {
    this.envelope.recipients.push(recipient);
  }

  #size(text: string): void {
    if (this.envelope.size) return;
    const size = parseSize(text);
    // sendmail writes -1 for what only cleanup can know.
    if (size?.dataOffset === -1) Object.assign(size, { contentSize: 0, dataOffset: 0, recipientCount: 0, queueFlags: 0, contentLength: 0 });
    const invalid = size === undefined || size.dataOffset < 0 || size.contentSize < 0 || size.contentLength < 0;
    if (invalid) this.trouble = `invalid size record: ${text.slice(0, 100)}`;
    else if (size.queueFlags & ~queueFlagMask) this.trouble = `invalid flags in size record: ${text.slice(0, 100)}`;
    else this.envelope.size = sizeAsRead(size);
  }

  #verp(text: string): void {
    if (this.envelope.verpDelimiters !== undefined) return;
    if (!this.envelope.sender) this.warnings.push('ignoring VERP request for null sender');
    else this.envelope.verpDelimiters = text;
  }

  #warn(text: string, offset: number): void {
    if (this.envelope.warnOffset !== 0) return;
    this.envelope.warnOffset = offset;
    this.envelope.warnTime = leadingNumber(text);
  }

  #attribute(text: string, offset: number): void {
    const attribute = splitAttribute(text);
    if ('error' in attribute) {
      this.trouble = `bad attribute record: ${attribute.error}: ${text.slice(0, 200)}`;
      return;
    }
    this.#named(attribute.name, attribute.value, offset);
  }

  #named(name: string, value: string, offset: number): void {
    const pseudoType = pseudoTypes.get(name);
    if (pseudoType !== undefined) EnvelopeReader.#takers.get(pseudoType)!(this, value, offset, pseudoType);
    else if (name === attributeName.traceFlags) this.#trace(value, offset);
    else if (firstWins.has(name) && this.envelope.attributes.has(name)) this.warnings.push(`ignoring multiple ${name} attribute: ${value}`);
    else this.envelope.attributes.set(name, value);
  }

  #trace(value: string, offset: number): void {
    if (this.envelope.traceFlags !== 0) return;
    this.envelope.traceFlags = leadingNumber(value) & traceFlagMask;
    if (this.envelope.traceFlags === traceFlag.record) this.envelope.traceFlagsOffset = offset;
  }

  #dsnRet(text: string): void {
    const code = Number(text);
    if (allDigits(text) && dsnRetValid(code)) this.envelope.dsnRet = code;
    else this.warnings.push(`ignoring malformed DSN RET flags in queue file record:${text.slice(0, 100)}`);
  }

  #setOrcpt(text: string): void {
    if (this.#dsnOrcpt !== '') this.warnings.push(`ignoring out-of-order DSN original recipient address <${this.#dsnOrcpt.slice(0, 200)}>`);
    this.#dsnOrcpt = text;
  }

  #setNotify(text: string): void {
    if (this.#dsnNotify !== 0) this.warnings.push(`ignoring out-of-order DSN notify flags <${this.#dsnNotify}>`);
    const mask = Number(text);
    const good = allDigits(text) && dsnNotifyValid(mask);
    if (!good) this.warnings.push(`ignoring malformed DSN notify flags <${text.slice(0, 200)}>`);
    this.#dsnNotify = good ? mask : 0;
  }

  #setOriginal(text: string): void {
    if (this.#originalAddress !== '') this.warnings.push(`ignoring out-of-order original recipient <${this.#originalAddress.slice(0, 200)}>`);
    this.#originalAddress = text;
  }

  #recipient(address: string, offset: number, type: number): void {
    if (this.#most === undefined || this.#isKept(type, this.#most)) this.#keep(address, offset, type);
    this.#originalAddress = this.#dsnOrcpt = '';
    this.#dsnNotify = 0;
  }

  #isKept(type: number, most: number): boolean {
    const { envelope } = this;
    envelope.wishes = (envelope.wishes ?? 0) | this.#dsnNotify;
    if (type !== recordType.recipient) return false;
    if (envelope.recipients.length >= most) envelope.more = true;
    return envelope.more !== true;
  }

  #keep(address: string, offset: number, type: number): void {
    const recipient: EnvelopeRecipient = {
      address, originalAddress: this.#originalAddress, dsnOrcpt: this.#dsnOrcpt, dsnNotify: this.#dsnNotify, offset, done: type !== recordType.recipient,
    };
    if (type === recordType.canceled) recipient.canceled = true;
    this.envelope.recipients.push(recipient);
  }

  #end(): void {
    this.#segment = 'end';
    this.envelope.complete = true;
    if (this.#dsnOrcpt !== '') this.warnings.push(`ignoring out-of-order DSN original recipient <${this.#dsnOrcpt.slice(0, 200)}>`);
    if (this.#originalAddress !== '') this.warnings.push(`ignoring out-of-order original recipient <${this.#originalAddress.slice(0, 200)}>`);
  }
}

const pseudoTypes: ReadonlyMap<string, number> = new Map([
  [attributeName.dsnOrcpt, recordType.dsnOrcpt],
  [attributeName.dsnNotify, recordType.dsnNotify],
  [attributeName.dsnEnvid, recordType.dsnEnvid],
  [attributeName.dsnRet, recordType.dsnRet],
  [attributeName.createTime, recordType.createTime],
]);

const firstWins: ReadonlySet<string> = new Set([
  attributeName.saslMethod, attributeName.saslUsername, attributeName.saslSender, attributeName.logIdent, attributeName.rewriteContext,
]);

// C atol(): leading white space, sign, digits; anything else is 0.
function leadingNumber(text: string): number {
  return Number(/^[ \t]*(-?[0-9]{1,15})/.exec(text)?.[1] ?? 0);
}

/** What was read, and why not all of it could be. */
export interface EnvelopeReading {
  readonly envelope: Envelope;
  readonly warnings: readonly string[];
  readonly trouble: string | undefined;
}

/** The envelope of a queue file that is in memory. The content is skipped, not read. */
export function readEnvelope(file: Buffer): EnvelopeReading {
  const reader = new RecordReader({ followPointers: true, skipPadding: true });
  const taker = new EnvelopeReader();
  const feedFrom = (offset: number): void => {
    reader.seek(offset);
    reader.feed(file.subarray(offset));
    reader.end();
  };
  feedFrom(0);
  while (taker.trouble === undefined && taker.segment !== 'end') {
    const step = reader.next();
    if (step.kind === 'seek') feedFrom(step.offset);
    else if (step.kind === 'bad') taker.trouble = step.reason;
    else if (step.kind !== 'record') taker.trouble = 'missing end record';
    else {
      taker.take(step.record);
      const size = taker.envelope.size;
      if (step.record.type === recordType.message && size && size.dataOffset > 0) feedFrom(size.dataOffset + size.contentSize);
    }
  }
  return { envelope: taker.envelope, warnings: taker.warnings, trouble: taker.trouble };
}
