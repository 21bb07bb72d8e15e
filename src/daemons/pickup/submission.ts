/**
 * One user who hands a message over through the socket: who it is says the kernel, and the message goes straight to cleanup(8).
 *
 * Nothing is kept unless the outcome has status 0. A refused message is read to its end all the same, so that the user hears why.
 */
import type net from 'node:net';
import { cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { encode } from '../../ipc/shape.ts';
import { submissionShapes, type SubmissionOutcome } from '../../ipc/submission.ts';
import type { Log } from '../../log/log.ts';
import { RecordReader } from '../../message/record-reader.ts';
import { recordType } from '../../message/record.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { TableTrouble } from '../../tables/table.ts';
import { LocalMessage, malformed, type OwnName, type Progress, type Refusal } from './message.ts';
import { SubmittedMessage } from './submitted.ts';

export interface SubmissionSetup {
  readonly cleanup: Cleanup;
  readonly own: OwnName;
  readonly flags: number;
  /** line_length_limit: bytes of a record. */
  readonly lineLimit: number;
  /** message_size_limit; 0: none. */
  readonly sizeLimit: number;
  readonly submitters: Submitters;
  now(): number;
}

/** A write failed, a service is away: try again later. */
const later = cleanupStatus.write;

export class Submission {
  readonly #setup: SubmissionSetup;
  readonly #socket: net.Socket;
  readonly #log: Log;
  readonly #uid: number;
  #session: CleanupSession | undefined;
  #message: SubmittedMessage | undefined;
  #refusal: Refusal | undefined;
  #size = 0;

  constructor(setup: SubmissionSetup, socket: net.Socket, log: Log, uid: number) {
    this.#setup = setup;
    this.#socket = socket;
    this.#log = log;
    this.#uid = uid;
  }

  /** @param chunks what the socket says after the request */
  async serve(chunks: AsyncIterable<Buffer>): Promise<void> {
    const unwelcome = await this.#open();
    this.#say(submissionShapes.welcome, { protocol: submissionShapes.protocol, queueId: this.#session?.queueId ?? '', status: 0, reason: '', ...unwelcome });
    if (unwelcome !== undefined) return;
    try {
      const outcome = await this.#receive(chunks);
      if (outcome !== undefined) this.#say(submissionShapes.outcome, outcome);
    } finally {
      this.#session?.abort();
    }
  }

  async #open(): Promise<SubmissionOutcome | undefined> {
    const { cleanup, flags, submitters, own, now } = this.#setup;
    const uid = this.#uid;
    const warn = (text: string): void => this.#log.warning(text);
    try {
      const name = await submitters.refused(uid);
      if (name !== undefined) return { status: cleanupStatus.denied, reason: `User ${name}(${uid}) is not allowed to submit mail` };
      const session = await cleanup.open({ flags, lineEnd: 'lf' });
      const arrival = now();
      const message = new LocalMessage(session, { uid, arrival }, own, (text) => this.#log.info(text));
      message.take({ type: recordType.time, data: Buffer.from(`${Math.floor(arrival / 1000)} ${Math.floor((arrival % 1000) * 1000)}`) });
      this.#session = session;
      this.#message = new SubmittedMessage(message, { uid, submitters, warn });
      return undefined;
    } catch (error) {
      if (!(error instanceof ServiceTrouble || error instanceof TableTrouble)) throw error;
      warn(`uid=${uid}: ${error.message}`);
      return { status: later, reason: '' };
    }
  }

  /** Undefined when the user went away in the middle. */
  async #receive(chunks: AsyncIterable<Buffer>): Promise<SubmissionOutcome | undefined> {
    const reader = new RecordReader({ maximumLength: this.#setup.lineLimit });
    for await (const chunk of chunks) {
      reader.feed(chunk);
      const outcome = await this.#records(reader);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }

  async #records(reader: RecordReader): Promise<SubmissionOutcome | undefined> {
    for (let step = reader.next(); ; step = reader.next()) {
      if (step.kind === 'bad') return this.#refuse(malformed(`uid=${this.#uid}: malformed input`));
      if (step.kind !== 'record') return undefined;
      const { record } = step;
      const progress = this.#refusal ?? await this.#take(record);
      if (progress === 'complete') return this.#end();
      if (progress !== 'more') this.#refuse(progress);
      if (progress !== 'more' && record.type === recordType.end) return this.#refusal;
    }
  }

  async #take(record: { readonly type: number; readonly data: Buffer }): Promise<Progress> {
    const { sizeLimit } = this.#setup;
    this.#size += record.data.length + 2;
    if (sizeLimit > 0 && this.#size > sizeLimit) return { status: cleanupStatus.size, reason: '', log: `uid=${this.#uid}: File too large` };
    const message = this.#message!;
    const progress = await message.take(record);
    if (message.full) await message.drained();
    return progress;
  }

  async #end(): Promise<CleanupReply> {
    const session = this.#session!;
    this.#session = undefined;
    return session.end();
  }

  #refuse(refusal: Refusal): Refusal {
    if (this.#refusal === undefined) {
      this.#refusal = refusal;
      this.#session?.abort();
      this.#session = undefined;
      if (refusal.log !== '') this.#log.warning(refusal.log);
    }
    return this.#refusal;
  }

  #say(shape: Parameters<typeof encode>[0], value: object): void {
    if (this.#socket.writable) this.#socket.write(encode(shape, value), 'latin1');
  }
}
