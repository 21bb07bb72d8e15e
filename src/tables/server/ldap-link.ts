/**
 * One connection to an LDAP server, bound as its table wants it. Texts are byte strings outside, characters in the library.
 */
import net from 'node:net';
import type * as ldapts from 'ldapts';
import { decodeUtf8, encodeUtf8 } from '../../text/utf8.ts';
import { library } from './common.ts';
import { ldapHost, type LdapHost } from './ldap-host.ts';
import type { LdapLogin } from './ldap-login.ts';
import { parseLdapUrl } from './ldap-url.ts';
import { Refused, type Link } from './pool.ts';

type Ldapts = typeof ldapts;

export interface Search {
  readonly base: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: string;
  readonly attributes: readonly string[];
  /** 0: none. */
  readonly sizeLimit: number;
}

/** Attributes of an entry in the server's order. */
export type Entry = readonly (readonly [name: string, values: readonly string[]])[];
export type SearchAnswer = readonly Entry[];

export class NoSuchObject extends Refused {}

export const ldapLibrary = (table: string): Ldapts => library<Ldapts>('ldapts', table);

/** As many hops as OpenLDAP's library makes. */
const hops = 5;
const noSuchObject = 32;
const sizeLimitExceeded = 4;
const referral = 10;

const characters = (bytes: string): string => decodeUtf8(bytes) ?? bytes;

export async function connectLdap(lib: Ldapts, host: LdapHost, login: LdapLogin, timeout: number): Promise<Link<Search, SearchAnswer>> {
  const client = await open(lib, host, login, timeout, true);
  return { ask: (search) => ask(lib, client, login, timeout, search, hops), close: () => void client.unbind().catch(() => undefined) };
}

/** What the library has and does not show. */
interface Insides { _send(message: { derefAliases?: string }): Promise<{ status?: number } | undefined> }

async function open(lib: Ldapts, host: LdapHost, login: LdapLogin, timeout: number, binds: boolean): Promise<ldapts.Client> {
  const { name, port, scheme } = host;
  const client = new lib.Client({
    url: `${scheme === 'ldaps' ? 'ldaps' : 'ldap'}://${net.isIPv6(name) ? `[${name}]` : scheme === 'ldapi' ? 'localhost' : name}:${port || 389}`,
    connectTimeout: timeout, strictDN: false,
    ...(scheme === 'ldapi' ? { createConnection: (() => net.connect(name)) as unknown as typeof net.connect } : {}),
    ...(scheme === 'ldaps' ? { tlsOptions: login.tls } : {}),
  });
  watch(client as unknown as Insides, login);
  try {
    if (login.startTls && scheme === 'ldap') await client.startTLS({ ...login.tls, ...(net.isIP(name) ? { host: name } : { servername: name }) });
    if (binds) await bind(client, login);
    else if (!client.isConnected) await client.bind('');
  } catch (error) {
    client.unbind().catch(() => undefined);
    throw error;
  }
  return client;
}

/** The library forgets how aliases are to be taken, and takes a shortened answer for a whole one. */
function watch(insides: Insides, { dereference }: LdapLogin): void {
  const send = insides._send.bind(insides);
  insides._send = async (message) => {
    if ('derefAliases' in message) message.derefAliases = dereference;
    const answer = await send(message);
    if ('derefAliases' in message && answer?.status === sizeLimitExceeded) throw new Refused('4: Size limit exceeded');
    return answer;
  };
}

function bind(client: ldapts.Client, { bind: way, dn, password, authorization }: LdapLogin): Promise<void> {
  if (way === 'PLAIN') return client.bindSASL('PLAIN', characters(`${authorization}\0${dn}\0${password}`));
  if (way === 'EXTERNAL') return client.bindSASL('EXTERNAL', characters(authorization));
  return way === 'simple' ? client.bind(characters(dn), characters(password)) : client.bind('', '');
}

async function ask(lib: Ldapts, client: ldapts.Client, login: LdapLogin, timeout: number, search: Search, hopsLeft: number): Promise<SearchAnswer> {
  // By itself the library would connect again, and ask as nobody.
  if (!client.isConnected) throw new Error("Can't contact LDAP server");
  try {
    const { searchEntries, searchReferences } = await client.search(characters(search.base), {
      scope: search.scope, filter: characters(search.filter), attributes: [...search.attributes], timeLimit: Math.ceil(timeout / 1000),
      ...(search.sizeLimit > 0 ? { sizeLimit: search.sizeLimit } : {}),
    });
    const entries = searchEntries.map(entryOf);
    if (!login.chasesReferrals) return entries;
    for (const url of searchReferences) entries.push(...await follow(lib, login, timeout, url, search, hopsLeft));
    return entries;
  } catch (error) {
    throw refusal(error as Error & { code?: unknown });
  }
}

function refusal(error: Error & { code?: unknown }): Error {
  if (error instanceof Refused || typeof error.code !== 'number') return error;
  if (error.code === noSuchObject) return new NoSuchObject(`${error.code}: ${error.message}`);
  // 51 busy, 52 unavailable, 80 other: the server's own trouble.
  return [51, 52, 80].includes(error.code) ? error : new Refused(`${error.code}: ${error.message}${error.code === referral ? ' (referral)' : ''}`);
}

async function follow(lib: Ldapts, login: LdapLogin, timeout: number, text: string, search: Search, hopsLeft: number): Promise<SearchAnswer> {
  const url = parseLdapUrl(encodeUtf8(text));
  const host = ldapHost(text, 389);
  if (hopsLeft === 0 || !url || !host) throw new Refused(`cannot follow the referral ${text}`);
  const client = await open(lib, host, login, timeout, false);
  try {
    return await ask(lib, client, login, timeout, { ...search, base: url.base || search.base, scope: url.scope ?? search.scope }, hopsLeft - 1);
  } finally {
    client.unbind().catch(() => undefined);
  }
}

function entryOf(entry: ldapts.Entry): Entry {
  return Object.entries(entry).filter(([name]) => name !== 'dn').map(([name, value]) => [name, (Array.isArray(value) ? value : [value]).map(bytesOf)] as const);
}

function bytesOf(value: string | Buffer): string {
  return typeof value === 'string' ? encodeUtf8(value) : value.toString('latin1');
}
