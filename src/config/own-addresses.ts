// This machine's network addresses, as inet_interfaces, proxy_interfaces and inet_protocols select them, and the default of
// mynetworks that follows from them. Asks the kernel, /etc/hosts and, for other names, getent(1); never DNS by itself.
// Throws ConfigurationError when a name or address cannot be served here. Read before chroot(2).
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { parseIpAddress, renderIpAddress } from '../text/cidr.ts';
import { splitList, splitWhite, sameIgnoringCase } from '../text/ascii.ts';
import { ConfigurationError } from './configuration-error.ts';

export interface OwnAddress {
  /** Text form, as net.isIP() accepts it; no brackets, no zone. */
  readonly address: string;
  readonly family: 4 | 6;
  /** Length of the network part, in bits. */
  readonly prefix: number;
}

export interface Protocols {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** What inet_protocols allows and this kernel can do. */
export function inetProtocols(value: string): Protocols {
  const words = splitList(value);
  const bad = words.find((word) => !['all', 'ipv4', 'ipv6'].some((known) => sameIgnoringCase(word, known)));
  if (bad !== undefined) throw new ConfigurationError(`unknown inet_protocols value "${bad}" in "${value}"`, undefined, 'write all, ipv4, ipv6, or "ipv4, ipv6"');
  const has = (wanted: string): boolean => words.some((word) => sameIgnoringCase(word, wanted) || sameIgnoringCase(word, 'all'));
  return { ipv4: has('ipv4'), ipv6: has('ipv6') && existsSync('/proc/net/if_inet6') };
}

/** All addresses of active interfaces, IPv4 first, in the kernel's order. */
export function interfaceAddresses({ ipv4, ipv6 }: Protocols): OwnAddress[] {
  const found: OwnAddress[] = [];
  for (const wanted of [4, 6] as const) {
    if (wanted === 4 ? !ipv4 : !ipv6) continue;
    for (const { address, family, cidr } of Object.values(os.networkInterfaces()).flatMap((list) => list ?? []))
      if (family === `IPv${wanted}`) found.push({ address, family: wanted, prefix: prefixOf(cidr, wanted) });
  }
  return found;
}

function prefixOf(cidr: string | null, family: 4 | 6): number {
  const slash = cidr?.indexOf('/') ?? -1;
  return slash < 0 ? (family === 4 ? 32 : 128) : Number(cidr!.slice(slash + 1));
}

/** The addresses that inet_interfaces names: on which mail is received, and which are "this host". */
export function ownAddresses(inetInterfaces: string, protocols: Protocols): OwnAddress[] {
  if (!protocols.ipv4 && !protocols.ipv6) return [];
  const active = interfaceAddresses(protocols);
  if (sameIgnoringCase(inetInterfaces, 'all')) return active;
  if (sameIgnoringCase(inetInterfaces, 'loopback-only')) return active.filter(isLoopback);
  const named = hostAddresses('inet_interfaces', inetInterfaces, protocols);
  return named.map((address) => {
    const found = active.find((own) => own.address === address);
    if (!found) throw new ConfigurationError(`parameter inet_interfaces: no local interface found for ${address}`);
    return found;
  });
}

/** The addresses of proxy_interfaces: ours as the world sees them, on a machine in front of this one. */
export function proxyAddresses(proxyInterfaces: string, protocols: Protocols): string[] {
  return hostAddresses('proxy_interfaces', proxyInterfaces, protocols);
}

function hostAddresses(parameter: string, value: string, protocols: Protocols): string[] {
  const addresses = new Set<string>();
  for (const host of splitList(value)) {
    const found = addressesOfHost(host, protocols);
    if (found.length === 0)
      throw new ConfigurationError(`config variable ${parameter}: host not found: ${host}`, undefined, 'write addresses, or a name that /etc/hosts knows');
    for (const address of found) addresses.add(address);
  }
  return [...addresses];
}

/** The addresses of an address literal (brackets allowed) or host name, without asking a name server ourselves. */
export function addressesOfHost(host: string, protocols: Protocols): string[] {
  const literal = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const bare = /^ipv6:/i.test(literal) ? literal.slice(5) : literal;
  const allowed = (address: string): boolean => (net.isIP(address) === 6 ? protocols.ipv6 : protocols.ipv4);
  const parsed = parseIpAddress(bare);
  if (parsed) return [renderIpAddress(parsed)].filter(allowed);
  const listed = hostsFile().filter(({ names }) => names.some((name) => sameIgnoringCase(name, host))).map(({ address }) => address);
  return [...new Set(listed.length > 0 ? listed : systemAddresses(host))].filter(allowed);
}

interface HostsLine {
  readonly address: string;
  readonly names: readonly string[];
}

function hostsFile(): HostsLine[] {
  let text = '';
  try {
    text = readFileSync('/etc/hosts', 'latin1');
  } catch { /* no such file: then it knows no names */ }
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = splitWhite(line.replace(/#.*/, ''));
    const parsed = parseIpAddress(address);
    return parsed ? [{ address: renderIpAddress(parsed), names }] : [];
  });
}

const getentPatience = 20_000;

function systemAddresses(host: string): string[] {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(host)) return [];
  const { stdout } = spawnSync('getent', ['ahosts', host], { encoding: 'latin1', timeout: getentPatience });
  return (stdout ?? '').split('\n').map((line) => splitWhite(line)[0] ?? '').filter((address) => net.isIP(address) !== 0);
}

function isLoopback({ address, family }: OwnAddress): boolean {
  return family === 4 ? address.startsWith('127.') : address === '::1';
}

const networkStyles = ['class', 'subnet', 'host'] as const;

/** The default of mynetworks, for mynetworks_style host, subnet or class. */
export function ownNetworks(style: string, addresses: readonly OwnAddress[]): string {
  const words = splitList(style);
  const bad = words.find((word) => !networkStyles.some((each) => sameIgnoringCase(word, each)));
  if (bad !== undefined) throw new ConfigurationError(`unknown mynetworks mask style value "${bad}" in "${style}"`, undefined, 'write host, subnet or class');
  const known = networkStyles.find((each) => sameIgnoringCase(words[0] ?? '', each));
  if (!known || words.length > 1) throw new ConfigurationError(`bad mynetworks_style value: ${style}; specify exactly one value`, undefined, 'write host, subnet or class');
  return [...new Set(addresses.map((own) => networkOf(own, known)))].join(' ');
}

function networkOf({ address, family, prefix }: OwnAddress, style: string): string {
  const whole = family === 4 ? 32 : 128;
  const length = style === 'host' ? whole : style === 'class' && family === 4 ? classPrefix(address) : prefix;
  const network = maskAddress(address, length);
  return family === 4 ? `${network}/${length}` : `[${network}]/${length}`;
}

// RFC 791 section 3.2: the first bits of an address say how long its network part is.
function classPrefix(address: string): number {
  const first = Number.parseInt(address, 10);
  return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 4;
}

/** The address with all bits behind the first `length` cleared. */
export function maskAddress(address: string, length: number): string {
  const bytes = parseIpAddress(address);
  if (!bytes) return address;
  return renderIpAddress(bytes.map((byte, index) => byte & (0xff00 >> Math.min(Math.max(length - 8 * index, 0), 8))));
}
