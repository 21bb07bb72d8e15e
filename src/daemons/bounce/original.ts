/**
 * The message a report is about, as far as it can still be read: a report is sent also without it, or with what there is of it.
 *
 * Opening throws QueueTrouble only when the system is in trouble (no descriptors, file locked): then the report must wait.
 */
import { attributeName, splitAttribute } from '../../message/envelope-names.ts';
import { parseTimeRecord } from '../../message/envelope.ts';
import { parseSize, recordText, recordType } from '../../message/record.ts';
import { CorruptFile, QueueTrouble, type MessageReader, type QueueName, type QueueStore } from '../../queue/store.ts';

export interface OriginalFacts {
  /** Internal form; undefined when there is no telling. */
  sender: string | undefined;
  /** Seconds; 0: not known. */
  arrival: number;
  /** Bytes of the content's records; 0: not known. */
  contentSize: number;
  /** 0: not known. */
  dataOffset: number;
  /** `<id>`, or ''. Looked for only when it is wanted. */
  messageId: string;
}

export class Original {
  readonly facts: OriginalFacts = { sender: undefined, arrival: 0, contentSize: 0, dataOffset: 0, messageId: '' };
  readonly #reader: MessageReader | undefined;
  readonly #warn: (text: string) => void;

  constructor(reader: MessageReader | undefined, warn: (text: string) => void) {
    this.#reader = reader;
    this.#warn = warn;
  }

  get available(): boolean {
    return this.#reader !== undefined && this.facts.dataOffset > 0;
  }

  /** Read the envelope as far as it is needed. */
  learn(wantsMessageId: boolean): void {
    this.#attempt(() => this.#envelope());
    if (wantsMessageId && this.facts.contentSize > 0) this.#attempt(() => this.#extracted());
  }

  /** The content; what cannot be read is left out, with a warning. */
  async *content(): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* this.#reader!.content({ lineEnd: '\n', offset: this.facts.dataOffset });
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
      this.#warn(error.message);
    }
  }

  /** Mark a recipient done, so that it is not tried again. */
  done(offset: number): void {
    if (offset > 0) this.#attempt(() => this.#reader?.done(offset));
  }

  close(): void {
    this.#reader?.close();
  }

  #attempt(read: () => void): void {
    if (this.#reader === undefined) return;
    try {
      read();
    } catch (error) {
      if (!(error instanceof CorruptFile)) throw error;
      this.#warn(error.message);
    }
  }

  #envelope(): void {
    const { facts } = this;
    for (const record of this.#reader!.records()) {
      const { type } = record;
      if (type === recordType.size && facts.contentSize === 0) this.#size(recordText(record));
      else if (type === recordType.time && facts.arrival === 0) facts.arrival = parseTimeRecord(recordText(record)).seconds;
      else if (type === recordType.sender) facts.sender = recordText(record);
      else if (type === recordType.message) {
        facts.dataOffset = record.offset + 2;
        return;
      }
      if (facts.dataOffset > 0 && facts.arrival > 0 && facts.sender !== undefined) return;
    }
  }

  #size(text: string): void {
    const size = parseSize(text);
    this.facts.contentSize = Math.max(size?.contentSize ?? 0, 0);
    this.facts.dataOffset = Math.max(size?.dataOffset ?? 0, 0);
  }

  #extracted(): void {
    for (const record of this.#reader!.records(this.facts.dataOffset + this.facts.contentSize)) {
      if (record.type !== recordType.attribute) continue;
      const attribute = splitAttribute(recordText(record));
      if ('error' in attribute || attribute.name !== attributeName.messageId) continue;
      this.facts.messageId = /^<[^<>]*>$/.test(attribute.value) ? attribute.value : '';
      return;
    }
  }
}

/** `warn` gets the trouble that the report can live with. */
export function openOriginal(store: QueueStore, queue: string, queueId: string, warn: (text: string) => void): Original {
  return new Original(openReader(store, queue, queueId), warn);
}

// A shared lock: the queue manager leaves the file alone meanwhile. A message that cleanup refused is not complete.
function openReader(store: QueueStore, queue: string, queueId: string): MessageReader | undefined {
  try {
    return store.open(queue as QueueName, queueId, { write: true, lock: 'shared', incomplete: true });
  } catch (error) {
    if (error instanceof QueueTrouble && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
