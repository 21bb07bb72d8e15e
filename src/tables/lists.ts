/**
 * The lists and rules of main.cf that say what is ours, with tables behind them: mydestination, mynetworks, relay_domains, ...
 *
 * Answers are yes or no; a table or file that cannot be read throws (or rejects with) TableTrouble, which the caller turns
 * into a temporary failure. Open them before chroot and before privileges are dropped.
 */
import fs from 'node:fs';
import { logicalLines } from '../config/logical-lines.ts';
import { inetProtocols, ownAddresses, proxyAddresses } from '../config/own-addresses.ts';
import type { Configuration } from '../config/configuration.ts';
import { parseIpAddress } from '../text/cidr.ts';
import { mailhostAddress } from '../text/hostname.ts';
import { domainList, hostList, stringList, type MatchList, type MatchSources } from '../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import { parentsMatch, type AddressRules } from './mail-address-find.ts';
import { openTable } from './open.ts';
import { TableTrouble, type TableContext } from './table.ts';

/** Where lists find their tables and files. */
export function matchSources(context: TableContext): MatchSources {
  return {
    open: (table) => openTable(table, context),
    lines: (path) => logicalLines(fs.readFileSync(path, 'latin1'), path, context.warn).map(({ text }) => text),
    warn: (text) => context.warn(text),
  };
}

/** Does the list match? Throws TableTrouble where the list itself can only answer "trouble". */
export function listed(list: MatchList, ...args: readonly string[]): MaybePromise<boolean> {
  return chain(list.match(...args), (answer) => {
    if (typeof answer === 'boolean') return answer;
    throw new TableTrouble(list.name, answer.trouble);
  });
}

type Question = (domain: string) => MaybePromise<boolean>;

/** A list of domains whose items match exactly (virtual_alias_domains, virtual_mailbox_domains, mydestination). */
export function exactDomains(name: string, config: Configuration, context: TableContext): Question {
  const list = stringList(name, config.text(name), matchSources(context));
  return (domain) => listed(list, domain);
}

/** A list whose items may match subdomains too (relay_domains, ...; see parent_domain_matches_subdomains). */
export function domainsWithParents(name: string, config: Configuration, context: TableContext): Question {
  const list = domainList(name, config.text(name), matchSources(context), { parents: parentsMatch(name, context) });
  return (domain) => listed(list, domain);
}

/** Which destinations flush(8) keeps a log for; undefined: none. Deliveries that are put off are noted there. */
export function fastFlushSites(config: Configuration, context: TableContext): Question | undefined {
  return config.text('fast_flush_domains') === '' ? undefined : domainsWithParents('fast_flush_domains', config, context);
}

/** Clients by name or address (mynetworks, smtpd_authorized_*_hosts, ...). @param style the list whose habits about subdomains it shares */
export function clients(name: string, config: Configuration, context: TableContext, style = name): (host: string, address: string) => MaybePromise<boolean> {
  const list = hostList(name, config.text(name), matchSources(context), { parents: parentsMatch(style, context) });
  if (!list.isConstant) return (host, address) => listed(list, host, address);
  const known = new Map<string, { readonly host: string; readonly answer: boolean }>();
  return (host, address) => {
    const found = known.get(address);
    if (found !== undefined && found.host === host) return found.answer;
    const answer = listed(list, host, address);
    if (isPending(answer)) return answer;
    if (known.size >= clientsKnown) known.clear();
    known.set(address, { host, answer });
    return answer;
  };
}

/** Clients of late whose answer a list without tables need not find anew. */
const clientsKnown = 1000;

/** Is this domain (or address literal) this machine: mydestination, inet_interfaces, proxy_interfaces? resolve_local(3). */
export function localDomains(config: Configuration, context: TableContext): Question {
  const isDestination = exactDomains('mydestination', config, context);
  const protocols = inetProtocols(config.get('inet_protocols'));
  const addresses = [...ownAddresses(config.get('inet_interfaces'), protocols).map(({ address }) => address), ...proxyAddresses(config.get('proxy_interfaces'), protocols)];
  const own = new Set(addresses.map(canonical));
  return (domain) => {
    const name = domain.endsWith('.') ? domain.slice(0, -1) : domain;
    if (name === '' || name.endsWith('.')) return false;
    return chain(isDestination(name), (isOurs) => isOurs || own.has(canonical(literalAddress(name))));
  };
}

function literalAddress(domain: string): string {
  return domain.startsWith('[') && domain.endsWith(']') ? (mailhostAddress(domain.slice(1, -1)) ?? '') : '';
}

function canonical(address: string): string {
  const bytes = parseIpAddress(address);
  return bytes === undefined ? 'none' : bytes.join('.');
}

/** What decides how addresses are looked up. */
export function addressRules(config: Configuration, isLocal: Question): AddressRules {
  return {
    recipientDelimiter: config.get('recipient_delimiter'),
    myorigin: config.get('myorigin'),
    doubleBounceSender: config.get('double_bounce_sender'),
    ownerRequestSpecial: config.get('owner_request_special'),
    isLocal,
  };
}
