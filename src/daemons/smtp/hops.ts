/**
 * The way to servers: destinations to addresses, addresses to open connections, and the connections that are kept.
 *
 * One per service; what it knows of names and servers is shared by all requests.
 */
import { tcpPort } from '../../config/tcp-ports.ts';
import type { Log } from '../../log/log.ts';
import type { PeerSocket } from '../../host/lean-socket.ts';
import { connectPeer, connectUnix } from '../../network/connect.ts';
import type { Connected } from '../../network/connect.ts';
import { domainAddresses, hostAddresses, serviceAddresses } from '../../network/destination.ts';
import type { DestinationTools, Destinations, HostAddress, Why } from '../../network/destination.ts';
import type { Dns } from '../../network/dns.ts';
import type { HostsFile } from '../../network/hosts-file.ts';
import { validHostaddr } from '../../text/hostname.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { nexthopList, parseNexthop } from '../../network/nexthop.ts';
import type { BadNexthop, Nexthop } from '../../network/nexthop.ts';
import type { Ticker } from '../../network/ticker.ts';
import { discardList } from '../../protocol/smtp-client/features.ts';
import type { ClientOptions } from '../../protocol/smtp-client/steps.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { Connection, type Secure } from './connection.ts';
import { ConnectionCache } from './connection-cache.ts';
import { pixWorkarounds } from './pix.ts';
import type { Settings } from './settings.ts';
import type { TlsDesk, TlsPlan } from './tls-desk.ts';

export interface HopTools {
  readonly settings: Settings;
  readonly ticker: Ticker;
  readonly dns: Dns;
  readonly hosts: HostsFile;
  readonly random: () => number;
  /** Value of the discard-keywords table for a server's address; undefined: the table does not say. */
  readonly discard: (address: string) => MaybePromise<string | undefined>;
  /** Value of the table of PIX workarounds for a server's address; undefined: the table does not say, or cannot be asked. */
  readonly pix: (address: string) => Promise<string | undefined>;
  readonly alwaysKept: (destination: string) => MaybePromise<boolean>;
  readonly usesSrv: (service: string) => MaybePromise<boolean>;
  readonly tls: TlsDesk;
}

/** A destination and what was found about it. */
export interface Site extends Destinations {
  /** As it was written. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  /** A greeting with our own name means that mail goes in circles. */
  readonly detectLoop: boolean;
}

/** What a nexthop says, whatever the message. */
export interface Route {
  /** Its destinations. */
  readonly named: readonly string[];
  /** These, and the fallback relays behind them. */
  readonly all: readonly string[];
}

export type Opened = { readonly connection: Connection } | { readonly why: Why };

const smtpPort = 25;
/** Nexthops whose text has been read, and literal addresses: so many are remembered. */
const rememberedLimit = 1000;

export class Hops {
  readonly cache: ConnectionCache;
  private readonly tools: HopTools;
  private readonly routes = new Map<string, Route>();
  /** Numeric addresses: nothing about them can change. */
  private readonly fixed = new Map<string, Site>();

  constructor(tools: HopTools) {
    this.tools = tools;
    this.cache = new ConnectionCache(tools.ticker, tools.settings.cache.timeLimit);
  }

  alwaysKept(destination: string): MaybePromise<boolean> {
    return this.tools.alwaysKept(destination);
  }

  route(nexthop: string): Route {
    const known = this.routes.get(nexthop);
    if (known !== undefined) return known;
    const named = nexthopList(nexthop);
    const route = { named, all: [...named, ...nexthopList(this.tools.settings.fallbackRelay)] };
    return remember(this.routes, nexthop, route);
  }

  find(text: string, log: Log): MaybePromise<Site | BadNexthop> {
    return this.fixed.get(text) ?? this.look(text, log);
  }

  private async look(text: string, log: Log): Promise<Site | BadNexthop> {
    const { settings } = this.tools;
    const nexthop = parseNexthop(text, settings.defaultService, (service) => tcpPort(service, settings.knownTcpPorts));
    if ('trouble' in nexthop) return nexthop;
    const { host, port } = nexthop;
    const smtp = settings.program === 'smtp';
    const detectLoop = smtp && port === smtpPort;
    const found = await this.addresses(nexthop, smtp, detectLoop, log);
    const site = { ...found, text, host, port, detectLoop };
    return isFixed(nexthop, site) ? remember(this.fixed, text, site) : site;
  }

  private async addresses({ host, literal, service }: { host: string; literal: boolean; service: string }, smtp: boolean, detectLoop: boolean, log: Log): Promise<Destinations> {
    const tools = this.destinationTools(log);
    const plain = literal || !this.tools.settings.dnsEnabled;
    const srv = !plain && this.tools.usesSrv(service);
    if (isPending(srv) ? await srv : srv) return serviceAddresses(host, service, smtp, detectLoop, tools);
    return plain || !smtp ? hostAddresses(host, detectLoop, tools) : domainAddresses(host, detectLoop, tools);
  }

  private destinationTools(log: Log): DestinationTools {
    const { settings, dns, hosts, random } = this.tools;
    return { settings: settings.destination, dns, own: settings.own, random, log, native: (host) => lookupNative(host, hosts, dns) };
  }

  options(to: HostAddress, site: Site, bestMx: boolean, tls: TlsPlan, nexthop: string): MaybePromise<ClientOptions> {
    return this.clientOptions(to.host, to.address, to.port || site.port, { detect: site.detectLoop, bestMx, nexthop }, tls);
  }

  /** With what the message at hand needs should the server be behind a PIX. `age`: seconds since the message came. */
  withPix(options: ClientOptions, message: { readonly queueId: string; readonly age: number }): MaybePromise<ClientOptions> {
    const { settings: { pix } } = this.tools;
    const fitted = (words = pix.words): ClientOptions => ({ ...options, queueId: message.queueId, pix: () => pixWorkarounds(words, pix, message.age) });
    return pix.maps === '' ? fitted() : this.tools.pix(options.peer.address).then(fitted);
  }

  unixOptions(path: string, tls: TlsPlan): MaybePromise<ClientOptions> {
    return this.clientOptions(this.tools.settings.client.myHostname, path, 0, { detect: false, bestMx: false, nexthop: path }, tls);
  }

  private clientOptions(host: string, address: string, port: number, loop: ClientOptions['loop'], tls: TlsPlan): MaybePromise<ClientOptions> {
    const { settings } = this.tools;
    const nameAddress = `${host}[${address}]`;
    const peer = { host, address, nameAddress, nameAddressPort: port === 0 ? nameAddress : `${nameAddress}:${port}` };
    return chain(this.tools.discard(address), (listed) => {
      const { keywords, log } = discardList(listed ?? settings.discardKeywords);
      return { settings: settings.client, peer, discard: keywords, discardLog: log, loop, ...this.tools.tls.options(tls) };
    });
  }

  openInet(to: HostAddress, site: Site, options: ClientOptions, log: Log, secure: Secure): Promise<Opened> {
    const { settings: { bind, connectTimeout }, ticker } = this.tools;
    return connectPeer(to.address, to.port || site.port, {
      ticker, timeout: connectTimeout, bindAddress: bind[to.family], bindEnforce: bind.enforce,
      warn: (text) => log.warning(`smtp_connect_addr: ${text}`),
    }).then((connected) => this.opened(connected, options, log, secure));
  }

  async openUnix(path: string, options: ClientOptions, log: Log, secure: Secure): Promise<Opened> {
    return this.opened(await connectUnix(path, { ticker: this.tools.ticker, timeout: this.tools.settings.connectTimeout }), options, log, secure);
  }

  private opened(connected: Connected<PeerSocket>, options: ClientOptions, log: Log, secure: Secure): Opened {
    if ('socket' in connected) return { connection: new Connection(connected.socket, options, this.tools.ticker, log, secure) };
    const { code, text } = connected.trouble;
    if (code === 'BIND') return { why: { status: '4.4.0', reason: text } };
    return { why: { status: '4.4.1', reason: `connect to ${options.peer.nameAddressPort}: ${text}` } };
  }
}

function isFixed({ literal, host }: Nexthop, { addresses, why }: Site): boolean {
  return literal && why === undefined && addresses.length === 1 && validHostaddr(host);
}

function remember<T>(memory: Map<string, T>, key: string, value: T): T {
  if (memory.size >= rememberedLimit) memory.clear();
  memory.set(key, value);
  return value;
}
