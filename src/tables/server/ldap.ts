/**
 * ldap_table(5): entries of a directory, by way of ldapts.
 *
 * A value of a special attribute is the name of another entry, or an LDAP URL: these are looked up in turn, no deeper than recursion_limit.
 */
import { lowerAscii } from '../../text/ascii.ts';
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext } from '../table.ts';
import { limitsOf, settingsKind, sharedPool, type Answers, type Parts } from './common.ts';
import type { Quote, Template } from './expansion.ts';
import { collector, type Collector } from './ldap-values.ts';
import { connectLdap, ldapLibrary, NoSuchObject, type Search, type SearchAnswer } from './ldap-link.ts';
import { ldapLogin } from './ldap-login.ts';
import { ldapHosts, type LdapHost } from './ldap-host.ts';
import { Refused } from './pool.ts';
import type { Settings } from './settings.ts';

export function ldapKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('ldap', name, context, ldapAnswers);
}

const scopes = new Map<string, Search['scope']>([['base', 'base'], ['one', 'one'], ['sub', 'sub']]);

interface Ldap {
  readonly parts: Parts;
  readonly base: Template;
  readonly filter: Template;
  readonly scope: Search['scope'];
  readonly sizeLimit: number;
  readonly values: Collector;
  ask(search: Search): Promise<SearchAnswer>;
}

function ldapAnswers(parts: Parts): Answers {
  const { label, settings, context, expansion } = parts;
  const login = ldapLogin(label, settings, context.warn);
  const hosts = ldapHosts(settings, context.warn);
  const limits = { ...limitsOf(settings, 10, 100), retry: 5000 };
  const library = ldapLibrary(label);
  const pool = sharedPool<LdapHost, Search, SearchAnswer>(context, JSON.stringify(['ldap', hosts, login.key, limits]), {
    hosts, limits, ordered: true,
    connect: (host, timeout) => connectLdap(library, host, login, timeout),
    failed: (host, error, connecting) => context.warn(connecting
      ? `${label}: Unable to bind to server ${host.label} with dn ${login.dn === '' ? 'empty or implicit' : login.dn}: ${error.message}` : `${label}: Search error: ${error.message}`),
  });
  const base = expansion.parse(settings.text('search_base'), 'query');
  const filter = expansion.parse(settings.text('query_filter', '(mailacceptinggeneralid=%s)'), 'query');
  if (!filter.isDynamic) context.warn(`${label}: Fixed query_filter ${filter.text} is probably useless`);
  const sizeLimit = settings.number('size_limit', settings.number('expansion_limit', 0));
  const ldap: Ldap = {
    parts, base, filter, sizeLimit, scope: scopeOf(label, settings, context), values: collector(parts, sizeLimit), ask: (search) => pool.ask(search),
  };
  return { find: (key) => find(ldap, key), close: () => pool.close() };
}

function scopeOf(label: string, settings: Settings, context: TableContext): Search['scope'] {
  const text = settings.text('scope', 'sub', 1);
  const scope = scopes.get(lowerAscii(text));
  if (!scope) context.warn(`${label}: Unrecognized value ${text} specified for scope; using sub`);
  return scope ?? 'sub';
}

/** RFC 4514 section 2.4, and white space everywhere. */
const quoteName: Quote = (text) => text.replace(/[ \t"#+,;<>\\=]/g, escaped);
/** RFC 4515 section 3. */
const quoteFilter: Quote = (text) => text.replace(/[*()\\\0]/g, escaped);

function escaped(char: string): string {
  return `\\${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

async function find(ldap: Ldap, key: string): Promise<string | undefined> {
  const { parts: { label, expansion, context }, base, filter, scope, sizeLimit, values } = ldap;
  const [name, question] = [expansion.query(base, key, quoteName), expansion.query(filter, key, quoteFilter)];
  if (name === undefined || question === undefined) return undefined;
  try {
    const search = { base: name, scope, filter: question, attributes: values.attributes, sizeLimit };
    return await values.collect(await ldap.ask(search), key, (next) => ldap.ask(next));
  } catch (error) {
    // A base that is made of the key may well not be there.
    if (error instanceof NoSuchObject && base.isDynamic) return undefined;
    if (error instanceof NoSuchObject) context.warn(`${label}: Search base '${name}' not found: ${error.message}`);
    else if (error instanceof Refused) context.warn(`${label}: Search error ${error.message}`);
    throw error;
  }
}
