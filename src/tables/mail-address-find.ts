/**
 * The orders in which an address is looked for in address tables: whole, without extension, local part, domain, ...
 *
 * Addresses come in internal (unquoted) form. Tables are asked with the quoted form first and, where that differs, with the
 * unquoted form after it, as old tables have it. Throws what Maps.find throws. See canonical(5), virtual(5), transport(5),
 * access(5) for the orders.
 */
import { quote822Local, stripAddress } from '../message/address.ts';
import { chain, type MaybePromise } from '../text/maybe.ts';
import { foldCase } from '../text/utf8.ts';
import type { LookupTable, TableContext } from './table.ts';
import type { Maps } from './maps.ts';

/** Which forms are tried; always in the order of this list. */
export interface AddressSearch {
  /** user+extension@domain, then user@domain */
  readonly address: boolean;
  /** user (and user+extension before it), when the domain is one of ours */
  readonly localPartIfLocal?: boolean;
  /** the same as user@ */
  readonly localPartAtIfLocal?: boolean;
  /** @domain */
  readonly atDomain?: boolean;
  /** domain; 'parents': then each parent domain; 'dot parents': then each as .parent */
  readonly domain?: 'itself' | 'parents' | 'dot parents';
  /** user@ whatever the domain is */
  readonly localPartAt?: boolean;
  /** keys in quoted form only */
  readonly quotedOnly?: boolean;
}

/** bcc, relocated, sender_dependent_*, recipient maps and virtual mailboxes. */
export const addressTableSearch: AddressSearch = { address: true, localPartIfLocal: true, atDomain: true };

/** Tables that make one address of another: canonical, virtual, generic. */
export const addressMappingSearch: AddressSearch = { ...addressTableSearch, quotedOnly: true };

/** transport_maps; whether parents match without a dot says parent_domain_matches_subdomains. */
export function transportSearch(parentsMatch: boolean): AddressSearch {
  return { address: true, domain: parentsMatch ? 'parents' : 'dot parents' };
}

/** check_sender_access and check_recipient_access. */
export function accessSearch(parentsMatch: boolean): AddressSearch {
  return { address: true, domain: parentsMatch ? 'parents' : 'dot parents', localPartAt: true };
}

/** What of main.cf decides about addresses. */
export interface AddressRules {
  readonly recipientDelimiter: string;
  readonly myorigin: string;
  readonly doubleBounceSender?: string;
  readonly ownerRequestSpecial?: boolean;
  /** Is this a domain of mydestination, inet_interfaces or proxy_interfaces? */
  isLocal(domain: string): MaybePromise<boolean>;
}

export interface AddressMatch {
  readonly value: string;
  /** The address extension with its delimiter, when the key that matched had none. */
  readonly extension: string | undefined;
  readonly keyUsed: string;
}

interface Attempt {
  readonly key: string;
  readonly form: 'address' | 'local part' | 'as is';
  readonly partial: boolean;
  readonly extension?: string;
}

/** Look for an address; undefined when no form of it is there. */
export function findAddress(maps: Maps, address: string, search: AddressSearch, rules: AddressRules): MaybePromise<AddressMatch | undefined> {
  if (maps.isEmpty) return undefined;
  const stripped = rules.recipientDelimiter === '' || !search.address ? undefined : stripAddress(address, rules.recipientDelimiter, rules);
  const at = address.lastIndexOf('@');
  return chain(tryAll(maps, wholeAddress(address, stripped, search), search), (match) => {
    if (match || at < 0) return match;
    const wantsLocal = search.localPartIfLocal || search.localPartAtIfLocal;
    return chain(wantsLocal ? isOurs(address.slice(at + 1), rules) : false, (ours) =>
      tryAll(maps, domainForms(address, stripped, search, ours), search));
  });
}

function isOurs(domain: string, rules: AddressRules): MaybePromise<boolean> {
  return foldCase(domain) === foldCase(rules.myorigin) || rules.isLocal(domain);
}

type Stripped = ReturnType<typeof stripAddress>;

function wholeAddress(address: string, stripped: Stripped, search: AddressSearch): Attempt[] {
  if (!search.address) return [];
  const attempts: Attempt[] = [{ key: address, form: 'address', partial: false }];
  if (stripped) attempts.push({ key: stripped.address, form: 'address', partial: true, extension: stripped.extension });
  return attempts;
}

function domainForms(address: string, stripped: Stripped, search: AddressSearch, ours: boolean): Attempt[] {
  const attempts: Attempt[] = [];
  const at = address.lastIndexOf('@');
  const local = (suffix: '' | '@'): void => {
    const form = suffix === '' ? 'local part' : 'address';
    attempts.push({ key: address.slice(0, at) + suffix, form, partial: true });
    if (stripped) attempts.push({ key: stripped.address.slice(0, stripped.address.lastIndexOf('@')) + suffix, form, partial: true, extension: stripped.extension });
  };
  if (ours && search.localPartIfLocal) local('');
  if (ours && search.localPartAtIfLocal) local('@');
  if (search.atDomain) attempts.push({ key: address.slice(at), form: 'as is', partial: true });
  if (search.domain) for (const key of domainKeys(address.slice(at + 1), search.domain)) attempts.push({ key, form: 'as is', partial: true });
  if (search.localPartAt) local('@');
  return attempts;
}

/** What an access table is asked about an address, in this order. */
export interface AccessKeys {
  readonly keys: readonly string[];
  /** How many of them are the whole address: pattern tables are asked for these only. */
  readonly whole: number;
}

/** access(5): user+ext@domain, user@domain, domain and its parents, user+ext@, user@; quoted, and where that differs then as it is. */
export function accessKeys(address: string, parentsMatch: boolean, rules: Omit<AddressRules, 'isLocal' | 'myorigin'>): AccessKeys {
  const search = accessSearch(parentsMatch);
  const stripped = rules.recipientDelimiter === '' ? undefined : stripAddress(address, rules.recipientDelimiter, rules);
  const attempts = [...wholeAddress(address, stripped, search), ...(address.includes('@') ? domainForms(address, stripped, search, false) : [])];
  const forms = attempts.map((attempt) => [...new Set([quotedKey(attempt), attempt.key])]);
  return { keys: forms.flat(), whole: forms[0]!.length };
}

/** host.example.org, example.org, org - or host.example.org, .example.org, .org. */
export function domainKeys(domain: string, how: 'itself' | 'parents' | 'dot parents'): string[] {
  const keys: string[] = [];
  for (let name = domain; name !== ''; ) {
    keys.push(name);
    const dot = name.indexOf('.', 1);
    if (how === 'itself' || dot < 0) break;
    name = name.slice(how === 'parents' ? dot + 1 : dot);
  }
  return keys;
}

function tryAll(maps: Maps, attempts: readonly Attempt[], search: AddressSearch, from = 0): MaybePromise<AddressMatch | undefined> {
  const attempt = attempts[from];
  if (!attempt) return undefined;
  return chain(tryOne(maps, attempt, search), (match) => match ?? tryAll(maps, attempts, search, from + 1));
}

function quotedKey({ key, form }: Attempt): string {
  return form === 'as is' ? key : quote822Local(key, { bareLocalpart: form === 'local part' });
}

function tryOne(maps: Maps, attempt: Attempt, { quotedOnly }: AddressSearch): MaybePromise<AddressMatch | undefined> {
  const { key, partial, extension } = attempt;
  const quoted = quotedKey(attempt);
  const match = (value: string | undefined, keyUsed: string) => (value === undefined ? undefined : { value, extension, keyUsed });
  return chain(maps.find(quoted, partial), (value) => {
    if (value !== undefined || quoted === key || quotedOnly) return match(value, quoted);
    return chain(maps.find(key, partial), (other) => match(other, key));
  });
}

/** An alias: the quoted form of the name, then the name itself. Throws what the table throws. */
export function findAlias(table: LookupTable, name: string): MaybePromise<string | undefined> {
  const quoted = quote822Local(name, { bareLocalpart: true });
  return chain(table.find(quoted), (value) => (value === undefined && quoted !== name ? table.find(name) : value));
}

/** Does `domain` match its subdomains in this feature (`relay_domains`, `smtpd_access_maps`, ...)? */
export function parentsMatch(feature: string, context: TableContext): boolean {
  let wanted = true;
  for (const word of context.parameter('parent_domain_matches_subdomains').split(/[, \t\r\n]+/)) {
    const bangs = /^!*/.exec(word)![0].length;
    wanted = bangs % 2 === 0;
    if (word.slice(bangs) === feature) return wanted;
  }
  return false;
}
