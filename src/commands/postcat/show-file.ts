/**
 * A queue file as text, record by record, byte for byte as Postfix's postcat(1) shows it.
 *
 * Gives pieces of output; what is odd goes to `warn`, what cannot be shown ends by `fatal`. Skips what is not asked for, so that
 * the envelope of a large message is shown at once.
 */
import { splitAttribute, attributeName } from '../../message/envelope-names.ts';
import { parsePointer, recordText, recordType, recordTypeName, reverseJumpLimit, segmentTypes, typeIn, type QueueRecord } from '../../message/record.ts';
import { RecordFile } from '../../queue/record-file.ts';
import { asctime } from '../../text/asctime.ts';

export interface ShowOptions {
  readonly envelope: boolean;
  readonly header: boolean;
  readonly body: boolean;
  readonly offsets: boolean;
  readonly decimalTypes: boolean;
  readonly names: boolean;
  /** In file order. */
  readonly raw: boolean;
  /** Show pointers and padding, and what kind of record each line is. */
  readonly verbose: boolean;
  /** Where to begin. */
  readonly skip: number;
}

export interface ShownFile {
  readonly fd: number;
  /** As it is named in the output. */
  readonly path: string;
  readonly stream: boolean;
  /** What was already read from the stream. */
  readonly head?: Buffer;
}

export interface ShowVoice {
  warning(text: string): void;
  fatal(text: string): never;
}

type State = 'envelope' | 'header' | 'body';

const headerLine = /^[!-9;-~]+[ \t]*:/;

export class FileShow {
  readonly #options: ShowOptions;
  readonly #path: string;
  readonly #records: RecordFile;
  readonly #voice: ShowVoice;
  #state: State = 'envelope';
  #printing: boolean;
  #dataSize = -1;
  #dataOffset = -1;
  #jumpsBack = 0;
  /** Type of the last record that was shown. */
  #last = 0;
  /** Comes out with the first record only, as Postfix's does. */
  #heading = '';
  /** Where the record at hand was looked for: before pointers were followed. */
  #offset = 0;

  constructor({ fd, path, stream, head }: ShownFile, options: ShowOptions, voice: ShowVoice) {
    this.#options = options;
    this.#path = path;
    this.#voice = voice;
    this.#printing = options.envelope;
    const follow = !options.verbose;
    this.#records = new RecordFile(fd, { offset: options.skip, followPointers: follow, skipPadding: follow, maximumLength: Infinity, stream, ...(head ? { head } : {}) });
  }

  *show(): Generator<string, void, undefined> {
    this.#heading = this.#options.skip === 0 && this.#options.envelope ? `*** ENVELOPE RECORDS ${this.#path} ***\n` : '';
    for (const piece of this.#pieces()) {
      yield this.#heading + piece;
      this.#heading = '';
    }
  }

  *#pieces(): Generator<string, void, undefined> {
    for (;;) {
      this.#offset = this.#records.offset;
      const step = this.#records.next();
      if (step.kind === 'bad') {
        this.#voice.warning(`${this.#path}: ${step.reason}`);
        this.#voice.fatal('record read error');
      }
      if (step.kind !== 'record') return;
      if (yield* this.#record(step.record)) return;
    }
  }

  /** True: that was all. */
  *#record(record: QueueRecord): Generator<string, boolean, undefined> {
    const special = this.#specials.get(record.type);
    if (special) return yield* special(record);
    if (isText(record) && this.#entersBody(record) && this.#enterBody()) return true;
    if (this.#printing) yield this.#prefix(this.#offset, record.type) + this.#shown(record);
    return false;
  }

  readonly #specials = new Map<number, (record: QueueRecord) => Generator<string, boolean, undefined>>([
    [recordType.message, (record) => this.#message(record)],
    [recordType.extracted, (record) => this.#extracted(record)],
    [recordType.end, (record) => this.#end(record)],
    [recordType.pointer, (record) => this.#pointer(record)],
    [recordType.size, (record) => this.#size(record)],
  ]);

  #entersBody(record: QueueRecord): boolean {
    if (this.#state !== 'header' || this.#last === recordType.partial) return false;
    if (!this.#options.header && !this.#options.body) return false;
    const text = recordText(record);
    return !headerLine.test(text) && text[0] !== ' ' && text[0] !== '\t';
  }

  #enterBody(): boolean {
    this.#state = 'body';
    this.#printing = this.#options.body;
    if (this.#printing) return false;
    if (!this.#options.envelope) return true;
    this.#skipContent();
    return false;
  }

  /** To the extracted records, when the size record told where they are. */
  #skipContent(): void {
    if (this.#dataOffset > 0 && this.#dataSize >= 0) this.#seek(this.#dataOffset + this.#dataSize);
  }

  #seek(offset: number): void {
    this.#count(offset);
    if (offset < 0) this.#voice.fatal('seek error: Invalid argument');
    if (!this.#records.seek(offset)) this.#voice.fatal('seek error: Illegal seek');
  }

  /** A damaged file may lead back to where it has been for ever. */
  #count(offset: number): void {
    if (offset > this.#offset || ++this.#jumpsBack <= reverseJumpLimit) return;
    this.#voice.warning(`${this.#path}: too many reverse jump records`);
    this.#voice.fatal('record read error');
  }

  *#message(record: QueueRecord): Generator<string, boolean, undefined> {
    const { envelope, header, body } = this.#options;
    if (this.#state !== 'envelope') this.#voice.warning(`${this.#path}: out-of-order message content marker`);
    if (envelope) yield this.#marker(record, 'MESSAGE CONTENTS');
    if (!header && !body) this.#skipContent();
    this.#state = 'header';
    this.#printing = header;
    return false;
  }

  *#extracted(record: QueueRecord): Generator<string, boolean, undefined> {
    if (this.#state === 'envelope') this.#voice.warning(`${this.#path}: out-of-order extracted segment marker`);
    if (this.#options.envelope) yield (this.#printing && this.#last === recordType.partial ? '\n' : '') + this.#marker(record, 'HEADER EXTRACTED');
    this.#state = 'envelope';
    this.#printing = this.#options.envelope;
    return !this.#printing;
  }

  *#end(record: QueueRecord): Generator<string, boolean, undefined> {
    if (this.#state !== 'envelope') this.#voice.warning(`${this.#path}: out-of-order message end marker`);
    if (this.#options.envelope) yield this.#marker(record, 'MESSAGE FILE END');
    // Postfix goes to the end of the file here, except where it skips nothing.
    return !this.#options.raw || !this.#options.verbose;
  }

  // Seen only when they are not followed below us.
  *#pointer(record: QueueRecord): Generator<string, boolean, undefined> {
    const text = recordText(record);
    if (this.#printing) yield this.#line(record, text);
    if (this.#options.raw) return false;
    const offset = parsePointer(text);
    if (offset !== undefined) this.#count(offset);
    if (offset === undefined || (offset > 0 && !this.#records.seek(offset))) this.#voice.fatal('bad pointer record, or input is not seekable');
    return false;
  }

  *#size(record: QueueRecord): Generator<string, boolean, undefined> {
    const text = recordText(record);
    if (this.#printing) yield this.#line(record, text);
    if (this.#path.startsWith('maildrop/')) return false; // a size there is preliminary
    if (this.#dataSize >= 0 || this.#dataOffset >= 0) {
      this.#voice.warning('file contains multiple size records');
      return false;
    }
    [this.#dataSize, this.#dataOffset] = twoNumbers(text);
    if (this.#dataOffset <= 0 || this.#dataSize <= 0) this.#voice.warning(`invalid size record: ${text.slice(0, 100)}`);
    if (this.#options.envelope) return false;
    this.#seek(this.#dataOffset);
    this.#state = 'header';
    this.#printing = this.#options.header;
    return false;
  }

  #prefix(offset: number, type: number): string {
    const { names, offsets, decimalTypes } = this.#options;
    return (names ? `${this.#path}: ` : '') + (offsets ? `${String(offset).padStart(9)} ` : '') + (decimalTypes ? `${String(type).padStart(3)} ` : '');
  }

  #marker({ type }: QueueRecord, text: string): string {
    return `${this.#prefix(this.#offset, type)}*** ${text} ${this.#path} ***\n`;
  }

  #line({ type }: QueueRecord, text: string): string {
    return `${this.#prefix(this.#offset, type)}${recordTypeName(type)}: ${text}\n`;
  }

  #shown(record: QueueRecord): string {
    const { type } = record;
    this.#last = type;
    if (type === recordType.partial) return this.#partial(record);
    const name = recordTypeName(type);
    if (type === recordType.normal) return `${this.#options.verbose ? `${name}: ` : ''}${record.data.toString('latin1')}\n`;
    if (type === recordType.padding) return `${name}: ${record.data.toString('latin1')}\n`;
    const text = recordText(record);
    if (type === recordType.time || type === recordType.warn) return `${name}: ${asctime(leadingNumber(text))}`;
    return type === recordType.attribute ? this.#attribute(name, text) : `${name}: ${text}\n`;
  }

  // In the envelope the same letter is another record.
  #partial(record: QueueRecord): string {
    const { verbose, offsets } = this.#options;
    const inEnvelope = this.#state === 'envelope';
    const name = inEnvelope ? `${recordTypeName(record.type)}: ` : verbose ? 'unterminated_text: ' : '';
    const ended = inEnvelope || verbose || offsets;
    if (ended) this.#last = 0;
    return name + record.data.toString('latin1') + (ended ? '\n' : '');
  }

  #attribute(typeName: string, text: string): string {
    const attribute = splitAttribute(text);
    if ('error' in attribute) {
      this.#voice.warning(`${this.#path}: malformed attribute: ${attribute.error}: ${text.slice(0, 100)}`);
      return '';
    }
    const { name, value } = attribute;
    return name === attributeName.createTime ? `${name}: ${asctime(leadingNumber(value))}` : `${typeName}: ${name}=${value}\n`;
  }
}

/** Does it begin like a queue file? */
export function plausible(first: number): boolean {
  return typeIn(segmentTypes.envelope, first);
}

function isText({ type }: QueueRecord): boolean {
  return type === recordType.normal || type === recordType.partial;
}

// C atol()
function leadingNumber(text: string): number {
  return Number(/^[ \t]*(-?[0-9]{1,18})/.exec(text)?.[1] ?? 0);
}

/** C sscanf("%ld %ld"); -1 for what is not there. */
function twoNumbers(text: string): [number, number] {
  const [, first, second] = /^[ \t]*([+-]?[0-9]+)?(?:[ \t]*([+-]?[0-9]+))?/.exec(text) ?? [];
  return [Number(first ?? -1), Number(second ?? -1)];
}
