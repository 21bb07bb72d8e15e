/** Opens what restrictions are made with: parameters, tables, name service, services beside us. Before chroot. */
import type { Configuration } from '../../../config/configuration.ts';
import { oldDefaults } from '../../../config/old-defaults.ts';
import { inetProtocols, ownAddresses } from '../../../config/own-addresses.ts';
import { rewriteService } from '../../../ipc/rewrite.ts';
import { filteredDns } from '../../../network/dns-filter.ts';
import type { Dns } from '../../../network/dns.ts';
import type { HostsFile } from '../../../network/hosts-file.ts';
import type { Tools } from '../../../server/daemon.ts';
import { addressRules, clients, localDomains, matchSources } from '../../../tables/lists.ts';
import { accessKeys, addressTableSearch, domainKeys, findAddress, parentsMatch } from '../../../tables/mail-address-find.ts';
import { openMaps } from '../../../tables/maps.ts';
import { openTable } from '../../../tables/open.ts';
import type { TableContext } from '../../../tables/table.ts';
import { splitList } from '../../../text/ascii.ts';
import { stringList } from '../../../text/match-list.ts';
import { chain } from '../../../text/maybe.ts';
import { whatsUp } from '../log-lines.ts';
import { compileList } from './evaluate.ts';
import type { OldDefaults } from './old-defaults.ts';
import { openOutside } from './open-outside.ts';
import { createResolver } from './resolver.ts';
import { accessParameters, type AccessSetup } from './setup.ts';
import type { Restriction } from './state.ts';

const parameters = [...accessParameters, 'rewrite_service_name'] as const;
/** Lists from table entries that are kept compiled. */
const rememberedLists = 1000;

export function accessSetup(tools: Tools, context: TableContext, dns: Dns, hosts: HostsFile): AccessSetup {
  const { config, log, clock, services } = tools;
  const view = config.view(parameters);
  const isLocal = localDomains(config, context);
  const rules = addressRules(config, isLocal);
  const own = new Set(ownAddresses(config.get('inet_interfaces'), inetProtocols(config.get('inet_protocols'))).map(({ address }) => address));
  const domainStyle = parentsMatch('smtpd_access_maps', context) ? 'parents' : 'dot parents';
  const nested = kept<Restriction>();
  const setup: AccessSetup = {
    view: config.view(accessParameters),
    tools: {
      resolve: createResolver(services.connect(rewriteService, view.rewrite_service_name), clock),
      log: (what, state, text) => state.log.info(whatsUp(what, state, text)),
      warn: (text) => log.warning(text),
    },
    rules: { softBounce: view.soft_bounce, utf8: view.smtputf8_enable },
    isMyNetwork: clients('mynetworks', config, context),
    old: oldAccessDefaults(config, context),
    isOwnAddress: (address) => own.has(address),
    openTable: (name) => openTable(name, context),
    openMaps: (list, title) => openMaps(list, context, title),
    findAddress: (maps, address) => findAddress(maps, address, addressTableSearch, rules),
    domainKeys: (name) => domainKeys(name, domainStyle),
    addressKeys: (address) => accessKeys(address, domainStyle === 'parents', rules),
    nested: (text, defaultTable) => nested(`${defaultTable} ${text}`, () => compileList(text, { setup, defaultTable, classText: restrictionClasses(tools), parameter: 'access table' })),
    classes: new Map(),
    logsPermit: loggedPermits(config, context),
    outside: openOutside({ tools, context, dns: filteredNames(tools, context, dns), hosts, isLocalDomain: isLocal }),
    policyFacts: { stress: config.get('stress'), compatibilityLevel: config.get('compatibility_level'), mailVersion: config.get('mail_version') },
  };
  return setup;
}

const tempfailActions = ['unknown_helo_hostname_tempfail_action', 'unknown_address_tempfail_action', 'unverified_recipient_tempfail_action', 'unverified_sender_tempfail_action'] as const;

/** What makes no sense before any client comes; undefined: nothing. */
export function restrictionMistake(config: Configuration): string | undefined {
  const empty = splitList(config.get('smtpd_restriction_classes')).find((name) => config.text(name).trim() === '');
  if (empty !== undefined) return `restriction class \`${empty}' needs a definition`;
  const bad = tempfailActions.find((name) => !/^(?:defer|defer_if_permit)$/i.test(config.get(name)));
  return bad === undefined ? undefined : `bad configuration: ${bad} = ${config.get(bad)}`;
}

/** The text of a class by its name; undefined: there is no such class. */
export function restrictionClasses({ config }: Tools): (name: string) => string | undefined {
  const names = new Set(splitList(config.get('smtpd_restriction_classes')));
  return (name) => (names.has(name) ? config.text(name) : undefined);
}

/** The name service as smtpd_dns_reply_filter leaves it. */
function filteredNames({ config, log }: Tools, context: TableContext, dns: Dns): Dns {
  const title = 'smtpd_dns_reply_filter';
  const maps = openMaps(config.get(title), context, title);
  if (maps.isEmpty) return dns;
  return filteredDns(dns, { title, find: (record) => maps.find(record), info: (text) => log.info(text), warn: (text) => log.warning(text) });
}

/** smtpd_log_access_permit_actions; undefined when it is empty. */
function loggedPermits(config: Configuration, context: TableContext): AccessSetup['logsPermit'] {
  const text = config.text('smtpd_log_access_permit_actions');
  if (text.trim() === '') return undefined;
  const list = stringList('smtpd_log_access_permit_actions', text, matchSources(context));
  return (action) => chain(list.match(action), (answer) => answer === true);
}

/** Undefined where no default is an old one, as on most machines. */
function oldAccessDefaults(config: Configuration, context: TableContext): OldDefaults | undefined {
  const names = oldDefaults(config);
  if (names.size === 0) return undefined;
  const asNew = names.has('mynetworks_style') ? config.withOverrides([['mynetworks_style', 'host']]) : config;
  return { names, style: config.get('mynetworks_style'), isOwnHost: clients('mynetworks', asNew, context) };
}

/** Lists that stand in table entries are compiled when they are met first. */
function kept<T>(): (key: string, make: () => T) => T {
  const known = new Map<string, T>();
  return (key, make) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make();
    if (known.size >= rememberedLists) known.clear();
    known.set(key, made);
    return made;
  };
}
