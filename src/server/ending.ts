/**
 * The wish that a process comes to its end: given to every session, so that kept connections without work close at once
 * while those under way finish first. Listeners run once, in the order they came.
 */
export class Ending {
  #requested = false;
  readonly #listeners = new Set<() => void>();

  get requested(): boolean {
    return this.#requested;
  }

  /** Calls `run` when the end is wished for (at once if it already is). The answer takes the listener back. */
  listen(run: () => void): () => void {
    if (this.#requested) run();
    else this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  request(): void {
    if (this.#requested) return;
    this.#requested = true;
    for (const run of this.#listeners) run();
    this.#listeners.clear();
  }
}
