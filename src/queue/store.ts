/**
 * The queue as its users see it, whatever form a message has.
 *
 * Only cleanup creates; qmgr moves; delivery agents read content and mark recipients done; commands list, hold, release,
 * delete. Every method that changes something answers only when the change is made; `MessageWriter.commit` answers only when
 * content and directory entry are durable (fsync of file and directory, shared by all messages that wait for it). Disk
 * trouble is a `QueueTrouble`; after a failed fsync the file is dropped and never retried.
 */
import type { Envelope } from '../message/envelope.ts';
import type { QueueRecord } from '../message/record.ts';
import type { RecipientChunk, Rest } from './queue-envelope.ts';
import type { TimeValue } from '../text/time.ts';

export type QueueName = 'maildrop' | 'incoming' | 'active' | 'deferred' | 'hold' | 'corrupt';

/** Logs about a message that lie beside the queues, under the same queue id. */
export type LogName = 'bounce' | 'defer' | 'trace';

/**
 * The disk or the file did not do what was asked. `code` is an errno name (ENOSPC, EIO, ENOENT, ...). Of `open`: EBUSY when the
 * file is not complete yet, EAGAIN when someone else holds the lock, EINVAL when it is not a regular file.
 */
export class QueueTrouble extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }

  /** The trouble behind an error of the file system; `what` says what was being tried ("write incoming/AB12"). */
  static from(error: unknown, what: string): QueueTrouble {
    if (error instanceof QueueTrouble) return error;
    const { code, message } = error as NodeJS.ErrnoException;
    return new QueueTrouble(code ?? 'EIO', `${what}: ${message}`);
  }
}

/** The file is no good queue file (code EBADMSG): its message belongs in the corrupt queue, by whoever may move it. */
export class CorruptFile extends QueueTrouble {
  readonly path: string;

  constructor(path: string, reason: string) {
    super('EBADMSG', `${path}: ${reason}`);
    this.path = path;
  }
}

/** What the writer of a message knows of it, so that nobody has to read it again. */
export interface MessageFacts {
  /** Offsets of the recipient records. */
  readonly recipients: readonly number[];
  /** As a reader would read it; undefined: read it. */
  readonly envelope: Envelope | undefined;
}

/** A message being written by cleanup. Bytes are records in Postfix's file format. */
export interface MessageWriter {
  readonly queueId: string;
  /** When the queue id was given: the arrival time the records should carry. */
  readonly arrival: TimeValue;
  /** Bytes written so far: the offset of the next record. */
  readonly offset: number;
  /** The bytes are copied: their memory may be used again. */
  write(bytes: Buffer): void;
  /** Overwrite earlier bytes (size record, pointers). */
  patch(offset: number, bytes: Buffer): void;
  /** True while more than a bound is waiting for the disk. */
  readonly full: boolean;
  /** When not full any more, or when writing has failed (see `trouble`). */
  drained(): Promise<void>;
  /** Why `commit` will be refused, as soon as it is known. */
  readonly trouble: QueueTrouble | undefined;
  /** Put everything written so far into the file (patches too), without making it a message: bounce(8) reads a refused message there. */
  settle(): Promise<void>;
  /**
   * Make it a message of `queue` ('incoming' or 'hold'): durable when this resolves; rejects with QueueTrouble, leaving nothing.
   * True: the queue manager has it already and need not be told. Without `facts` it is a file in any case.
   */
  commit(queue: 'incoming' | 'hold', facts?: MessageFacts): Promise<boolean>;
  /** Remove what was written. */
  discard(): void;
}

/** What a reader of content saw on its way, for whoever would have to look through it again. */
export interface ContentNotes {
  /** No line begins with a dot, as far as content was given. False: nobody knows. */
  isDotless: boolean;
}

export interface ContentOptions {
  readonly lineEnd?: '\n' | '\r\n';
  /** Byte offset of the first content record, when the caller knows it (delivery requests say). */
  readonly offset?: number;
  /** Each piece is only wanted until the next one is asked for: they may lie in the same place. Pieces end between CR and LF of no line end. */
  readonly transient?: boolean;
  /** To be kept up with each piece, by readers that know; others leave it alone. */
  readonly notes?: ContentNotes | undefined;
}

/** A message opened for reading. Every method throws CorruptFile for what is no good queue file. */
export interface MessageReader {
  readonly queueId: string;
  readonly queue: QueueName;
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Last change, milliseconds: the next attempt of a deferred message. */
  readonly mtime: number;
  /** The operator wants it returned (postsuper -e). */
  readonly forcedExpire: boolean;
  /** The operator wants it tried whatever is known of its destinations (postqueue -i). */
  readonly unthrottle: boolean;
  /** The wish was granted. */
  clearUnthrottle(): void;
  /** Envelope and extracted records; content is not read. `most`: only so many recipients, and none that is done (Envelope.more). */
  envelope(most?: number): Envelope;
  /** The next of the recipients that are not done. */
  recipients(rest: Rest, most: number): RecipientChunk;
  /** What `envelope` could live with, in the words of Postfix's log. */
  readonly warnings: readonly string[];
  /** Records one after the other up to and with the end record; pointers followed, padding left out. */
  records(offset?: number): Generator<QueueRecord, void, undefined>;
  /** Content bytes in chunks of at most 64 kB; records are joined to lines. A last line without a line end stays so. */
  content(options?: ContentOptions): AsyncIterable<Buffer>;
  /** Mark the recipient record at this offset done. */
  done(offset: number): void;
  /** The same for many: where it can, with one write. */
  doneAll?(offsets: readonly number[]): void;
  /** Is the recipient at this offset marked done? False for what is no record of this file (0, -1). */
  isDone(offset: number): boolean;
  /** Make the record at this offset (delay warning, trace flags) one that readers pass over. */
  kill(offset: number): void;
  /** The sender was told of the delay: the time of the record at this offset becomes one that says so. */
  warned(offset: number): void;
  /** False when someone else holds a lock that excludes it. */
  lock(strength: 'shared' | 'exclusive' | 'none'): boolean;
  close(): void;
  /** The whole queue file, where it is in memory anyway; content likewise. */
  image?(): Buffer;
  contentNow?(options?: ContentOptions): Buffer | undefined;
}

export interface OpenOptions {
  readonly write?: boolean;
  readonly lock?: 'shared' | 'exclusive';
  /** Where the message lies when it is no file: the text of a Place (queue/journal/place.ts). '' or absent: it is a file. */
  readonly place?: string;
  /** Also a file that is not (yet) a message: what cleanup refused and bounce(8) returns (see MessageWriter.settle). */
  readonly incomplete?: boolean;
}

/**
 * The right to one inode number: queue ids made of it are unique as long as it is held, so that another process can name
 * messages without asking for each (message/queue-id.ts). Given back with `release`, or used up by `create`.
 */
export interface Reservation {
  /** The inode number as it stands in queue ids: hexadecimal in short ones, base 51 in long ones. */
  readonly inode: string;
  readonly long: boolean;
  release(): void;
}

/** A message that was named by the holder of a reservation. */
export interface Reserved {
  readonly reservation: Reservation;
  readonly queueId: string;
  readonly arrival: TimeValue;
}

export interface QueueEntry { readonly queue: QueueName; readonly queueId: string; readonly path: string }

/**
 * Messages that are durable and in the hands of the queue manager but no files yet (the journal). They are `open`ed like others;
 * whatever else is to be done with one needs `settle` first.
 */
export interface Residents {
  /** From now on new messages may stay here; each is announced once, after it is durable. `filed`: some became files of incoming. */
  serve(listener: { arrived(queueId: string, envelope?: Envelope): void; filed(): void }): void;
  has(queueId: string): boolean;
  /** What a delivery request says of where the message lies; '' when it is a file. */
  place(queueId: string): string;
  /** How many were announced and are not active. */
  readonly untaken: number;
  /** The queue manager has it: as a file it belongs into `active`. False: it is about to be a file of `incoming`, or is one. */
  activate(queueId: string): boolean;
  /** An agent has it in its hands from now on; `released` when it has answered. */
  taken(queueId: string): void;
  released(queueId: string): void;
  /** Make it a durable file, of `active` when it is active, else of `incoming`; nothing to do when it is one. Rejects with QueueTrouble. */
  settle(queueId: string): Promise<void>;
  /** It is done with: nothing of it is wanted any more. False: it is a file, or about to be one, and has to be removed as such (after `settle`). */
  finish(queueId: string): boolean;
  /** Nothing more may stay here. All become files but, unless `final`, those that agents have: they are left to the next process. */
  retire(final: boolean): Promise<void>;
  /** All that agents do not have now become files. */
  file(): Promise<void>;
  /** What processes that died have left in their journals becomes files of `incoming`. True: look again soon. */
  recover(): Promise<boolean>;
  /** An agent has it that a dead process has asked, or it could not be recovered yet: its file, if there is one, has to wait. */
  waits(queueId: string): boolean;
  /** Those that are here, for listings. */
  present(): Iterable<{ readonly queueId: string; readonly active: boolean; readonly image: () => Buffer }>;
}

export interface QueueStore {
  readonly residents?: Residents;
  /**
   * Throws QueueTrouble (ENOSPC, EACCES, ...) when no file can be made. With the reservation's inode the queue id is the caller's. `long`:
   * enable_long_queue_ids of the service that asks, where it has a value of its own.
   */
  create(reserved?: Reserved, long?: boolean): MessageWriter;
  /** A name for a message to come (see Reservation); undefined where the form of this store has none to give. */
  reserve?(long?: boolean): Reservation | undefined;
  open(queue: QueueName, queueId: string, options?: OpenOptions): MessageReader;
  move(queueId: string, from: QueueName, to: QueueName): void;
  remove(queueId: string, from: QueueName): void;
  /** Remove a message's bounce, defer or trace log. False when there was none. */
  removeLog(queueId: string, log: LogName): boolean;
  /** Set the time of the next attempt, milliseconds since the epoch. */
  stamp(queueId: string, queue: QueueName, time: number): void;
  /** All entries of a queue, hashed subdirectories included, in directory order; tolerates entries that vanish. */
  list(queue: QueueName): Iterable<QueueEntry>;
  /** The same in batches of at most `size`, giving way to other work in between. */
  scan(queue: QueueName, size?: number): AsyncIterable<QueueEntry[]>;
}
