/**
 * Templates with %s, %u, %d, %1 to %9 and their like: queries made of a key, results made of a value (mysql_table(5) and its relatives).
 *
 * What is put into a template is quoted by the caller's function, so that a key is never anything but data. A template that asks
 * for a part which the key or the value lacks expands to nothing: there is no such key. Pure; texts are byte strings.
 */
export type Quote = (text: string) => string;

/** A template of a table, parsed with all the others of it: what one asks of a key, all ask. */
export interface Template {
  readonly text: string;
  /** Something of the key or the value is in it. */
  readonly isDynamic: boolean;
}

const plain: Quote = (text) => text;

interface Parts { readonly whole: string; readonly user: string; readonly domain: string | undefined }

function partsOf(address: string): Parts {
  const at = address.lastIndexOf('@');
  return { whole: address, user: at < 0 ? address : address.slice(0, at), domain: at < 0 ? undefined : address.slice(at + 1) };
}

export class Expansion {
  readonly #table: string;
  readonly #warn: (text: string) => void;
  #keyUser = false;
  #keyDomain = false;
  #valueUser = false;
  #valueDomain = false;
  #labels = 0;

  /** @param table type:name, for messages */
  constructor(table: string, warn: (text: string) => void) {
    this.#table = table;
    this.#warn = warn;
  }

  /** Throws an Error for a letter that means nothing. */
  parse(text: string, kind: 'query' | 'result'): Template {
    let isDynamic = false;
    for (const [, letter = ''] of text.matchAll(/%([^]?)/g)) {
      if (letter === '%') continue;
      if (letter === '' || !'suSUdD123456789'.includes(letter)) throw new Error(`${this.#table}: Invalid ${kind} template: ${text}`);
      this.#note(letter, kind);
      isDynamic = true;
    }
    return { text, isDynamic };
  }

  #note(letter: string, kind: 'query' | 'result'): void {
    if (letter === 'u' && kind === 'result') this.#valueUser = true;
    else if (letter === 'd' && kind === 'result') this.#valueDomain = true;
    else if (letter === 'u' || letter === 'U') this.#keyUser = true;
    else if (letter !== 's' && letter !== 'S') this.#keyDomain = true;
    if (letter >= '1' && letter <= '9') this.#labels = Math.max(this.#labels, Number(letter));
  }

  /** A query for this key; undefined when the key cannot be in the table. */
  query(template: Template, key: string, quote: Quote = plain): string | undefined {
    if (key === '') {
      this.#warn(`table "${this.#table}": empty query string -- ignored`);
      return undefined;
    }
    const parts = partsOf(key);
    return this.#suits(parts) ? fill(template.text, parts, parts, quote) : undefined;
  }

  /** A result; undefined when this value has none. */
  result(template: Template, value: string, key: string): string | undefined {
    if (value === '') {
      this.#warn(`table "${this.#table}": empty lookup result for: "${key}" -- ignored`);
      return undefined;
    }
    const parts = partsOf(value);
    if ((this.#valueDomain && !parts.domain) || (this.#valueUser && parts.domain !== undefined && parts.user === '')) return undefined;
    const ofKey = partsOf(key);
    return this.#suits(ofKey) ? fill(template.text, parts, ofKey, plain) : undefined;
  }

  #suits({ user, domain }: Parts): boolean {
    if (this.#keyDomain && !domain) return false;
    if (this.#keyUser && domain !== undefined && user === '') return false;
    return this.#labels === 0 || labelsOf(domain!).length >= this.#labels;
  }
}

function labelsOf(domain: string): string[] {
  return domain.split('.').filter((label) => label !== '');
}

/** Small letters mean the value (in a query: the key), capital letters and digits the key. */
function fill(text: string, value: Parts, key: Parts, quote: Quote): string {
  return text.replace(/%([^])/g, (_all, letter: string) => (letter === '%' ? '%' : quote(part(letter, value, key))));
}

function part(letter: string, value: Parts, key: Parts): string {
  const of = letter >= 'a' ? value : key;
  if (letter === 's' || letter === 'S') return of.whole;
  if (letter === 'u' || letter === 'U') return of.user;
  if (letter === 'd' || letter === 'D') return of.domain ?? '';
  const labels = labelsOf(key.domain ?? '');
  return labels[labels.length - Number(letter)] ?? '';
}

/** More values than expansion_limit allows. */
export class ExpansionLimit extends Error {}

/** The results of all values (null ones are passed over), joined by commas; undefined when there is none. */
export function joinResults(expansion: Expansion, template: Template, values: Iterable<string | null>, key: string, limit: number): string | undefined {
  let joined = '';
  let count = 0;
  for (const value of values) {
    const result = value === null ? undefined : expansion.result(template, value, key);
    if (result === undefined) continue;
    if (limit > 0 && ++count > limit) throw new ExpansionLimit(`Expansion limit exceeded for key: '${key}'`);
    joined += joined === '' ? result : `,${result}`;
  }
  return joined === '' ? undefined : joined;
}
