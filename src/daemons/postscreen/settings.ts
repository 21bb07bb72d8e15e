/** main.cf as a session of postscreen(8) sees it. Mistakes in it end the process, in Postfix's words. */
import { forbiddenByDefault } from '../../protocol/smtp-server/settings.ts';
import { discardSet } from '../../protocol/postscreen/keywords.ts';
import type { Action, Patience, ScreenSettings } from '../../protocol/postscreen/settings.ts';
import { tests } from '../../protocol/postscreen/stamps.ts';
import type { Tools } from '../../server/daemon.ts';
import type { TlsService } from '../../server/tls-service.ts';
import { matchSources } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import type { TableContext } from '../../tables/table.ts';
import { lowerAscii } from '../../text/ascii.ts';
import { stringList } from '../../text/match-list.ts';
import { isPending } from '../../text/maybe.ts';
import { askAtOnce } from './at-once.ts';
import { footers, ownOrOther } from './footer.ts';
import type { ProxyRole } from './proxy-role.ts';

const parameters = [
  'myhostname', 'smtpd_banner', 'postscreen_greet_banner', 'postscreen_greet_ttl', 'postscreen_greet_action', 'postscreen_dnsbl_sites', 'postscreen_dnsbl_action',
  'postscreen_dnsbl_threshold', 'postscreen_dnsbl_allowlist_threshold', 'postscreen_dnsbl_min_ttl', 'postscreen_dnsbl_max_ttl', 'postscreen_pipelining_enable',
  'postscreen_pipelining_ttl', 'postscreen_pipelining_action', 'postscreen_non_smtp_command_enable', 'postscreen_non_smtp_command_ttl',
  'postscreen_non_smtp_command_action', 'postscreen_bare_newline_enable', 'postscreen_bare_newline_ttl', 'postscreen_bare_newline_action',
  'postscreen_command_count_limit', 'line_length_limit', 'message_size_limit', 'postscreen_helo_required', 'disable_vrfy_command',
  'postscreen_disable_vrfy_command', 'smtputf8_enable', 'soft_bounce', 'delay_logging_resolution_limit', 'postscreen_discard_ehlo_keywords',
  'postscreen_discard_ehlo_keyword_address_maps', 'postscreen_command_filter', 'postscreen_forbidden_commands', 'postscreen_reject_footer_maps',
  'info_log_address_format',
] as const;

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([['drop', 'drop'], ['enforce', 'enforce'], ['ignore', 'ignore'], ['continue', 'ignore']]);

export function actionOf(tools: Tools, name: 'postscreen_greet_action' | 'postscreen_dnsbl_action' | 'postscreen_pipelining_action' | 'postscreen_non_smtp_command_action' | 'postscreen_bare_newline_action' | 'postscreen_denylist_action'): Action {
  const text = tools.config.get(name);
  return actions.get(lowerAscii(text)) ?? tools.log.fatal(`bad ${name} value: ${text}`);
}

interface ScreenTls {
  readonly service: TlsService;
  readonly role: ProxyRole;
}

export function screenSettings(tools: Tools, context: TableContext, { service: tls, role }: ScreenTls, isStressed: () => boolean): ScreenSettings {
  const { config, clock, log } = tools;
  const view = config.view(parameters);
  const warn = (text: string): void => log.warning(text);
  const mapsOf = (name: 'postscreen_discard_ehlo_keyword_address_maps' | 'postscreen_command_filter' | 'postscreen_reject_footer_maps') => askAtOnce(openMaps(view[name], context, name), warn);
  return {
    myhostname: view.myhostname, banner: view.smtpd_banner, teaser: view.postscreen_greet_banner, enabled: enabledTests(tools),
    greetWait: patience(tools, 'postscreen_greet_wait'), greetTtl: view.postscreen_greet_ttl, greetAction: actionOf(tools, 'postscreen_greet_action'),
    dnsblAction: actionOf(tools, 'postscreen_dnsbl_action'), dnsblThreshold: view.postscreen_dnsbl_threshold,
    dnsblAllowThreshold: view.postscreen_dnsbl_allowlist_threshold, dnsblMinTtl: view.postscreen_dnsbl_min_ttl, dnsblMaxTtl: view.postscreen_dnsbl_max_ttl,
    pipeliningTtl: view.postscreen_pipelining_ttl, pipeliningAction: actionOf(tools, 'postscreen_pipelining_action'),
    nonSmtpTtl: view.postscreen_non_smtp_command_ttl, nonSmtpAction: actionOf(tools, 'postscreen_non_smtp_command_action'),
    bareNewlineTtl: view.postscreen_bare_newline_ttl, bareNewlineAction: actionOf(tools, 'postscreen_bare_newline_action'),
    commandTime: patience(tools, 'postscreen_command_time_limit'), commandCountLimit: view.postscreen_command_count_limit,
    lineLengthLimit: view.line_length_limit, messageSizeLimit: view.message_size_limit,
    heloRequired: view.postscreen_helo_required, hidesVrfy: view.disable_vrfy_command, disablesVrfy: view.postscreen_disable_vrfy_command,
    smtputf8: view.smtputf8_enable, softBounce: view.soft_bounce, delayDigits: view.delay_logging_resolution_limit,
    discardedKeywords: discardSet(view.postscreen_discard_ehlo_keywords), logsQuoted: view.info_log_address_format !== 'internal',
    tls: { isUsed: tls.level.isUsed, isRequired: tls.level.isRequired, isReady: () => tls.isReady, isRefused: (label) => role.refuses(label) },
    isStressed,
    seconds: () => Math.floor(clock.now() / 1000),
    isForbiddenCommand: forbiddenCommands(tools, context),
    filterCommand: mapsOf('postscreen_command_filter'),
    discardsFor: mapsOf('postscreen_discard_ehlo_keyword_address_maps'),
    footer: footers({
      find: mapsOf('postscreen_reject_footer_maps'), footer: ownOrOther(config, 'postscreen_reject_footer'), myhostname: view.myhostname,
      filter: ownOrOther(config, 'postscreen_expansion_filter'), now: () => clock.now(), warn,
    }),
  };
}

export function enabledTests({ config }: Tools): number {
  const view = config.view(parameters);
  return (view.postscreen_greet_banner === '' ? 0 : tests.pregreet) | (view.postscreen_dnsbl_sites === '' ? 0 : tests.dnsbl)
    | (view.postscreen_pipelining_enable ? tests.pipelining : 0) | (view.postscreen_non_smtp_command_enable ? tests.nonSmtp : 0)
    | (view.postscreen_bare_newline_enable ? tests.bareNewline : 0);
}

/** A time that main.cf makes shorter with ${stress?...}. */
function patience({ config }: Tools, name: 'postscreen_greet_wait' | 'postscreen_command_time_limit'): Patience {
  const under = (stress: string): number => config.withOverrides([['stress', stress]]).get(name);
  return { normal: under(''), stress: under('yes') };
}

/** A table that cannot be asked says nothing: this is no vital matter. */
function forbiddenCommands({ config, log }: Tools, context: TableContext): (word: string) => boolean {
  const text = config.get('postscreen_forbidden_commands');
  if (text === '') return () => false;
  if (text === config.defaultText('smtpd_forbidden_commands')) return forbiddenByDefault;
  const list = stringList('postscreen_forbidden_commands', text, matchSources(context));
  let isTold = false;
  return (word) => {
    const answer = list.match(word);
    if (typeof answer === 'boolean') return answer;
    if (!isPending(answer)) return false;
    if (!isTold) log.warning('postscreen_forbidden_commands: a table that has to be waited for does not count; use files, patterns or memory');
    isTold = true;
    return false;
  };
}
