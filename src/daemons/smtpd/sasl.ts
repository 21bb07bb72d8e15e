/**
 * What smtpd offers to clients that want to log in: the server that smtpd_sasl_type names, what is announced, and to whom. SASL_README.
 *
 * Opened before the root directory changes. A kind of server that is not there, or options that mean nothing, end the service, as in
 * Postfix; a server that cannot be asked later is a temporary failure of the session.
 */
import { existsSync } from 'node:fs';
import { hasSasl2, Sasl2Trouble } from '../../host/sasl2.ts';
import { connectInet, connectUnix, type Connected } from '../../network/connect.ts';
import type { NativeAnswer } from '../../network/native-lookup.ts';
import { parseSecurityOptions } from '../../protocol/sasl/security-options.ts';
import type { Tools } from '../../server/daemon.ts';
import { clients, listed, matchSources } from '../../tables/lists.ts';
import { inetEndpoint } from '../../tables/server/endpoint.ts';
import type { TableContext } from '../../tables/table.ts';
import { stringList, type MatchList } from '../../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { openCyrus } from './sasl-cyrus.ts';
import { DovecotServer, patience } from './sasl-dovecot.ts';
import { SaslTrouble, type SaslServer } from './sasl-server.ts';

export const saslParameters = [
  'smtpd_sasl_auth_enable', 'smtpd_sasl_type', 'smtpd_sasl_path', 'smtpd_sasl_service', 'smtpd_sasl_local_domain', 'smtpd_sasl_security_options',
  'smtpd_sasl_tls_security_options', 'smtpd_sasl_mechanism_filter', 'smtpd_sasl_exceptions_networks', 'smtpd_sasl_authenticated_header', 'cyrus_sasl_config_path', 'myhostname',
  'smtputf8_enable',
] as const;

type Native = (host: string) => Promise<NativeAnswer>;

export class SaslService {
  readonly server: SaslServer;
  /** smtpd_sasl_authenticated_header */
  readonly showsLogin: boolean;
  /** May names in logs and headers have characters beyond ASCII? */
  readonly utf8: boolean;
  readonly #filter: MatchList;
  readonly #isExcepted: (name: string, address: string) => MaybePromise<boolean>;

  constructor(server: SaslServer, tools: Tools, context: TableContext) {
    const view = tools.config.view(saslParameters);
    this.server = server;
    this.showsLogin = view.smtpd_sasl_authenticated_header;
    this.utf8 = view.smtputf8_enable;
    this.#filter = stringList('smtpd_sasl_mechanism_filter', view.smtpd_sasl_mechanism_filter, matchSources(context));
    this.#isExcepted = clients('smtpd_sasl_exceptions_networks', tools.config, context);
  }

  /** Those that may be used: never none. Throws or rejects with SaslTrouble, or with TableTrouble. */
  mechanisms(isEncrypted: boolean): MaybePromise<readonly string[]> {
    return chain(this.server.mechanisms(isEncrypted), (names) => {
      if (names.length === 0) throw new SaslTrouble('no SASL authentication mechanisms');
      return chain(this.#filtered(names), (left) => {
        if (left.length === 0) throw new SaslTrouble(`smtpd_sasl_mechanism_filter discards all mechanisms in '${names.join(' ')}'`);
        return left;
      });
    });
  }

  // An empty list is no filter.
  #filtered(names: readonly string[]): MaybePromise<readonly string[]> {
    if (this.#filter.isEmpty) return names;
    const answers = names.map((name) => listed(this.#filter, name));
    const left = (found: readonly boolean[]): string[] => names.filter((_name, at) => found[at]);
    return answers.some(isPending) ? Promise.all(answers).then(left) : left(answers as boolean[]);
  }

  /** smtpd_sasl_exceptions_networks: AUTH is not announced to them. Throws or rejects with TableTrouble. */
  isExcepted(name: string, address: string): MaybePromise<boolean> {
    return this.#isExcepted(name, address);
  }
}

/** Undefined: smtpd_sasl_auth_enable = no. */
export function openSasl(tools: Tools, context: TableContext, native: Native): SaslService | undefined {
  const view = tools.config.view(saslParameters);
  return view.smtpd_sasl_auth_enable ? new SaslService(openServer(tools, context, native), tools, context) : undefined;
}

function openServer(tools: Tools, context: TableContext, native: Native): SaslServer {
  const { config, log, clock } = tools;
  const view = config.view(saslParameters);
  const masks = { plainOptions: optionsOf('smtpd_sasl_security_options', tools), tlsOptions: optionsOf('smtpd_sasl_tls_security_options', tools) };
  const common = { ...masks, service: view.smtpd_sasl_service, clock };
  if (view.smtpd_sasl_type === 'dovecot')
    return new DovecotServer({ ...common, name: view.smtpd_sasl_path, connect: connector(view.smtpd_sasl_path, tools, context, native), warn: (text) => log.warning(text) });
  if (view.smtpd_sasl_type !== 'cyrus') return unsupported(tools, view.smtpd_sasl_type);
  const cyrus = { ...common, application: view.smtpd_sasl_path, configPath: cyrusPath(view.cyrus_sasl_config_path, config.directory), hostname: view.myhostname, realm: view.smtpd_sasl_local_domain, log };
  return openedCyrus(() => openCyrus(cyrus), tools);
}

/** Where the library looks by itself; Debian's Postfix has a place of its own in front. */
function cyrusPath(parameter: string, directory: string): string {
  return parameter !== '' || !existsSync(`${directory}/sasl`) ? parameter : `${directory}/sasl:/etc/sasl2:/etc/sasl:/usr/lib/sasl2`;
}

function openedCyrus(open: () => SaslServer, tools: Tools): SaslServer {
  if (!hasSasl2()) return unsupported(tools, 'cyrus');
  try {
    return open();
  } catch (error) {
    if (!(error instanceof Sasl2Trouble)) throw error;
    tools.log.warning(`SASL per-process initialization failed: ${error.message}`);
    return tools.log.fatal('SASL per-process initialization failed');
  }
}

function unsupported({ log }: Tools, type: string): never {
  log.warning(`unsupported SASL server implementation: ${type}`);
  return log.fatal('SASL per-process initialization failed');
}

function optionsOf(parameter: 'smtpd_sasl_security_options' | 'smtpd_sasl_tls_security_options', { config, log }: Tools): number {
  const options = parseSecurityOptions(parameter, config.get(parameter));
  return 'error' in options ? log.fatal(options.error) : options.mask;
}

/** `inet:host:port`, or the path of a socket: a daemon stands in the queue directory, jailed or not. */
function connector(path: string, { clock }: Tools, context: TableContext, native: Native): () => Promise<Connected> {
  const options = { ticker: clock, timeout: patience / 1000 };
  if (!path.startsWith('inet:')) return () => connectUnix(path.replace(/^unix:/, ''), options);
  const { where } = inetEndpoint(path, path.slice('inet:'.length), context);
  if (!('host' in where)) throw new Error(`bad smtpd_sasl_path: ${path}`);
  return () => connectHost(where.host, where.port, options, native);
}

async function connectHost(host: string, port: number, options: Parameters<typeof connectInet>[2], native: Native): Promise<Connected> {
  const { addresses, trouble } = /^[0-9.]+$|:/.test(host) ? { addresses: [host], trouble: undefined } : await native(host);
  let last: Connected = { trouble: { code: 'ENOTFOUND', text: trouble?.text ?? 'Name or service not known' } };
  for (const address of addresses) {
    last = await connectInet(address, port, options);
    if ('socket' in last) return last;
  }
  return last;
}
