/**
 * Reading queue file records from chunks of a file or a stream.
 *
 * Feed chunks, call next() until it says `more`; say end() when there are no more chunks. Bad input is the step `bad`, for
 * good: nothing throws, nothing loops. With `followPointers` (queue files) a pointer record becomes the step `seek`: feed
 * again from that offset on. Memory is bounded by `maximumLength` plus one chunk.
 */
import { trimLeft } from '../text/ascii.ts';
import { maximumPayload, parsePointer, recordText, recordType, reverseJumpLimit } from './record.ts';
import type { QueueRecord } from './record.ts';

export type RecordStep =
  | { readonly kind: 'record'; readonly record: QueueRecord }
  /** nothing complete at hand: feed, or end */
  | { readonly kind: 'more' }
  /** a pointer leads there: continue feeding from this offset */
  | { readonly kind: 'seek'; readonly offset: number }
  /** the input ended between two records */
  | { readonly kind: 'end-of-input' }
  | { readonly kind: 'bad'; readonly reason: string; readonly offset: number };

export interface RecordReaderOptions {
  /** offset of the first byte that will be fed */
  readonly offset?: number;
  /** longest payload to accept */
  readonly maximumLength?: number;
  /** turn pointers into seeks, instead of showing them as records */
  readonly followPointers?: boolean;
  /** leave out padding records */
  readonly skipPadding?: boolean;
  /** records of this type come in as many parts as it takes, as soon as something of them is there, and may be of any length */
  readonly inParts?: number;
}

const more: RecordStep = { kind: 'more' };
const endOfInput: RecordStep = { kind: 'end-of-input' };

export class RecordReader {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #later: Buffer[] = [];
  #available = 0;
  #wanted = 0;
  /** What of the record at hand has not come yet. */
  #missing = '';
  #offset: number;
  #ended = false;
  #trouble: RecordStep | undefined;
  #reverseJumps = 0;
  #lastJump = 0;
  readonly #maximumLength: number;
  readonly #followPointers: boolean;
  readonly #skipPadding: boolean;
  readonly #inParts: number | undefined;
  /** Bytes of the record at hand that are still to come, where it comes in parts. */
  #partsLeft = 0;

  constructor(options: RecordReaderOptions = {}) {
    this.#offset = options.offset ?? 0;
    this.#maximumLength = Math.min(options.maximumLength ?? maximumPayload, maximumPayload);
    this.#followPointers = options.followPointers ?? false;
    this.#skipPadding = options.skipPadding ?? false;
    this.#inParts = options.inParts;
  }

  /** Offset of the next record. */
  get offset(): number {
    return this.#offset;
  }

  feed(chunk: Buffer): void {
    if (this.#available === 0) {
      this.#chunk = chunk;
      this.#at = 0;
    } else this.#later.push(chunk);
    this.#available += chunk.length;
  }

  /** No more chunks will come (until a seek). */
  end(): void {
    this.#ended = true;
  }

  /** What was fed and not yet read: after the E record on a connection, the next protocol's bytes. */
  rest(): Buffer {
    this.#gather();
    return this.#chunk.subarray(this.#at);
  }

  next(): RecordStep {
    while (!this.#trouble) {
      const step = this.#read();
      if (step.kind !== 'record') return step;
      if (this.#skipPadding && step.record.type === recordType.padding) continue;
      if (!this.#followPointers || step.record.type !== recordType.pointer) return step;
      const jump = this.#jump(step.record);
      if (jump) return jump;
    }
    return this.#trouble;
  }

  /** Forget what was fed and continue at another place of the file. */
  seek(offset: number): void {
    this.#chunk = Buffer.alloc(0);
    this.#later = [];
    this.#at = this.#available = this.#wanted = 0;
    this.#offset = offset;
    this.#ended = false;
  }

  #read(): RecordStep {
    if (this.#partsLeft > 0) return this.#part();
    if (this.#available < this.#wanted) return this.#starved(this.#missing);
    this.#gather();
    if (this.#available === 0) return this.#ended ? endOfInput : more;
    const chunk = this.#chunk;
    const type = chunk[this.#at]!;
    let length = 0;
    let head = 1;
    for (let shift = 0; ; shift += 7) {
      if (shift === 28) return this.#bad(`too many length bits, record type ${type}`);
      if (head >= this.#available) return this.#starved(`reading length, record type ${type}`);
      const byte = chunk[this.#at + head++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (type === this.#inParts && length > 0) return this.#firstPart(head, length);
    if (length > this.#maximumLength) return this.#bad(`illegal length ${length}, record type ${type}`);
    if (head + length > this.#available) {
      this.#wanted = head + length;
      this.#missing = `in data, record type ${type} length ${length}`;
      return this.#starved(this.#missing);
    }
    return this.#take(type, head, length);
  }

  #take(type: number, head: number, length: number): RecordStep {
    const start = this.#at + head;
    const record = { type, data: this.#chunk.subarray(start, start + length), offset: this.#offset };
    this.#at = start + length;
    this.#available -= head + length;
    this.#offset += head + length;
    this.#wanted = 0;
    return { kind: 'record', record };
  }

  #firstPart(head: number, length: number): RecordStep {
    this.#at += head;
    this.#available -= head;
    this.#offset += head;
    this.#partsLeft = length;
    return this.#part();
  }

  /** What has come of it. Chunks are not joined. */
  #part(): RecordStep {
    if (this.#available === 0) return this.#starved(`in data, record type ${this.#inParts}`);
    if (this.#at === this.#chunk.length) {
      this.#chunk = this.#later.shift()!;
      this.#at = 0;
    }
    const length = Math.min(this.#partsLeft, this.#chunk.length - this.#at);
    this.#partsLeft -= length;
    return this.#take(this.#inParts!, 0, length);
  }

  #starved(what: string): RecordStep {
    return this.#ended ? this.#bad(`unexpected EOF ${what}`) : more;
  }

  // Chunks are joined only when a record crosses them, and once per record, however many chunks it takes.
  #gather(): void {
    if (this.#later.length === 0) return;
    this.#chunk = Buffer.concat([this.#chunk.subarray(this.#at), ...this.#later]);
    this.#later = [];
    this.#at = 0;
  }

  #jump(record: QueueRecord): RecordStep | undefined {
    const offset = parsePointer(recordText(record));
    if (offset === undefined) return this.#bad(`malformed pointer record value: ${trimLeft(recordText(record)).slice(0, 50)}`);
    if (offset === 0) return undefined;
    if (offset <= this.#lastJump && ++this.#reverseJumps > reverseJumpLimit) return this.#bad('too many reverse jump records');
    this.#lastJump = offset;
    this.seek(offset);
    return { kind: 'seek', offset };
  }

  #bad(reason: string): RecordStep {
    this.#trouble = { kind: 'bad', reason, offset: this.#offset };
    return this.#trouble;
  }
}

/**
 * All records of a file that is in memory, pointers followed, from `offset` on up to and with the E record. The last step is
 * `bad` or `end-of-input` when the file has no proper end.
 */
export function* recordsOf(file: Buffer, options: RecordReaderOptions = {}): Generator<RecordStep, void, undefined> {
  const reader = new RecordReader({ followPointers: true, skipPadding: true, ...options });
  reader.feed(file.subarray(options.offset ?? 0));
  reader.end();
  for (;;) {
    const step = reader.next();
    if (step.kind === 'seek') {
      reader.feed(file.subarray(step.offset));
      reader.end();
      continue;
    }
    yield step;
    if (step.kind !== 'record' || step.record.type === recordType.end) return;
  }
}
