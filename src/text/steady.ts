/**
 * A map and a set for what comes and goes with every message. They hold what V8's own hold, but what was taken out is garbage at once.
 *
 * V8's Map and Set note a deletion in a table, and make a new table when it is full of such notes. The old table goes on pointing to
 * the new one, and to whatever it held. Once it is old enough to have left the young generation, everything behind it stays until the next full
 * collection: each message then outlives two young collections, is copied twice, and is marked and swept in the end. So here the
 * tables hold only small cells, which are emptied when an entry goes.
 */
export class SteadyMap<K extends string | number, V> {
  readonly #cells = new Map<K, { value: V | undefined }>();

  get size(): number {
    return this.#cells.size;
  }

  has(key: K): boolean {
    return this.#cells.has(key);
  }

  get(key: K): V | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: K, value: V): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { value });
    else cell.value = value;
  }

  /** False: it was not there. */
  delete(key: K): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    return this.#cells.delete(key);
  }

  clear(): void {
    for (const cell of this.#cells.values()) cell.value = undefined;
    this.#cells.clear();
  }

  /** Oldest first; entries may come and go meanwhile, as with a Map. */
  *values(): Generator<V, void, undefined> {
    for (const cell of this.#cells.values()) yield cell.value as V;
  }
}

/** What can be in one SteadySet at a time: where it sits there; -1 until it does. */
export interface Seated {
  seat: number;
}

/** In no order. Not to be changed while it is walked through. */
export class SteadySet<T extends Seated> {
  readonly #seats: T[] = [];

  get size(): number {
    return this.#seats.length;
  }

  /** It must not be in a set already. */
  add(member: T): void {
    member.seat = this.#seats.length;
    this.#seats.push(member);
  }

  /** False: it was not here. */
  delete(member: T): boolean {
    const seat = member.seat;
    if (this.#seats[seat] !== member) return false;
    const last = this.#seats.pop()!;
    if (last !== member) {
      this.#seats[seat] = last;
      last.seat = seat;
    }
    member.seat = -1;
    return true;
  }

  clear(): void {
    for (const member of this.#seats.splice(0)) member.seat = -1;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#seats[Symbol.iterator]();
  }
}
