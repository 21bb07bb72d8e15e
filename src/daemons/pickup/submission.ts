/**
 * One user who hands a message over through the socket, as records: who it is says the kernel, and the message goes straight to
 * cleanup(8).
 *
 * Nothing is kept unless the outcome has status 0. A refused message is read to its end all the same, so that the user hears why.
 */
import type net from 'node:net';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { encode } from '../../ipc/shape.ts';
import { submissionShapes, type SubmissionOutcome } from '../../ipc/submission.ts';
import type { Log } from '../../log/log.ts';
import { RecordReader } from '../../message/record-reader.ts';
import { recordType } from '../../message/record.ts';
import { TableTrouble } from '../../tables/table.ts';
import { Intake, type IntakeSetup } from './intake.ts';
import { malformed } from './message.ts';

export interface SubmissionSetup extends IntakeSetup {
  /** line_length_limit: bytes of a record. */
  readonly lineLimit: number;
}

/** A write failed, a service is away: try again later. */
const later = cleanupStatus.write;

export class Submission {
  readonly #setup: SubmissionSetup;
  readonly #socket: net.Socket;
  readonly #log: Log;
  readonly #uid: number;
  #intake: Intake | undefined;

  constructor(setup: SubmissionSetup, socket: net.Socket, log: Log, uid: number) {
    this.#setup = setup;
    this.#socket = socket;
    this.#log = log;
    this.#uid = uid;
  }

  /** @param chunks what the socket says after the request */
  async serve(chunks: AsyncIterable<Buffer>): Promise<void> {
    const unwelcome = await this.#open();
    this.#say(submissionShapes.welcome, { protocol: submissionShapes.protocol, queueId: this.#intake?.queueId ?? '', status: 0, reason: '', ...unwelcome });
    if (unwelcome !== undefined) return;
    try {
      const outcome = await this.#receive(chunks);
      if (outcome !== undefined) this.#say(submissionShapes.outcome, outcome);
    } finally {
      this.#intake?.abort();
    }
  }

  async #open(): Promise<SubmissionOutcome | undefined> {
    const { submitters } = this.#setup;
    const uid = this.#uid;
    try {
      const name = await submitters.refused(uid);
      if (name !== undefined) return { status: cleanupStatus.denied, reason: `User ${name}(${uid}) is not allowed to submit mail` };
      this.#intake = await Intake.open(this.#setup, this.#log, uid);
      return undefined;
    } catch (error) {
      if (!(error instanceof ServiceTrouble || error instanceof TableTrouble)) throw error;
      this.#log.warning(`uid=${uid}: ${error.message}`);
      return { status: later, reason: '' };
    }
  }

  /** Undefined when the user went away in the middle. */
  async #receive(chunks: AsyncIterable<Buffer>): Promise<SubmissionOutcome | undefined> {
    const reader = new RecordReader({ maximumLength: this.#setup.lineLimit });
    for await (const chunk of chunks) {
      reader.feed(chunk);
      const outcome = await this.#records(reader, this.#intake!);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }

  async #records(reader: RecordReader, intake: Intake): Promise<SubmissionOutcome | undefined> {
    for (let step = reader.next(); ; step = reader.next()) {
      if (step.kind === 'bad') return intake.refuse(malformed(`uid=${this.#uid}: malformed input`));
      if (step.kind !== 'record') return undefined;
      const progress = await intake.take(step.record);
      if (progress === 'complete') return intake.end();
      if (progress !== 'more' && step.record.type === recordType.end) return progress;
      if (intake.full) await intake.drained();
    }
  }

  #say(shape: Parameters<typeof encode>[0], value: object): void {
    if (this.#socket.writable) this.#socket.write(encode(shape, value), 'latin1');
  }
}
