/**
 * What waits in line: in at the end, out at the front. `Array.shift` moves all that is left, and an array that is emptied gives its memory
 * away; here the places stay, and are used again whenever nothing waits.
 *
 * For a line that is filled and emptied over and over; where there are thousands of lines with one in each, a list takes less room
 * (daemons/qmgr/line.ts). How much may wait is for whoever puts it in to see to.
 */

/** Places in front that may be free while something waits. */
const slack = 256;

export class Fifo<T> {
  #places: (T | undefined)[] = [];
  #first = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#first;
  }

  /** What comes out next. */
  get first(): T | undefined {
    return this.#first < this.#end ? this.#places[this.#first] : undefined;
  }

  /** What came in last, while it is here. */
  get last(): T | undefined {
    return this.#first < this.#end ? this.#places[this.#end - 1] : undefined;
  }

  push(item: T): void {
    if (this.#end === this.#places.length) this.#places.push(item);
    else this.#places[this.#end] = item;
    this.#end++;
  }

  shift(): T | undefined {
    if (this.#first === this.#end) return undefined;
    const item = this.#places[this.#first];
    this.#places[this.#first++] = undefined;
    if (this.#first === this.#end) this.#first = this.#end = 0;
    else if (this.#first === slack) this.#moveUp();
    return item;
  }

  clear(): void {
    this.#places = [];
    this.#first = this.#end = 0;
  }

  #moveUp(): void {
    this.#places.splice(0, this.#first);
    this.#end -= this.#first;
    this.#first = 0;
  }
}
