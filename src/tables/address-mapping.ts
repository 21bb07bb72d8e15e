/**
 * Address to address by way of tables: canonical(5), virtual(5) and generic(5), as mail_addr_map(3) has it.
 *
 * What a table names is read as a list of addresses, each is completed as a local address would be, and gets the extension that was left out to
 * find the entry (propagate_unmatched_extensions). `@otherdomain` keeps the user. TableTrouble and
 * ServiceTrouble are the caller's to treat; an entry without any address in it is TableTrouble.
 */
import { quote822Local, splitAddress, unquote822Local } from '../message/address.ts';
import { externalize, parseAddresses } from '../message/address-tokens.ts';
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import { foldCase } from '../text/utf8.ts';
import { addressMappingSearch, findAddress, type AddressMatch, type AddressRules } from './mail-address-find.ts';
import type { Maps } from './maps.ts';
import { TableTrouble } from './table.ts';

export interface AddressMapping {
  readonly maps: Maps;
  readonly rules: AddressRules;
  /** The extension that the entry's key did not have goes to every result. */
  readonly propagates: boolean;
  /** An address in external form, made complete (trivial-rewrite(8), local rules). Throws ServiceTrouble. */
  complete(address: string): MaybePromise<string>;
  warn(text: string): void;
}

/**
 * The addresses (internal form) that the table names for one in internal form; undefined: it has no entry.
 *
 * @param shown the address as a log line has it
 */
export function mapAddress(mapping: AddressMapping, address: string, shown = address): MaybePromise<string[] | undefined> {
  return chain(findAddress(mapping.maps, address, addressMappingSearch, mapping.rules), (match) => match && named(mapping, address, shown, match));
}

function named(mapping: AddressMapping, address: string, shown: string, match: AddressMatch): MaybePromise<string[]> {
  const keepsUser = match.value.startsWith('@');
  const text = keepsUser ? quote822Local(userOf(address, match.extension) + match.value) : match.value;
  const added = mapping.propagates ? (match.extension ?? '') : '';
  // An entry that names nobody means the null address.
  const entries = parseAddresses(text === '' || text === '<>' ? '""' : text).filter(({ type }) => type === 'address');
  if (entries.length === 0) {
    mapping.warn(`${mapping.maps.title} lookup of ${shown} returns non-address result "${text}"`);
    throw new TableTrouble(mapping.maps.title, `non-address result for ${shown}`);
  }
  const results: string[] = [];
  const rest = (from: number): MaybePromise<string[]> => {
    for (let at = from; at < entries.length; at++) {
      const full = mapping.complete(externalize(entries[at]!.tokens));
      if (isPending(full)) return full.then((late) => (results.push(extended(unquote822Local(late), added)), rest(at + 1)));
      results.push(extended(unquote822Local(full), added));
    }
    return results;
  };
  return rest(0);
}

function userOf(address: string, extension: string | undefined): string {
  const { local } = splitAddress(address);
  return extension === undefined ? local : local.slice(0, Math.max(local.length - extension.length, 0));
}

function extended(address: string, extension: string): string {
  if (extension === '') return address;
  const { local, domain } = splitAddress(address);
  return domain === undefined ? local + extension : `${local}${extension}@${domain}`;
}

/** How often an address is looked up again as what it became (cleanup(8)). */
const recursionLimit = 10;

/**
 * One address (external form) to one, again and again until it has no entry or names itself. Undefined: nothing changed. A table that has
 * several addresses for one, or never ends, is told of, and what there is serves.
 *
 * @param warn how the log hears of it (with the queue id)
 */
export function mapOneToOne(mapping: AddressMapping, address: string, warn: (text: string) => void): MaybePromise<string | undefined> {
  const title = mapping.maps.title;
  const step = (current: string, count: number, changed: boolean): MaybePromise<string | undefined> => {
    if (count >= recursionLimit) {
      warn(`unreasonable ${title} map nesting for ${current} -- message not accepted, try again later`);
      return changed ? current : undefined;
    }
    return chain(mapAddress(mapping, unquote822Local(current), current), (found) => {
      if (found === undefined) return changed ? current : undefined;
      if (found.length > 1) warn(`multi-valued ${title} entry for ${current}`);
      const next = quote822Local(found[0]!);
      const isChanged = changed || next !== current;
      if (foldCase(next) === foldCase(current)) return isChanged ? next : undefined;
      return step(next, count + 1, isChanged);
    });
  };
  return step(address, 0, false);
}

/** One look-up of an address in internal form, as smtp_generic_maps has it: the result, also in internal form; undefined: there is no entry. */
export function mapOnce(mapping: AddressMapping, address: string, warn: (text: string) => void): MaybePromise<string | undefined> {
  return chain(mapAddress(mapping, address), (found) => {
    if (found !== undefined && found.length > 1) warn(`multi-valued ${mapping.maps.title} result for ${address}`);
    return found?.[0];
  });
}
