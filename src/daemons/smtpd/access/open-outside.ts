/** Opens what restrictions ask outside of this process: name service, verify(8), policy servers. Before chroot. */
import { verifyService } from '../../../ipc/verify.ts';
import { connectInet, connectUnix, type Connected } from '../../../network/connect.ts';
import type { Dns } from '../../../network/dns.ts';
import type { HostsFile } from '../../../network/hosts-file.ts';
import { lookupNative } from '../../../network/native-lookup.ts';
import type { Tools } from '../../../server/daemon.ts';
import { insideBraces } from '../../../tables/braces.ts';
import { clients } from '../../../tables/lists.ts';
import { endpoint } from '../../../tables/server/endpoint.ts';
import type { TableContext } from '../../../tables/table.ts';
import { allDigits, splitListGroups, trimWhite } from '../../../text/ascii.ts';
import { monthDayTime } from '../../../text/asctime.ts';
import type { MaybePromise } from '../../../text/maybe.ts';
import { parseTime } from '../../../text/time.ts';
import { createExpander } from './expansion.ts';
import { PolicyPool, type PolicyLimits } from './policy-pool.ts';
import type { Outside, PolicyService } from './setup.ts';

const parameters = [
  'address_verify_service_name', 'smtpd_expansion_filter', 'myhostname', 'default_process_limit', 'smtpd_policy_service_default_action', 'smtpd_policy_service_max_idle',
  'smtpd_policy_service_max_ttl', 'smtpd_policy_service_policy_context', 'smtpd_policy_service_request_limit', 'smtpd_policy_service_retry_delay',
  'smtpd_policy_service_timeout', 'smtpd_policy_service_try_limit', 'permit_mx_backup_networks',
] as const;

export interface OutsideNeeds {
  readonly tools: Tools;
  readonly context: TableContext;
  readonly dns: Dns;
  readonly hosts: HostsFile;
  isLocalDomain(domain: string): MaybePromise<boolean>;
}

export function openOutside({ tools, context, dns, hosts, isLocalDomain }: OutsideNeeds): Outside {
  const { config, clock, log, services } = tools;
  const view = config.view(parameters);
  const native = (host: string): ReturnType<Outside['native']> => lookupNative(host, hosts, dns);
  return {
    dns, native, isLocalDomain,
    verify: services.connect(verifyService, view.address_verify_service_name),
    policy: policyServices(tools, context, native),
    sleep: (milliseconds) => new Promise((resolve) => { clock.after(milliseconds, resolve); }),
    monotonic: () => clock.monotonic(),
    isBackupNetwork: clients('permit_mx_backup_networks', config, context),
    expand: createExpander({
      myhostname: view.myhostname, filter: view.smtpd_expansion_filter, warn: (text) => log.warning(text), localTime: () => monthDayTime(clock.now()),
    }),
  };
}

type Native = Outside['native'];

/** One pool per server and settings, however many lists name it. */
function policyServices(tools: Tools, context: TableContext, native: Native): (name: string) => PolicyService {
  const known = new Map<string, PolicyService>();
  return (name) => {
    const found = known.get(name) ?? openPolicyService(tools, context, native, name);
    known.set(name, found);
    return found;
  };
}

function openPolicyService({ config, clock, log }: Tools, context: TableContext, native: Native, text: string): PolicyService {
  const view = config.view(parameters);
  const { server, options } = parseService(text);
  const number = (name: string, usual: number): number => ownNumber(options, name, usual, allDigits, Number);
  const time = (name: string, usual: number): number => ownNumber(options, name, usual, (value) => parseTime(value) !== undefined, (value) => parseTime(value)!);
  const limits: PolicyLimits = {
    timeout: time('timeout', view.smtpd_policy_service_timeout),
    maxIdle: time('max_idle', view.smtpd_policy_service_max_idle),
    maxTtl: time('max_ttl', view.smtpd_policy_service_max_ttl),
    retryDelay: time('retry_delay', view.smtpd_policy_service_retry_delay),
    requestLimit: number('request_limit', view.smtpd_policy_service_request_limit),
    tryLimit: number('try_limit', view.smtpd_policy_service_try_limit),
    connections: Math.max(view.default_process_limit, 1),
  };
  // A daemon stands in the queue directory, jailed or not: a relative path is below it, whether the socket is there yet or not.
  const where = server.startsWith('unix:') ? { path: server.slice('unix:'.length) } : endpoint(server, context).where;
  const connection = { ticker: clock, timeout: limits.timeout };
  const connect = (): Promise<Connected> => ('path' in where ? connectUnix(where.path, connection) : connectHost(where.host, where.port, connection, native));
  const pool = new PolicyPool({ name: server.replace(/^[a-z]+:/, ''), limits, clock, connect, warn: (warning) => log.warning(warning) });
  return {
    name: server,
    defaultAction: options.get('default_action') ?? view.smtpd_policy_service_default_action,
    context: options.get('policy_context') ?? view.smtpd_policy_service_policy_context,
    ask: (request) => pool.ask(request),
  };
}

const optionNames: ReadonlySet<string> = new Set([
  'timeout', 'max_idle', 'max_ttl', 'retry_delay', 'request_limit', 'try_limit', 'default_action', 'policy_context',
]);

/** `inet:host:port`, or `{ inet:host:port, timeout=10s, { default_action = 451 4.3.5 text } }`. */
function parseService(text: string): { server: string; options: ReadonlyMap<string, string> } {
  if (!text.startsWith('{')) return { server: text, options: new Map() };
  const [server, ...settings] = splitListGroups(insideBraces(text));
  if (server === undefined) throw new Error(`empty policy service: "${text}"`);
  const options = settings.map((setting): [string, string] => {
    const inner = setting.startsWith('{') ? insideBraces(setting) : setting;
    const equals = inner.indexOf('=');
    const name = trimWhite(inner.slice(0, Math.max(equals, 0)));
    if (!optionNames.has(name)) throw new Error(`unknown option in "${setting}" (need one of ${[...optionNames].join(', ')}, and "=")`);
    return [name, trimWhite(inner.slice(equals + 1))];
  });
  return { server, options: new Map(options) };
}

function ownNumber(options: ReadonlyMap<string, string>, name: string, usual: number, isGood: (text: string) => boolean, value: (text: string) => number): number {
  const own = options.get(name);
  if (own === undefined) return usual;
  if (!isGood(own)) throw new Error(`bad value in "${name}=${own}"`);
  return value(own);
}

/** To the first address of the host that answers. */
export async function connectHost(host: string, port: number, options: Parameters<typeof connectInet>[2], native: Native): Promise<Connected> {
  const { addresses, trouble } = /^[0-9.]+$|:/.test(host) ? { addresses: [host], trouble: undefined } : await native(host);
  let last: Connected = { trouble: { code: 'ENOTFOUND', text: trouble?.text ?? 'Name or service not known' } };
  for (const address of addresses) {
    last = await connectInet(address, port, options);
    if ('socket' in last) return last;
  }
  return last;
}
