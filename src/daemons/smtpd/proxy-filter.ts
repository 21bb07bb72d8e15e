/**
 * smtpd_proxy_filter: the before-queue filter of a service, as main.cf describes it, and how to reach it.
 *
 * Opened once, before chroot; a mistake in its settings is fatal, as with Postfix. Each mail transaction gets a connection of its own.
 */
import type { HostsFile } from '../../network/hosts-file.ts';
import type { Dns } from '../../network/dns.ts';
import { connectUnix, type Connected } from '../../network/connect.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import type { Ticker } from '../../network/ticker.ts';
import type { Tools } from '../../server/daemon.ts';
import { inetEndpoint } from '../../tables/server/endpoint.ts';
import type { TableContext } from '../../tables/table.ts';
import { parseNameMask } from '../../text/name-mask.ts';
import { connectHost } from './access/open-outside.ts';
import { ProxyConnection } from './proxy-connection.ts';
import { ProxySpool } from './proxy-spool.ts';
import { ProxyTransaction } from './proxy-transaction.ts';
import type { TransactionFacts } from './transaction.ts';

export const proxyParameters = [
  'smtpd_proxy_filter', 'smtpd_proxy_timeout', 'smtpd_proxy_ehlo', 'smtpd_proxy_options', 'line_length_limit', 'smtputf8_enable', 'requiretls_esmtp_header',
] as const;

export class ProxyFilter {
  /** As log lines name it: what main.cf says. */
  readonly name: string;
  readonly ehlo: string;
  /** The filter is not asked before all of the message is here. */
  readonly speedAdjust: boolean;
  /** requiretls_esmtp_header */
  readonly marksRequireTls: boolean;
  readonly #connect: () => Promise<Connected>;
  readonly #connection: Omit<ConstructorParameters<typeof ProxyConnection>[0], 'socket' | 'warn'>;

  constructor(options: { name: string; ehlo: string; speedAdjust: boolean; marksRequireTls?: boolean; timeout: number; lineLimit: number; utf8: boolean; ticker: Ticker; connect: () => Promise<Connected> }) {
    const { name, ehlo, speedAdjust, marksRequireTls = false, timeout, lineLimit, utf8, ticker, connect } = options;
    this.name = name;
    this.ehlo = ehlo;
    this.speedAdjust = speedAdjust;
    this.marksRequireTls = marksRequireTls;
    this.#connect = connect;
    this.#connection = { name, timeout, lineLimit, utf8, ticker };
  }

  /** Undefined: it cannot be reached, which was logged. */
  async connect(warn: (text: string) => void): Promise<ProxyConnection | undefined> {
    const connected = await this.#connect();
    if ('socket' in connected) return new ProxyConnection({ ...this.#connection, socket: connected.socket, warn });
    warn(`connect to proxy filter ${this.name}: ${connected.trouble.text}`);
    return undefined;
  }

  /** A transaction whose MAIL command is `command`; `opened` when it stands, for the log. */
  open(facts: TransactionFacts, command: string, opened: () => void): ProxyTransaction {
    return new ProxyTransaction({ filter: this, facts, command, opened, spool: this.speedAdjust ? new ProxySpool('incoming') : undefined });
  }
}

/** The filter of this service; undefined: it has none. */
export function openProxyFilter({ config, log, clock }: Tools, context: TableContext, dns: Dns, hosts: HostsFile): ProxyFilter | undefined {
  const view = config.view(proxyParameters);
  const name = view.smtpd_proxy_filter;
  if (name === '') return undefined;
  const options = parseNameMask('smtpd_proxy_options', [['speed_adjust', 1]], view.smtpd_proxy_options);
  if ('error' in options) log.fatal(options.error);
  const timeout = view.smtpd_proxy_timeout;
  const limits = { ticker: clock, timeout };
  const native = (host: string): ReturnType<typeof lookupNative> => lookupNative(host, hosts, dns);
  const where = placeOf(name, context, (text) => log.fatal(`bad parameter value: smtpd_proxy_filter = ${name}: ${text}`));
  const connect = (): Promise<Connected> => ('path' in where ? connectUnix(where.path, limits) : connectHost(where.host, where.port, limits, native));
  return new ProxyFilter({
    name, connect, timeout, ehlo: view.smtpd_proxy_ehlo, speedAdjust: 'mask' in options && options.mask === 1,
    marksRequireTls: view.requiretls_esmtp_header, lineLimit: view.line_length_limit, utf8: view.smtputf8_enable, ticker: clock,
  });
}

/** `unix:path`, `inet:host:port`, `host:port`. A daemon stands in the queue directory, jailed or not: a relative path is below it. */
export function placeOf(name: string, context: TableContext, fatal: (text: string) => never): { readonly path: string } | { readonly host: string; readonly port: number } {
  const [, scheme = '', rest = ''] = /^(unix:|inet:)?(.*)$/is.exec(name)!;
  if (scheme.toLowerCase() === 'unix:') return { path: rest };
  try {
    return inetEndpoint(name, rest, context).where;
  } catch (error) {
    return fatal((error as Error).message);
  }
}
