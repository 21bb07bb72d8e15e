/**
 * Whom a proxy in front of us connects for: the header that it writes first (postscreen_upstream_proxy_protocol = haproxy). What stands
 * behind the header is the client's and stays unread.
 */
import type net from 'node:net';
import type { Log } from '../../log/log.ts';
import { plainAddress } from '../../network/address.ts';
import { cutProxyHeader, proxyHeaderLimit, readProxyHeader, type ProxyFamily } from '../../protocol/haproxy/proxy-header.ts';
import type { Clock } from '../../server/clock.ts';
import type { ConnectionEnds } from '../../server/daemon.ts';

/** Of the connection itself. */
export function endsOfSocket(socket: net.Socket): ConnectionEnds {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
  return { remoteAddress: plainAddress(remoteAddress), remotePort, localAddress: plainAddress(localAddress), localPort };
}

export interface HeaderRules {
  readonly families: readonly ProxyFamily[];
  /** Milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Undefined: there is no usable header, and the log knows why. */
export function endsByProxy(socket: net.Socket, { families, timeout, clock, log }: HeaderRules): Promise<ConnectionEnds | undefined> {
  return new Promise((resolve) => {
    let taken = Buffer.alloc(0);
    const finish = (ends: ConnectionEnds | undefined, trouble?: string): void => {
      timer.cancel();
      socket.off('readable', look).off('end', ended).off('close', ended);
      if (trouble !== undefined) log.warning(`haproxy read: ${trouble}`);
      resolve(ends);
    };
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      taken = Buffer.concat([taken, chunk]);
      const reading = readProxyHeader(taken, families);
      if (reading === 'more') return taken.length >= proxyHeaderLimit ? finish(undefined, cutProxyHeader(taken)) : undefined;
      if ('error' in reading) return finish(undefined, reading.error);
      if (reading.length < taken.length) socket.unshift(taken.subarray(reading.length));
      const { header } = reading;
      if (header.kind === 'local') return finish(endsOfSocket(socket));
      const { client, server } = header;
      finish({ remoteAddress: client.address, remotePort: Number(client.port), localAddress: server.address, localPort: Number(server.port) });
    };
    const ended = (): void => finish(undefined, taken.length === 0 ? 'lost connection' : cutProxyHeader(taken));
    const timer = clock.after(timeout, () => finish(undefined, 'time limit exceeded'));
    socket.on('readable', look).on('end', ended).on('close', ended);
    look();
  });
}
