/**
 * Lists in main.cf that a name, a string or an address is matched against: mydestination, relay_domains, mynetworks, debug_peer_list
 * and their like.
 *
 * An item is a pattern, `type:name` (a table: any result matches), or `/file/name` (whose lines are items); `!` in front turns it
 * around. The first item that matches decides. Names and patterns are compared without regard to case.
 * A table or file that cannot be read is trouble: the answer is then neither yes nor no, and a caller must defer.
 * The only throw is MatchListError, when the list is made and cannot mean anything.
 */
import type { CidrResult } from './cidr.ts';
import type { MaybePromise } from './maybe.ts';
import { splitListGroups, trimLeft } from './ascii.ts';
import { cidrMatches, parseCidr } from './cidr.ts';
import { isPending } from './maybe.ts';
import { foldCase } from './utf8.ts';

/** Something failed for the time being. Both texts are for the log; `reason` says what was behind it. */
export interface MatchTrouble {
  readonly trouble: string;
  readonly reason?: string;
}

export type MatchAnswer = boolean | MatchTrouble;

/** A lookup table, as far as a list needs it. */
export interface MatchTable {
  /** keys are strings (hash, lmdb), not patterns (regexp, cidr): parent domains make sense as keys */
  readonly fixed: boolean;
  /** Any string is a match. Trouble may be returned or thrown. */
  find(key: string): MaybePromise<string | undefined | MatchTrouble>;
}

/** Where a list gets at tables and files. Both may throw: the item is then there, and every lookup in it is trouble. */
export interface MatchSources {
  /** @param table "type:name" */
  open(table: string): MatchTable;
  /** The logical lines of a file: no comments, continuation lines joined. */
  lines(path: string): readonly string[];
  /** told about items that are ignored */
  warn?(text: string): void;
}

export class MatchListError extends Error {}

/** What kind of thing an argument is, and so how patterns apply to it. */
type Matching = 'string' | 'hostname' | 'address';

interface Pattern {
  readonly wanted: boolean;
  /** folded; for a table type:name */
  readonly text: string;
  readonly table: MatchTable | undefined;
  /** parsed on first use: most lists never meet an address */
  network?: CidrResult;
}

export interface MatchListOptions {
  /** parent_domain_matches_subdomains has this list's name: "example.org" matches what is below it */
  readonly parents?: boolean;
}

const deepestFile = 10;

export class MatchList {
  readonly name: string;
  readonly #patterns: readonly Pattern[];
  readonly #matchings: readonly Matching[];
  readonly #parents: boolean;

  /** @param name of the parameter, for messages */
  constructor(name: string, text: string, sources: MatchSources, matchings: readonly Matching[], options: MatchListOptions = {}) {
    this.name = name;
    this.#matchings = matchings;
    this.#parents = options.parents ?? false;
    const patterns: Pattern[] = [];
    parseItems({ name, sources, patterns }, text, true, 0);
    this.#patterns = patterns;
  }

  /** No items: nothing ever matches. */
  get isEmpty(): boolean {
    return this.#patterns.length === 0;
  }

  /** No tables: the answer is the same as long as the list lives. */
  get isConstant(): boolean {
    return this.#patterns.every(({ table }) => table === undefined);
  }

  /** One argument per thing to match: (string), (hostname), (address) or (hostname, address). */
  match(...args: readonly string[]): MaybePromise<MatchAnswer> {
    return this.#patterns.length === 0 ? false : this.#scan(args.map(foldCase), 0);
  }

  #scan(args: readonly string[], from: number): MaybePromise<MatchAnswer> {
    const width = this.#matchings.length;
    for (let step = from; step < this.#patterns.length * width; step++) {
      const pattern = this.#patterns[Math.floor(step / width)]!;
      const found = this.#try(pattern, this.#matchings[step % width]!, args[step % width] ?? '');
      if (isPending(found)) return found.then((answer) => (answer === false ? this.#scan(args, step + 1) : this.#decide(pattern, answer)));
      if (found !== false) return this.#decide(pattern, found);
    }
    return false;
  }

  #decide(pattern: Pattern, answer: MatchAnswer): MatchAnswer {
    return answer === true ? pattern.wanted : answer;
  }

  #try(pattern: Pattern, matching: Matching, text: string): MaybePromise<MatchAnswer> {
    if (matching === 'address' && !/^[0-9a-fA-F.:]*$/.test(text)) return false;
    if (pattern.table) return this.#inTable(pattern, matching === 'hostname' ? this.#keys(text, pattern.table.fixed) : [text], 0);
    if (matching === 'string') return text === pattern.text;
    return matching === 'hostname' ? this.#nameMatches(text, pattern.text) : this.#addressMatches(text, pattern);
  }

  #inTable(pattern: Pattern, keys: readonly string[], from: number): MaybePromise<MatchAnswer> {
    for (let at = from; at < keys.length; at++) {
      const found = lookup(pattern.table!, keys[at]!);
      if (isPending(found)) return found.then((value) => this.#settle(pattern, value) || this.#inTable(pattern, keys, at + 1));
      const answer = this.#settle(pattern, found);
      if (answer !== false) return answer;
    }
    return false;
  }

  #settle(pattern: Pattern, value: string | undefined | MatchTrouble): MatchAnswer {
    if (typeof value !== 'object') return value !== undefined;
    return { trouble: `${this.name}: ${pattern.text}: table lookup problem`, reason: value.trouble };
  }

  /** The name and the domains above it, with their leading dot unless parents match by themselves. */
  #keys(name: string, fixed: boolean): string[] {
    if (!fixed) return name === '' ? [] : [name];
    const keys: string[] = [];
    for (let key = name; key !== ''; ) {
      keys.push(key);
      const dot = key.indexOf('.', 1);
      if (dot < 0) break;
      key = key.slice(this.#parents ? dot + 1 : dot);
    }
    return keys;
  }

  #nameMatches(name: string, pattern: string): boolean {
    if (name === pattern) return true;
    if (this.#parents) return name.length > pattern.length && name.endsWith(`.${pattern}`);
    return pattern.startsWith('.') && name.length > pattern.length && name.endsWith(pattern);
  }

  #addressMatches(address: string, pattern: Pattern): MatchAnswer {
    const { text } = pattern;
    if (address === text || `[${address}]` === text) return true;
    if (!mayBeNetwork(address, text)) return false;
    const network = (pattern.network ??= parseCidr(text));
    if ('error' in network) return { trouble: `${this.name}: ${network.error}` };
    return cidrMatches(network.pattern, address);
  }
}

// Only what looks like a network is parsed: domain names stand in the same lists, and were never an error there.
function mayBeNetwork(address: string, pattern: string): boolean {
  if (address.includes(':') !== pattern.includes(':')) return false;
  return /[:/]/.test(pattern) && !/^[0-9.]*$/.test(pattern) && /^[0-9a-fA-F.:[\]/]*$/.test(pattern);
}

type Found = string | undefined | MatchTrouble;

function lookup(table: MatchTable, key: string): MaybePromise<Found> {
  try {
    const found = table.find(key);
    return isPending(found) ? found.catch(toTrouble) : found;
  } catch (error) {
    return toTrouble(error);
  }
}

function toTrouble(error: unknown): MatchTrouble {
  return { trouble: error instanceof Error ? error.message : String(error) };
}

interface ListParser {
  readonly name: string;
  readonly sources: MatchSources;
  readonly patterns: Pattern[];
}

function parseItems(list: ListParser, text: string, wanted: boolean, depth: number): void {
  for (const item of splitListGroups(text)) {
    if (item.startsWith('#')) {
      const rest = trimLeft(text.slice(text.indexOf(item) + item.length));
      list.sources.warn?.(`${list.name}: #comment after other text is not allowed: ${item} ${rest.slice(0, 20)}...`);
      return;
    }
    const bare = item.replace(/^!+/, '');
    const want = (item.length - bare.length) % 2 === 0 ? wanted : !wanted;
    if (bare === '') throw new MatchListError(`${list.name}: no pattern after '!'`);
    if (bare.startsWith('/')) parseFile(list, bare, want, depth);
    else list.patterns.push(parsePattern(list, bare, want));
  }
}

function parsePattern(list: ListParser, item: string, wanted: boolean): Pattern {
  const isTable = !item.startsWith('[') && item.includes(':');
  return { wanted, text: isTable ? item : foldCase(item), table: isTable ? openTable(list, item) : undefined };
}

function openTable(list: ListParser, item: string): MatchTable {
  try {
    return list.sources.open(item);
  } catch (error) {
    return unavailable(toTrouble(error));
  }
}

function parseFile(list: ListParser, path: string, wanted: boolean, depth: number): void {
  let lines: readonly string[];
  try {
    if (depth >= deepestFile) throw new Error(`list files are nested more than ${deepestFile} deep`);
    lines = list.sources.lines(path);
  } catch (error) {
    list.patterns.push({ wanted: true, text: `non-existent:${path}`, table: unavailable({ trouble: `open file ${path}: ${toTrouble(error).trouble}` }) });
    return;
  }
  for (const line of lines) parseItems(list, line, wanted, depth + 1);
}

function unavailable(trouble: MatchTrouble): MatchTable {
  return { fixed: true, find: () => trouble };
}

/** Strings, compared whole: mydestination, relay_domains without parents, and the like. */
export function stringList(name: string, text: string, sources: MatchSources): MatchList {
  return new MatchList(name, text, sources, ['string']);
}

/** Domain names: an item ".example.org" (or "example.org" with `parents`) matches what is below it. */
export function domainList(name: string, text: string, sources: MatchSources, options: MatchListOptions = {}): MatchList {
  return new MatchList(name, text, sources, ['hostname'], options);
}

/** Network addresses only. */
export function addressList(name: string, text: string, sources: MatchSources): MatchList {
  return new MatchList(name, text, sources, ['address']);
}

/** Hosts by name or address: match(name, address). */
export function hostList(name: string, text: string, sources: MatchSources, options: MatchListOptions = {}): MatchList {
  return new MatchList(name, text, sources, ['hostname', 'address'], options);
}
