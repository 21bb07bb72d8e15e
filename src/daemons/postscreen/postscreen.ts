/**
 * postscreen(8): looks at clients before they may talk to the SMTP server.
 *
 * One process serves all of them: a client that waits costs a session. Read on: visit.ts for one client, hall.ts for what they share, and
 * ../../protocol/postscreen/ for the tests.
 */
import { inetProtocols } from '../../config/own-addresses.ts';
import type { ProxyFamily } from '../../protocol/haproxy/proxy-header.ts';
import { passedOn, type ConnectionEnds, type Daemon, type Service, type Session, type Tools } from '../../server/daemon.ts';
import { Hall } from './hall.ts';
import { endsByProxy, endsOfSocket, type HeaderRules } from './proxied.ts';
import { Visit } from './visit.ts';

const parameters = ['postscreen_upstream_proxy_protocol', 'postscreen_upstream_proxy_timeout', 'inet_protocols'] as const;

export const daemon: Daemon = {
  card: {
    name: 'postscreen',
    summary: 'tests clients before they talk to the SMTP server',
    group: 'network in',
    calls: ['dnsblog', 'smtpd', 'tlsmgr'],
    privileges: { user: 'mail_owner', network: true, writes: [] },
    row: 'smtp      inet  n       -       n       -       1       postscreen',
    standards: ['RFC 5321', 'RFC 3207', 'RFC 5782'],
  },
  open: async (tools) => {
    const service = new Postscreen(tools);
    await service.open();
    return service;
  },
};

class Postscreen implements Service {
  readonly #hall: Hall;
  readonly #visits = new Set<Visit>();
  readonly #rules: Omit<HeaderRules, 'log'> | undefined;

  constructor(tools: Tools) {
    const { config, log, clock } = tools;
    const view = config.view(parameters);
    const protocol = view.postscreen_upstream_proxy_protocol;
    if (protocol !== '' && protocol !== 'haproxy') log.fatal(`unsupported postscreen_upstream_proxy_protocol value: ${protocol}`);
    const { ipv4, ipv6 } = inetProtocols(view.inet_protocols);
    const families: ProxyFamily[] = [...(ipv4 ? ['IPv4'] as const : []), ...(ipv6 ? ['IPv6'] as const : [])];
    this.#rules = protocol === '' ? undefined : { families, timeout: view.postscreen_upstream_proxy_timeout * 1000, clock };
    this.#hall = new Hall(tools);
  }

  /** While privileges last. */
  open(): Promise<void> {
    return this.#hall.tls.open();
  }

  start(): void {
    this.#hall.tls.start();
    this.#hall.memory.start();
  }

  async client(session: Session): Promise<void | typeof passedOn> {
    const ends = await this.#endsOf(session);
    const { socket, log } = session;
    if (ends === undefined) return void socket.write('421 4.3.2 No system resources\r\n');
    log.info(`CONNECT from [${ends.remoteAddress}]:${ends.remotePort} to [${ends.localAddress}]:${ends.localPort}`);
    const visit = new Visit(session, ends, this.#hall);
    this.#visits.add(visit);
    try {
      return await visit.served();
    } finally {
      this.#visits.delete(visit);
    }
  }

  /** The next process has the cache to itself from now on. Clients that are here go on; when the mail system stops they are told. */
  drain(final: boolean): Promise<void> {
    this.#hall.tls.close();
    if (final) for (const visit of this.#visits) visit.shutDown();
    return this.#hall.memory.close();
  }

  #endsOf({ socket, log }: Session): ConnectionEnds | undefined | Promise<ConnectionEnds | undefined> {
    if (this.#rules !== undefined) return endsByProxy(socket, { ...this.#rules, log });
    const ends = endsOfSocket(socket);
    if (ends.remoteAddress !== '') return ends;
    log.warning('getpeername: Transport endpoint is not connected -- dropping this connection');
    return undefined;
  }
}
