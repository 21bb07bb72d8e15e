/**
 * Where a server listens, as tables write it: `inet:host:port`, `unix:/path`, `local:private/name`; a socket's relative path is below the
 * queue directory. Throws an Error for what is neither.
 */
import { existsSync } from 'node:fs';
import { tcpPort } from '../../config/tcp-ports.ts';
import type { TableContext } from '../table.ts';
import type { StreamHost } from './stream-link.ts';

/** `host:port`, or only a port of this host. */
export function inetEndpoint(label: string, text: string, context: TableContext): StreamHost {
  const [, host = '', service = text] = /^(.*):([^:\]]*)$/.exec(text) ?? [];
  const port = tcpPort(service, context.parameter('known_tcp_ports') || undefined);
  if (port === undefined) throw new Error(`bad service name in "${label}": ${service}`);
  return { label, isLocal: false, where: { host: host.replace(/^\[(.*)\]$/, '$1') || 'localhost', port } };
}

export function endpoint(label: string, context: TableContext): StreamHost {
  const [, transport, rest = ''] = /^(inet|unix|local):(.+)$/s.exec(label) ?? [];
  if (transport === undefined) throw new Error(`invalid transport name in service name "${label}" (need inet:host:port or unix:pathname)`);
  return transport === 'inet' ? inetEndpoint(label, rest, context) : { label, isLocal: true, where: { path: belowQueue(rest, context) } };
}

/** Daemons stand in the queue directory, jailed or not; commands stand anywhere. */
export function belowQueue(path: string, context: TableContext): string {
  return path.startsWith('/') || existsSync(path) ? path : `${context.parameter('queue_directory')}/${path}`;
}
