/**
 * Queue file records: one type byte, the length in 7-bit groups (low group first, high bit: more to come), the payload.
 *
 * The same records make up a queue file and what mail sources send to cleanup. Reading never throws on bad input: a
 * reader says `bad` with a reason and stays there. Lengths have at most 28 bits, as in Postfix. All values are byte
 * exact with Postfix 3.12 (rec_type.h, record.c).
 */

/** Type bytes. `filter` and `partial` share a byte: which one is meant follows from the segment they stand in. */
export const recordType = {
  size: 0x43, // C
  time: 0x54, // T
  createTime: 0x63, // c
  fullName: 0x46, // F
  inspector: 0x49, // I
  filter: 0x4c, // L
  sender: 0x53, // S
  done: 0x44, // D
  recipient: 0x52, // R
  originalRecipient: 0x4f, // O
  canceled: 0x2f, // /
  warn: 0x57, // W
  attribute: 0x41, // A
  killed: 0x4b, // K
  redirect: 0x3e, // >
  flags: 0x66, // f
  delay: 0x64, // d
  message: 0x4d, // M
  partial: 0x4c, // L: text without its line end
  normal: 0x4e, // N: text up to a line end
  padding: 0x77, // w
  extracted: 0x58, // X
  returnReceipt: 0x72, // r
  errorsTo: 0x65, // e
  priority: 0x50, // P
  pointer: 0x70, // p
  verp: 0x56, // V
  dsnRet: 0x3c, // <
  dsnEnvid: 0x69, // i
  dsnOrcpt: 0x6f, // o
  dsnNotify: 0x6e, // n
  milterCount: 0x6d, // m
  end: 0x45, // E
} as const;

/** Which types may stand in which segment. The first member ends the segment. */
export const segmentTypes = {
  envelope: 'MCTcFILSDRO/WVA>K<ion',
  content: 'XLNw',
  extracted: 'EDRO/PreAFIL>Kon',
  submittedEnvelope: 'MCFSRVAin',
  submittedContent: 'XLN',
  submittedExtracted: 'EAR',
  envelopeRecipients: 'MDRO/Kon',
  extractedRecipients: 'EDRO/Kon',
} as const;

/** Is this type one of a segment's (see segmentTypes)? */
export function typeIn(types: string, type: number): boolean {
  return types.includes(String.fromCharCode(type));
}

const typeNames: ReadonlyMap<number, string> = new Map([
  [recordType.size, 'message_size'],
  [recordType.time, 'message_arrival_time'],
  [recordType.createTime, 'queue_file_create_time'],
  [recordType.fullName, 'sender_fullname'],
  [recordType.inspector, 'content_inspector'],
  [recordType.filter, 'content_filter'],
  [recordType.sender, 'sender'],
  [recordType.done, 'done_recipient'],
  [recordType.canceled, 'canceled_recipient'],
  [recordType.recipient, 'recipient'],
  [recordType.originalRecipient, 'original_recipient'],
  [recordType.warn, 'warning_message_time'],
  [recordType.attribute, 'named_attribute'],
  [recordType.pointer, 'pointer_record'],
  [recordType.killed, 'killed_record'],
  [recordType.message, 'message_content'],
  [recordType.normal, 'regular_text'],
  [recordType.padding, 'padding'],
  [recordType.extracted, 'extracted_info'],
  [recordType.returnReceipt, 'return_receipt'],
  [recordType.errorsTo, 'errors_to'],
  [recordType.priority, 'priority'],
  [recordType.verp, 'verp_delimiters'],
  [recordType.end, 'message_end'],
  [recordType.redirect, 'redirect_to'],
  [recordType.flags, 'flags'],
  [recordType.dsnRet, 'dsn_return_flags'],
  [recordType.dsnEnvid, 'dsn_envelope_id'],
  [recordType.dsnOrcpt, 'dsn_original_recipient'],
  [recordType.dsnNotify, 'dsn_notify_flags'],
]);

/** The name postcat prints. Type L is always `content_filter` there, as in Postfix. */
export function recordTypeName(type: number): string {
  return typeNames.get(type) ?? 'unknown_record_type';
}

/** So often a queue file may lead back: one backward jump per inserted header is normal, a damaged file may do so for ever. As in Postfix. */
export const reverseJumpLimit = 10_000;

/** No record is longer: four length bytes of seven bits. */
export const maximumPayload = (1 << 28) - 1;

/** Bytes a record with a payload of `length` bytes takes. */
export function recordLength(length: number): number {
  return 1 + (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4) + length;
}

/** Write type and length at `at`; the offset of the payload comes back. The caller has seen to the room (6 bytes at most). */
export function writeRecordHead(target: Buffer, at: number, type: number, length: number): number {
  if (length > maximumPayload) throw new RangeError(`record payload of ${length} bytes is too long`);
  target[at++] = type;
  let rest = length;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** The head of the record at `at`, and where its payload begins; undefined: what stands there is no whole head. */
export function recordHead(bytes: Buffer, at: number): { readonly type: number; readonly length: number; readonly data: number } | undefined {
  let length = 0;
  for (let shift = 0, next = at + 1; shift <= 21; shift += 7, next++) {
    const byte = bytes[next];
    if (byte === undefined) return undefined;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { type: bytes[at]!, length, data: next + 1 };
  }
  return undefined;
}

/** One record. A string payload is a byte string. */
export function encodeRecord(type: number, payload: string | Buffer = ''): Buffer {
  const record = Buffer.allocUnsafe(recordLength(payload.length));
  const at = writeRecordHead(record, 0, type, payload.length);
  if (typeof payload === 'string') record.write(payload, at, 'latin1');
  else payload.copy(record, at);
  return record;
}

/** A record as read. `data` is a view of what was fed, valid as long as the caller leaves that alone. */
export interface QueueRecord {
  readonly type: number;
  readonly data: Buffer;
  /** where the type byte stands in the file or stream */
  readonly offset: number;
}

/** The payload as text. As in Postfix a NUL byte ends it. */
export function recordText(record: { readonly data: Buffer }): string {
  const end = record.data.indexOf(0);
  return record.data.toString('latin1', 0, end < 0 ? record.data.length : end);
}

const fixedWidth = ' '.repeat(15);

/** `%15ld` */
export function fixedNumber(value: number): string {
  const digits = String(value);
  return fixedWidth.slice(digits.length) + digits;
}

/** What the first record of a queue file says (type C). */
export interface SizeRecord {
  /** bytes between the message and extracted markers: offset of X minus dataOffset */
  contentSize: number;
  /** offset of the first content record */
  dataOffset: number;
  recipientCount: number;
  /** hints for the queue manager, see queueFlag in envelope.ts */
  queueFlags: number;
  /** the same, without what milters have replaced */
  contentLength: number;
  /** see sendOption in envelope.ts */
  sendOptions: number;
}

export function renderSize(size: SizeRecord): string {
  const { contentSize, dataOffset, recipientCount, queueFlags, contentLength, sendOptions } = size;
  return `${fixedNumber(contentSize)} ${fixedNumber(dataOffset)} ${fixedNumber(recipientCount)} ${fixedNumber(queueFlags)} ${fixedNumber(contentLength)} ${fixedNumber(sendOptions)}`;
}

/** The numbers of a C record; later ones may be missing (older queue files) and are 0. Undefined when the first is none. */
export function parseSize(text: string): SizeRecord | undefined {
  const numbers: number[] = [];
  for (const word of text.split(/[ \t]+/)) {
    if (word === '') continue;
    if (!/^-?[0-9]{1,15}$/.test(word)) break;
    numbers.push(Number(word));
  }
  const [contentSize, dataOffset = 0, recipientCount = 0, queueFlags = 0, contentLength = 0, sendOptions = 0] = numbers;
  if (contentSize === undefined) return undefined;
  return { contentSize, dataOffset, recipientCount, queueFlags, contentLength, sendOptions };
}

/** A pointer's payload; 0 makes a place that a later pointer can be written over. */
export function renderPointer(offset = 0): string {
  return fixedNumber(offset);
}

/** Where a pointer leads: 0 means nowhere (read on), undefined that it is malformed. */
export function parsePointer(text: string): number | undefined {
  const digits = text.replace(/^[ \t\n\v\f\r]+/, '');
  const offset = Number(digits);
  return /^[0-9]*$/.test(digits) && Number.isSafeInteger(offset) ? offset : undefined;
}
