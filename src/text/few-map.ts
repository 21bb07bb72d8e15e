/**
 * A map for the few named things that come with every message: two arrays, looked through in order.
 *
 * V8's Map makes its table anew at 4, 8 and 16 entries, 1.7 kB by the time fifteen attributes are in it, and computes a hash of each
 * name. Names that are always the same string (envelope-names.ts) are found here by comparing pointers. Beyond `few` entries, which only
 * a stranger brings, there is an index.
 */
const few = 32;

export class FewMap<V> {
  // No #fields: two maps with different entries are not deepEqual.
  private readonly names: string[] = [];
  private readonly values: V[] = [];
  private index: Map<string, number> | undefined;

  get size(): number {
    return this.names.length;
  }

  get(name: string): V | undefined {
    const at = this.find(name);
    return at < 0 ? undefined : this.values[at];
  }

  has(name: string): boolean {
    return this.find(name) >= 0;
  }

  set(name: string, value: V): void {
    const at = this.find(name);
    if (at >= 0) this.values[at] = value;
    else this.add(name, value);
  }

  /** In the order in which the names came. */
  *[Symbol.iterator](): Generator<[string, V], void, undefined> {
    for (const [at, name] of this.names.entries()) yield [name, this.values[at]!];
  }

  private add(name: string, value: V): void {
    const { length } = this.names;
    this.names.push(name);
    this.values.push(value);
    if (length === few) this.index = new Map(this.names.map((each, at) => [each, at]));
    else this.index?.set(name, length);
  }

  private find(name: string): number {
    return this.index === undefined ? this.names.indexOf(name) : (this.index.get(name) ?? -1);
  }
}
