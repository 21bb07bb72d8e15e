/**
 * Which name servers to ask, and how long: resolv.conf(5). Pure; what is not understood is passed over, as libc does.
 *
 * Beyond libc's format a server may carry a port: `nameserver 127.0.0.1:5300`, `nameserver [::1]:5300`.
 */
import net from 'node:net';
import { allDigits, splitWhite } from '../text/ascii.ts';

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface ResolverConfiguration {
  readonly servers: readonly NameServer[];
  /** Seconds for one server. */
  readonly timeout: number;
  /** Rounds over all servers. */
  readonly attempts: number;
  /** Begin with another server each time. */
  readonly rotate: boolean;
  /** Believe the AD bit of servers that are not on this machine. */
  readonly trustAd: boolean;
  /** Domains that complete short names, the local one first; of `search` and `domain` the later counts. Absent: neither was there. */
  readonly search?: readonly string[];
}

const serverLimit = 3;
const searchLimit = 6;
const domainPort = 53;
const limits = { timeout: 30, attempts: 5 } as const;

export function parseResolvConf(text: string): ResolverConfiguration {
  const servers: NameServer[] = [];
  const options = { timeout: 5, attempts: 2, rotate: false, trustAd: false };
  let search: string[] | undefined;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = splitWhite(line.replace(/[#;].*/, ''));
    const server = keyword === 'nameserver' ? parseServer(words[0] ?? '') : undefined;
    if (server && servers.length < serverLimit) servers.push(server);
    if (keyword === 'search' || keyword === 'domain') search = words.slice(0, keyword === 'domain' ? 1 : searchLimit).map((word) => word.replace(/\.$/, ''));
    if (keyword === 'options') for (const word of words) takeOption(options, word);
  }
  return { servers: servers.length > 0 ? servers : [{ address: '127.0.0.1', port: domainPort }], ...options, ...(search && { search }) };
}

function parseServer(text: string): NameServer | undefined {
  if (net.isIP(text) !== 0) return { address: text, port: domainPort };
  const [, v6, v4, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? '';
  if (net.isIP(address) === 0 || Number(port) < 1 || Number(port) > 65535) return undefined;
  return { address, port: Number(port) };
}

function takeOption(options: { timeout: number; attempts: number; rotate: boolean; trustAd: boolean }, word: string): void {
  const [name, value = ''] = word.split(':', 2);
  if (name === 'rotate') options.rotate = true;
  else if (name === 'trust-ad') options.trustAd = true;
  else if ((name === 'timeout' || name === 'attempts') && allDigits(value))
    options[name] = Math.min(Math.max(Number(value), 1), limits[name]);
}

/** Is the server on this machine, so that nobody can change its answers on the way? */
export function isLocalServer({ address }: NameServer): boolean {
  return address.startsWith('127.') || address === '::1';
}
