/**
 * in_flow_delay: new mail waits a moment while it comes in faster than the queue manager takes it, so that what is accepted does not pile up.
 *
 * Behind means: of the messages that this process has put into the queue, default_process_limit or more are not active yet. Then each
 * message waits once, for in_flow_delay, before cleanup begins with it: before it is kept, so that no client waits for an answer
 * about a message that is in the queue already. While the queue manager keeps up it is a comparison of two numbers per message.
 */
export interface InFlowTools {
  /** in_flow_delay, seconds; 0: nothing waits. */
  readonly delay: number;
  /** default_process_limit. */
  readonly limit: number;
  /** Messages in the journal that are not active. */
  readonly untaken: () => number;
  /** Is this file in incoming still? */
  readonly isThere: (queueId: string) => boolean;
  readonly after: (milliseconds: number, run: () => void) => void;
}

export class InFlow {
  readonly #tools: InFlowTools;
  /** Names of the last files that were put into incoming, but those of which is known that they were taken. In no order. */
  readonly #files: string[] = [];
  /** The next to be looked at: each in turn, as one may stay for reasons of its own. */
  #at = 0;

  constructor(tools: InFlowTools) {
    this.#tools = tools;
  }

  /** A message has become a file of incoming, for the queue manager to find. */
  kept(queueId: string): void {
    const { delay, limit } = this.#tools;
    if (delay === 0) return;
    if (this.#files.length < limit) this.#files.push(queueId);
    else this.#files[this.#turn()] = queueId;
  }

  /** What a new message waits for; undefined: nothing. */
  pause(): Promise<void> | undefined {
    const { delay, after } = this.#tools;
    if (delay === 0 || !this.#isBehind()) return undefined;
    return new Promise((resolve) => { after(delay * 1000, resolve); });
  }

  #isBehind(): boolean {
    const { limit, untaken, isThere } = this.#tools;
    const allowed = limit - untaken();
    if (allowed <= 0) return true;
    while (this.#files.length >= allowed) {
      const at = this.#turn();
      if (isThere(this.#files[at]!)) return true;
      const last = this.#files.pop()!;
      if (at < this.#files.length) this.#files[at] = last;
    }
    return false;
  }

  #turn(): number {
    if (this.#at >= this.#files.length) this.#at = 0;
    return this.#at++;
  }
}
