/** The members of `hosts` of a mysql table: `unix:/path`, `inet:host:port`, `host`. Throws an Error for a port that nobody knows. */
import { existsSync } from 'node:fs';
import { tcpPort } from '../../config/tcp-ports.ts';
import { lowerAscii } from '../../text/ascii.ts';
import type { Host } from './pool.ts';

export interface MysqlHost extends Host {
  /** Of the socket; undefined for a server behind the network. */
  readonly path: string | undefined;
  readonly name: string;
  readonly port: number;
}

/** Where distributions and MySQL itself put the socket. */
const usualSockets = ['/run/mysqld/mysqld.sock', '/var/run/mysqld/mysqld.sock', '/var/lib/mysql/mysql.sock', '/tmp/mysql.sock'];

export function mysqlHost(label: string, options: ReadonlyMap<string, string>): MysqlHost {
  if (label.startsWith('unix:')) return { label, isLocal: true, path: label.slice(5), name: '', port: 0 };
  const name = label.startsWith('inet:') ? label.slice(5) : label;
  const [, host = name, service] = /^(.*):([^:\]]*)$/.exec(name) ?? [];
  // The MySQL way: this name means the socket.
  if (lowerAscii(host) === 'localhost') return { label, isLocal: true, path: socketPath(options), name: '', port: 0 };
  const port = service === undefined ? Number(options.get('port') ?? 3306) : tcpPort(service);
  if (port === undefined) throw new Error(`unknown service: ${service}/tcp`);
  return { label, isLocal: false, path: undefined, name: host.replace(/^\[(.*)\]$/, '$1'), port };
}

function socketPath(options: ReadonlyMap<string, string>): string {
  return options.get('socket') ?? usualSockets.find((path) => existsSync(path)) ?? usualSockets[0]!;
}
