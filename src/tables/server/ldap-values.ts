/**
 * From the entries that a search found to a table's result: which attributes count, and the entries that they lead to.
 */
import { lowerAscii } from '../../text/ascii.ts';
import type { Parts } from './common.ts';
import { ExpansionLimit, type Template } from './expansion.ts';
import { NoSuchObject, type Entry, type Search, type SearchAnswer } from './ldap-link.ts';
import { isLdapUrl, parseLdapUrl } from './ldap-url.ts';
import { Refused } from './pool.ts';

type Ask = (search: Search) => Promise<SearchAnswer>;

export interface Collector {
  /** All that are asked for. */
  readonly attributes: readonly string[];
  collect(entries: SearchAnswer, key: string, ask: Ask): Promise<string | undefined>;
}

interface Wanted {
  readonly terminal: readonly string[];
  readonly leaf: readonly string[];
  readonly plain: readonly string[];
  readonly special: readonly string[];
  readonly all: readonly string[];
}

interface Collection {
  readonly parts: Parts;
  readonly wanted: Wanted;
  readonly format: Template;
  readonly sizeLimit: number;
  readonly expansionLimit: number;
  readonly recursionLimit: number;
  readonly key: string;
  readonly ask: Ask;
  readonly results: string[];
}

export function collector(parts: Parts, sizeLimit: number): Collector {
  const { settings, expansion } = parts;
  const [terminal, leaf, plain, special] = [
    settings.list('terminal_result_attribute'), settings.list('leaf_result_attribute'), settings.list('result_attribute', 'maildrop'), settings.list('special_result_attribute'),
  ];
  const wanted = { terminal, leaf, plain, special, all: [...terminal, ...leaf, ...plain, ...special] };
  const format = expansion.parse(settings.given('result_format') ?? settings.text('result_filter', '%s', 1), 'result');
  const [expansionLimit, recursionLimit] = [settings.number('expansion_limit', 0), settings.number('recursion_limit', 1000, { min: 1 })];
  return {
    attributes: wanted.all,
    collect: async (entries, key, ask) => {
      const results: string[] = [];
      await addEntries({ parts, wanted, format, sizeLimit, expansionLimit, recursionLimit, key, ask, results }, entries, 1);
      return results.length === 0 ? undefined : results.join(',');
    },
  };
}

async function addEntries(collection: Collection, entries: SearchAnswer, depth: number): Promise<void> {
  const { sizeLimit } = collection;
  if (sizeLimit > 0 && entries.length > sizeLimit) throw new ExpansionLimit(`Query size limit (${sizeLimit}) exceeded`);
  for (const entry of entries) await addEntry(collection, entry, depth);
}

/** A terminal attribute hides all others; a special one hides those that are for leaves. */
async function addEntry(collection: Collection, entry: Entry, depth: number): Promise<void> {
  const { terminal, leaf, plain, special } = collection.wanted;
  const isTerminal = has(entry, terminal);
  const isLeaf = leaf.length === 0 || !has(entry, special);
  for (const [name, values] of entry) {
    const counts = isTerminal ? isOne(terminal, name) : isOne(terminal, name) || isOne(plain, name) || (isLeaf && isOne(leaf, name));
    if (counts) for (const value of values) addValue(collection, value);
    else if (!isTerminal && isOne(special, name) && !isOne(leaf, name)) for (const value of values) await addLinked(collection, value, name, depth);
  }
}

function has(entry: Entry, names: readonly string[]): boolean {
  return entry.some(([name, values]) => values.length > 0 && isOne(names, name));
}

function isOne(wanted: readonly string[], name: string): boolean {
  return wanted.some((one) => relation(one, name) > 0);
}

/** RFC 4512 section 2.5: `mail` is also `mail;lang-en`. 1: the second is one of the first; -1: the other way round; 0: they differ. */
function relation(one: string, other: string): number {
  const [first, second] = [lowerAscii(one), lowerAscii(other)];
  if (second === first || second.startsWith(`${first};`)) return 1;
  return first.startsWith(`${second};`) ? -1 : 0;
}

function addValue({ parts, format, expansionLimit, results, key }: Collection, value: string): void {
  const result = parts.expansion.result(format, value, key);
  if (result === undefined) return;
  if (expansionLimit > 0 && results.length >= expansionLimit) throw new ExpansionLimit(`Expansion limit exceeded for key: '${key}'`);
  results.push(result);
}

async function addLinked(collection: Collection, value: string, name: string, depth: number): Promise<void> {
  if (depth >= collection.recursionLimit) throw new ExpansionLimit(`Recursion limit exceeded for special attribute ${name}=${value}`);
  const search = searchOf(collection, value);
  if (!search) return;
  let entries: SearchAnswer;
  try {
    entries = await collection.ask(search);
  } catch (error) {
    if (!(error instanceof NoSuchObject)) throw error;
    collection.parts.context.warn(`${collection.parts.label}: DN ${value} not found, skipping`);
    return;
  }
  await addEntries(collection, entries, depth + 1);
}

/** Undefined: the URL asks for attributes of which none is wanted. */
function searchOf({ wanted, sizeLimit }: Collection, value: string): Search | undefined {
  if (!isLdapUrl(value)) return { base: value, scope: 'base', filter: '(objectclass=*)', attributes: wanted.all, sizeLimit };
  const url = parseLdapUrl(value);
  if (!url) throw new Refused(`malformed URL ${value}`);
  const attributes = url.attributes.length === 0 ? wanted.all : common(url.attributes, wanted.all);
  return attributes.length === 0 ? undefined : { base: url.base, scope: url.scope ?? 'base', filter: url.filter, attributes, sizeLimit };
}

/** Of two names that mean the same the more special one. */
function common(ofUrl: readonly string[], ofTable: readonly string[]): string[] {
  return ofUrl.flatMap((one) => ofTable.flatMap((other) => {
    const how = relation(one, other);
    return how > 0 ? [other] : how < 0 ? [one] : [];
  }));
}
