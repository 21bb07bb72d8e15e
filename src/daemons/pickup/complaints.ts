/**
 * What is wrong with things in the maildrop, said once for each as long as it lies there, however often they are come across.
 *
 * Who may write there may fill it with such things: no more than `limit` texts are said and remembered, the others are counted.
 */
const limit = 200;

export class Complaints {
  readonly #warn: (text: string) => void;
  /** Said, and come across again in the last round that went through everything. */
  #known = new Set<string>();
  #seen = new Set<string>();
  #uncounted = 0;
  /** How many others were told of. */
  #told = 0;

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  say(text: string): void {
    if (this.#seen.has(text)) return;
    if (!this.#known.has(text)) {
      if (this.#known.size + this.#seen.size >= limit) return void this.#uncounted++;
      this.#warn(text);
    }
    this.#known.delete(text);
    this.#seen.add(text);
  }

  /** Everything was looked at: what was not come across is gone, and would be said again. */
  roundEnds(): void {
    this.#known = this.#seen;
    this.#seen = new Set();
    if (this.#uncounted > this.#told * 2) this.#warn(`maildrop: trouble with ${this.#uncounted} more files, which are left alone`);
    if (this.#uncounted === 0 || this.#uncounted > this.#told * 2) this.#told = this.#uncounted;
    this.#uncounted = 0;
  }
}
