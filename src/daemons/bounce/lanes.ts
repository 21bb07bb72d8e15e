/** Work on one thing at a time, in the order it came; work on different things does not wait for each other. */
export class Lanes {
  readonly #ends = new Map<string, Promise<void>>();

  /** The outcome of `task`, run when everything that was asked for this key before has ended. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#ends.get(key);
    const result = before === undefined ? task() : before.then(task);
    const end = result.then(ignore, ignore);
    this.#ends.set(key, end);
    void end.then(() => {
      if (this.#ends.get(key) === end) this.#ends.delete(key);
    });
    return result;
  }

  get busy(): boolean {
    return this.#ends.size > 0;
  }

  async idle(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends.values());
  }
}

function ignore(): void {}
