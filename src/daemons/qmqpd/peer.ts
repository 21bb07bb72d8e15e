/**
 * Who a QMQP client is: its address, and the name that this has, if the name has the address too; otherwise `unknown`. Never rejects.
 */
import type net from 'node:net';
import { reverseName, type Dns } from '../../network/dns.ts';
import type { HostsFile } from '../../network/hosts-file.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { parseIpAddress, renderIpAddress } from '../../text/cidr.ts';
import { validHostaddr, validHostname } from '../../text/hostname.ts';

export interface Peer {
  readonly name: string;
  readonly address: string;
  /** As in an address literal. */
  readonly literal: string;
  readonly port: string;
  /** As the log names it: `name[address]`, with qmqpd_client_port_logging `name[address]:port`. */
  readonly label: string;
}

export interface PeerSources { readonly dns: Dns; readonly hosts: HostsFile; readonly warn: (text: string) => void; readonly logsPort: boolean }

const unknown = 'unknown';

export async function describePeer(socket: net.Socket, sources: PeerSources): Promise<Peer> {
  const address = plain(socket.remoteAddress ?? '');
  const port = address === undefined ? unknown : String(socket.remotePort ?? unknown);
  const name = address === undefined ? unknown : await nameOf(address, sources);
  const shown = address ?? unknown;
  return { name, address: shown, literal: shown.includes(':') ? `IPv6:${shown}` : shown, port, label: `${name}[${shown}]${sources.logsPort ? `:${port}` : ''}` };
}

/** `::ffff:192.0.2.1` is 192.0.2.1; a zone id says nothing to others. */
function plain(text: string): string | undefined {
  const parsed = parseIpAddress(/^::ffff:([0-9.]+)$/i.exec(text)?.[1] ?? text.replace(/%.*$/, ''));
  return parsed === undefined ? undefined : renderIpAddress(parsed);
}

async function nameOf(address: string, { dns, hosts, warn }: PeerSources): Promise<string> {
  const name = hosts.nameOf(address) ?? (await dns.lookup(reverseName(address), 'PTR')).records[0]?.data;
  if (name === undefined || !validHostname(name) || validHostaddr(name)) return unknown;
  const back = await lookupNative(name, hosts, dns);
  if (back.addresses.some((each) => plain(each) === address)) return name;
  warn(`hostname ${name} does not resolve to address ${address}${back.trouble === undefined ? '' : `: ${back.trouble.text}`}`);
  return unknown;
}
