/**
 * Where mail is to go, as text: `host`, `[host]`, `host:service`, `[address]:port`, lists of these (transport(5), smtp(8)).
 *
 * Pure but for the table of service names, which is handed in. What cannot be read is a `trouble`, never a guess.
 */
import { allDigits, splitList, startsIgnoringCase } from '../text/ascii.ts';
import { validHostaddr, validHostname, validIpv6 } from '../text/hostname.ts';
import { isUtf8 } from '../text/utf8.ts';

export interface Nexthop {
  /** As it was written, with brackets and port. */
  readonly text: string;
  /** Name or address without brackets. */
  readonly host: string;
  /** In brackets: no MX or SRV lookup. */
  readonly literal: boolean;
  readonly service: string;
  readonly port: number;
}

export interface BadNexthop { readonly trouble: string }

/** The destinations of a nexthop, in the order in which they are to be tried. */
export function nexthopList(text: string): string[] {
  return splitList(text);
}

/** `tcpPort` gives the port of a service name or number, if there is one. */
export function parseNexthop(text: string, defaultService: string, tcpPort: (service: string) => number | undefined): Nexthop | BadNexthop {
  const parts = text.startsWith('[') ? bracketed(text) : bare(text);
  if ('trouble' in parts) return { trouble: `${parts.trouble} in server description: ${text}` };
  const { host } = parts;
  const service = parts.service === '' ? defaultService : parts.service;
  if (host === '') return { trouble: `missing host information in server description: ${text}` };
  if (!isHost(host)) return { trouble: `valid hostname or network address required in server description: ${text}` };
  if (/^[0-9]/.test(service) && !allDigits(service)) return { trouble: `garbage after numerical service in server description: ${text}` };
  const port = tcpPort(service);
  if (port !== undefined && port > 0 && port < 65536) return { text, host, literal: text.startsWith('['), service, port };
  return { trouble: allDigits(service) ? `bad network port: ${service} for destination: ${text}` : `unknown service: ${service}/tcp` };
}

type Parts = { readonly host: string; readonly service: string } | BadNexthop;

/** `[host]`, `[host]:service`, `[IPv6:address]`; a service that is not there is empty. */
export function bracketed(text: string): Parts {
  const end = text.indexOf(']');
  if (end < 0) return { trouble: 'missing "]"' };
  const tail = text.slice(end + 1);
  if (tail !== '' && !tail.startsWith(':')) return { trouble: 'garbage after "]"' };
  const inner = text.slice(1, end);
  const tagged = startsIgnoringCase(inner, 'IPv6:');
  const host = tagged ? inner.slice(5) : inner;
  if (tagged && !validIpv6(host)) return { trouble: 'malformed IPv6 address' };
  return { host, service: tail.slice(1) };
}

function bare(text: string): Parts {
  const colon = text.lastIndexOf(':');
  return colon < 0 ? { host: text, service: '' } : { host: text.slice(0, colon), service: text.slice(colon + 1) };
}

function isHost(host: string): boolean {
  return validHostname(host) || validHostaddr(host) || (/[\x80-\xff]/.test(host) && isUtf8(host));
}
