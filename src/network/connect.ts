/**
 * Opens a stream to a server: TCP to a numeric address, or a UNIX-domain socket.
 *
 * Never rejects: trouble is a value with the C library's words. Every socket has an error listener from birth to its end. The
 * caller gets the socket connected, not reading, and owns it.
 */
import { constants } from 'node:os';
import net from 'node:net';
import { sharedReads } from '../host/reading.ts';
import { connectLean } from '../host/lean-connect.ts';
import type { PeerSocket } from '../host/lean-socket.ts';
import { leanSockets } from '../host/tcp-handle.ts';
import { errnoText, errorText } from '../host/libc.ts';
import type { Ticker } from './ticker.ts';

export interface ConnectOptions {
  readonly ticker: Ticker;
  /** Seconds; 0: as long as the kernel tries. */
  readonly timeout: number;
  /** Source address; '' for the kernel's choice. */
  readonly bindAddress?: string;
  /** Not to be able to use the source address is a failure; else it is a warning. */
  readonly bindEnforce?: boolean;
  readonly warn?: (text: string) => void;
}

export interface ConnectTrouble {
  /** ECONNREFUSED, ETIMEDOUT, ...; BIND: the source address is not ours, and must be used. */
  readonly code: string;
  readonly text: string;
}

export type Connected<Socket extends PeerSocket = net.Socket> = { readonly socket: Socket } | { readonly trouble: ConnectTrouble };

/** As connectInet, for who needs no more of a socket than a pump does. */
export function connectPeer(address: string, port: number, options: ConnectOptions): Promise<Connected<PeerSocket>> {
  if (!leanSockets || (options.bindAddress ?? '') !== '' || net.isIP(address) === 0 || address.includes('%')) return connectInet(address, port, options);
  return new Promise((resolve) => {
    const { ticker, timeout } = options;
    const failed = (errno: number, code: string): void => {
      timer?.cancel();
      resolve({ trouble: { code, text: errnoText(errno) } });
    };
    const attempt = connectLean(address, port, (socket) => {
      timer?.cancel();
      resolve({ socket });
    }, failed);
    const timer = timeout > 0 ? ticker.after(timeout * 1000, () => {
      attempt.cancel();
      failed(constants.errno.ETIMEDOUT, 'ETIMEDOUT');
    }) : undefined;
  });
}

export async function connectInet(address: string, port: number, options: ConnectOptions): Promise<Connected> {
  const { bindAddress = '', bindEnforce = false, warn = () => {} } = options;
  const connected = await attempt({ host: address, port, family: net.isIP(address), ...(bindAddress === '' ? {} : { localAddress: bindAddress }) }, options);
  if (!('bindTrouble' in connected)) return connected;
  warn(`bind ${bindAddress}: ${connected.bindTrouble.text}`);
  if (bindEnforce) return { trouble: { code: 'BIND', text: 'server configuration error' } };
  const again = await attempt({ host: address, port, family: net.isIP(address) }, options);
  return 'bindTrouble' in again ? { trouble: again.bindTrouble } : again;
}

export async function connectUnix(path: string, options: ConnectOptions): Promise<Connected> {
  const connected = await attempt({ path }, options);
  return 'bindTrouble' in connected ? { trouble: connected.bindTrouble } : connected;
}

function attempt(where: net.NetConnectOpts, { ticker, timeout }: ConnectOptions): Promise<Connected | { bindTrouble: ConnectTrouble }> {
  return new Promise((resolve) => {
    const socket = new net.Socket({ ...sharedReads, allowHalfOpen: true });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      timer?.cancel();
      const trouble = { code: error.code ?? '', text: errorText(error) };
      resolve(isBindError(error) ? { bindTrouble: trouble } : { trouble });
    });
    const timer = timeout > 0 ? ticker.after(timeout * 1000, () => {
      socket.destroy();
      resolve({ trouble: { code: 'ETIMEDOUT', text: errnoText(constants.errno.ETIMEDOUT) } });
    }) : undefined;
    socket.on('connect', () => {
      timer?.cancel();
      socket.setNoDelay(true);
      socket.pause();
      resolve({ socket });
    });
    try {
      socket.connect(where);
    } catch (error) {
      timer?.cancel();
      resolve({ trouble: { code: (error as NodeJS.ErrnoException).code ?? '', text: errorText(error) } });
    }
  });
}

// Node says `bind` for its own check and `connect` with EINVAL or EADDRNOTAVAIL for the kernel's.
function isBindError({ syscall, code, message }: NodeJS.ErrnoException): boolean {
  return syscall === 'bind' || code === 'ERR_INVALID_IP_ADDRESS' || / - Local \(/.test(message) && code === 'EADDRNOTAVAIL';
}
