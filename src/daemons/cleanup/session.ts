/**
 * One message through cleanup: what comes in any rhythm is worked off in order, and what must wait (a table, a service, the
 * disk) makes the rest wait in a bounded line.
 *
 * `end` answers status 0 only when the message is durable. Every throw on the way refuses the message (status write): an
 * address that could not be rewritten or a disk that failed is a reason to try later.
 */
import { cleanupFlag, cleanupStatus, type CleanupOptions, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import type { ContentInspection } from '../../protocol/milter/inspection.ts';
import { attributeName, sendOption } from '../../message/envelope-names.ts';
import { recordType } from '../../message/record.ts';
import { QueueTrouble } from '../../queue/store.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { bounceRefused, canBounce } from './bounce.ts';
import { Content } from './content.ts';
import type { CleanupContext } from './context.ts';
import { EnvelopeIntake, headerContext } from './envelope.ts';
import { Headers } from './headers.ts';
import { MessageFilters } from './milter.ts';
import { addBcc } from './recipients.ts';
import { MessageState } from './state.ts';

/** Bytes of content that may wait to be worked off. */
const enough = 64 << 10;

type Item = Buffer | (() => void | Promise<void>);

export class MessageSession implements CleanupSession {
  readonly #context: CleanupContext;
  readonly #state: MessageState;
  readonly #lineEnd: 'crlf' | 'lf';
  readonly #intake: EnvelopeIntake;
  /** What came while something had to be waited for. */
  #line: Item[] = [];
  #waiting = 0;
  #busy = false;
  #idle: (() => void)[] = [];
  #content: Content | undefined;
  #phase: 'envelope' | 'content' | 'extracted' = 'envelope';
  /** Undefined: no filter will see the message. */
  #filters: MessageFilters | undefined;
  #over = false;

  constructor(context: CleanupContext, options: CleanupOptions) {
    this.#context = context;
    this.#lineEnd = options.lineEnd;
    this.#state = new MessageState(context.store.create(options.reserved, context.view.enable_long_queue_ids), options.flags);
    this.#intake = new EnvelopeIntake(context, this.#state);
    this.#filters = MessageFilters.of(context, this.#state);
    if (options.flags & cleanupFlag.smtputf8) this.#state.sendOptions |= sendOption.smtputf8Requested;
    if (options.flags & cleanupFlag.requireTls) this.#state.sendOptions |= sendOption.requireTlsEsmtp;
  }

  get queueId(): string {
    return this.#state.queueId;
  }

  record(type: number, text: string): void {
    if (this.#busy) this.#put(() => this.#record(type, text));
    else if (!this.#over) this.#now(() => this.#record(type, text));
  }

  inspect(inspection: ContentInspection): void {
    if (this.#filters === undefined) throw new Error('an inspection that was not announced');
    this.#filters.inspect(inspection);
  }

  message(): void {
    this.#put(() => this.#beginContent());
  }

  content(chunk: Buffer): boolean {
    if (this.#busy) this.#waiting += chunk.length;
    this.#put(chunk);
    return this.#waiting < enough && !this.#state.writer.full;
  }

  async drained(): Promise<void> {
    if (!this.#busy && !this.#state.writer.full) return;
    while (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#state.writer.drained();
  }

  extracted(): void {
    this.#put(() => this.#beginExtracted());
  }

  end(): Promise<CleanupReply> {
    this.#put(() => this.#complete());
    return this.#busy || this.#state.writer.full ? this.drained().then(() => this.#last()) : this.#last();
  }

  #last(): Promise<CleanupReply> {
    if (this.#over) return Promise.resolve({ status: cleanupStatus.bad, reason: '' });
    this.#over = true;
    return this.#finish();
  }

  abort(): void {
    if (this.#over) return this.#filters?.abort();
    this.#over = true;
    this.#line = [];
    this.#state.refuse(cleanupStatus.bad);
    this.#filters?.abort();
    this.#state.writer.discard();
    this.#context.log.info(`${this.queueId}: removed (canceled)`);
  }

  #put(item: Item): void {
    if (this.#over) return;
    if (this.#busy) this.#line.push(item);
    else this.#now(item);
  }

  /** Nothing is being waited for: worked off at once, and what has to wait makes the rest stand in line. */
  #now(item: Item): void {
    try {
      const pending = this.#take(item) ?? this.#room();
      if (pending !== undefined) void this.#work(pending);
    } catch (error) {
      this.#trouble(error as Error);
    }
  }

  async #work(first: Promise<void>): Promise<void> {
    this.#busy = true;
    let pending: Promise<void> | void = first;
    for (let item: Item | undefined; ;) {
      try {
        if (pending !== undefined) await pending;
        if (this.#state.writer.full) await this.#state.writer.drained();
        item = this.#line.shift();
        if (item === undefined) break;
        pending = this.#take(item);
      } catch (error) {
        pending = undefined;
        this.#trouble(error as Error);
      }
    }
    this.#busy = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #room(): Promise<void> | undefined {
    return this.#state.writer.full ? this.#state.writer.drained() : undefined;
  }

  #take(item: Item): void | Promise<void> {
    if (typeof item === 'function') return item();
    if (this.#busy) this.#waiting -= item.length;
    return this.#chunk(item);
  }

  #trouble(error: Error): void {
    this.#context.log.warning(`${this.queueId}: ${error.message} -- message not accepted, try again later`);
    this.#state.refuse(cleanupStatus.write);
  }

  #record(type: number, text: string): void | Promise<void> {
    if (this.#phase === 'envelope') return this.#intake.record(type, text);
    if (this.#phase === 'extracted') return this.#extractedRecord(type, text);
    this.#intake.bad(`unexpected record type ${type} in message content`);
  }

  #beginContent(): void {
    const { view } = this.#context;
    if (this.#phase !== 'envelope') return this.#intake.bad('content begins twice');
    if (this.#state.sender === undefined || this.#state.arrival.seconds === 0) return this.#intake.bad('missing sender or time envelope record');
    this.#phase = 'content';
    this.#intake.endOfEnvelope();
    this.#state.put(recordType.message);
    this.#state.dataOffset = this.#state.offset;
    const { trouble } = this.#context.content;
    if (trouble !== undefined) throw new Error(trouble);
    const headers = new Headers(this.#context, this.#state, headerContext(this.#state, view.remote_header_rewrite_domain));
    this.#content = new Content(this.#context, this.#state, headers, this.#lineEnd);
  }

  #chunk(chunk: Buffer): void | Promise<void> {
    if (this.#phase !== 'content') return this.#intake.bad('content outside of the content segment');
    this.#state.contentBytes += chunk.length;
    const { message_size_limit: limit } = this.#context.view;
    if (limit > 0 && this.#state.contentBytes > limit) this.#tooLarge();
    return this.#state.isWhole ? this.#content!.push(chunk) : undefined;
  }

  #tooLarge(): void {
    if ((this.#state.status & cleanupStatus.size) === 0) this.#context.log.warning(`${this.queueId}: queue file size limit exceeded`);
    this.#state.refuse(cleanupStatus.size);
  }

  #beginExtracted(): void | Promise<void> {
    if (this.#phase !== 'content') return this.#intake.bad('extracted segment without content');
    return chain(this.#content?.end(), () => this.#extracted());
  }

  #extracted(): void {
    this.#phase = 'extracted';
    this.#state.extractedOffset = this.#state.offset;
    this.#state.put(recordType.extracted);
    this.#learnt();
  }

  /** What the content told: stands in front of late recipients. */
  #learnt(): void {
    const state = this.#state;
    if (state.contentFilter !== undefined) state.put(recordType.filter, state.contentFilter);
    if (state.redirect !== undefined) state.put(recordType.redirect, state.redirect);
    if (state.messageId !== undefined) state.attribute(attributeName.messageId, state.messageId);
    const encoding = state.attributes.get(attributeName.encoding);
    if (encoding !== undefined) state.attribute(attributeName.encoding, encoding);
  }

  #extractedRecord(type: number, text: string): void | Promise<void> {
    return this.#intake.extractedRecord(type, text);
  }

  #complete(): MaybePromise<void> {
    if (this.#phase !== 'extracted') return this.#intake.bad('message ends too early');
    const { always_bcc: bcc } = this.#context.view;
    const copied = bcc !== '' && this.#state.flags & cleanupFlag.bccOk && this.#state.recipient !== undefined;
    return chain(copied ? addBcc(this.#context, this.#state, bcc) : undefined, () => chain(this.#copies(), () => this.#state.put(recordType.end)));
  }

  /** The copies that header_checks(5) asked for. */
  #copies(): MaybePromise<void> {
    const { copies, isWhole, recipient } = this.#state;
    let pending: MaybePromise<void> = undefined;
    if (isWhole && recipient !== undefined) for (const address of copies) pending = chain(pending, () => addBcc(this.#context, this.#state, address));
    return pending;
  }

  #finish(): Promise<CleanupReply> {
    const state = this.#state;
    if (state.isWhole && state.recipient === undefined) state.refuse(cleanupStatus.noRecipients);
    const { message_size_limit: limit } = this.#context.view;
    // Envelope and added headers count, as for whoever writes a file of limited size.
    if (limit > 0 && state.isWhole && state.offset > limit) this.#tooLarge();
    if (state.flags & cleanupFlag.discard) state.status = 0;
    // Most mail meets no filter and no trouble: there is nothing to wait for but the disk.
    return this.#filters === undefined && state.status === 0 && (state.flags & cleanupFlag.discard) === 0 ? this.#commit() : this.#judge();
  }

  async #judge(): Promise<CleanupReply> {
    const state = this.#state;
    await this.#filters?.see();
    if (state.flags & cleanupFlag.discard) state.status = 0;
    if (state.status !== 0 && canBounce(state)) await bounceRefused(this.#context, state);
    return state.status !== 0 || state.flags & cleanupFlag.discard ? this.#drop() : this.#commit();
  }

  async #commit(): Promise<CleanupReply> {
    const state = this.#state;
    try {
      await this.#keep();
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
      this.#context.log.warning(`${state.queueId}: ${error.message}`);
      state.refuse(cleanupStatus.write);
    }
    return { status: state.status, reason: state.reason };
  }

  #keep(): Promise<void> {
    const state = this.#state;
    state.seal();
    const isHeld = (state.flags & cleanupFlag.hold) !== 0;
    return state.writer.commit(isHeld ? 'hold' : 'incoming', state.facts()).then((announced) => {
      if (isHeld || announced) return;
      this.#context.inFlow?.kept(state.queueId);
      this.#context.services.trigger('public', this.#context.view.queue_service_name, 'I');
    });
  }

  #drop(): CleanupReply {
    const state = this.#state;
    state.writer.discard();
    this.#context.log.info(`${state.queueId}: removed (${state.status === 0 ? 'discarded' : 'canceled'})`);
    return { status: state.status, reason: state.reason };
  }
}
