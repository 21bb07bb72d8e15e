/**
 * Where a recipient goes: its address class decides the transport, transport_maps and relocated_maps overrule it.
 *
 * A table that cannot be asked makes the reply's `fail` flag: the mail waits, nobody is refused. What a caller hands in are the
 * questions to tables and lists; they throw TableTrouble. trivial-rewrite(8), transport(5), relocated(5).
 */
import { resolveFlag } from '../../ipc/rewrite.ts';
import { domainToAscii } from '../../network/idna.ts';
import { validHostaddr, validHostname, validMailhostLiteral } from '../../text/hostname.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { isAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { dsnValid, splitDsn } from '../../message/dsn.ts';
import { TableTrouble } from '../../tables/table.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { stripLocal, type StripRules } from './strip-local.ts';
import { applyEntry, splitRoute, type Route } from './transport-entry.ts';

export interface Resolved extends Route {
  recipient: string;
  flags: number;
}

/** The questions a resolver may ask; each may throw TableTrouble. */
export interface RoutingTables {
  isVirtualAlias(domain: string): MaybePromise<boolean>;
  isVirtualMailbox(domain: string): MaybePromise<boolean>;
  isRelay(domain: string): MaybePromise<boolean>;
  senderTransport(sender: string): MaybePromise<string | undefined>;
  senderRelayhost(sender: string): MaybePromise<string | undefined>;
  /** False: where mail goes does not depend on its sender. */
  readonly bySender: boolean;
  transport(recipient: string): MaybePromise<string | undefined>;
  relocated(recipient: string): MaybePromise<string | undefined>;
}

export interface RoutingRules extends StripRules {
  readonly localTransport: string;
  readonly virtualTransport: string;
  readonly relayTransport: string;
  readonly defaultTransport: string;
  readonly relayhost: string;
  readonly nullRelayhostKey: string;
  readonly nullTransportKey: string;
  readonly allowMinUser: boolean;
  readonly resolveNumericDomain: boolean;
  readonly smtputf8: boolean;
  /** enable_idna2003_compatibility */
  readonly idna2003: boolean;
  readonly showTableName: boolean;
  /** helpful_warnings */
  readonly helpful: boolean;
  readonly relocatedPrefix: boolean;
  readonly tables: RoutingTables;
  readonly warn: (text: string) => void;
}

interface Target extends Route { readonly flags: number }

const unresolved = (flags: number, recipient = ''): Resolved => ({ transport: '', nexthop: '', recipient, flags });

export async function resolveAddress(sender: string, address: string, rules: RoutingRules): Promise<Resolved> {
  const stripped = await stripLocal(address, rules);
  if (stripped === undefined) {
    rules.warn(`resolve_addr: <${address}>: giving up after ${address.length + 100} iterations`);
    return unresolved(resolveFlag.fail);
  }
  let { recipient, isLocal } = stripped;
  const literal = literalDomain(recipient, rules);
  if (literal === undefined) return unresolved(resolveFlag.error | resolveFlag.other, recipient);
  if (literal !== recipient) isLocal = await rules.isLocal(domainOf((recipient = literal)));
  const target = isLocal ? await localTarget(domainOf(recipient), rules) : await remoteTarget(sender, domainOf(recipient), rules);
  if (target.transport === '') return unresolved(resolveFlag.fail, recipient);
  const route = await overruled(recipient, target, rules);
  const flags = target.flags | (isRouted(recipient) ? resolveFlag.routed : 0);
  // A command may take such a name for an option (trivial-rewrite(8), allow_min_user).
  if (!rules.allowMinUser && recipient.startsWith('-')) return unresolved(flags | resolveFlag.error, recipient);
  return { ...route, recipient, flags };
}

function domainOf(recipient: string): string {
  return recipient.slice(recipient.lastIndexOf('@') + 1);
}

/** An operator other than the last `@` in the address means that somebody else may route it on. */
function isRouted(recipient: string): boolean {
  return recipient.search(/[@!%]/) !== recipient.lastIndexOf('@');
}

/** The address when its domain is well-formed, with `[]` put around a bare network address if that is allowed; else undefined. */
function literalDomain(recipient: string, rules: RoutingRules): string | undefined {
  const domain = domainOf(recipient);
  if (domain.startsWith('[')) return validMailhostLiteral(domain) ? recipient : undefined;
  if (rules.smtputf8 && !isAscii(recipient) && !isUtf8(recipient)) return undefined;
  if (isAscii(domain) ? validHostname(domain) : rules.smtputf8 && hasAsciiForm(domain, rules)) return recipient;
  const local = recipient.slice(0, recipient.length - domain.length);
  return rules.resolveNumericDomain && validHostaddr(domain) ? `${local}[${domain}]` : undefined;
}

function hasAsciiForm(domain: string, { idna2003, warn }: RoutingRules): boolean {
  const found = domainToAscii(domain, idna2003);
  if ('trouble' in found) warn(`midna_domain_to_ascii_create: ${found.trouble}`);
  return 'ascii' in found;
}

/** A main.cf `transport:nexthop` value overrides the nexthop of the class. */
function classTarget(setting: string, nexthop: string, flags: number): Target {
  const route = splitRoute(setting);
  return { transport: route.transport, nexthop: route.nexthop || nexthop, flags };
}

async function localTarget(domain: string, rules: RoutingRules): Promise<Target> {
  if (rules.helpful) await nag('mydestination', domain, ['virtual_alias_domains', 'virtual_mailbox_domains'], rules);
  return classTarget(rules.localTransport, domain, resolveFlag.local);
}

async function remoteTarget(sender: string, domain: string, rules: RoutingRules): Promise<Target> {
  const { tables } = rules;
  if (await tables.isVirtualAlias(domain)) {
    if (rules.helpful) await nag('virtual_alias_domains', domain, ['virtual_mailbox_domains', 'relay_domains'], rules);
    const table = rules.showTableName ? ' in virtual alias table' : '';
    return { transport: 'error', nexthop: `5.1.1 User unknown${table}`, flags: resolveFlag.alias };
  }
  if (await tables.isVirtualMailbox(domain)) {
    if (rules.helpful) await nag('virtual_mailbox_domains', domain, ['relay_domains'], rules);
    return classTarget(rules.virtualTransport, domain, resolveFlag.virtual);
  }
  const isRelay = await tables.isRelay(domain);
  const transport = isRelay ? rules.relayTransport : await outboundTransport(sender, rules);
  const nexthop = (await senderRelayhost(sender, rules)) ?? (rules.relayhost || domain);
  return classTarget(transport, nexthop, isRelay ? resolveFlag.relay : resolveFlag.other);
}

const classLists = { virtual_alias_domains: 'isVirtualAlias', virtual_mailbox_domains: 'isVirtualMailbox', relay_domains: 'isRelay' } as const;

/** A domain that stands in two lists does not do what its owner thinks. A list that cannot be asked says nothing here. */
async function nag(list: string, domain: string, others: readonly (keyof typeof classLists)[], { tables, warn }: RoutingRules): Promise<void> {
  for (const other of others) {
    try {
      if (await tables[classLists[other]](domain)) warn(`do not list domain ${domain} in BOTH ${list} and ${other}`);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
    }
  }
}

/** A sender-dependent value; DUNNO and (with a warning) nothing at all mean the general one. */
async function senderValue(value: MaybePromise<string | undefined>, name: string, sender: string, rules: RoutingRules): Promise<string | undefined> {
  const found = await value;
  if (found === '') rules.warn(`${name}: ignoring null lookup result for ${sender}`);
  return found === undefined || found === '' || sameIgnoringCase(found, 'DUNNO') ? undefined : found;
}

async function outboundTransport(sender: string, rules: RoutingRules): Promise<string> {
  const key = sender || rules.nullTransportKey;
  const own = await senderValue(rules.tables.senderTransport(key), 'sender_dependent_default_transport_maps', key, rules);
  return own ?? rules.defaultTransport;
}

function senderRelayhost(sender: string, rules: RoutingRules): Promise<string | undefined> {
  const key = sender || rules.nullRelayhostKey;
  return senderValue(rules.tables.senderRelayhost(key), 'sender_dependent_relayhost_maps', key, rules);
}

/** transport_maps (not for virtual aliases: those have no transport of their own), then relocated_maps. */
async function overruled(recipient: string, target: Target, rules: RoutingRules): Promise<Route> {
  const entry = target.flags & resolveFlag.alias ? undefined : await rules.tables.transport(recipient);
  const route = entry === undefined ? target : applyEntry(entry, domainOf(recipient), target);
  const moved = await rules.tables.relocated(recipient);
  return moved === undefined ? { transport: route.transport, nexthop: route.nexthop } : { transport: 'error', nexthop: movedText(moved, rules) };
}

function movedText(moved: string, rules: RoutingRules): string {
  if (rules.relocatedPrefix) return `5.1.6 User has moved to ${moved}`;
  const { status, text } = splitDsn('5.2.0', moved);
  if (dsnValid(moved) > 0 && text !== '') return `${status} ${text}`;
  rules.warn(`relocated_maps result must contain RFC 3463 status and text: '${moved.slice(0, 100)}'`);
  return '5.2.0 Mailbox is unavailable';
}
