/**
 * check_client_access and its sisters: an access(5) table is asked with the keys of one part of the envelope, most specific first.
 *
 * A table that cannot be asked refuses for now (451 4.3.5), after the log has been told.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { TableTrouble, type LookupTable } from '../../../tables/table.ts';
import { validHostaddr } from '../../../text/hostname.ts';
import { chain, isPending, type MaybePromise } from '../../../text/maybe.ts';
import { unlessPermitted } from './permitted.ts';
import { resolveAddress } from './resolve-address.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker, Subject } from './state.ts';
import { applyEntry } from './table-result.ts';

/** One question to a table: about what, in which list. */
export interface Search {
  readonly setup: AccessSetup;
  readonly state: AccessState;
  readonly table: LookupTable;
  /** type:name, as the operator wrote it. */
  readonly title: string;
  readonly about: Subject;
  readonly defaultTable: string;
}

export interface Key {
  readonly text: string;
  /** A piece of a name or address: pattern tables are not asked for it. */
  readonly isPart: boolean;
}

/** An entry was found, and this came of it. */
export type Hit = { readonly decision: Decision } | undefined;

/** The first key that the table has. @param datum what was looked for, for the log */
export function search(question: Search, keys: readonly Key[], datum: string, from = 0): MaybePromise<Hit> {
  const { table } = question;
  for (let at = from; at < keys.length; at++) {
    const key = keys[at]!;
    if (key.text === '' || (key.isPart && !table.fixed)) continue;
    const value = lookUp(table, key.text);
    if (isPending(value)) return value.then((late) => (late === undefined ? search(question, keys, datum, at + 1) : judged(question, datum, key.text, late)));
    if (value !== undefined) return judged(question, datum, key.text, value);
  }
  return undefined;
}

function judged(question: Search, datum: string, key: string, value: string | TableTrouble): MaybePromise<Hit> {
  const { setup, state, about, title, defaultTable } = question;
  if (typeof value !== 'string') return { decision: failed(question, key) };
  return chain(applyEntry({ setup, state, about, table: title, key: datum, value, defaultTable }), (decision) => ({ decision }));
}

/** What the table says; trouble with it is an answer too, and so is an entry without a value, which no table should have. */
function lookUp(table: LookupTable, key: string): MaybePromise<string | TableTrouble | undefined> {
  const trouble = (error: unknown): TableTrouble => {
    if (error instanceof TableTrouble) return error;
    throw error;
  };
  const notEmpty = (value: string | undefined): string | TableTrouble | undefined =>
    (value === '' ? new TableTrouble(`${table.type}:${table.name}`, 'an entry without a value') : value);
  try {
    const value = table.find(key);
    return isPending(value) ? value.then(notEmpty).catch(trouble) : notEmpty(value);
  } catch (error) {
    return trouble(error);
  }
}

function failed({ setup, state, table, about: { name, replyClass } }: Search, key: string): Decision {
  setup.tools.warn(`${table.type}:${table.name} lookup error for "${key}"`);
  return refused(setup, state, { code: 451, status: '4.3.5', text: `<${name}>: ${replyClass} rejected: Server configuration error` });
}

/** The name, then its parents; an address that stands where a name should has none. */
export function nameKeys(setup: AccessSetup, name: string): Key[] {
  const keys = setup.domainKeys(name);
  const own = validHostaddr(name) ? keys.slice(0, 1) : keys;
  return own.map((text, at) => ({ text, isPart: at > 0 }));
}

/** 192.0.2.1, 192.0.2, 192.0, 192 (access(5), host name/address patterns); IPv6 by colons. */
export function networkKeys(address: string): Key[] {
  const separator = address.includes(':') ? ':' : '.';
  const keys: Key[] = [];
  for (let text = address; text !== ''; text = text.slice(0, Math.max(text.lastIndexOf(separator), 0))) keys.push({ text, isPart: text !== address });
  return keys;
}

const decisionOf = (hit: MaybePromise<Hit>): MaybePromise<Decision> => chain(hit, (found) => found?.decision);

/** A name, then an address. */
function searchHost(question: Search, name: string, address: string): MaybePromise<Decision> {
  return decisionOf(chain(search(question, nameKeys(question.setup, name), name), (hit) => hit ?? search(question, networkKeys(address), address)));
}

type Ask = (question: Omit<Search, 'about'>, restriction: string) => MaybePromise<Decision>;

function check(ask: Ask): Maker {
  return (setup, argument, { defaultTable, name }) => {
    const table = setup.openTable(argument);
    return (state) => ask({ setup, state, table, title: argument, defaultTable }, name);
  };
}

export const checkClientAccess = check((question) => {
  const { client } = question.state;
  return searchHost({ ...question, about: { name: client.label, replyClass: 'Client host' } }, client.name, client.address);
});

export const checkReverseClientAccess = check((question, restriction) => {
  const { setup, state } = question;
  const { reverseName: name, address } = state.client;
  return unlessPermitted(setup, state, restriction, name, searchHost({ ...question, about: { name, replyClass: 'Unverified Client host' } }, name, address));
});

export const checkHeloAccess = check((question) => {
  const { helo } = question.state;
  if (helo === undefined) return undefined;
  return decisionOf(search({ ...question, about: { name: helo, replyClass: 'Helo command' } }, nameKeys(question.setup, helo), helo));
});

export const checkEtrnAccess = check((question) => {
  const { etrnDomain } = question.state;
  if (etrnDomain === undefined) return undefined;
  return decisionOf(search({ ...question, about: { name: etrnDomain, replyClass: 'Etrn command' } }, nameKeys(question.setup, etrnDomain), etrnDomain));
});

export const checkSenderAccess = check((question) => {
  const { setup, state } = question;
  if (state.sender === undefined) return undefined;
  if (state.sender !== '') return searchMail(question, 'sender', state.sender);
  const key = setup.view.smtpd_null_access_lookup_key;
  return decisionOf(search({ ...question, about: { name: '', replyClass: 'Sender address' } }, [{ text: key, isPart: false }], key));
});

export const checkRecipientAccess = check((question) =>
  (question.state.recipient === undefined ? undefined : searchMail(question, 'recipient', question.state.recipient)));

/** The address as it would be delivered to is looked up; `OK` does not hold for one that routes on by its local part. */
function searchMail(question: Omit<Search, 'about'>, side: 'sender' | 'recipient', address: string): MaybePromise<Decision> {
  const { setup, state } = question;
  return resolveAddress(setup, state, side, address, (route) => {
    if (!route.recipient.includes('@')) return void setup.tools.warn(`check_mail_access: no @domain in address: ${route.recipient}`);
    const { keys, whole } = setup.addressKeys(route.recipient);
    const about: Subject = { name: address, replyClass: side === 'sender' ? 'Sender address' : 'Recipient address' };
    const hit = search({ ...question, about }, keys.map((text, at) => ({ text, isPart: at >= whole })), route.recipient);
    const isSuspicious = side === 'recipient' && !setup.view.allow_untrusted_routing && (route.flags & resolveFlag.routed) !== 0;
    return chain(hit, (found) => (found?.decision?.kind === 'permit' && isSuspicious ? undefined : found?.decision));
  });
}

/** By the login name; there is none without authentication. */
export const checkSaslAccess = check((question, restriction) => {
  const { setup, state } = question;
  if (!setup.view.smtpd_sasl_auth_enable) return void setup.tools.warn(`restriction \`${restriction}' ignored: no SASL support`);
  const username = state.sasl?.username ?? '';
  if (username === '') return undefined;
  const about: Subject = { name: username.replace(/[^ -~]/g, '_'), replyClass: 'SASL login name' };
  return decisionOf(search({ ...question, about }, [{ text: username, isPart: false }], username));
});

/** For local_header_rewrite_clients: whatever the table has for the client's address is a yes. */
export const checkAddressMap = check(({ state, table }) => chain(table.find(state.client.address), (value) => (value === undefined ? undefined : { kind: 'permit' })));
