/**
 * Counting mail by domain and age, and the table that shows it: column for column what Postfix's qshape(1) prints. Pure.
 *
 * Column 0 is the total, the others are ages; the last has no limit. Domains of equal weight and length stand in the order of their names.
 */
import { lowerAscii } from '../../text/ascii.ts';

export interface ShapeOptions {
  /** Count parent domains as well. */
  readonly parents: boolean;
  /** Subdomains a parent domain must have to be shown. */
  readonly minimumSubdomains: number;
  readonly buckets: number;
  /** Minutes. */
  readonly tick: number;
  readonly linear: boolean;
  readonly width: number;
}

/** The domain's column is never narrower. */
const narrowest = 18;

export class Shape {
  readonly #options: ShapeOptions;
  readonly #now: number;
  readonly #counts = new Map<string, number[]>();
  readonly #subdomains = new Map<string, number>();

  /** @param now seconds */
  constructor(options: ShapeOptions, now: number) {
    this.#options = options;
    this.#now = now;
  }

  /** Addresses of a message that arrived at `arrival` (seconds). */
  add(arrival: number, addresses: readonly string[]): void {
    const bucket = this.#bucket(arrival);
    for (const address of addresses) {
      this.#count('TOTAL', bucket);
      this.#countDomains(domainOf(address), bucket);
    }
  }

  #bucket(arrival: number): number {
    const { tick, linear, buckets } = this.#options;
    const age = (this.#now - arrival) / (60 * tick);
    if (age < 1) return 1;
    return Math.min(linear ? Math.trunc(age + 1) : 2 + Math.trunc(Math.log(age) / Math.log(2)), buckets);
  }

  #count(name: string, bucket: number): number {
    let row = this.#counts.get(name);
    if (row === undefined) this.#counts.set(name, row = Array.from({ length: this.#options.buckets + 1 }, () => 0));
    row[bucket]!++;
    return ++row[0]!;
  }

  /** A parent has a subdomain more when a domain below it is seen for the first time. */
  #countDomains(domain: string, bucket: number): void {
    let isNew = false;
    for (let name: string | undefined = domain; name !== undefined; name = this.#options.parents ? parentOf(name) : undefined) {
      const first = this.#count(name, bucket) === 1;
      if (isNew) this.#subdomains.set(name, (this.#subdomains.get(name) ?? 0) + 1);
      isNew = first;
    }
  }

  /** @param top how many rows at most; 0: all */
  table(top = 0): string {
    const { heads, widths, room } = this.#columns();
    const row = (name: string, cells: readonly (string | number)[]): string =>
      `${fitted(name, room)}${cells.map((cell, index) => String(cell).padStart(widths[index]!)).join('')}\n`;
    const shown = [...this.#counts].filter(([name]) => !name.startsWith('.') || (this.#subdomains.get(name) ?? 0) >= this.#options.minimumSubdomains);
    shown.sort(byWeight);
    if (!this.#counts.has('TOTAL')) shown.push(['TOTAL', heads.map(() => 0)]);
    return row('', heads) + (top > 0 ? shown.slice(0, top) : shown).map(([name, counts]) => row(name, counts)).join('');
  }

  #columns(): { heads: readonly string[]; widths: readonly number[]; room: number } {
    const { width } = this.#options;
    const totals = this.#counts.get('TOTAL') ?? [];
    const heads = this.#heads();
    const widths = heads.map((head, index) => {
      const widest = Math.max(String(totals[index] ?? 0).length, head.length);
      return widest > 2 ? widest + 1 : 3;
    });
    return { heads, widths, room: Math.max(width - widths.reduce((sum, each) => sum + each, 0), narrowest) };
  }

  /** Upper limits of the ages, in minutes. */
  #heads(): string[] {
    const { buckets, tick, linear } = this.#options;
    const heads = ['T'];
    let limit = 0;
    for (let bucket = 1; bucket < buckets; bucket++) {
      limit += limit > 0 && !linear ? limit : tick;
      heads.push(String(limit));
    }
    return [...heads, `${limit}+`];
  }
}

type Row = readonly [name: string, counts: readonly number[]];

function byWeight([one, [oneTotal]]: Row, [other, [otherTotal]]: Row): number {
  return otherTotal! - oneTotal! || one.length - other.length || (one < other ? -1 : 1);
}

/** @returns lower case, without dots at the ends; the null sender's is MAILER-DAEMON */
export function domainOf(address: string): string {
  if (address === '') return 'MAILER-DAEMON';
  const domain = lowerAscii(address.slice(address.lastIndexOf('@') + 1)).replaceAll('..', '.');
  return domain.replace(/^\.?([^]+?)\.?$/, '$1');
}

/** `.b.c` of `a.b.c`; top level domains are nobody's parent. */
function parentOf(name: string): string | undefined {
  const dot = name.indexOf('.', name.startsWith('.') ? 1 : 0);
  return dot > 0 && name.indexOf('.', dot + 1) > 0 ? name.slice(dot) : undefined;
}

/** In `room` columns: the end of a name that is too long, with a sign that there is more. */
function fitted(name: string, room: number): string {
  if (name.length <= room) return name.padStart(room);
  return name.startsWith('.') ? `.+${name.slice(name.length - room + 2)}` : `+${name.slice(name.length - room + 1)}`;
}
