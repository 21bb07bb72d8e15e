/**
 * From sendmail(1) to the mail system, by a way that is opened when it is needed.
 *
 * Records are gathered until there are many, or all: most messages are complete before anybody else is kept busy with them, and one
 * that comes to nothing (no recipients) troubles nobody.
 */
import type { SubmissionOutcome } from '../ipc/submission.ts';
import type { Outlet } from './outlet.ts';

/** Bytes that a program of one user gathers. */
const usual = 1 << 20;

export class WayOut {
  readonly #open: () => Promise<Outlet>;
  readonly #gather: number;
  #gathered: [type: number, payload: string | Buffer][] = [];
  #size = 0;
  #outlet: Outlet | undefined;

  /** @param gather bytes of records to gather before the way is opened */
  constructor(open: () => Promise<Outlet>, gather = usual) {
    this.#open = open;
    this.#gather = gather;
  }

  put(type: number, payload: string | Buffer = ''): void {
    if (this.#outlet !== undefined) return this.#outlet.put(type, payload);
    this.#gathered.push([type, payload]);
    this.#size += payload.length;
  }

  /** To be awaited after each piece of input. Rejects with NoOutlet. */
  async drained(): Promise<void> {
    if (this.#outlet === undefined && this.#size < this.#gather) return;
    await (await this.#opened()).drained();
  }

  async finish(): Promise<SubmissionOutcome> {
    return (await this.#opened()).finish();
  }

  abort(): void {
    this.#outlet?.abort();
  }

  async #opened(): Promise<Outlet> {
    if (this.#outlet !== undefined) return this.#outlet;
    const outlet = await this.#open();
    for (const [type, payload] of this.#gathered) outlet.put(type, payload);
    this.#gathered = [];
    this.#outlet = outlet;
    return outlet;
  }
}
