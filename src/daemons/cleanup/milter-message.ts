/**
 * A message that cleanup has finished and filters may change: envelope, headers and what was extracted as records in memory, the body
 * in a spool. Reads it from the spool of its writer, shows it, and writes it anew.
 */
import type { ContentPass } from '../../protocol/milter/inspection.ts';
import { headerNameLength } from '../../message/header.ts';
import { RecordReader } from '../../message/record-reader.ts';
import { recordText, recordType, type QueueRecord } from '../../message/record.ts';
import { QueueTrouble, type MessageWriter } from '../../queue/store.ts';
import { lowerAscii } from '../../text/ascii.ts';
import type { Spool } from './milter-spool.ts';
import type { MessageState } from './state.ts';

export interface HeldRecord { readonly type: number; readonly text: string }

export interface HeldHeader {
  /** Lines joined by LF. */
  readonly text: string;
  /** In lower case. */
  readonly name: string;
  readonly records: readonly HeldRecord[];
  /** Our own Received: header: filters do not see it and cannot change it. */
  readonly isOurs: boolean;
}

export interface HeldBody { readonly spool: Spool; readonly from: number; readonly to: number }

const lineEnd = Buffer.from('\r\n');

export class HeldMessage {
  readonly envelope: HeldRecord[];
  readonly headers: HeldHeader[];
  body: HeldBody;
  /** The end record included. */
  readonly extracted: HeldRecord[];
  isChanged = false;

  private constructor(envelope: HeldRecord[], headers: HeldHeader[], body: HeldBody, extracted: HeldRecord[]) {
    this.envelope = envelope;
    this.headers = headers;
    this.body = body;
    this.extracted = extracted;
  }

  /** Throws QueueTrouble. */
  static async read(spool: Spool, state: MessageState): Promise<HeldMessage> {
    const { dataOffset, extractedOffset, ownReceived } = state;
    const envelope = await recordsOf(spool, 0, dataOffset);
    const { headers, end } = await headersOf(spool, dataOffset, extractedOffset, ownReceived);
    const extracted = await recordsOf(spool, extractedOffset, spool.length);
    return new HeldMessage(envelope, headers, { spool, from: end, to: extractedOffset }, extracted);
  }

  /** Show it to a filter, as far as that wants to see it. */
  async show(pass: ContentPass): Promise<void> {
    for (const { text, isOurs } of pass.wantsHeaders ? this.headers : []) {
      if (isOurs) continue;
      const colon = text.indexOf(':');
      if (!(await pass.header(text.slice(0, headerNameLength(text)), text.slice(colon + 1)))) return;
    }
    if (!(await pass.endOfHeaders()) || !pass.wantsBody) return;
    for await (const piece of this.#lines()) if (!(await pass.body(piece))) return;
  }

  /** The body as it would be sent. The empty line before it is not part of it. */
  async *#lines(): AsyncGenerator<Buffer, void, undefined> {
    const { spool, from, to } = this.body;
    const reader = new RecordReader({ offset: from });
    let isFirst = true;
    for await (const chunk of spool.read(from, to)) {
      reader.feed(Buffer.from(chunk));
      const pieces: Buffer[] = [];
      let step = reader.next();
      for (; step.kind === 'record'; step = reader.next()) {
        const { type, data } = step.record;
        if (isFirst) isFirst = false;
        else if (type === recordType.normal) pieces.push(data, lineEnd);
        else if (type === recordType.partial) pieces.push(data);
      }
      if (step.kind === 'bad') throw new QueueTrouble('EIO', step.reason);
      if (pieces.length > 0) yield Buffer.concat(pieces);
    }
  }

  /** Where a header of this name stands: the `index`th of those that filters see, from 1; -1: nowhere. */
  find(name: string, index: number): number {
    const wanted = lowerAscii(name);
    for (const [at, header] of this.headers.entries()) if (header.name === wanted && !header.isOurs && --index === 0) return at;
    return -1;
  }

  /** Write it as a queue file from its beginning. Throws QueueTrouble. */
  async write(state: MessageState, writer: MessageWriter): Promise<void> {
    state.beginAnew(writer);
    for (const record of this.envelope.slice(1)) put(state, record);
    state.dataOffset = state.offset;
    for (const { records } of this.headers) for (const { type, text } of records) state.put(type, text);
    const { spool, from, to } = this.body;
    for await (const piece of spool.read(from, to)) {
      state.append(piece);
      if (writer.full) await writer.drained();
    }
    state.extractedOffset = state.offset;
    for (const record of this.extracted) put(state, record);
    state.hand();
  }
}

function put(state: MessageState, { type, text }: HeldRecord): void {
  if (type === recordType.recipient) state.putRecipient(text);
  else state.put(type, text);
}

async function recordsOf(spool: Spool, from: number, to: number): Promise<HeldRecord[]> {
  const records: HeldRecord[] = [];
  for await (const { type, data } of each(spool, from, to)) records.push({ type, text: data.toString('latin1') });
  return records;
}

async function* each(spool: Spool, from: number, to: number): AsyncGenerator<QueueRecord, void, undefined> {
  const reader = new RecordReader({ offset: from });
  for await (const chunk of spool.read(from, to)) {
    reader.feed(Buffer.from(chunk));
    let step = reader.next();
    for (; step.kind === 'record'; step = reader.next()) yield step.record;
    if (step.kind === 'bad') throw new QueueTrouble('EIO', step.reason);
  }
  reader.end();
  if (reader.next().kind === 'bad') throw new QueueTrouble('EIO', 'spooled message is cut short');
}

async function headersOf(spool: Spool, from: number, to: number, ours: string | undefined): Promise<{ headers: HeldHeader[]; end: number }> {
  const headers: HeldHeader[] = [];
  let records: HeldRecord[] = [];
  let isOursSeen = ours === undefined;
  const finish = (): void => {
    if (records.length === 0) return;
    const header = headerOf(records, isOursSeen ? undefined : ours);
    if (header.isOurs) isOursSeen = true;
    headers.push(header);
    records = [];
  };
  let isPartial = false;
  for await (const record of each(spool, from, to)) {
    const text = recordText(record);
    if (record.type === recordType.padding) continue;
    const goesOn = records.length > 0 && (isPartial || /^[ \t]/.test(text));
    if (!goesOn && headerNameLength(text) === 0) return (finish(), { headers, end: record.offset });
    if (!goesOn) finish();
    records.push({ type: record.type, text: record.data.toString('latin1') });
    isPartial = record.type === recordType.partial;
  }
  finish();
  return { headers, end: to };
}

/** @param ours the text of our own Received: header, as long as it was not met */
export function headerOf(records: readonly HeldRecord[], ours?: string): HeldHeader {
  let text = '';
  records.forEach((record, at) => { text += at > 0 && records[at - 1]!.type === recordType.normal ? `\n${record.text}` : record.text; });
  return { text, name: lowerAscii(text.slice(0, headerNameLength(text))), records, isOurs: ours !== undefined && text === ours };
}
