/**
 * Where the service of a master.cf row is reached: addresses and ports, or a socket file in public/ or private/.
 *
 * Throws ConfigurationError for a host or port that nothing knows; the caller adds file and line. Asks the system for names: use it in master only.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { MasterRow } from '../../config/master-cf.ts';
import { addressesOfHost, ownAddresses, type Protocols } from '../../config/own-addresses.ts';
import { tcpPort } from '../../config/tcp-ports.ts';

export type Endpoint =
  | { readonly kind: 'inet'; readonly address: string; readonly port: number }
  /** `forUsers`: whoever gets to the socket may use it; the service checks who it is. */
  | { readonly kind: 'stream' | 'dgram'; readonly path: string; readonly forUsers?: boolean };

export interface EndpointSettings {
  readonly inetInterfaces: string;
  readonly protocols: Protocols;
  readonly knownTcpPorts: string;
}

/** Programs that ask the kernel who is calling, or let anybody speak as syslog(3) does, and so may be called by every user of this machine. */
const openToUsers: ReadonlySet<string> = new Set(['pickup', 'postlogd', 'showq']);

/** The same for the same endpoint: the socket behind it is kept over a reload. */
export function endpointKey(endpoint: Endpoint): string {
  return endpoint.kind === 'inet' ? `inet [${endpoint.address}]:${endpoint.port}` : `${endpoint.kind} ${endpoint.path}`;
}

export function endpointsOf(row: MasterRow, settings: EndpointSettings): Endpoint[] {
  if (row.type !== 'inet') return [{ kind: row.type === 'unix-dgram' ? 'dgram' : 'stream', path: socketPath(row), forUsers: openToUsers.has(row.program) }];
  const port = tcpPort(row.port, settings.knownTcpPorts);
  if (port === undefined) throw new ConfigurationError(`unknown port or service: ${row.port}`, undefined, 'write its number, or name it in known_tcp_ports or /etc/services');
  const addresses = row.host === '' ? interfaceAddressesOf(settings) : addressesOfHost(row.host, settings.protocols);
  if (addresses.length === 0) throw new ConfigurationError(noAddress(row));
  return [...new Set(addresses)].map((address) => ({ kind: 'inet', address, port }));
}

function noAddress(row: MasterRow): string {
  if (row.host !== '') return `bad hostname or network address: ${row.service}`;
  return 'service definition requires valid host name or address, or non-empty inet_interfaces setting';
}

function interfaceAddressesOf({ inetInterfaces, protocols }: EndpointSettings): string[] {
  if (inetInterfaces.toLowerCase() === 'all') return [...(protocols.ipv4 ? ['0.0.0.0'] : []), ...(protocols.ipv6 ? ['::'] : [])];
  return ownAddresses(inetInterfaces, protocols).map(({ address }) => address);
}

/** Below the queue directory. */
export function socketPath({ private: isPrivate, service }: MasterRow): string {
  return `${isPrivate ? 'private' : 'public'}/${service}`;
}

/** The name by which Postfix's log calls the endpoint of a row: `25`, `[127.0.0.1]:25`, `private/smtp`. */
export function endpointName(row: MasterRow, knownTcpPorts: string): string {
  if (row.type !== 'inet') return socketPath(row);
  const port = tcpPort(row.port, knownTcpPorts) ?? row.port;
  return row.host === '' ? String(port) : `[${row.host}]:${port}`;
}

/** master_service_disable: is the row switched off? Patterns are `name/type` or `type`, `!` in front negates, first match wins. */
export function isDisabled({ service, type }: MasterRow, patterns: readonly string[]): boolean {
  for (const pattern of patterns) {
    const negations = /^!*/.exec(pattern)![0].length;
    const bare = withSlash(pattern.slice(negations)).toLowerCase();
    if ((bare.includes('/') ? `${service}/${type}` : type).toLowerCase() === bare) return negations % 2 === 0;
  }
  return false;
}

/** The form of earlier releases, `name.type`. */
function withSlash(pattern: string): string {
  const dot = pattern.lastIndexOf('.');
  return pattern.includes('/') || dot < 0 ? pattern : `${pattern.slice(0, dot)}/${pattern.slice(dot + 1)}`;
}
