/**
 * smtp(8) and lmtp(8): take mail to servers elsewhere, or to a program on this machine that speaks LMTP.
 *
 * The story of a request is in delivery.ts, the way to servers in hops.ts, the dialogue in protocol/smtp-client.
 */
import { tcpPort } from '../../config/tcp-ports.ts';
import { openAgent } from '../../delivery/agent.ts';
import type { AgentOptions, Delivery } from '../../delivery/agent.ts';
import { DeliveredTo } from '../../delivery/delivered-to.ts';
import { passOn } from '../../delivery/pass.ts';
import { reportServices } from '../../delivery/reports.ts';
import type { Report } from '../../delivery/reports.ts';
import type { Recipient } from '../../ipc/deliver.ts';
import { filteredDns } from '../../network/dns-filter.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import type { Dns } from '../../network/dns.ts';
import { completedDns } from '../../network/short-names.ts';
import { Resolver } from '../../network/resolver.ts';
import type { Daemon, Service, Tools } from '../../server/daemon.ts';
import { addressRules, fastFlushSites, localDomains, matchSources } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext, TableTrouble, type TableContext } from '../../tables/table.ts';
import { stringList } from '../../text/match-list.ts';
import type { MatchList } from '../../text/match-list.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { openTable } from '../../tables/open.ts';
import { Errand, type ErrandTools } from './delivery.ts';
import { Hops } from './hops.ts';
import { Logins } from './login.ts';
import type { SaslSettings } from './login.ts';
import { openNotices } from './notices.ts';
import { openReplyFilter } from './reply-filter.ts';
import { openRewriting } from './rewriting.ts';
import { readSettings } from './settings.ts';
import { TlsDesk } from './tls-desk.ts';
import type { Settings } from './settings.ts';
import { TokenSource } from './token-source.ts';

interface Prepared {
  readonly settings: Settings;
  readonly hops: Hops;
  readonly desk: TlsDesk;
  readonly tools: Tools;
  /** For all deliveries. */
  readonly errands: ErrandTools;
}

function prepare(tools: Tools): Prepared & { readonly options: AgentOptions } {
  const { config, log, clock, row } = tools;
  // Names of ports are asked for after chroot; the file is read with the first name that is not known otherwise.
  tcpPort('-');
  const read = readSettings(config, row.program === 'lmtp' ? 'lmtp' : 'smtp', row.args);
  const context = tableContext(config, log, tools.restart);
  const settings = { ...read, client: { ...read.client, replyFilter: openReplyFilter(read.replyFilter, context) } };
  const discardMaps = openMaps(settings.discardMaps, context, `${settings.program}_discard_ehlo_keyword_address_maps`);
  const pixMaps = openMaps(settings.pix.maps, context, `${settings.program}_pix_workaround_maps`);
  const list = (name: string, text: string): ((word: string) => MaybePromise<boolean>) => {
    const words: MatchList | undefined = text === '' ? undefined : stringList(name, text, matchSources(context));
    return (word) => words !== undefined && chain(words.match(word), (answer) => answer === true);
  };
  const dns = openDns(settings, tools, context);
  const desk = new TlsDesk({ tools, settings: settings.tls, context, dns, asksDns: settings.destination.lookup.dns, dnsEnabled: settings.dnsEnabled });
  const hops = new Hops({
    settings, ticker: clock, random: Math.random, dns, tls: desk,
    hosts: new HostsFile(config.get('resolver_hosts_file'), clock),
    discard: (address) => discardMaps.find(address),
    // A table out of order says nothing: these are workarounds.
    pix: async (address) => {
      try {
        return await pixMaps.find(address);
      } catch (error) {
        if (error instanceof TableTrouble) return undefined;
        throw error;
      }
    },
    alwaysKept: list(`${settings.program}_connection_cache_destinations`, settings.cache.destinations),
    usesSrv: list('use_srv_lookup', settings.srvServices),
  });
  const filter = openMaps(settings.statusFilter, context, `${settings.program}_delivery_status_filter`, { fold: false });
  const logins = settings.sasl && openLogins(settings.sasl, settings, tools, context);
  const rewriting = openRewriting(settings.rewriting, tools, context);
  const notices = openNotices(tools, settings.program === 'smtp' ? 'SMTP' : 'LMTP');
  const errands: ErrandTools = {
    settings, hops, logins, rewriting, notices, clock, tls: desk,
    passOn: (transport, recipient, { request, outcome: { reports }, log: voice }) => passOn(transport, request, recipient, { services: tools.services, reports, log: voice }),
  };
  const prepared = { settings, hops, desk, tools, errands };
  return {
    ...prepared,
    options: {
      deliver: (delivery) => deliver(delivery, prepared),
      statusFilter: filter.isEmpty ? undefined : filter,
      fastFlush: fastFlushSites(config, context),
    },
  };
}

/** The name service, as smtp_dns_reply_filter leaves it. */
function openDns({ program, dnsFilter, shortNames }: Settings, { config, clock, log }: Tools, context: TableContext): Dns {
  const resolver = new Resolver({
    ticker: clock, warn: (text) => log.warning(text), file: config.get('resolver_configuration'),
    cacheLimit: config.get('resolver_cache_limit'), queryLimit: config.get('resolver_query_limit'),
  });
  const dns = completedDns(resolver, { ...shortNames, domains: () => resolver.search ?? [config.get('mydomain')] });
  const title = `${program}_dns_reply_filter`;
  const maps = openMaps(dnsFilter, context, title);
  if (maps.isEmpty) return dns;
  return filteredDns(dns, { title, find: (record) => maps.find(record), info: (text) => log.info(text), warn: (text) => log.warning(text) });
}

// Opened before root is given up: passwords are for nobody else to read.
function openLogins(sasl: SaslSettings, { program }: Settings, { config, clock, log }: Tools, context: TableContext): Logins {
  const filter = sasl.mechanismFilter === '' ? undefined : stringList(`${program}_sasl_mechanism_filter`, sasl.mechanismFilter, matchSources(context));
  const tokens = openMaps(sasl.tokenMaps, context, `${program}_sasl_token_maps`, { fold: false });
  return new Logins({
    program, settings: sasl, clock,
    passwords: openMaps(sasl.passwordMaps, context, `${program}_sasl_password_maps`),
    rules: addressRules(config, localDomains(config, context)),
    filter: filter && ((mechanism) => chain(filter.match(mechanism), (answer) => answer === true)),
    cache: sasl.cacheName === '' ? undefined : openTable(sasl.cacheName, context, { fold: false, written: true }),
    tokens: tokens.isEmpty ? undefined : new TokenSource({ maps: tokens, timeLimit: sasl.tokenTimeLimit, clock, warn: (text) => log.warning(text) }),
  });
}

function deliver(delivery: Delivery, prepared: Prepared): MaybePromise<void> {
  return chain(refuse(delivery, prepared.settings, prepared.tools.row.service), (refusal) => (refusal === undefined ? run(delivery, prepared) : refused(delivery, refusal)));
}

function refused({ outcome }: Delivery, refusal: Report): Promise<void> {
  outcome.unreachable(refusal);
  return outcome.all('failed', refusal);
}

function run(delivery: Delivery, { settings, errands }: Prepared): MaybePromise<void> {
  const errand = new Errand(delivery, errands);
  const { nexthop } = delivery.request;
  if (settings.program === 'smtp') return errand.overInet(nexthop);
  if (nexthop.startsWith('unix:')) return errand.overUnix(nexthop.slice('unix:'.length));
  return errand.overInet(nexthop.startsWith('inet:') ? nexthop.slice('inet:'.length) : nexthop);
}

// Headers that name the recipient fit one recipient only; and where one of them names ours already, the mail has been here.
function refuse(delivery: Delivery, { flags }: Settings, service: string): MaybePromise<Report | undefined> {
  if (!flags.deliveredTo && !flags.originalTo) return undefined;
  const { request: { recipients }, log } = delivery;
  const [recipient] = recipients;
  if (recipients.length > 1) {
    log.warning(`flag \`${flags.deliveredTo ? 'D' : 'O'}' requires ${service}_destination_recipient_limit = 1`);
    return { dsn: '4.3.5', text: 'mail system configuration error', relay: 'none' };
  }
  return flags.deliveredTo && recipient ? refuseLoop(delivery, recipient) : undefined;
}

async function refuseLoop({ content }: Delivery, { address }: Recipient): Promise<Report | undefined> {
  return (await DeliveredTo.of(content())).has(address) ? { dsn: '5.4.6', text: `mail forwarding loop for ${address}`, relay: 'none' } : undefined;
}

function open(tools: Tools): Service {
  let hops: Hops | undefined;
  let desk: TlsDesk | undefined;
  const agent = openAgent(tools, () => {
    const prepared = prepare(tools);
    hops = prepared.hops;
    desk = prepared.desk;
    return prepared.options;
  });
  return {
    client: (session) => agent.client(session),
    calls: agent.calls,
    busy: () => agent.busy(),
    // Also what a queue manager that is gone has asked for is delivered to its end.
    drain: async () => {
      hops?.cache.close();
      await agent.drain();
      hops?.cache.close();
      desk?.close();
    },
  };
}

export const daemon: Daemon = {
  card: {
    name: 'smtp',
    summary: 'takes mail to servers that speak SMTP or LMTP',
    group: 'network out',
    calls: [...reportServices, 'deliver', 'rewrite', 'cleanup'],
    privileges: { user: 'mail_owner', network: true, writes: ['active'] },
    row: 'smtp      unix  -       -       n       -       -       smtp',
    standards: ['RFC 5321', 'RFC 2033', 'RFC 1870', 'RFC 2034', 'RFC 2920', 'RFC 3207', 'RFC 3461', 'RFC 3463', 'RFC 4954', 'RFC 6152', 'RFC 6531', 'RFC 6698', 'RFC 7505', 'RFC 7672', 'RFC 8460', 'RFC 8689'],
  },
  open,
};
