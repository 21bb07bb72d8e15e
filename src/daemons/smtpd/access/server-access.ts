/**
 * check_*_a_access, check_*_mx_access and check_*_ns_access: the hosts behind a name are looked up in an access table, by name and by
 * address. access(5), postconf(5).
 *
 * What these tables permit is not believed: whoever owns a domain chooses its hosts. A name that cannot be looked up passes, with a
 * warning.
 */
import type { Dns, DnsRecord } from '../../../network/dns.ts';
import { mailhostAddress, validHostaddr } from '../../../text/hostname.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { asciiName, outside, remembered, troubleText } from './names.ts';
import { unlessPermitted } from './permitted.ts';
import type { AccessSetup } from './setup.ts';
import type { AccessState, Maker, Subject } from './state.ts';
import { nameKeys, networkKeys, search, type Hit, type Search } from './table.ts';

type ServerType = 'A' | 'MX' | 'NS';

/** Whose hosts, and what the reply is about. */
type Target = (state: AccessState) => { readonly name: string; readonly about: Subject } | undefined;

const known = (name: string, about: Subject): ReturnType<Target> => (name.toLowerCase() === 'unknown' ? undefined : { name, about });
const filled = (name: string | undefined, replyClass: Subject['replyClass']): ReturnType<Target> =>
  (name === undefined || name === '' ? undefined : { name, about: { name, replyClass } });

const targets = {
  client: ({ client }) => known(client.name, { name: client.label, replyClass: 'Client host' }),
  reverse: ({ client }) => known(client.reverseName, { name: client.reverseName, replyClass: 'Unverified Client host' }),
  helo: ({ helo }) => filled(helo, 'Helo command'),
  sender: ({ sender }) => filled(sender, 'Sender address'),
  recipient: ({ recipient }) => filled(recipient, 'Recipient address'),
} as const satisfies Record<string, Target>;

export function checkServers(whose: keyof typeof targets, type: ServerType): Maker {
  return (setup, argument, { defaultTable, name: restriction }) => {
    const table = setup.openTable(argument);
    return (state) => {
      const target = targets[whose](state);
      if (target === undefined) return undefined;
      const question: Search = { setup, state, table, title: argument, about: target.about, defaultTable };
      return unlessPermitted(setup, state, restriction, target.name, chain(servers(question, target.name, type), (hit) => hit?.decision));
    };
  };
}

/** Addresses looked at for one name (dns_rr_list_limit is the same number). */
const addressLimit = 100;

function servers(question: Search, target: string, type: ServerType): MaybePromise<Hit> {
  const domain = target.slice(target.lastIndexOf('@') + 1);
  if (!domain.startsWith('[')) return byName(question, target, asciiName(domain), type);
  // An address literal is its own mail exchanger; it has no name servers.
  const address = type === 'NS' || !domain.endsWith(']') ? undefined : mailhostAddress(domain.slice(1, -1));
  return address === undefined ? undefined : search(question, networkKeys(address), address);
}

async function byName(question: Search, target: string, domain: string, type: ServerType): Promise<Hit> {
  const hosts = type === 'A' ? [domain] : await hostsOf(question.setup, question.state, target, domain, type);
  let left = addressLimit;
  for (const host of hosts) {
    const { hit, addresses } = await byHost(question, host, type, left);
    if (hit !== undefined) return hit;
    left -= addresses;
    if (left > 0) continue;
    const { replyClass, name } = question.about;
    question.setup.tools.warn(`check_server_access: ${type} server address count limit (${addressLimit}) exceeded for ${replyClass} ${name} -- ignoring the remainder`);
    return undefined;
  }
  return undefined;
}

/** Mail exchangers or name servers: a name without exchangers is its own, one without name servers has those of its parent. */
function hostsOf(setup: AccessSetup, state: AccessState, target: string, domain: string, type: 'MX' | 'NS'): Promise<readonly string[]> {
  const { dns } = outside(setup);
  return remembered(state, `${type} ${domain}`, async () => {
    let { answer, name } = { answer: await dns.lookup(domain, type), name: domain };
    if (answer.status === 'null-mx') return [];
    if (answer.status === 'not-found' && type === 'MX') return [domain];
    if (type === 'NS') ({ answer, name } = await upwards(dns, domain, answer));
    if (answer.status === 'ok') return answer.records.map(({ data }: DnsRecord) => data);
    setup.tools.warn(`Unable to look up ${type} host for ${name === '' ? target : name}: ${troubleText(answer)}`);
    return [];
  });
}

async function upwards(dns: Dns, domain: string, first: Awaited<ReturnType<Dns['lookup']>>): Promise<{ answer: typeof first; name: string }> {
  let answer = first;
  let name = domain;
  while (answer.status === 'not-found') {
    const dot = name.indexOf('.');
    if (dot < 0 || dot === name.length - 1) return { answer, name: '' };
    name = name.slice(dot + 1);
    answer = await dns.lookup(name, 'NS');
  }
  return { answer, name };
}

async function byHost(question: Search, host: string, type: ServerType, limit: number): Promise<{ hit?: Hit; addresses: number }> {
  const { setup, state, about } = question;
  if (validHostaddr(host)) return { hit: await search(question, networkKeys(host), host), addresses: 0 };
  const hit = type === 'A' ? undefined : await search(question, nameKeys(setup, host), host);
  if (hit !== undefined) return { hit, addresses: 0 };
  const { addresses, trouble } = await remembered(state, `host ${host}`, () => outside(setup).native(host));
  if (trouble !== undefined && type !== 'A') setup.tools.warn(`Unable to look up ${type} host ${host} for ${about.replyClass} ${about.name}: ${trouble.text}`);
  for (const address of addresses.slice(0, limit)) {
    const found = await search(question, networkKeys(address), address);
    if (found !== undefined) return { hit: found, addresses: 0 };
  }
  return { addresses: addresses.length };
}
