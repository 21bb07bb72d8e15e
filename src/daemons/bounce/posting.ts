/**
 * A new message of our own on its way to cleanup: envelope, Received: and Date: first, then what the caller puts.
 *
 * Nothing is kept before `end` answers 0; `abort` leaves nothing behind. `room` waits while cleanup has enough to do.
 */
import { zoneAt } from '../../host/zone.ts';
import type { Cleanup, CleanupOptions, CleanupSession } from '../../ipc/cleanup.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { receivedFromOurselves } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { timeValue } from '../../text/time.ts';

export interface PostingFacts {
  readonly sender: string;
  readonly recipient: string;
  readonly hostname: string;
  readonly mailName: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Characters gathered before they are sent. */
const portion = 16 << 10;

export class Posting {
  readonly #session: CleanupSession;
  #text = '';
  #full = false;
  /** Does what was put so far end with a line end? */
  #lineEnded = true;

  private constructor(session: CleanupSession) {
    this.#session = session;
  }

  /** Rejects with ServiceTrouble when cleanup is out of reach. */
  static async open(cleanup: Cleanup, options: CleanupOptions, facts: PostingFacts): Promise<Posting> {
    const session = await cleanup.open(options);
    const { seconds, microseconds } = timeValue(facts.now);
    session.record(recordType.time, `${seconds} ${microseconds}`);
    session.record(recordType.attribute, `${attributeName.logMessageOrigin}=local`);
    session.record(recordType.attribute, `${attributeName.traceFlags}=0`);
    session.record(recordType.sender, facts.sender);
    session.record(recordType.recipient, facts.recipient);
    session.message();
    const posting = new Posting(session);
    const date = mailDate(seconds, zoneAt(facts.now));
    const received = receivedFromOurselves({ hostname: facts.hostname, mailName: facts.mailName, queueId: session.queueId, date });
    posting.put(`${received.join('\n')}\nDate: ${date}\n`);
    return posting;
  }

  get queueId(): string {
    return this.#session.queueId;
  }

  put(text: string): void {
    this.#text += text;
    if (text !== '') this.#lineEnded = text.endsWith('\n');
  }

  bytes(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#flush();
    this.#lineEnded = chunk[chunk.length - 1] === 10;
    if (!this.#session.content(chunk)) this.#full = true;
  }

  get lineEnded(): boolean {
    return this.#lineEnded;
  }

  async room(): Promise<void> {
    if (this.#text.length >= portion) this.#flush();
    if (!this.#full) return;
    this.#full = false;
    await this.#session.drained();
  }

  /** The status of cleanup (ipc/cleanup.ts); 0: the message is durable. */
  async end(): Promise<number> {
    this.#flush();
    this.#session.extracted();
    return (await this.#session.end()).status;
  }

  abort(): void {
    this.#session.abort();
  }

  #flush(): void {
    if (this.#text === '') return;
    const chunk = Buffer.from(this.#text, 'latin1');
    this.#text = '';
    if (!this.#session.content(chunk)) this.#full = true;
  }
}
