/**
 * Stands in for the writer of a queue file while filters may still change the message: what is written is held back in a spool. Whoever asks
 * to commit or settle gets it written as it is.
 */
import type { TimeValue } from '../../text/time.ts';
import type { MessageFacts, MessageWriter, QueueTrouble } from '../../queue/store.ts';
import { Spool, type SpoolPlace } from './milter-spool.ts';

interface Patch { readonly offset: number; readonly bytes: Buffer }

export class HeldWriter implements MessageWriter {
  /** The writer behind. */
  readonly real: MessageWriter;
  readonly spool: Spool;
  #patches: Patch[] = [];
  #isThrough = false;

  constructor(real: MessageWriter, directory: string) {
    this.real = real;
    const place: SpoolPlace = { directory, name: `${real.queueId}.held` };
    this.spool = new Spool(place);
  }

  get queueId(): string {
    return this.real.queueId;
  }

  get arrival(): TimeValue {
    return this.real.arrival;
  }

  get offset(): number {
    return this.#isThrough ? this.real.offset : this.spool.length;
  }

  get full(): boolean {
    return this.#isThrough ? this.real.full : this.spool.full;
  }

  get trouble(): QueueTrouble | undefined {
    return this.spool.trouble ?? this.real.trouble;
  }

  write(bytes: Buffer): void {
    if (this.#isThrough) this.real.write(bytes);
    else this.spool.append(bytes);
  }

  patch(offset: number, bytes: Buffer): void {
    if (this.#isThrough) this.real.patch(offset, bytes);
    else this.#patches.push({ offset, bytes: Buffer.from(bytes) });
  }

  async drained(): Promise<void> {
    if (this.#isThrough) await this.real.drained();
    else await this.spool.drained();
  }

  async settle(): Promise<void> {
    await this.#pass();
    await this.real.settle();
  }

  async commit(queue: 'incoming' | 'hold', facts?: MessageFacts): Promise<boolean> {
    await this.#pass();
    return this.real.commit(queue, facts);
  }

  discard(): void {
    this.spool.close();
    this.real.discard();
  }

  /** Nothing of what was held is wanted: the message was written anew. */
  drop(): void {
    this.#isThrough = true;
    this.spool.close();
  }

  async #pass(): Promise<void> {
    if (this.#isThrough) return;
    for await (const piece of this.spool.read(0, this.spool.length)) {
      this.real.write(piece);
      if (this.real.full) await this.real.drained();
    }
    for (const { offset, bytes } of this.#patches) this.real.patch(offset, bytes);
    this.#isThrough = true;
    this.spool.close();
  }
}
