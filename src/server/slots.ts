/**
 * Numbers for the clients that a process serves at once: the lowest free one, from 1, each to one session at a time.
 *
 * They stand in the log behind the process id (pid * 10000 + slot), so that log readers can tell sessions apart.
 */
export class Slots {
  readonly #taken: boolean[] = [];
  #lowest = 1;
  #count = 0;

  /** Sessions that have a slot now. */
  get count(): number {
    return this.#count;
  }

  take(): number {
    let slot = this.#lowest;
    while (this.#taken[slot]) slot++;
    this.#taken[slot] = true;
    this.#lowest = slot + 1;
    this.#count++;
    return slot;
  }

  give(slot: number): void {
    if (!this.#taken[slot]) return;
    this.#taken[slot] = false;
    this.#count--;
    if (slot < this.#lowest) this.#lowest = slot;
  }
}

/** Sessions of one process that have a number of their own; beyond, numbers are used twice rather than reach the next process. */
const numbered = 9999;

/** The bracketed number of a session's log lines. */
export function sessionNumber(pid: number, slot: number): number {
  return pid * 10000 + (slot <= numbered ? slot : ((slot - 1) % numbered) + 1);
}
