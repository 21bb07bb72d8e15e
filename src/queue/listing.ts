/**
 * What is in the queue, message by message, recipient by recipient, with the reasons of the defer and bounce logs: what showq(8) tells.
 *
 * A stream of plain values, in the order of the directories; memory does not grow with queue, message or log. Messages that come, go or
 * move meanwhile may be missed or told twice. Damaged files are told as far as they go, with a word to `warn`.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { errorText } from '../host/libc.ts';
import { quote822Local } from '../message/address.ts';
import { recordText, recordType, type QueueRecord } from '../message/record.ts';
import { printable } from '../text/ascii.ts';
import { expireMode, readyFile, readyMode, type ReadyFile } from './open-ok.ts';
import type { QueuePaths } from './queue-paths.ts';
import { entriesOf } from './queue-scan.ts';
import { RecordFile } from './record-file.ts';
import { readLog } from './report-log.ts';
import type { QueueName } from './store.ts';

export interface ListedMessage {
  readonly kind: 'message';
  readonly queue: string;
  readonly queueId: string;
  /** Seconds. */
  readonly arrivalTime: number;
  readonly size: number;
  readonly forcedExpire: boolean;
  /** External form, printable. */
  readonly sender: string;
}

export interface ListedRecipient {
  readonly kind: 'recipient';
  readonly originalAddress: string;
  readonly address: string;
  /** Which log the reason is from; '' when there is none. */
  readonly log: string;
  readonly reason: string;
}

/** `end` follows the last recipient of each message. */
export type Listed = ListedMessage | ListedRecipient | { readonly kind: 'end' };

export interface ListingOptions {
  readonly paths: QueuePaths;
  /** Messages that are no files (journaled in journal-listing.ts, or Residents). */
  readonly journaled?: () => Iterable<JournaledMessage>;
  /** empty_address_recipient */
  readonly emptyAddress: string;
  /** duplicate_filter_limit */
  readonly duplicateLimit: number;
  /** smtputf8_enable */
  readonly utf8: boolean;
  readonly warn: (text: string) => void;
}

/** A message in the journal: what it would be as a file. */
export interface JournaledMessage {
  readonly queueId: string;
  readonly active: boolean;
  readonly image: () => Buffer;
}

/** In the order of the listing. */
const listedQueues: readonly QueueName[] = ['maildrop', 'active', 'incoming', 'deferred', 'hold'];
const reasonLogs = ['defer', 'bounce'] as const;
const end = { kind: 'end' } as const;

export function* listQueues(options: ListingOptions): Generator<Listed, void, undefined> {
  for (const queue of listedQueues) {
    let last = '';
    for (const { queueId } of entriesOf(queue, options.paths.top(queue))) {
      if (queueId === last) {
        options.warn(`readdir loop on queue ${queue} id ${queueId}`);
        break;
      }
      last = queueId;
      const file = readyFile(options.paths, queue, queueId, options.warn);
      if (file) yield* listFile(queue, queueId, file, options);
    }
    if (queue === 'active' || queue === 'incoming') yield* listJournaled(queue, options);
  }
}

function* listJournaled(queue: 'active' | 'incoming', options: ListingOptions): Generator<Listed, void, undefined> {
  for (const { queueId, active, image } of options.journaled?.() ?? []) {
    if (active !== (queue === 'active')) continue;
    const bytes = image();
    const now = { path: queueId, status: { size: bytes.length, mtimeMs: Date.now(), mode: readyMode } };
    yield* new FileListing(queue, queueId, now, options).read(new RecordFile(bytes));
  }
}

function* listFile(queue: QueueName, queueId: string, file: ReadyFile, options: ListingOptions): Generator<Listed, void, undefined> {
  let fd: number;
  try {
    fd = openSync(file.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') options.warn(`open ${queue} ${queueId}: ${errorText(error)}`);
    return;
  }
  try {
    yield* new FileListing(queue, queueId, file, options).read(new RecordFile(fd));
  } finally {
    closeSync(fd);
  }
}

type ListedFile = { readonly path: string; readonly status: Pick<ReadyFile['status'], 'size' | 'mtimeMs' | 'mode'> };

class FileListing {
  readonly #queue: QueueName;
  readonly #queueId: string;
  readonly #file: ListedFile;
  readonly #options: ListingOptions;
  #arrivalTime = 0;
  #size: number;
  #sizeKnown = false;
  #sender: string | undefined;
  #originalAddress: string | undefined;
  /** Recipients already told from a log. */
  readonly #told = new Set<string>();

  constructor(queue: QueueName, queueId: string, file: ListedFile, options: ListingOptions) {
    this.#queue = queue;
    this.#queueId = queueId;
    this.#file = file;
    this.#options = options;
    this.#size = file.status.size;
  }

  *read(file: RecordFile): Generator<Listed, void, undefined> {
    for (let step = file.next(); ; step = file.next()) {
      if (step.kind === 'bad') this.#options.warn(`${this.#file.path}: ${step.reason}`);
      if (step.kind !== 'record' || !(yield* this.#take(step.record, file))) break;
    }
    if (this.#sender !== undefined) yield end;
  }

  /** False: no more of this file. */
  *#take(record: QueueRecord, file: RecordFile): Generator<Listed, boolean, undefined> {
    const { type } = record;
    if (type === recordType.time) this.#arrivalTime ||= leadingNumber(recordText(record));
    else if (type === recordType.size) this.#takeSize(recordText(record));
    else if (type === recordType.message && this.#sizeKnown) file.seek(file.offset + this.#size);
    else if (type === recordType.sender) return yield* this.#takeSender(recordText(record));
    else if (type === recordType.originalRecipient || type === recordType.recipient) return yield* this.#takeRecipient(record);
    return type !== recordType.end;
  }

  // Files in maildrop may say a size that is not final.
  #takeSize(text: string): void {
    if (this.#sizeKnown || this.#queue === 'maildrop') return;
    const size = leadingNumber(text);
    this.#sizeKnown = /^[0-9 ]*$/.test(text) && Number.isSafeInteger(size);
    if (this.#sizeKnown) this.#size = size;
    else this.#options.warn(`${this.#queueId}: malformed size record: ${this.#shown(text).slice(0, 100)} -- using file size instead`);
  }

  *#takeSender(text: string): Generator<Listed, boolean, undefined> {
    const sender = this.#address(text);
    if (this.#sender !== undefined) return this.#giveUp(`duplicate sender address: ${sender}`);
    this.#sender = sender;
    const { mtimeMs, mode } = this.#file.status;
    yield {
      kind: 'message', queue: this.#queue, queueId: this.#queueId, arrivalTime: this.#arrivalTime || Math.floor(mtimeMs / 1000),
      size: this.#size, forcedExpire: (mode & expireMode) !== 0, sender,
    };
    for (const log of reasonLogs) yield* this.#reasons(log);
    return true;
  }

  *#reasons(log: 'defer' | 'bounce'): Generator<Listed, void, undefined> {
    const { paths, duplicateLimit, utf8, warn } = this.#options;
    for (const { address, originalAddress, reason } of readLog(paths.path(log, this.#queueId), log, { utf8, warn })) {
      if (duplicateLimit === 0 || this.#told.size < duplicateLimit) this.#told.add(address);
      yield { kind: 'recipient', originalAddress, address, log, reason };
    }
  }

  *#takeRecipient(record: QueueRecord): Generator<Listed, boolean, undefined> {
    if (this.#sender === undefined) return this.#giveUp('missing sender address: ');
    const text = recordText(record);
    if (record.type === recordType.originalRecipient) {
      this.#originalAddress = this.#shown(quote822Local(text));
      return true;
    }
    const address = this.#address(text);
    const originalAddress = this.#originalAddress ?? address;
    this.#originalAddress = undefined;
    if (!this.#told.has(address)) yield { kind: 'recipient', originalAddress, address, log: '', reason: '' };
    return true;
  }

  #giveUp(why: string): false {
    this.#options.warn(`${this.#queueId}: ${why} -- skipping remainder of this file`);
    return false;
  }

  #address(text: string): string {
    return this.#shown(quote822Local(text === '' ? this.#options.emptyAddress : text));
  }

  #shown(text: string): string {
    return printable(text, '?', this.#options.utf8);
  }
}

// C atol()
function leadingNumber(text: string): number {
  return Number(/^[ \t]*([0-9]+)/.exec(text)?.[1] ?? 0);
}
