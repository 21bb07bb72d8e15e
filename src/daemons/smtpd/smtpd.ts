/**
 * smtpd(8): the SMTP server. One process serves many clients; this file opens what they share: restriction lists, tables, limits.
 *
 * Read on: conversation.ts for one client, policy.ts and access/ for who may do what, transaction.ts for the way to cleanup.
 */
import { verpTrouble } from '../../config/checks.ts';
import { overriddenFlags } from '../../ipc/override-options.ts';
import { resolveFlag } from '../../ipc/rewrite.ts';
import type { Clock } from '../../server/clock.ts';
import { fullSocket, type PeerSocket } from '../../host/lean-socket.ts';
import { zoneAt } from '../../host/zone.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { Resolver } from '../../network/resolver.ts';
import { defaultSettings, forbiddenByDefault, type SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import { queueSpace } from '../../queue/free-space.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { matchSources } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext, TableTrouble, type TableContext } from '../../tables/table.ts';
import { stringList } from '../../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { splitAddress } from '../../message/address.ts';
import { isAscii, lowerAscii, splitList } from '../../text/ascii.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { compileList } from './access/evaluate.ts';
import { accessSetup, restrictionClasses, restrictionMistake } from './access/open-setup.ts';
import { openRelay } from './access/relay-guard.ts';
import type { Resolved } from './access/resolver.ts';
import { accessParameters, type AccessSetup } from './access/setup.ts';
import type { AccessState, Client, Instance } from './access/state.ts';
import { clientCounts } from './client-counts.ts';
import { ClientNames } from './client-name.ts';
import { Conversation } from './conversation.ts';
import type { Hall } from './hall.ts';
import { openNotices, noticeParameters } from './notices.ts';
import { openCommandFilter } from './command-filter.ts';
import { openPeerRights, peerParameters } from './peer-rights.ts';
import { openMilterDesk } from './milter.ts';
import { Policy } from './policy.ts';
import { openFlushSite } from './flush-site.ts';
import { openProbeSender } from './probe-sender.ts';
import { openProxyFilter, proxyParameters } from './proxy-filter.ts';
import { createReplyEditor } from './refusal-text.ts';
import { openSasl } from './sasl.ts';
import { openWatched } from './watched.ts';
import { unknownClient } from './other-client.ts';
import { ServerTls, type TlsLevel } from './tls.ts';
import { dependsOnStress } from './stress.ts';
import { familiesOf, openUpstreamProxy, turnAway, type AskProxy, type ProxiedEnds } from './upstream-proxy.ts';
import { SteadySet } from '../../text/steady.ts';

/** Parameters whose values the protocol machine takes by the same name. */
const machineParameters = [
  'myhostname', 'smtpd_banner', 'line_length_limit', 'message_size_limit', 'smtpd_recipient_limit', 'smtpd_recipient_overshoot_limit',
  'smtpd_hard_error_limit', 'smtpd_soft_error_limit', 'smtpd_error_sleep_time', 'smtpd_junk_command_limit', 'smtpd_timeout',
  'smtpd_per_request_deadline', 'smtpd_min_data_rate', 'smtpd_sasl_auth_enable', 'smtpd_sasl_response_limit', 'broken_sasl_auth_clients', 'smtpd_helo_required', 'disable_vrfy_command', 'strict_rfc821_envelopes', 'smtputf8_enable',
  'strict_smtputf8', 'soft_bounce', 'smtpd_forbid_bare_newline_reject_code', 'requiretls_enable', 'verp_delimiter_filter', 'default_verp_delimiters',
] as const;

const policyParameters = [
  ...accessParameters, ...proxyParameters, 'smtpd_delay_open_until_valid_rcpt', 'mail_name', 'smtpd_hide_client_session', 'smtpd_forbid_bare_newline', 'smtpd_forbid_unauth_pipelining',
  'smtpd_discard_ehlo_keywords', 'smtpd_noop_commands', 'smtpd_forbidden_commands', 'smtpd_peername_lookup', 'queue_minfree', 'content_filter', 'receive_override_options',
  'cleanup_service_name', 'smtpd_delay_reject', 'smtpd_relay_before_recipient_restrictions', 'smtpd_reject_unlisted_recipient',
  'smtpd_reject_unlisted_sender', 'smtpd_restriction_classes', 'recipient_delimiter', 'resolver_configuration', 'local_header_rewrite_clients', 'smtpd_reject_filter_maps', 'smtpd_reject_footer_maps',
  'smtpd_reject_footer', ...peerParameters, ...noticeParameters, 'smtpd_client_port_logging', 'smtpd_command_filter', 'smtputf8_autodetect_classes', 'inet_protocols', 'info_log_address_format',
] as const;

const parameters = [...machineParameters, ...policyParameters] as const;

export const daemon: Daemon = {
  card: {
    name: 'smtpd',
    summary: 'SMTP server',
    group: 'network in',
    calls: ['rewrite', 'cleanup', 'anvil', 'tlsmgr', 'verify', 'flush'],
    privileges: { user: 'mail_owner', network: true, writes: ['incoming'] },
    row: 'smtp      inet  n       -       n       -       -       smtpd',
    standards: ['RFC 5321', 'RFC 1870', 'RFC 2034', 'RFC 2920', 'RFC 3030', 'RFC 3461', 'RFC 6152', 'RFC 6531', 'RFC 7505'],
  },
  open,
};

function open(tools: Tools): Promise<Service> {
  const view = tools.config.view(parameters);
  const context = tableContext(tools.config, tools.log, tools.restart);
  const dns = new Resolver({ ticker: tools.clock, warn: (text) => tools.log.warning(text), file: view.resolver_configuration });
  const hosts = new HostsFile('/etc/hosts', tools.clock);
  const logsPort = view.smtpd_client_port_logging;
  const names = new ClientNames({ dns, hosts, ticker: tools.clock, warn: (text) => tools.log.warning(text), enabled: view.smtpd_peername_lookup, logsPort });
  const proxy = openUpstreamProxy(tools, context);
  const tls = new ServerTls(tools, context);
  const sasl = openSasl(tools, context, (host) => lookupNative(host, hosts, dns));
  const calm = openHall(tools, context, dns, hosts, tls, sasl);
  const bad = { ...tools, config: tools.config.withOverrides([['stress', 'yes']]) };
  const underStress = dependsOnStress(tools.config, bad.config, policyParameters) ? openHall(bad, context, dns, hosts, tls, sasl)
    : { ...calm, settings: machineSettings(bad, context, tls.level) };
  const unhurried = new SteadySet<Conversation>();
  const hall: Hall = { ...calm, underStress, unhurried };
  const serve = (session: Session<PeerSocket>, client: Client): Promise<void> => {
    const conversation = new Conversation(session, client, session.stress ? underStress : hall);
    // Whoever has read a proxy's header, or passed the client on, has left the socket paused; a handshake takes it over as it is.
    if ((proxy !== undefined || session.ends !== undefined) && !tls.level.isWrapped) session.socket.resume();
    return conversation.served();
  };
  const meet = (session: Session<PeerSocket>, who: ProxiedEnds | 'direct'): MaybePromise<void> =>
    chain(who === 'direct' ? names.describe(session.ends ?? session.socket, session.serverEnd) : names.describeProxied(who), (client) => serve(session, client));
  const introduce = async (session: Session, ask: AskProxy): Promise<void> => {
    const who = await ask(session);
    return who === 'none' ? turnAway(session, view.myhostname, unknownClient(logsPort)) : meet(session, who);
  };
  const service: Service = {
    stressed: () => {
      for (const conversation of unhurried) conversation.hurry();
      unhurried.clear();
    },
    start: () => tls.start(),
    drain: () => tls.close(),
    stranger: (session) => (proxy === undefined || session.ends !== undefined ? meet(session, 'direct') : introduce({ ...session, socket: fullSocket(session.socket) }, proxy)),
  };
  return tls.open().then(() => service);
}

function openHall(tools: Tools, context: TableContext, dns: Resolver, hosts: HostsFile, tls: ServerTls, sasl: Hall['sasl']): Hall {
  const { config, log, clock, services } = tools;
  const view = config.view(parameters);
  const setup = accessSetup(tools, context, dns, hosts);
  const classText = restrictionClasses(tools);
  const relay = openRelay([config.text('smtpd_relay_restrictions'), config.text('smtpd_recipient_restrictions')], classText);
  const mistake = relay ?? restrictionMistake(config) ?? verpTrouble(config);
  if (mistake !== undefined) log.fatal(mistake);
  const policy = new Policy(setup, {
    text: (name) => config.text(name),
    classText, classNames: splitList(view.smtpd_restriction_classes),
    delayReject: view.smtpd_delay_reject, relayBeforeRecipient: view.smtpd_relay_before_recipient_restrictions,
    rejectUnlistedRecipient: view.smtpd_reject_unlisted_recipient, rejectUnlistedSender: view.smtpd_reject_unlisted_sender,
  });
  const rewritten = compileList(view.local_header_rewrite_clients, { setup: { ...setup, logsPermit: undefined }, defaultTable: 'check_address_map', classText: () => undefined, parameter: 'local_header_rewrite_clients' });
  const proxy = openProxyFilter(tools, context, dns, hosts);
  return {
    policy, log, tls, sasl, ticker: clock, proxy,
    opensEarly: !view.smtpd_delay_open_until_valid_rcpt,
    flushSite: openFlushSite(tools, context),
    counts: clientCounts(tools, context),
    cleanup: services.cleanup(view.cleanup_service_name),
    own: {
      hostname: view.myhostname, mailName: view.mail_name, hideClient: view.smtpd_hide_client_session, showsLogin: sasl?.showsLogin ?? false,
      date: dates(),
    },
    settings: machineSettings(tools, context, tls.level),
    peerOf: openPeerRights(tools, context),
    filterCommand: openCommandFilter(view.smtpd_command_filter, context, log, view.myhostname),
    notices: openNotices(tools, services.cleanup(view.cleanup_service_name)),
    isWatched: openWatched(tools, context) ?? nobody,
    logsPort: view.smtpd_client_port_logging,
    logsInternal: view.info_log_address_format === 'internal',
    detectsUtf8: view.smtputf8_enable && splitList(lowerAscii(view.smtputf8_autodetect_classes)).some((name) => name === 'smtpd' || name === 'all'),
    now: () => clock.now(),
    isMalformed: (sender, address, smtputf8) => isMalformed(setup, sender, address, smtputf8),
    probeSender: openProbeSender(tools),
    hasSpace: proxy === undefined || proxy.speedAdjust ? spaceWatch(tools) : () => true,
    isLocalRewriting: remembered(isClientOnly(view.local_header_rewrite_clients), (state) =>
      chain(rewritten(probe(state), { name: state.client.label, replyClass: 'Client host' }), (decision) => decision?.kind === 'permit')),
    contentFilter: view.content_filter,
    withoutFlags: overriddenFlags(view.receive_override_options),
    milters: openMilterDesk({
      tools, context, native: (host) => setup.outside!.native(host), resolve: setup.tools.resolve, withoutFlags: overriddenFlags(view.receive_override_options),
    }),
    nextInstance: instances(clock),
    editReply: createReplyEditor({
      filter: openMaps(view.smtpd_reject_filter_maps, context, 'smtpd_reject_filter_maps'),
      footers: openMaps(view.smtpd_reject_footer_maps, context, 'smtpd_reject_footer_maps'),
      footer: view.smtpd_reject_footer, warn: (text) => log.warning(text),
      expand: (template, state) => setup.outside!.expand(template, state, noMore),
    }),
  };
}

const nobody = (): boolean => false;
const noMore: ReadonlyMap<string, string> = new Map();

function instances(clock: Clock): () => Instance {
  let number = 0;
  return () => ({ begun: clock.now(), number: number++ });
}

function isMalformed(setup: AccessSetup, sender: string, address: string, smtputf8: boolean): MaybePromise<boolean> {
  try {
    const route = setup.tools.resolve(sender, address);
    return isPending(route) ? route.then((late) => isInError(late, smtputf8)).catch(notOfTables) : isInError(route, smtputf8);
  } catch (error) {
    return notOfTables(error);
  }
}

function isInError({ flags, recipient }: Resolved, smtputf8: boolean): boolean {
  if ((flags & resolveFlag.error) !== 0) return true;
  return !smtputf8 && !isAscii(recipient) && !isAscii(splitAddress(recipient).domain ?? '');
}

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
function remembered(constant: boolean, ask: (state: AccessState) => MaybePromise<boolean>): (state: AccessState) => MaybePromise<boolean> {
  const answers = new Map<string, boolean>();
  return (state) => {
    const { client } = state;
    const known = answers.get(client.address);
    if (known !== undefined) return known;
    const answer = ask(state);
    if (!constant || isPending(answer)) return answer;
    if (answers.size >= rememberedAnswers) answers.clear();
    answers.set(client.address, answer);
    return answer;
  };
}

/** A state for asking about the client alone. */
function probe({ client, log, sasl, tls }: AccessState): AccessState {
  return {
    client, log, sasl, tls, helo: undefined, protocol: 'SMTP', sender: undefined, recipient: undefined, recipientCount: 0, where: 'MAIL', queueId: undefined,
    effects: { hold: false, discard: false, filter: undefined, redirect: undefined, prepend: [], bcc: [] },
    deferIfPermit: undefined, deferIfReject: undefined, warnOnly: false, recipientChecked: false, senderChecked: false, depth: 0, pipelinesIllegally: false,
  };
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

function machineSettings(tools: Tools, context: TableContext, tls: TlsLevel): (client: Client) => SmtpServerSettings {
  const { config } = tools;
  const view = config.view(parameters);
  const byLabel = new Map<string, SmtpServerSettings>();
  const noops = new Set(splitList(lowerAscii(view.smtpd_noop_commands)));
  const shared: SmtpServerSettings = {
    ...defaultSettings(view.myhostname, ''), ...config.view(machineParameters),
    smtpd_forbid_bare_newline: bareNewline(view.smtpd_forbid_bare_newline),
    smtpd_forbid_unauth_pipelining: view.smtpd_forbid_unauth_pipelining,
    smtpd_use_tls: tls.isUsed, smtpd_enforce_tls: tls.isRequired, smtpd_tls_auth_only: tls.authOnly,
    discardedKeywords: new Set(splitList(lowerAscii(view.smtpd_discard_ehlo_keywords))),
    filtersCommands: view.smtpd_command_filter !== '',
    families: familiesOf(view.inet_protocols),
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
  let told = false;
  const tellOnce = (): void => {
    if (!told) log.warning('smtpd_forbidden_commands: a table that has to be waited for does not count; use files, patterns or memory');
    told = true;
  };
  return (word) => {
    const answer = list.match(word);
    if (typeof answer === 'boolean') return answer;
    if (!isPending(answer)) log.warning(answer.trouble);
    else tellOnce();
    return false;
  };
}

function bareNewline(text: string): SmtpServerSettings['smtpd_forbid_bare_newline'] {
  const word = lowerAscii(text.trim());
  return word === 'reject' || word === 'note' || word === 'no' ? word : 'normalize';
}
