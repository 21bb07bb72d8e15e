/**
 * smtpd_sasl_security_options and its like: what a mechanism must not be or must have. postconf(5).
 *
 * A word that means nothing is an error that names it; nothing throws.
 */
import { parseNameMask, type NameTable } from '../../text/name-mask.ts';

/** Bits of our own; libsasl2 has others. */
export const security = { noPlaintext: 1, noActive: 2, noDictionary: 4, noAnonymous: 8, forwardSecrecy: 16, mutualAuth: 32 } as const;

const optionNames: NameTable = [
  ['noplaintext', security.noPlaintext], ['noactive', security.noActive], ['nodictionary', security.noDictionary], ['noanonymous', security.noAnonymous],
  ['forward_secrecy', security.forwardSecrecy], ['mutual_auth', security.mutualAuth],
];

export type SecurityOptions = { readonly mask: number } | { readonly error: string };

export function parseSecurityOptions(parameter: string, text: string): SecurityOptions {
  return parseNameMask(parameter, optionNames, text);
}

/** The same bit says "must not" of what a mechanism is, and "must" of what it has. */
const propertyNames: ReadonlyMap<string, number> = new Map([
  ['plaintext', security.noPlaintext], ['active', security.noActive], ['dictionary', security.noDictionary], ['anonymous', security.noAnonymous],
  ['forward-secrecy', security.forwardSecrecy], ['mutual-auth', security.mutualAuth],
]);

const wanted = security.forwardSecrecy | security.mutualAuth;

/** The properties of a mechanism as Dovecot names them; names from later protocols are passed over. */
export function mechanismProperties(words: readonly string[]): number {
  return words.reduce((mask, word) => mask | (propertyNames.get(word.toLowerCase()) ?? 0), 0);
}

export function allowsMechanism(options: number, properties: number): boolean {
  return (properties & options & wanted) === (options & wanted) && (properties & options & ~wanted) === 0;
}
