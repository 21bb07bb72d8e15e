/**
 * smtpd(8): the SMTP server. One process serves many clients; this file opens what they share: restriction lists, tables, limits.
 *
 * Read on: conversation.ts for one client, policy.ts and access/ for who may do what, transaction.ts for the way to cleanup.
 */
import { overriddenFlags } from '../../ipc/override-options.ts';
import { resolveFlag, rewriteService } from '../../ipc/rewrite.ts';
import { inetProtocols, ownAddresses } from '../../config/own-addresses.ts';
import { zoneAt } from '../../host/zone.ts';
import type { Log } from '../../log/log.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import { Resolver } from '../../network/resolver.ts';
import { defaultSettings, forbiddenByDefault, type SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import { queueSpace } from '../../queue/free-space.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { addressRules, clients, localDomains, matchSources } from '../../tables/lists.ts';
import { addressTableSearch, domainKeys, findAddress, parentsMatch } from '../../tables/mail-address-find.ts';
import { openMaps } from '../../tables/maps.ts';
import { openTable } from '../../tables/open.ts';
import { tableContext, TableTrouble, type TableContext } from '../../tables/table.ts';
import { stripAddress } from '../../message/address.ts';
import { stringList } from '../../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { compileList } from './access/evaluate.ts';
import { openRelay } from './access/relay-guard.ts';
import { createResolver, type Resolved } from './access/resolver.ts';
import { accessParameters, type AccessSetup, type MailDomain } from './access/setup.ts';
import type { AccessState, Client, Restriction } from './access/state.ts';
import { clientCounts } from './client-counts.ts';
import { ClientNames } from './client-name.ts';
import { Conversation, type Hall } from './conversation.ts';
import { whatsUp } from './log-lines.ts';
import { Policy } from './policy.ts';

/** Parameters whose values the protocol machine takes by the same name. */
const machineParameters = [
  'myhostname', 'smtpd_banner', 'line_length_limit', 'message_size_limit', 'smtpd_recipient_limit', 'smtpd_recipient_overshoot_limit',
  'smtpd_hard_error_limit', 'smtpd_soft_error_limit', 'smtpd_error_sleep_time', 'smtpd_junk_command_limit', 'smtpd_timeout',
  'smtpd_per_request_deadline', 'smtpd_min_data_rate', 'smtpd_helo_required', 'disable_vrfy_command', 'strict_rfc821_envelopes', 'smtputf8_enable',
  'strict_smtputf8', 'soft_bounce', 'smtpd_forbid_bare_newline_reject_code',
] as const;

const parameters = [
  ...machineParameters, ...accessParameters, 'mail_name', 'smtpd_hide_client_session', 'smtpd_forbid_bare_newline', 'smtpd_forbid_unauth_pipelining',
  'smtpd_discard_ehlo_keywords', 'smtpd_noop_commands', 'smtpd_forbidden_commands', 'smtpd_peername_lookup', 'queue_minfree', 'content_filter', 'receive_override_options',
  'cleanup_service_name', 'rewrite_service_name', 'smtpd_delay_reject', 'smtpd_relay_before_recipient_restrictions', 'smtpd_reject_unlisted_recipient',
  'smtpd_reject_unlisted_sender', 'smtpd_restriction_classes', 'recipient_delimiter', 'resolver_configuration', 'local_header_rewrite_clients',
] as const;

export const daemon: Daemon = {
  card: {
    name: 'smtpd',
    summary: 'SMTP server',
    group: 'network in',
    calls: ['rewrite', 'cleanup', 'anvil'],
    privileges: { user: 'mail_owner', network: true, writes: [] },
    row: 'smtp      inet  n       -       n       -       -       smtpd',
    standards: ['RFC 5321', 'RFC 1870', 'RFC 2034', 'RFC 2920', 'RFC 3030', 'RFC 3461', 'RFC 6152', 'RFC 6531', 'RFC 7505'],
  },
  open,
};

function open(tools: Tools): Service {
  const view = tools.config.view(parameters);
  const context = tableContext(tools.config, tools.log, tools.restart);
  const dns = new Resolver({ ticker: tools.clock, warn: (text) => tools.log.warning(text), file: view.resolver_configuration });
  const names = new ClientNames({ dns, hosts: new HostsFile('/etc/hosts', tools.clock), ticker: tools.clock, enabled: view.smtpd_peername_lookup });
  const hall = openHall(tools, context, dns);
  const serve = (session: Session, client: Client): Promise<void> => new Conversation(session, client, hall).served();
  return {
    client(session) {
      const client = names.describe(session.socket, session.serverEnd);
      return isPending(client) ? client.then((late) => serve(session, late)) : serve(session, client);
    },
  };
}

function openHall(tools: Tools, context: TableContext, dns: Resolver): Hall {
  const { config, log, clock, services } = tools;
  const view = config.view(parameters);
  const setup = accessSetup(tools, context, dns);
  const classText = restrictionClasses(tools);
  const relay = openRelay([config.text('smtpd_relay_restrictions'), config.text('smtpd_recipient_restrictions')], classText);
  if (relay !== undefined) log.fatal(relay);
  const policy = new Policy(setup, {
    text: (name) => config.text(name),
    classText,
    delayReject: view.smtpd_delay_reject, relayBeforeRecipient: view.smtpd_relay_before_recipient_restrictions,
    rejectUnlistedRecipient: view.smtpd_reject_unlisted_recipient, rejectUnlistedSender: view.smtpd_reject_unlisted_sender,
  });
  const rewritten = compileList(view.local_header_rewrite_clients, { setup, defaultTable: 'check_address_map', classText: () => undefined, parameter: 'local_header_rewrite_clients' });
  return {
    policy, log, ticker: clock,
    counts: clientCounts(tools, context),
    cleanup: services.cleanup(view.cleanup_service_name),
    own: {
      hostname: view.myhostname, mailName: view.mail_name, hideClient: view.smtpd_hide_client_session,
      date: dates(),
    },
    settings: machineSettings(tools, context),
    now: () => clock.now(),
    isMalformed: (sender, address) => isMalformed(setup, sender, address),
    hasSpace: spaceWatch(tools),
    isLocalRewriting: remembered(isClientOnly(view.local_header_rewrite_clients), (client) =>
      chain(rewritten(probe(client, log), { name: client.label, replyClass: 'Client host' }), (decision) => decision?.kind === 'permit')),
    contentFilter: view.content_filter,
    withoutFlags: overriddenFlags(view.receive_override_options),
  };
}

function isMalformed(setup: AccessSetup, sender: string, address: string): MaybePromise<boolean> {
  try {
    const route = setup.tools.resolve(sender, address);
    return isPending(route) ? route.then(isInError).catch(notOfTables) : isInError(route);
  } catch (error) {
    return notOfTables(error);
  }
}

const isInError = ({ flags }: Resolved): boolean => (flags & resolveFlag.error) !== 0;

function notOfTables(error: unknown): false {
  if (error instanceof TableTrouble) return false;
  throw error;
}

/** The date of a header; most messages come in the same second as the one before. */
function dates(): (milliseconds: number) => string {
  let second = Number.NaN;
  let text = '';
  return (milliseconds) => {
    const now = Math.floor(milliseconds / 1000);
    if (now !== second) text = mailDate((second = now), zoneAt(milliseconds));
    return text;
  };
}

/** Restrictions whose answer is the same for a client as long as the process lives. */
const clientOnly: ReadonlySet<string> = new Set(['permit_inet_interfaces', 'permit', 'reject', 'defer']);
const rememberedAnswers = 1000;

function isClientOnly(list: string): boolean {
  return splitList(lowerAscii(list)).every((word) => clientOnly.has(word));
}

/** Remembers the answers for the clients of late, where they cannot change. */
function remembered(constant: boolean, ask: (client: Client) => MaybePromise<boolean>): (client: Client) => MaybePromise<boolean> {
  const answers = new Map<string, boolean>();
  return (client) => {
    const known = answers.get(client.address);
    if (known !== undefined) return known;
    const answer = ask(client);
    if (!constant || isPending(answer)) return answer;
    if (answers.size >= rememberedAnswers) answers.clear();
    answers.set(client.address, answer);
    return answer;
  };
}

/** A state for asking about the client alone. */
function probe(client: Client, log: Log): AccessState {
  return {
    client, log, helo: undefined, protocol: 'SMTP', sender: undefined, recipient: undefined, recipientCount: 0, where: 'MAIL', queueId: undefined,
    effects: { hold: false, discard: false, filter: undefined, redirect: undefined, prepend: [], bcc: [] },
    deferIfPermit: undefined, deferIfReject: undefined, warnOnly: false, recipientChecked: false, senderChecked: false, depth: 0, pipelinesIllegally: false,
  };
}

function restrictionClasses({ config }: Tools): (name: string) => string | undefined {
  const names = new Set(splitList(config.get('smtpd_restriction_classes')));
  return (name) => (names.has(name) ? config.text(name) : undefined);
}

/** The free space is asked at most once per second: it cannot change by more than a few messages meanwhile. */
function spaceWatch({ config, clock, log }: Tools): () => boolean {
  const view = config.view(parameters);
  let asked = Number.NEGATIVE_INFINITY;
  let space = { enough: true, free: 0 };
  return () => {
    if (clock.monotonic() - asked >= 1000) {
      asked = clock.monotonic();
      space = queueSpace(view);
    }
    if (!space.enough) log.warning(`not enough free space in mail queue: ${space.free} bytes < 1.5*message size limit`);
    return space.enough;
  };
}

function machineSettings(tools: Tools, context: TableContext): (client: Client) => SmtpServerSettings {
  const { config } = tools;
  const view = config.view(parameters);
  const byLabel = new Map<string, SmtpServerSettings>();
  const noops = new Set(splitList(lowerAscii(view.smtpd_noop_commands)));
  const shared: SmtpServerSettings = {
    ...defaultSettings(view.myhostname, ''), ...config.view(machineParameters),
    smtpd_forbid_bare_newline: bareNewline(view.smtpd_forbid_bare_newline),
    smtpd_forbid_unauth_pipelining: view.smtpd_forbid_unauth_pipelining,
    discardedKeywords: new Set(splitList(lowerAscii(view.smtpd_discard_ehlo_keywords))),
    isNoopCommand: noops.size === 0 ? () => false : (word: string) => noops.has(lowerAscii(word)),
    isForbiddenCommand: forbiddenCommands(tools, context),
  };
  return (client) => {
    const known = byLabel.get(client.label);
    if (known !== undefined) return known;
    const settings = { ...shared, client: client.label };
    if (byLabel.size >= rememberedAnswers) byLabel.clear();
    byLabel.set(client.label, settings);
    return settings;
  };
}

/** smtpd_forbidden_commands as a list; its default holds a pattern, which the machine knows by itself. */
function forbiddenCommands({ config, log }: Tools, context: TableContext): (word: string) => boolean {
  const text = config.get('smtpd_forbidden_commands');
  if (text === config.defaultText('smtpd_forbidden_commands')) return forbiddenByDefault;
  const list = stringList('smtpd_forbidden_commands', text, matchSources(context));
  return (word) => {
    const answer = list.match(word);
    if (typeof answer === 'boolean') return answer;
    if (!isPending(answer)) log.warning(answer.trouble);
    return false;
  };
}

function bareNewline(text: string): SmtpServerSettings['smtpd_forbid_bare_newline'] {
  const word = lowerAscii(text.trim());
  return word === 'reject' || word === 'note' || word === 'no' ? word : 'normalize';
}

function accessSetup(tools: Tools, context: TableContext, dns: Resolver): AccessSetup {
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
    rules: { softBounce: view.soft_bounce },
    isMyNetwork: clients('mynetworks', config, context),
    isOwnAddress: (address) => own.has(address),
    openTable: (name) => openTable(name, context),
    openMaps: (list, title) => openMaps(list, context, title),
    findAddress: (maps, address) => findAddress(maps, address, addressTableSearch, rules),
    domainKeys: (name) => domainKeys(name, domainStyle),
    addressKeys: (address) => accessKeys(address, view.recipient_delimiter, domainStyle),
    mailDomain: (domain) => mailDomain(domain, dns),
    nested: (text, defaultTable) => nested(`${defaultTable} ${text}`, () => compileList(text, { setup, defaultTable, classText: restrictionClasses(tools), parameter: 'access table' })),
  };
  return setup;
}

/** Lists that stand in table entries are compiled when they are met first. */
function kept<T>(): (key: string, make: () => T) => T {
  const known = new Map<string, T>();
  return (key, make) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make();
    if (known.size >= rememberedAnswers) known.clear();
    known.set(key, made);
    return made;
  };
}

/** access(5), email address patterns: user+ext@domain, user@domain, domain and its parents, user+ext@, user@. */
function accessKeys(address: string, delimiter: string, style: 'parents' | 'dot parents'): string[] {
  const stripped = stripAddress(address, delimiter)?.address;
  const at = address.lastIndexOf('@');
  const whole = stripped === undefined ? [address] : [address, stripped];
  if (at < 0) return whole;
  const locals = whole.map((each) => each.slice(0, each.lastIndexOf('@') + 1));
  return [...whole, ...domainKeys(address.slice(at + 1), style), ...locals];
}

/** RFC 5321 section 5.1: a domain takes mail when it has MX or, without one, address records. */
async function mailDomain(domain: string, dns: Resolver): Promise<MailDomain> {
  const exchangers = await dns.lookup(domain, 'MX');
  if (exchangers.status === 'ok') return 'exists';
  if (exchangers.status === 'null-mx') return 'no mail';
  const addresses = await Promise.all([dns.lookup(domain, 'A'), dns.lookup(domain, 'AAAA')]);
  if (addresses.some(({ status }) => status === 'ok')) return 'exists';
  return [exchangers, ...addresses].some(({ status }) => status === 'retry') ? 'later' : 'unknown';
}
