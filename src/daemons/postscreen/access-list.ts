/**
 * postscreen_access_list: who is let in or kept out for good, by address. postconf(5).
 *
 * Tables answer with words of the same kind, but not with other tables. Trouble ends the list, with a warning, and nothing is decided.
 */
import type { Configuration } from '../../config/configuration.ts';
import { matchSources } from '../../tables/lists.ts';
import { openTable } from '../../tables/open.ts';
import { TableTrouble, type LookupTable, type TableContext } from '../../tables/table.ts';
import { lowerAscii, splitListGroups } from '../../text/ascii.ts';
import { addressList, type MatchList } from '../../text/match-list.ts';

export type Verdict = 'permit' | 'reject' | 'dunno';
type Outcome = Verdict | 'error';

type Item = { readonly kind: 'word'; readonly text: string } | { readonly kind: 'table'; readonly table: LookupTable; readonly name: string };

const origin = 'postscreen_access_list';

export class AccessList {
  readonly #items: readonly Item[];
  readonly #mynetworks: MatchList;
  readonly #warn: (text: string) => void;

  constructor(config: Configuration, context: TableContext) {
    this.#warn = (text) => context.warn(text);
    this.#mynetworks = addressList(origin, config.text('mynetworks'), matchSources(context));
    this.#items = splitListGroups(config.text(origin)).map((text) => (text.includes(':')
      ? { kind: 'table', table: openTable(text, context), name: text } : { kind: 'word', text }));
  }

  async verdict(address: string): Promise<Verdict> {
    const outcome = await this.#eval(address, this.#items, origin);
    return outcome === 'error' ? 'dunno' : outcome;
  }

  async #eval(address: string, items: readonly Item[], from: string): Promise<Outcome> {
    for (const item of items) {
      const outcome = item.kind === 'table' ? await this.#ask(address, item, from) : await this.#word(address, item.text, from);
      if (outcome !== undefined) return outcome;
    }
    return 'dunno';
  }

  /** Undefined: go on. */
  async #word(address: string, text: string, from: string): Promise<Outcome | undefined> {
    switch (lowerAscii(text)) {
      case 'reject': return 'reject';
      case 'permit': return 'permit';
      case 'dunno': return 'dunno';
      case 'permit_mynetworks': return this.#ofMynetworks(address, text, from);
      default:
        this.#warn(`${from}: unknown command: ${text} -- ignoring the remainder of this access list`);
        return 'error';
    }
  }

  async #ofMynetworks(address: string, text: string, from: string): Promise<Outcome | undefined> {
    const answer = await this.#mynetworks.match(address);
    if (typeof answer === 'boolean') return answer ? 'permit' : undefined;
    this.#warn(`${from}: ${text}: mynetworks lookup error -- ignoring the remainder of this access list`);
    return 'error';
  }

  async #ask(address: string, { table, name }: Extract<Item, { kind: 'table' }>, from: string): Promise<Outcome | undefined> {
    let value: string | undefined;
    try {
      value = await table.find(address);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      this.#warn(`${from}: ${name}: table lookup error -- ignoring the remainder of this access list`);
      return 'error';
    }
    if (value === undefined) return undefined;
    const outcome = await this.#eval(address, this.#nested(value, name), name);
    return outcome === 'dunno' ? undefined : outcome;
  }

  /** What a table says; another table in it ends it. */
  #nested(value: string, name: string): Item[] {
    const items: Item[] = [];
    for (const text of splitListGroups(value)) {
      if (text.includes(':')) {
        this.#warn(`table ${name}: lookup result "${text}" is not allowed -- ignoring remainder of access list`);
        items.push({ kind: 'word', text: 'dunno' });
        break;
      }
      items.push({ kind: 'word', text });
    }
    return items;
  }
}
