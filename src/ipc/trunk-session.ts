/**
 * One message of a trunk (cleanup-trunk.ts): kept by reference until its end, then sent whole; or, when it grows too large or too much is
 * held, moved to a connection of its own, under the name it has.
 */
import { composeQueueId } from '../message/queue-id.ts';
import type { TimeValue } from '../text/time.ts';
import { cleanupStatus, type CleanupOptions, type CleanupReply, type CleanupSession } from './cleanup.ts';
import { eachRecord, extractedLimit, frameLimit, messageHead, recordString, wholeLimit, writeMessageHead, type Name } from './trunk-wire.ts';

/** Bytes of content that all messages of a trunk together hold here. */
export const heldLimit = 16 << 20;

/** Bytes of records that are kept as text. */
const settlingSize = 512;

/** A message that has a name of a trunk, as a connection of its own needs to know it. */
export interface Adoption {
  readonly options: CleanupOptions;
  readonly trunk: number;
  readonly name: number;
  readonly arrival: TimeValue;
}

/** The trunk, as its messages know it. */
export interface MessageTrunk {
  readonly options: { readonly alone: (adoption: Adoption) => Promise<CleanupSession> };
  readonly number: number;
  /** Bytes of content held for messages that are not sent. */
  held: number;
  /** Bytes that wait here, held by messages or on their way to the socket. */
  readonly load: number;
  submit(session: TrunkSession): void;
  forget(session: TrunkSession, unused?: Name): void;
}

/** `gathering` until `end`, then `waiting` to be written, then `sent`. `leaving`: a connection of its own is being made. */
type Phase = 'gathering' | 'leaving' | 'alone' | 'waiting' | 'sent' | 'over';

export class TrunkSession implements CleanupSession {
  readonly queueId: string;
  /** See SteadySet. */
  seat = -1;
  readonly #trunk: MessageTrunk;
  readonly #options: CleanupOptions;
  readonly #name: Name;
  readonly #arrival: TimeValue;
  #phase: Phase = 'gathering';
  /** Records before the content that are not among the pieces yet. */
  #envelope = '';
  /** Records as bytes, then content. */
  #pieces: Buffer[] = [];
  #envelopePieces = 0;
  #envelopeSize = 0;
  /** Bytes of content. */
  #size = 0;
  #extracted = '';
  #section: 0 | 1 | 2 = 0;
  #alone: CleanupSession | undefined;
  #leaving: Promise<void> | undefined;
  #answer: ((reply: CleanupReply) => void) | undefined;
  #reply: CleanupReply | undefined;

  constructor(trunk: MessageTrunk, options: CleanupOptions, name: Name, arrival: TimeValue) {
    this.#trunk = trunk;
    this.#options = options;
    this.#name = name;
    this.#arrival = arrival;
    this.queueId = composeQueueId(arrival, name.inode, name.long);
  }

  record(type: number, text: string): void {
    if (this.#alone !== undefined) this.#alone.record(type, text);
    else if (this.#section > 0) this.#extracted += recordString(type, text);
    else if ((this.#envelope += recordString(type, text)).length > settlingSize) this.#settle();
  }

  /** Text that grows is a chain of all its pieces until it is used. Of a message with many recipients that would be thousands. */
  #settle(): void {
    if (this.#envelope === '') return;
    this.#envelopePieces = this.#pieces.push(Buffer.from(this.#envelope, 'latin1'));
    this.#envelopeSize += this.#envelope.length;
    this.#envelope = '';
  }

  message(): void {
    if (this.#alone !== undefined) return this.#alone.message();
    this.#settle();
    this.#section = 1;
  }

  content(chunk: Buffer): boolean {
    if (this.#alone !== undefined) return this.#alone.content(chunk);
    if (this.#reply !== undefined || this.#phase === 'over') return true;
    this.#pieces.push(chunk);
    this.#size += chunk.length;
    this.#trunk.held += chunk.length;
    if (this.#phase === 'gathering' && (this.#size > wholeLimit || this.#trunk.load > heldLimit)) this.#leave();
    return this.#phase !== 'leaving';
  }

  async drained(): Promise<void> {
    await this.#leaving;
    await this.#alone?.drained();
  }

  extracted(): void {
    if (this.#alone !== undefined) this.#alone.extracted();
    else this.#section = 2;
  }

  end(): Promise<CleanupReply> {
    if (this.#alone !== undefined) return this.#alone.end();
    if (this.#leaving !== undefined) return this.#leaving.then(() => this.#alone?.end() ?? this.#reply ?? { status: cleanupStatus.write, reason: '' });
    if (this.#reply !== undefined) return Promise.resolve(this.#reply);
    return new Promise((resolve) => {
      this.#answer = resolve;
      if (this.#section !== 2) return this.#refuse(cleanupStatus.bad);
      if (this.#envelopeSize > frameLimit - wholeLimit * 2 || this.#extracted.length > extractedLimit) return this.#refuse(cleanupStatus.size);
      this.#phase = 'waiting';
      this.#trunk.submit(this);
    });
  }

  abort(): void {
    if (this.#alone !== undefined) return this.#alone.abort();
    if (this.#phase === 'gathering' || this.#phase === 'waiting') {
      this.#release();
      this.#trunk.forget(this, this.#name);
      this.#answer?.({ status: cleanupStatus.write, reason: '' });
    }
    // What was sent is cleanup's matter; what is leaving is ended as soon as it has a connection.
    if (this.#phase !== 'sent') this.#phase = 'over';
  }

  // ---- for the trunk

  get isWaiting(): boolean {
    return this.#phase === 'waiting';
  }

  get frameLength(): number {
    return messageHead + this.#envelopeSize + this.#size + this.#extracted.length;
  }

  /** Put the frame at `at`; the offset behind it comes back. */
  write(target: Buffer, at: number, number: number, want: number): number {
    const { flags, lineEnd } = this.#options;
    const { seconds, microseconds } = this.#arrival;
    at = writeMessageHead(
      target, at, { number, name: this.#name.number, seconds, microseconds, flags, lineEnd, want },
      { envelope: this.#envelopeSize, content: this.#size, extracted: this.#extracted.length },
    );
    for (const piece of this.#pieces) at += piece.copy(target, at);
    if (this.#extracted !== '') at += target.write(this.#extracted, at, 'latin1');
    this.#release();
    this.#phase = 'sent';
    return at;
  }

  answered(reply: CleanupReply): void {
    this.#reply = reply;
    this.#release();
    this.#phase = 'over';
    this.#trunk.forget(this);
    this.#answer?.(reply);
  }

  /** It is not even sent: its name is free. */
  #refuse(status: number): void {
    this.#trunk.forget(this, this.#name);
    this.answered({ status, reason: '' });
  }

  /** The trunk broke: whether the message was kept nobody knows. */
  lost(): void {
    if (this.#leaving === undefined) this.answered({ status: cleanupStatus.write, reason: '' });
  }

  #release(): void {
    this.#trunk.held -= this.#size;
    this.#pieces = [];
    this.#size = this.#envelopeSize = this.#envelopePieces = 0;
    this.#envelope = this.#extracted = '';
  }

  // ---- a connection of its own

  #leave(): void {
    this.#phase = 'leaving';
    const adoption = { options: this.#options, trunk: this.#trunk.number, name: this.#name.number, arrival: this.#arrival };
    this.#leaving = this.#trunk.options.alone(adoption).then((session) => this.#moved(session), () => this.#stranded()).finally(() => {
      this.#leaving = undefined;
      this.#release();
      this.#trunk.forget(this);
    });
  }

  #moved(session: CleanupSession): void {
    if ((this.#phase as Phase) === 'over') return session.abort();
    this.#phase = 'alone';
    const content = this.#pieces.splice(this.#envelopePieces);
    eachRecord(Buffer.concat(this.#pieces).toString('latin1'), (type, text) => session.record(type, text));
    if (this.#section > 0) session.message();
    for (const chunk of content) session.content(chunk);
    if (this.#section > 1) session.extracted();
    eachRecord(this.#extracted, (type, text) => session.record(type, text));
    this.#alone = session;
  }

  #stranded(): void {
    this.#phase = 'over';
    this.#reply = { status: cleanupStatus.write, reason: '' };
  }
}
