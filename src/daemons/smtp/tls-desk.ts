/**
 * TLS of the service, as the way to servers sees it: before a connection a plan for the server, on the connection the handshake.
 *
 * Made before privileges are dropped, since keys are read then. Where they cannot be read every plan says so, and what must be encrypted
 * waits.
 */
import { createHash } from 'node:crypto';
import type net from 'node:net';
import type { Why } from '../../network/destination.ts';
import type { Dns } from '../../network/dns.ts';
import { probeDnssec } from '../../network/dnssec-probe.ts';
import { FileWatch } from '../../network/tls-files.ts';
import { level, levelName, mustMatch } from '../../network/tls-levels.ts';
import type { Log } from '../../log/log.ts';
import { sendOption } from '../../message/envelope-names.ts';
import type { ClientOptions, Failure, RequireTls } from '../../protocol/smtp-client/steps.ts';
import type { Tools } from '../../server/daemon.ts';
import { parentsMatch } from '../../tables/mail-address-find.ts';
import { openMaps } from '../../tables/maps.ts';
import type { TableContext } from '../../tables/table.ts';
import { TlsLogLevels } from '../../tables/tls-log-levels.ts';
import { validHostaddr } from '../../text/hostname.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { SecuredConnection } from './connection.ts';
import { TlsClient } from './tls-client.ts';
import { ClientKeys } from './tls-keys.ts';
import { authorizesHost, TlsPolicies, type PolicyAnswer, type Target, type TlsPolicy } from './tls-policy.ts';
import { Reporter, reportRecord } from './tls-report.ts';
import { RequirePolicy, type Requirement } from './tls-require.ts';
import { TlsSessions } from './tls-sessions.ts';
import { mayUseTls, type TlsSettings } from './tls-settings.ts';
import { TlsStatus } from './tls-status.ts';

/** What a message says about TLS (RFC 8689). */
export interface TlsWishes {
  /** `TLS-Required: no`: deliver it, protected or not. */
  readonly optional: boolean;
  /** MAIL FROM ... REQUIRETLS */
  readonly required: boolean;
}

/** How one server is to be spoken to. */
export interface TlsPlan {
  readonly policy: TlsPolicy;
  readonly target: Target;
  readonly requirement: Requirement;
  readonly status: TlsStatus;
  /** TLS has failed, and the mail may go without. */
  readonly plain: boolean;
}

/** The server has no plan: `skip` says that the log knows why and nothing is to be blamed on it. */
export type Unplanned = { readonly why: Why; readonly status: TlsStatus } | { readonly skip: true };

export interface DeskTools {
  readonly tools: Tools;
  readonly settings: TlsSettings;
  readonly context: TableContext;
  readonly dns: Dns;
  /** smtp_host_lookup has dns. */
  readonly asksDns: boolean;
  /** Not smtp_dns_support_level = disabled. */
  readonly dnsEnabled: boolean;
}

export class TlsDesk {
  readonly settings: TlsSettings;
  readonly #tools: DeskTools;
  readonly #policies: TlsPolicies;
  readonly #requirements: RequirePolicy;
  readonly #client: TlsClient | undefined;
  readonly #keyNames = new WeakMap<TlsPolicy, string>();
  readonly #reports: boolean;
  #isVouched = false;
  #watch: FileWatch | undefined;

  constructor(deskTools: DeskTools) {
    const { tools: { log, row, clock }, settings, context, dns, asksDns } = deskTools;
    const { program } = settings;
    this.#tools = deskTools;
    this.settings = settings;
    this.#reports = this.#mayReport();
    const levels = new TlsLogLevels({
      parameter: `${program}_tls_loglevel`, usual: settings.logLevel, maps: openMaps(settings.logLevelMaps, context, `${program}_tls_loglevel_maps`),
      parents: parentsMatch(`${program}_tls_loglevel_maps`, context), log,
    });
    const sites = settings.policyMaps === '' ? settings.perSite : '';
    if (settings.policyMaps !== '' && settings.perSite !== '') log.warning(`${program}_tls_per_site ignored when ${program}_tls_policy_maps is not empty.`);
    const warn = (text: string): void => log.warning(text);
    this.#policies = new TlsPolicies({
      settings, dns, asksDns, warn, note: (text) => log.info(text), vouched: (secure) => this.#vouched(secure),
      info: levels.usual.verbose || levels.usual.dane ? (text) => log.info(text) : undefined,
      policies: openMaps(settings.policyMaps, context, `${program}_tls_policy_maps`), sites: openMaps(sites, context, `${program}_tls_per_site`),
    });
    this.#requirements = new RequirePolicy(`${program}_requiretls_policy`, settings.requireTls ? settings.requireTlsPolicy : '', context);
    if (settings.oldLevel) log.info('using backwards-compatible default setting smtp_tls_security_level=(empty)');
    if (!mayUseTls(settings)) return;
    if (levels.usual.verbose) log.info('initializing the client-side TLS engine');
    const keys = ClientKeys.read(settings, log);
    const lifetime = settings.cacheDatabase === '' || settings.cacheTimeout <= 0 ? 0 : Math.max(settings.cacheTimeout, leastLifetime);
    this.#client = keys && new TlsClient({ settings, keys, levels, sessions: new TlsSessions(clock, lifetime), service: row.service, ticker: clock });
    this.#watchKeys();
  }

  /** Whether there is a resolver that validates is looked into once, when the first answer is not vouched for. */
  #vouched(secure: boolean): MaybePromise<void> {
    if (this.#isVouched) return undefined;
    this.#isVouched = true;
    const { dns, tools: { config, log } } = this.#tools;
    return secure ? undefined : probeDnssec(config.get('dnssec_probe'), dns, (text) => log.warning(text));
  }

  close(): void {
    this.#watch?.close();
  }

  /** Renewed keys are read by the next process: this one has given up the rights it takes. */
  #watchKeys(): void {
    const { tools: { clock, log, restart }, settings: { keys: { chainFiles, single } } } = this.#tools;
    const files = chainFiles.length > 0 ? [...chainFiles] : single.flatMap(([, certificate, key]) => (certificate === '' ? [] : [certificate, key]));
    if (files.length > 0) this.#watch = new FileWatch(files, clock, () => restart('TLS certificate or key file has changed -- restarting'), (text) => log.warning(text));
  }

  wishes(sendOptions: number): TlsWishes {
    const { heedsOptional, requireTls } = this.settings;
    const required = requireTls && (sendOptions & sendOption.requireTlsEsmtp) !== 0;
    return { required, optional: heedsOptional && !required && (sendOptions & sendOption.requireTlsHeader) !== 0 };
  }

  requirement(domain: string, { required }: TlsWishes): MaybePromise<Requirement> {
    return required ? this.#requirements.of(domain) : 'disable';
  }

  plan(target: Target, wishes: TlsWishes, requirement: Requirement, queueId: string, log: Log): MaybePromise<TlsPlan | Unplanned> {
    return chain(this.#policies.of(target, wishes.optional), (policy) => this.#planned(policy, target, requirement, queueId, log));
  }

  #planned(policy: PolicyAnswer, target: Target, requirement: Requirement, queueId: string, log: Log): TlsPlan | Unplanned {
    const required = requirement !== 'disable';
    const refused = (why: Why, status: TlsStatus): Unplanned => {
      log.warning(`TLS policy lookup for ${target.destination}/${target.host}: ${why.reason}`);
      return { why, status };
    };
    if ('why' in policy) return refused(policy.why, new TlsStatus('unknown', required));
    const status = new TlsStatus(levelName(policy.level), required);
    const objection = objectionOf(policy.level, requirement, target.host, status);
    if (objection !== undefined) return refused(objection, status);
    if (requirement === 'starttls' && !mustMatch(policy.level))
      log.info(`${queueId}: Sender requested REQUIRETLS, but my configured TLS security level '${levelName(policy.level)}' disables certificate matching. The last attempted server was ${target.host}`);
    return this.#permitted({ policy, target, requirement, status, plain: false }, log);
  }

  #permitted(plan: TlsPlan, log: Log): TlsPlan | Unplanned {
    const { settings } = this;
    if (settings.wrapped && plan.policy.level < level.encrypt) {
      log.warning(`${settings.program}_tls_wrappermode requires "${settings.program}_tls_security_level = encrypt" (or stronger)`);
      return { skip: true };
    }
    if (authorizesHost(plan.policy, plan.target.host, settings.enforcesStsPatterns)) return plan;
    log.warning(`MX name '${plan.target.host}' does not match STS MX pattern for '${plan.policy.external?.domain ?? ''}'`);
    return { skip: true };
  }

  /** For a domain that wants to hear of failures (RFC 8460). */
  reporter(domain: string, { optional }: TlsWishes, log: Log): MaybePromise<Reporter | undefined> {
    if (!this.#reports || optional || this.settings.level === level.none || validHostaddr(domain)) return undefined;
    return reportRecord(domain, this.#tools.dns, (text) => log.warning(text)).then((found) => found && new Reporter(found.domain, found.record, this.settings.report, log));
  }

  /** Is there somebody to report to? Says so when not. */
  #mayReport(): boolean {
    const { tools: { log }, settings: { program, report }, dnsEnabled } = this.#tools;
    if (!report.enabled) return false;
    if (program === 'lmtp') log.warning('TLSRPT support is not implemented for LMTP');
    else if (!dnsEnabled) log.warning('Cannot enable TLSRPT support: DNS is disabled');
    else if (report.socket === '') log.warning('TLSRPT support: parameter smtp_tlsrpt_socket_name has empty value -- TLSRPT support will be disabled');
    else return true;
    return false;
  }

  /** What the client machine has to know. */
  options({ policy, plain, requirement }: TlsPlan): Pick<ClientOptions, 'tls' | 'tlsWrapped' | 'tlsUnavailable' | 'requireTls' | 'blocksEarlyReply'> {
    const isOff = plain || policy.level === level.none;
    return {
      tls: isOff ? 'none' : policy.level === level.may ? 'may' : 'encrypt',
      tlsWrapped: this.settings.wrapped && !isOff, tlsUnavailable: this.#client === undefined, blocksEarlyReply: this.settings.blocksEarlyReply,
      requireTls: requirement === 'disable' || requirement === 'error' ? undefined : requirement satisfies RequireTls,
    };
  }

  /** Connections are shared only among messages that ask for the same of TLS. */
  key({ policy, target, requirement }: TlsPlan): string {
    if (policy.level === level.none) return requirement;
    return `${requirement} ${this.#nameOf(policy)}${mustMatch(policy.level) ? `\n${target.destination}\n${target.host}` : ''}`;
  }

  #nameOf(policy: TlsPolicy): string {
    const known = this.#keyNames.get(policy);
    if (known !== undefined) return known;
    const name = createHash('sha256').update(JSON.stringify(policy)).digest('hex');
    this.#keyNames.set(policy, name);
    return name;
  }

  /** The handshake, and whether mail may be sent over what came of it. */
  async secure(socket: net.Socket, helo: string, plan: TlsPlan, to: { readonly peer: ClientOptions['peer']; readonly nexthop: string; readonly report: Reporter | undefined; readonly log: Log }): Promise<SecuredConnection | undefined> {
    const { policy, target, status } = plan;
    const { peer, nexthop, report, log } = to;
    if (this.#client === undefined) {
      socket.destroy();
      return undefined;
    }
    const made = await this.#client.start(socket, { policy, peer: peer.nameAddressPort, host: peer.host, address: peer.address, nexthop, destination: target.destination, helo, report, log });
    if (made === undefined) return undefined;
    const { standing } = made;
    if (mustMatch(standing.level) && !standing.matched) return { ...made, refusal: refusalOf(plan, standing, peer.nameAddress) };
    status.level(levelName(standing.level));
    report?.success(standing.reused);
    return made;
  }
}

/** Seconds: sessions live so long at least. */
const leastLifetime = 120;

function refusalOf({ requirement, status }: TlsPlan, { level: held, trusted }: { readonly level: number; readonly trusted: boolean }, server: string): Failure {
  const failure = { remoteMta: '', diagnostic: '' } as const;
  const enforced = requirement === 'enforce';
  status.level(levelName(held), true);
  status.required('nocertmatch', enforced);
  if (!enforced) return { ...failure, status: '4.7.5', reason: 'Server certificate not verified', scope: 'site', softUntilLast: false };
  const reason = `Sender requested REQUIRETLS, but no ${trusted ? 'matching' : 'trusted'} server certificate was found. The last attempted server was ${server}`;
  return { ...failure, status: '5.7.10', reason, scope: 'message', softUntilLast: true };
}

/** Why a message that requires TLS cannot go to a server of this level at all. */
function objectionOf(chosen: number, requirement: Requirement, host: string, status: TlsStatus): Why | undefined {
  if (requirement === 'error') return { status: '4.7.10', reason: `REQUIRETLS policy configuration error. The last attempted server was ${host}` };
  const what = requirement === 'enforce' && !mustMatch(chosen) ? 'certificate matching' : requirement === 'starttls' && chosen === level.none ? 'encryption' : undefined;
  if (what === undefined) return undefined;
  status.required(what === 'encryption' ? 'noencryption' : 'nocertmatch', true);
  return { status: '5.7.10', reason: `Sender requested REQUIRETLS, but my configured TLS security level '${levelName(chosen)}' disables ${what}. The last attempted server was ${host}` };
}
