/**
 * What the client is called: the name that its address has, if that name has the address too. Otherwise `unknown`.
 *
 * Names come from a stranger's name server: they are checked as host names before anybody sees them (valid_hostname). Never rejects.
 * RFC 7001 section 3 (iprev); smtpd_peername_lookup switches it off.
 */
import type net from 'node:net';
import { reverseName, type Dns } from '../../network/dns.ts';
import type { HostsFile } from '../../network/hosts-file.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { parseIpAddress, renderIpAddress } from '../../text/cidr.ts';
import { validHostaddr, validHostname } from '../../text/hostname.ts';
import type { Client } from './access/state.ts';

type NameStatus = Client['nameStatus'];

interface Names { readonly name: string; readonly reverseName: string; readonly nameStatus: NameStatus; readonly reverseStatus: NameStatus }

export interface NameSources {
  readonly dns: Dns;
  readonly hosts: HostsFile;
  /** smtpd_peername_lookup */
  readonly enabled: boolean;
}

const unknown = (status: NameStatus, reverse = 'unknown', reverseStatus: NameStatus = status): Names =>
  ({ name: 'unknown', reverseName: reverse, nameStatus: status, reverseStatus });

export async function describeClient(socket: net.Socket, sources: NameSources): Promise<Client> {
  const address = plainAddress(socket.remoteAddress ?? '');
  const serverAddress = plainAddress(socket.localAddress ?? '');
  const names = address === '' ? unknown('permanent') : sources.enabled ? await namesOf(address, sources) : unknown('permanent');
  return {
    ...names, address,
    literal: address.includes(':') ? `IPv6:${address}` : address,
    port: String(socket.remotePort ?? ''),
    label: `${names.name}[${address === '' ? 'unknown' : address}]`,
    serverAddress, serverPort: String(socket.localPort ?? ''),
  };
}

/** `::ffff:192.0.2.1` is 192.0.2.1; a zone id says nothing to others. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  const bytes = mapped ?? address.replace(/%.*$/, '');
  const parsed = parseIpAddress(bytes);
  return parsed === undefined ? '' : renderIpAddress(parsed);
}

async function namesOf(address: string, { dns, hosts }: NameSources): Promise<Names> {
  const listed = hosts.nameOf(address);
  const found = listed === undefined ? await pointerOf(address, dns) : { name: listed };
  if ('status' in found) return unknown(found.status);
  const { name } = found;
  if (!validHostname(name) || validHostaddr(name)) return unknown('permanent');
  const back = await lookupNative(name, hosts, dns);
  if (back.trouble !== undefined) return unknown(back.trouble.kind === 'again' ? 'temporary' : 'permanent', name, 'ok');
  if (!back.addresses.some((each) => plainAddress(each) === address)) return unknown('permanent', name, 'ok');
  return { name, reverseName: name, nameStatus: 'ok', reverseStatus: 'ok' };
}

async function pointerOf(address: string, dns: Dns): Promise<{ name: string } | { status: NameStatus }> {
  const answer = await dns.lookup(reverseName(address), 'PTR');
  const [first] = answer.records;
  if (answer.status === 'ok' && first !== undefined) return { name: first.data };
  return { status: answer.status === 'retry' ? 'temporary' : 'permanent' };
}
