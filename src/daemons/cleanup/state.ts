/**
 * One message on its way through cleanup: what has been learnt, what has been written, what went wrong.
 *
 * Once something went wrong that leaves the message incomplete, nothing more is written; what was learnt before stays for
 * the log and for a report to the sender.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import type { Recipient } from '../../ipc/deliver.ts';
import { encodeRecord, recordType, renderSize, type SizeRecord } from '../../message/record.ts';
import { EnvelopeReader, sizeAsRead } from '../../message/envelope-reader.ts';
import { RecordWriter } from '../../message/record-writer.ts';
import { attributeName, sendOption, type NamedValue } from '../../message/envelope-names.ts';
import { emptySize } from '../../message/envelope.ts';
import type { MessageFacts, MessageWriter } from '../../queue/store.ts';
import { FewMap } from '../../text/few-map.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import type { TimeValue } from '../../text/time.ts';
import { Duplicates } from './duplicates.ts';

const incomplete = cleanupStatus.bad | cleanupStatus.write | cleanupStatus.size | cleanupStatus.defer;

/** Bytes gathered before they go to the file writer. */
const gather = 64 << 10;

const unknownSize = renderSize(emptySize);

export class MessageState {
  readonly queueId: string;
  writer: MessageWriter;
  records = new RecordWriter();
  /** Reads what is written, so that nobody has to read it again. */
  reader = new EnvelopeReader();
  flags: number;
  status = 0;
  reason = '';
  /** What header_checks(5) decided: FILTER, REDIRECT, BCC. */
  contentFilter: string | undefined;
  redirect: string | undefined;
  readonly copies: string[] = [];
  arrival: TimeValue = { seconds: 0, microseconds: 0 };
  sender: string | undefined;
  fullName: string | undefined;
  attributes = new FewMap<string>();
  /** How many of them count (queue_file_attribute_count_limit). */
  attributeCount = 0;
  /** A time for the delay warning came with the message. */
  warnSeen = false;
  /** Reports go out in VERP style, with these delimiters. */
  verpDelimiters: string | undefined;
  sendOptions = 0;
  queueOptions = 0;
  recipientCount = 0;
  /** Where recipient records stand: done marks go there. */
  readonly recipientOffsets: number[] = [];
  /** The last recipient that the client named, rewritten; undefined: none yet. */
  recipient: string | undefined;
  /** For a report, should the message be refused: at most as many as one report may name. */
  readonly reported: Recipient[] = [];
  readonly duplicates = new Duplicates();
  hopCount = 0;
  messageId: string | undefined;
  /** Names in lower case, of those that mean something. */
  readonly headersSeen: string[] = [];
  resent = false;
  /** A Require-TLS-ESMTP: header came with the message. */
  requireTlsSeen = false;
  dataOffset = 0;
  extractedOffset = 0;
  contentBytes = 0;
  /** Our own Received: header, as it is written. */
  ownReceived: string | undefined;
  /** Recipients that the client named, in full form, for filters that are told of them; undefined: none are. */
  told: string[] | undefined;
  /** What is put goes here, not into the file. */
  #captured: { type: number; text: string }[] | undefined;
  #taken = 0;
  #isOdd = false;
  /** A record of content has a line end inside. */
  #hasInnerLineEnd = false;
  /** What ends the writing. A report about mail that is refused shows all of it; nobody reads the rest of other mail. */
  readonly #fatal: number;

  constructor(writer: MessageWriter, flags: number) {
    this.writer = writer;
    this.queueId = writer.queueId;
    this.flags = flags;
    this.#fatal = flags & cleanupFlag.bounce ? incomplete : -1;
    this.records.put(recordType.size, unknownSize);
  }

  /** False: what comes now is not written any more. */
  get isWhole(): boolean {
    return (this.status & this.#fatal) === 0 && (this.flags & cleanupFlag.discard) === 0;
  }

  /** Offset in the file of the next record. */
  get offset(): number {
    return this.records.offset;
  }

  /** `named`: what an attribute's record says, where that is known. */
  put(type: number, payload = '', named?: NamedValue): void {
    if (!this.isWhole) return;
    if (this.#captured !== undefined) return void this.#captured.push({ type, text: payload });
    if (this.reader.segment !== 'content' || type === recordType.extracted) this.#read(type, payload, named);
    else if (payload.includes('\n')) this.#hasInnerLineEnd = true;
    this.records.put(type, payload);
    if (this.records.offset - this.#taken > gather) this.hand();
  }

  /** A line of the content, or a piece of one. */
  putContent(type: number, payload: string | Buffer): void {
    if (!this.isWhole) return;
    if (payload.includes('\n')) this.#hasInnerLineEnd = true;
    this.records.put(type, payload);
    if (this.records.offset - this.#taken > gather) this.hand();
  }

  #read(type: number, text: string, named: NamedValue | undefined): void {
    // A NUL ends the text of a record for whoever reads it from the file.
    if (text.includes('\0')) this.#isOdd = true;
    if (named === undefined) this.reader.takeText(type, text, this.records.offset);
    else this.reader.takeAttribute(named, this.records.offset);
  }

  putRecipient(address: string): void {
    if (this.isWhole && this.#captured === undefined) this.recipientOffsets.push(this.records.offset);
    this.put(recordType.recipient, address);
    this.recipientCount++;
  }

  /** A recipient behind what it was called and what is wanted for it. The reader is told what it would read, where that is all. */
  putNamed(named: Omit<Recipient, 'offset'>): void {
    const { address, originalAddress, dsnOrcpt, dsnNotify } = named;
    const isKnown = this.#isReadAlong() && !address.includes('\0') && !originalAddress.includes('\0') && !dsnOrcpt.includes('\0');
    if (dsnNotify) this.#putGroup(recordType.attribute, `${attributeName.dsnNotify}=${dsnNotify}`, isKnown);
    if (dsnOrcpt !== '') this.#putGroup(recordType.attribute, `${attributeName.dsnOrcpt}=${dsnOrcpt}`, isKnown);
    this.#putGroup(recordType.originalRecipient, originalAddress, isKnown);
    if (!isKnown) return this.putRecipient(address);
    const { offset } = this.records;
    this.reader.addRecipient({ address, originalAddress, dsnOrcpt, dsnNotify, offset, done: false });
    this.recipientOffsets.push(offset);
    this.recipientCount++;
    this.records.put(recordType.recipient, address);
    if (this.records.offset - this.#taken > gather) this.hand();
  }

  #putGroup(type: number, text: string, isKnown: boolean): void {
    if (isKnown) this.records.put(type, text);
    else this.put(type, text);
  }

  #isReadAlong(): boolean {
    return this.isWhole && this.#captured === undefined && this.reader.takesRecipients;
  }

  /** Finished records. */
  append(bytes: Buffer): void {
    if (!this.isWhole || bytes.length === 0) return;
    this.hand();
    this.writer.write(bytes);
    this.records.skip(bytes.length);
    this.#taken = this.records.offset;
  }

  /** Text beyond ASCII was seen in such a place; for sources that do not say so (smtputf8_autodetect_classes) it asks for SMTPUTF8. */
  noteUtf8(option: number): void {
    this.sendOptions |= option;
    if (this.flags & cleanupFlag.autoUtf8) this.sendOptions |= sendOption.smtputf8Requested;
  }

  attribute(name: string, value: string | number): void {
    this.put(recordType.attribute, `${name}=${value}`);
  }

  /** Give what was gathered to the file. */
  hand(): void {
    for (const piece of this.records.take()) this.writer.write(piece);
    this.#taken = this.records.offset;
  }

  /** What `run` puts, instead of putting it. One at a time. */
  capture(run: () => MaybePromise<void>): MaybePromise<{ type: number; text: string }[]> {
    const captured: { type: number; text: string }[] = (this.#captured = []);
    const done = (): { type: number; text: string }[] => ((this.#captured = undefined), captured);
    const failed = (error: unknown): never => {
      this.#captured = undefined;
      throw error;
    };
    try {
      const pending = run();
      return isPending(pending) ? pending.then(done, failed) : done();
    } catch (error) {
      return failed(error);
    }
  }

  /** The file is written once more, from its first record. */
  beginAnew(writer: MessageWriter): void {
    this.writer = writer;
    this.records = new RecordWriter();
    this.reader = new EnvelopeReader();
    this.recipientOffsets.length = 0;
    this.recipientCount = this.#taken = 0;
    this.#isOdd = false;
    this.records.put(recordType.size, unknownSize);
  }

  /** Hand over the last records and write the sizes into the first one. */
  seal(): void {
    this.hand();
    const contentSize = this.extractedOffset - this.dataOffset;
    const size: SizeRecord = {
      contentSize, dataOffset: this.dataOffset, recipientCount: this.recipientCount,
      queueFlags: this.queueOptions, contentLength: contentSize, sendOptions: this.sendOptions,
    };
    this.writer.patch(0, encodeRecord(recordType.size, renderSize(size)));
    // It stands first in the file, and is known last.
    this.reader.envelope.size = sizeAsRead(size);
  }

  /**
   * What the queue manager would read in the file; an undefined envelope: it has to read it, because something about it is odd. Undefined: it
   * has to be a file. Who reads content in the journal takes it that lines begin where records do, and looks for dots only there;
   * what a table gave (header_checks(5), body_checks(5)) may have line ends inside.
   */
  facts(): MessageFacts | undefined {
    if (this.#hasInnerLineEnd) return undefined;
    const { reader, recipientOffsets: recipients } = this;
    return { recipients, envelope: reader.trouble === undefined && reader.warnings.length === 0 && reader.envelope.complete && !this.#isOdd ? reader.envelope : undefined };
  }

  sawHeader(key: string): void {
    if (!this.headersSeen.includes(key)) this.headersSeen.push(key);
  }

  /** The first reason counts, as does every status bit. */
  refuse(status: number, reason = ''): void {
    this.status |= status;
    if (this.reason === '') this.reason = reason;
  }
}
