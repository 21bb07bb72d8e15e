/**
 * trivial-rewrite(8): puts addresses in full form and says where recipients go.
 *
 * Its tables are opened before chroot. A table that cannot be asked gives the reply's `fail` flag, never a wrong route. Tables
 * notice changes by themselves; a changed parameter needs `postfix reload`.
 */
import { oldDefaultText, usesOldDefault } from '../../config/old-defaults.ts';
import { resolveFlag, rewriteService } from '../../ipc/rewrite.ts';
import type { Calls } from '../../ipc/service.ts';
import { serveCalls } from '../../ipc/serve.ts';
import { quote822Local } from '../../message/address.ts';
import { internalize, scanAddress } from '../../message/address-tokens.ts';
import { AnswerMemory } from '../../text/answer-memory.ts';
import type { Daemon, Service, Tools } from '../../server/daemon.ts';
import { addressRules, domainsWithParents, exactDomains, localDomains } from '../../tables/lists.ts';
import { addressTableSearch, findAddress, parentsMatch, transportSearch, type AddressRules, type AddressSearch } from '../../tables/mail-address-find.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext, TableTrouble, type TableContext } from '../../tables/table.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { resolveAddress, type Resolved, type RoutingRules } from './resolve-address.ts';
import { rewriteAddress, type RewriteContext, type RewriteRules } from './rewrite-address.ts';

const parameters = [
  'myhostname', 'myorigin', 'mydomain', 'remote_header_rewrite_domain', 'swap_bangpath', 'allow_percent_hack', 'append_at_myorigin',
  'append_dot_mydomain', 'resolve_null_domain', 'resolve_dequoted_address', 'resolve_numeric_domain', 'empty_address_recipient',
  'local_transport', 'virtual_transport', 'relay_transport', 'default_transport', 'relayhost', 'allow_min_user', 'smtputf8_enable',
  'show_user_unknown_table_name', 'relocated_prefix_enable', 'empty_address_relayhost_maps_lookup_key',
  'empty_address_default_transport_maps_lookup_key', 'address_verify_local_transport', 'address_verify_virtual_transport',
  'address_verify_relay_transport', 'enable_idna2003_compatibility', 'helpful_warnings', 'address_verify_default_transport', 'address_verify_relayhost',
] as const;

export const daemon: Daemon = {
  card: {
    name: 'trivial-rewrite',
    summary: 'address rewriting and resolving',
    group: 'queue',
    calls: [],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'rewrite   unix  -       -       n       -       -       trivial-rewrite',
    standards: ['RFC 5321', 'RFC 5322'],
  },
  open,
};

function open(tools: Tools): Service {
  const calls = rewriter(tools);
  return { calls, client: ({ socket, log, ending }) => serveCalls(socket, rewriteService, calls, log, ending) };
}

function rewriter(tools: Tools): Calls<typeof rewriteService> {
  const view = tools.config.view(parameters);
  const context = tableContext(tools.config, tools.log, tools.restart);
  const rules: RewriteRules = {
    swapBangPath: view.swap_bangpath, percentHack: view.allow_percent_hack,
    appendAtOrigin: view.append_at_myorigin, appendDotDomain: view.append_dot_mydomain,
    noteDotDomain: usesOldDefault(tools.config, 'append_dot_mydomain') ? oldDotDomain(tools, context) : undefined,
  };
  const local: RewriteContext = { origin: view.myorigin, domain: view.mydomain };
  const remote: RewriteContext = { origin: view.remote_header_rewrite_domain, domain: view.remote_header_rewrite_domain };
  const routing = routingRules(tools, context, rules, local);
  const probing: RoutingRules = {
    ...routing,
    localTransport: view.address_verify_local_transport, virtualTransport: view.address_verify_virtual_transport,
    relayTransport: view.address_verify_relay_transport, defaultTransport: view.address_verify_default_transport, relayhost: view.address_verify_relayhost,
    tables: { ...routing.tables, ...dependentTables(tools, context, routing, 'address_verify_') },
  };
  const now = (): number => tools.clock.monotonic();
  // Nothing but main.cf goes into a rewritten address.
  const memories = { local: new AnswerMemory<{ address: string }>(remembered, Infinity, now), remote: new AnswerMemory<{ address: string }>(remembered, Infinity, now) };
  const rewrite = ({ rule, address }: { rule: string; address: string }): { address: string } => {
    if (address === '') tools.log.warning('rewrite_addr: null address');
    const known = rule === 'remote' ? memories.remote : memories.local;
    return known.get(address) ?? known.keep(address, { address: rewritten(address, rule === 'remote' ? remote : local, rules) });
  };
  const resolve = (rule: RoutingRules) => {
    const memory = new AnswerMemory<Resolved>(remembered, tableMemory, now);
    return ({ sender, address }: { sender: string; address: string }): MaybePromise<Resolved> => {
      const question = rule.tables.bySender ? `${sender}\0${address}` : address;
      return memory.get(question) ?? resolved(sender, address, rule).then((answer) => (answer.flags & resolveFlag.fail ? answer : memory.keep(question, answer)));
    };
  };
  return {
    rewrite,
    resolve: resolve(routing),
    verify: resolve(probing),
  };
}

// `localhost` is completed on most machines, and belongs to mydestination there.
function oldDotDomain({ config, log }: Tools, context: TableContext): (domain: string, appended: string) => void {
  const isLocal = localDomains(config, context);
  return (domain, appended) => {
    const text = oldDefaultText('append_dot_mydomain=yes', `to rewrite "${domain}" to "${domain}.${appended}"`);
    if (domain.toLowerCase() !== 'localhost') return log.info(text);
    return void chain(isLocal(domain), (isOurs) => {
      if (!isOurs) log.info(`${text}; please add "localhost" to mydestination or other address class`);
    });
  };
}

/** Answers kept, and for how many milliseconds those that tables may have part in. */
const remembered = 1000;
const tableMemory = 1000;

function rewritten(address: string, context: RewriteContext, rules: RewriteRules): string {
  return address === '' ? '' : quote822Local(internalize(rewriteAddress(scanAddress(address), context, rules)));
}

async function resolved(sender: string, address: string, rules: RoutingRules): Promise<Resolved> {
  try {
    return await resolveAddress(sender, address, rules);
  } catch (error) {
    if (!(error instanceof TableTrouble)) throw error;
    rules.warn(`${error.table} lookup failure`);
    return { transport: '', nexthop: '', recipient: address, flags: resolveFlag.fail };
  }
}

function routingRules(tools: Tools, context: TableContext, rules: RewriteRules, local: RewriteContext): RoutingRules {
  const { config, log } = tools;
  const view = config.view(parameters);
  const isLocal = localDomains(config, context);
  const base = {
    ...rules, local, isLocal,
    resolveNullDomain: view.resolve_null_domain, resolveDequoted: view.resolve_dequoted_address,
    emptyAddress: view.empty_address_recipient, myhostname: view.myhostname,
    localTransport: view.local_transport, virtualTransport: view.virtual_transport, relayTransport: view.relay_transport,
    defaultTransport: view.default_transport, relayhost: view.relayhost,
    nullRelayhostKey: view.empty_address_relayhost_maps_lookup_key, nullTransportKey: view.empty_address_default_transport_maps_lookup_key,
    allowMinUser: view.allow_min_user, resolveNumericDomain: view.resolve_numeric_domain, smtputf8: view.smtputf8_enable, idna2003: view.enable_idna2003_compatibility, helpful: view.helpful_warnings,
    showTableName: view.show_user_unknown_table_name, relocatedPrefix: view.relocated_prefix_enable,
    warn: (text: string) => log.warning(text),
  };
  const tables = {
    isVirtualAlias: exactDomains('virtual_alias_domains', config, context),
    isVirtualMailbox: exactDomains('virtual_mailbox_domains', config, context),
    isRelay: domainsWithParents('relay_domains', config, context),
    relocated: finder('relocated_maps', tools, context, addressTableSearch, addressRules(config, isLocal)),
    ...dependentTables(tools, context, base, ''),
  };
  return { ...base, tables };
}

/** The tables that probes (address_verify_*) have of their own. */
function dependentTables(tools: Tools, context: TableContext, { isLocal }: Pick<RoutingRules, 'isLocal'>, prefix: '' | 'address_verify_') {
  const rules = addressRules(tools.config, isLocal);
  const route = finder(`${prefix}transport_maps`, tools, context, transportSearch(parentsMatch('transport_maps', context)), rules);
  const wildcard = openMaps(tools.config.text(`${prefix}transport_maps`), context, `${prefix}transport_maps`, routing);
  return {
    transport: (recipient: string) => chain(route(recipient), (found) => found ?? wildcard.find('*')),
    senderRelayhost: finder(`${prefix}sender_dependent_relayhost_maps`, tools, context, addressTableSearch, rules),
    senderTransport: finder(`${prefix}sender_dependent_default_transport_maps`, tools, context, addressTableSearch, rules),
    bySender: ['relayhost', 'default_transport'].some((what) => tools.config.text(`${prefix}sender_dependent_${what}_maps`) !== ''),
  };
}

/** What a sender wrote must not choose a next hop: `$1` is refused in tables that route. */
const routing = { noSubstitution: true };

function finder(name: string, tools: Tools, context: TableContext, search: AddressSearch, rules: AddressRules): (address: string) => MaybePromise<string | undefined> {
  const maps = openMaps(tools.config.text(name), context, name, name === 'relocated_maps' ? {} : routing);
  if (maps.isEmpty) return () => undefined;
  return (address) => chain(findAddress(maps, address, search, rules), (match) => match?.value);
}
