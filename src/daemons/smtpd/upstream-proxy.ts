/**
 * A proxy in front of us says who the client is, in a header before the client's first byte (smtpd_upstream_proxy_protocol).
 *
 * Who should have said so and did not, in time and in form, gets no service: what rights the client has cannot be known. Clients outside
 * of smtpd_upstream_proxy_networks, where that is set, come without a proxy and are taken as they are.
 */
import type net from 'node:net';
import { inetProtocols } from '../../config/own-addresses.ts';
import type { Log } from '../../log/log.ts';
import { cutProxyHeader, proxyHeaderLimit, readProxyHeader, type ProxyEnd, type ProxyFamily } from '../../protocol/haproxy/proxy-header.ts';
import { escapeBytes } from '../../protocol/smtp-server/escape.ts';
import { renderReply, tell } from '../../protocol/smtp-server/reply.ts';
import type { Session, Tools } from '../../server/daemon.ts';
import type { Clock } from '../../server/clock.ts';
import { clients } from '../../tables/lists.ts';
import type { TableContext } from '../../tables/table.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';

/** The two ends of a connection as the proxy has seen them. */
export interface ProxiedEnds { readonly client: ProxyEnd; readonly server: ProxyEnd }

/** `direct`: the ends are the connection's own. `none`: it is not known who the client is. */
export type WhoIsThere = ProxiedEnds | 'direct' | 'none';

export type AskProxy = (session: Session) => MaybePromise<WhoIsThere>;

/** Undefined: no proxy stands in front of this service. */
export function openUpstreamProxy({ config, log, clock }: Tools, context: TableContext): AskProxy | undefined {
  const { smtpd_upstream_proxy_protocol: protocol, smtpd_upstream_proxy_timeout: seconds, smtpd_upstream_proxy_networks: networks, inet_protocols } =
    config.view(['smtpd_upstream_proxy_protocol', 'smtpd_upstream_proxy_timeout', 'smtpd_upstream_proxy_networks', 'inet_protocols']);
  if (protocol === '') return undefined;
  if (protocol !== 'haproxy') return log.fatal(`unsupported smtpd_upstream_proxy_protocol value: ${protocol}`);
  const isProxy = networks.trim() === '' ? undefined : clients('smtpd_upstream_proxy_networks', config, context);
  const families = familiesOf(inet_protocols);
  const read = ({ socket, log: voice }: Session): Promise<WhoIsThere> => new HeaderReader(socket, families, voice).read(clock, seconds * 1000);
  return (session) => {
    if (isProxy === undefined) return read(session);
    const address = (session.socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/i, '').replace(/%.*$/, '');
    return chain(isProxy('', address), (listed): MaybePromise<WhoIsThere> => (listed ? read(session) : 'direct'));
  };
}

export function familiesOf(protocols: string): ProxyFamily[] {
  const { ipv4, ipv6 } = inetProtocols(protocols);
  return [...(ipv4 ? ['IPv4' as const] : []), ...(ipv6 ? ['IPv6' as const] : [])];
}

const nothing: Buffer = Buffer.alloc(0);

class HeaderReader {
  readonly #socket: net.Socket;
  readonly #families: readonly ProxyFamily[];
  readonly #log: Log;
  #bytes: Buffer = nothing;
  #rest: Buffer = nothing;

  constructor(socket: net.Socket, families: readonly ProxyFamily[], log: Log) {
    this.#socket = socket;
    this.#families = families;
    this.#log = log;
  }

  /** What stands behind the header is still to be read from the socket, which is left paused. */
  read(clock: Clock, milliseconds: number): Promise<WhoIsThere> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const end = (who: WhoIsThere): void => {
        timer.cancel();
        socket.off('data', onData).off('end', onEnd).off('close', onEnd);
        socket.pause();
        // Not before: while it flows, what is put back comes again at once.
        if (this.#rest.length > 0) socket.unshift(this.#rest);
        resolve(who);
      };
      const onData = (bytes: Buffer): void => {
        const who = this.#take(bytes);
        if (who !== undefined) end(who);
      };
      const onEnd = (): void => end(this.#ended());
      const timer = clock.after(milliseconds, () => end(this.#refuse('timeout error')));
      socket.on('data', onData).on('end', onEnd).on('close', onEnd);
      if (socket.destroyed) onEnd();
    });
  }

  #take(bytes: Buffer): WhoIsThere | undefined {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const reading = readProxyHeader(this.#bytes, this.#families);
    if (reading === 'more') return undefined;
    if ('error' in reading) return this.#refuse(`${reading.error}: ${this.#shown()}`);
    this.#rest = this.#bytes.subarray(reading.length);
    const { header } = reading;
    return header.kind === 'local' ? 'direct' : header;
  }

  #ended(): 'none' {
    return this.#refuse(this.#bytes.length === 0 ? 'EOF' : `${cutProxyHeader(this.#bytes)}: ${this.#shown()}`);
  }

  #shown(): string {
    return escapeBytes(this.#bytes.toString('latin1', 0, proxyHeaderLimit));
  }

  #refuse(why: string): 'none' {
    this.#log.warning(`haproxy read: ${why}`);
    return 'none';
  }
}

/** The whole session of a client that cannot be known. */
export function turnAway({ socket, log }: Session, hostname: string, { label }: Client): Promise<void> {
  log.info(`connect from ${label}`);
  log.info(`disconnect from ${label} commands=0/0`);
  if (socket.destroyed || !socket.writable) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.end(renderReply(tell.localError(hostname)), 'latin1', () => socket.destroy());
  });
}
