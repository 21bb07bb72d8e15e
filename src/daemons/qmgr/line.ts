/** First in, first out, at the same cost however long it is. */
interface Node<T> { readonly value: T; next: Node<T> | undefined }

export class Line<T> {
  #first: Node<T> | undefined;
  #last: Node<T> | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  get last(): T | undefined {
    return this.#last?.value;
  }

  push(value: T): void {
    const node: Node<T> = { value, next: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#length++;
  }

  shift(): T | undefined {
    const node = this.#first;
    if (node === undefined) return undefined;
    this.#first = node.next;
    if (node.next === undefined) this.#last = undefined;
    // Nothing that is done with may keep alive what is not.
    node.next = undefined;
    this.#length--;
    return node.value;
  }

  /** All of it, in order. */
  empty(): T[] {
    const all: T[] = [];
    for (let node = this.#first; node !== undefined; node = node.next) all.push(node.value);
    this.#first = this.#last = undefined;
    this.#length = 0;
    return all;
  }
}
