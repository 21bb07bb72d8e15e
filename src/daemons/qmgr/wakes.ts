/**
 * What is to be done after one of a few waits. All who wait equally long for the same thing stand in one line, and nobody who is not
 * due is looked at: of 20,000 dead destinations only the first.
 */
import { Line } from './line.ts';

interface Wake { readonly at: number; readonly run: () => void }

export class Wakes<Name extends string> {
  readonly #waits: Readonly<Record<Name, number>>;
  readonly #lines = new Map<string, Line<Wake>>();
  #now = 0;

  /** @param waits milliseconds by name */
  constructor(waits: Readonly<Record<Name, number>>) {
    this.#waits = waits;
  }

  /** The time as it was last said. */
  get now(): number {
    return this.#now;
  }

  after(name: Name, run: () => void): void {
    this.#push(name, this.#waits[name], run);
  }

  /** The same for a wait that a transport's own parameter names. */
  in(milliseconds: number, run: () => void): void {
    this.#push(`in ${milliseconds}`, milliseconds, run);
  }

  #push(name: string, wait: number, run: () => void): void {
    let line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, line = new Line());
    line.push({ at: this.#now + wait, run });
  }

  /** Time does not go back. */
  expire(now: number): void {
    this.#now = Math.max(this.#now, now);
    for (const line of this.#lines.values()) {
      while (line.first !== undefined && line.first.at <= this.#now) line.shift()!.run();
    }
  }

  /** No more than so many wait for this: for the others, the oldest, it is time now. */
  limit(name: Name, most: number): void {
    const line = this.#lines.get(name);
    while (line !== undefined && line.length > most) line.shift()!.run();
  }

  deadline(): number | undefined {
    let first: number | undefined;
    for (const line of this.#lines.values()) {
      const at = line.first?.at;
      if (at !== undefined && (first === undefined || at < first)) first = at;
    }
    return first;
  }
}
