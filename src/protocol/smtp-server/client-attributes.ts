/**
 * The attributes of XCLIENT and XFORWARD: what a trusted client says about the one it speaks for. Postfix's XCLIENT_README and
 * XFORWARD_README give their syntax: NAME=value, values in xtext, `[UNAVAILABLE]` and `[TEMPUNAVAIL]` for what is not known.
 *
 * Either all attributes of a command hold or none: the first bad one gives the reply. What comes out is printable and safe to log.
 */
import { allDigits, lowerAscii, printable, upperAscii } from '../../text/ascii.ts';
import { parseIpAddress, renderIpAddress } from '../../text/cidr.ts';
import { mailhostAddress, mailhostForm, maximumHostname, validHostname } from '../../text/hostname.ts';
import { decodeXtext } from '../../text/xtext.ts';
import { reply, tell } from './reply.ts';
import type { Reply } from './steps.ts';

export type NameStatus = 'ok' | 'temporary' | 'permanent';

/** What stands in logs and records for what is not known. */
export const unknownValue = 'unknown';

/** An address and its form in an address literal; both `unknown` where it is not known. */
export interface GivenAddress { readonly address: string; readonly literal: string }

/** Absent: not said. */
export interface ClientOverride {
  name?: { readonly name: string; readonly status: NameStatus };
  reverseName?: { readonly name: string; readonly status: NameStatus };
  address?: GivenAddress;
  port?: string;
  /** undefined: the client has not said it */
  helo?: { readonly name: string | undefined };
  protocol?: 'SMTP' | 'ESMTP';
  login?: string;
  serverAddress?: string;
  serverPort?: string;
}

/** What an upstream system says of the client it had the message from. */
export interface Forwarded {
  name?: string;
  address?: GivenAddress;
  port?: string;
  helo?: { readonly name: string | undefined };
  protocol?: string;
  /** The message's queue id there; undefined: it is not known. */
  ident?: { readonly id: string | undefined };
  /** Which rewriting the message is due. */
  source?: 'local' | 'remote';
}

export interface AttributeRules {
  readonly smtputf8: boolean;
  /** The families of inet_protocols: an address of another one is none. */
  readonly families: readonly ('IPv4' | 'IPv6')[];
}

const special = /[ <>()\\";@]/;
const everySpecial = new RegExp(special, 'g');

/** What special characters could do in headers, logs and macros. RFC 5322 section 3.2.3. */
export function neuter(text: string): string {
  return special.test(text) ? text.replace(everySpecial, '?') : text;
}

type Taken<T> = (into: T, value: string, rules: AttributeRules) => boolean;

const longestValue = 255;
const isUnavailable = (value: string): boolean => lowerAscii(value) === '[unavailable]';

function nameOf(value: string): { name: string; status: NameStatus } | undefined {
  if (isUnavailable(value)) return { name: unknownValue, status: 'permanent' };
  if (lowerAscii(value) === '[tempunavail]') return { name: unknownValue, status: 'temporary' };
  return validHostname(value) ? { name: value, status: 'ok' } : undefined;
}

function addressOf(value: string, { families }: AttributeRules): GivenAddress | undefined {
  if (isUnavailable(value)) return { address: unknownValue, literal: unknownValue };
  const bare = mailhostAddress(value);
  const bytes = bare === undefined ? undefined : parseIpAddress(bare.includes(':') ? bare : bare.replace(/[0-9]+/g, (number) => String(Number(number))));
  if (bytes === undefined) return undefined;
  const text = renderIpAddress(bytes);
  const address = text.startsWith('::ffff:') && families.includes('IPv4') ? text.slice(7) : text;
  return families.includes(address.includes(':') ? 'IPv6' : 'IPv4') ? { address, literal: mailhostForm(address) } : undefined;
}

function portOf(value: string): string | undefined {
  if (isUnavailable(value)) return unknownValue;
  return allDigits(value) && value.length <= 5 ? value : undefined;
}

/** Puts a value in its place; false where there is none. */
function put<T, K extends keyof T>(into: T, key: K, value: T[K] | undefined): boolean {
  if (value === undefined) return false;
  into[key] = value;
  return true;
}

const xclientAttributes: ReadonlyMap<string, Taken<ClientOverride>> = new Map<string, Taken<ClientOverride>>([
  ['NAME', (into, value) => {
    const found = nameOf(value);
    // A name that is known is also the one that the address has.
    if (found?.status === 'ok') into.reverseName = found;
    return put(into, 'name', found);
  }],
  ['REVERSE_NAME', (into, value) => put(into, 'reverseName', nameOf(value))],
  ['ADDR', (into, value, rules) => put(into, 'address', addressOf(neuter(value), rules))],
  ['PORT', (into, value) => put(into, 'port', portOf(value))],
  ['HELO', (into, value) => put(into, 'helo', isUnavailable(value) ? { name: undefined } : value.length > maximumHostname ? undefined : { name: neuter(value) })],
  ['PROTO', (into, value) => {
    const name = upperAscii(value);
    return name === 'SMTP' || name === 'ESMTP' ? put(into, 'protocol', name) : false;
  }],
  ['LOGIN', (into, value) => isUnavailable(value) || put(into, 'login', value)],
  ['DESTADDR', (into, value, rules) => put(into, 'serverAddress', addressOf(neuter(value), rules)?.address)],
  ['DESTPORT', (into, value) => put(into, 'serverPort', portOf(value))],
]);

const known = (value: string): string | undefined => (isUnavailable(value) ? undefined : neuter(value));

const sources: ReadonlyMap<string, 'local' | 'remote'> = new Map([['[unavailable]', 'local'], ['local', 'local'], ['remote', 'remote']]);
const longestProtocol = 64;

const xforwardAttributes: ReadonlyMap<string, Taken<Forwarded>> = new Map<string, Taken<Forwarded>>([
  ['NAME', (into, value) => put(into, 'name', isUnavailable(value) ? unknownValue : validHostname(neuter(value)) ? neuter(value) : undefined)],
  ['ADDR', (into, value, rules) => put(into, 'address', addressOf(neuter(value), rules))],
  ['PORT', (into, value) => put(into, 'port', portOf(value))],
  ['HELO', (into, value) => put(into, 'helo', { name: known(value) })],
  ['PROTO', (into, value) => put(into, 'protocol', isUnavailable(value) ? unknownValue : value.length > longestProtocol ? undefined : neuter(value))],
  ['IDENT', (into, value) => put(into, 'ident', { id: known(value) })],
  ['SOURCE', (into, value) => put(into, 'source', sources.get(lowerAscii(value)))],
]);

const noValue = reply(501, '5.5.4', 'Error: attribute=value expected');
const longValue = reply(501, '5.5.4', 'Error: attribute value too long');

type Read<T> = { readonly taken: T } | { readonly refusal: Reply };

function readAttributes<T extends object>(verb: string, words: readonly string[], attributes: ReadonlyMap<string, Taken<T>>, into: T, rules: AttributeRules): Read<T> {
  for (const word of words) {
    const equals = word.indexOf('=');
    const coded = equals < 0 ? '' : word.slice(equals + 1);
    if (coded === '') return { refusal: noValue };
    if (coded.length > longestValue) return { refusal: longValue };
    const name = upperAscii(word.slice(0, equals));
    const take = attributes.get(name);
    if (take === undefined) return { refusal: tell.badAttribute(verb, printable(word.slice(0, equals), '?', rules.smtputf8)) };
    const value = plainValue(coded, rules);
    if (!take(into, value, rules)) return { refusal: tell.badAttributeValue(name, neuterShown.has(`${verb} ${name}`) ? neuter(value) : value) };
  }
  return { taken: into };
}

// Postfix before 2.3 sent values as they are.
function plainValue(coded: string, { smtputf8 }: AttributeRules): string {
  const decoded = decodeXtext(coded) ?? coded;
  const end = decoded.indexOf('\0');
  return printable(end < 0 ? decoded : decoded.slice(0, end), '?', smtputf8);
}

/** Values that a refusal repeats as they were looked at. */
const neuterShown: ReadonlySet<string> = new Set(['XCLIENT ADDR', 'XCLIENT DESTADDR', 'XFORWARD ADDR', 'XFORWARD NAME']);

/** The words of XCLIENT after the verb. */
export function readXclient(words: readonly string[], rules: AttributeRules): Read<ClientOverride> {
  if (words.length === 0) return { refusal: tell.attributeSyntax('XCLIENT') };
  return readAttributes('XCLIENT', words, xclientAttributes, {}, rules);
}

/** The words of XFORWARD after the verb. What earlier commands said of the same message stays, as far as it is not said again. */
export function readXforward(words: readonly string[], earlier: Forwarded | undefined, rules: AttributeRules): Read<Forwarded> {
  if (words.length === 0) return { refusal: tell.attributeSyntax('XFORWARD') };
  return readAttributes('XFORWARD', words, xforwardAttributes, { ...earlier }, rules);
}

/** What log and queue file say of the original client, when anything was said of it. Undefined: nothing was. */
export function forwardedClient(forwarded: Forwarded | undefined): { name: string; literal: string; port: string; helo: string | undefined; protocol: string; address: string } | undefined {
  if (forwarded === undefined) return undefined;
  const { name, address, port, helo, protocol } = forwarded;
  if (name === undefined && address === undefined && port === undefined && helo === undefined && protocol === undefined) return undefined;
  return {
    name: name ?? unknownValue, address: address?.address ?? unknownValue, literal: address?.literal ?? unknownValue,
    port: port ?? unknownValue, helo: helo?.name, protocol: protocol ?? unknownValue,
  };
}
