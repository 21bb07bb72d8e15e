/**
 * The endpoints of the test tools as their command lines name them: `[inet:]host:port`, `unix:path`.
 *
 * A name is looked up as getaddrinfo(3) does with `hosts: files dns`. Trouble is an Error whose text says what was wrong.
 */
import net from 'node:net';
import { tcpPort } from '../config/tcp-ports.ts';
import { inetStreamAddress, unixStreamAddress, type StreamAddress } from '../host/stream-loop.ts';
import { bracketed } from '../network/nexthop.ts';
import { allDigits } from '../text/ascii.ts';
import { validHostaddr, validHostname } from '../text/hostname.ts';
import { isUtf8 } from '../text/utf8.ts';

export interface EndpointOptions {
  readonly text: string;
  /** What a missing host means; undefined: there must be one. */
  readonly host?: string;
  /** What a missing port means; undefined: there must be one. */
  readonly service?: string;
  /** 0: any. */
  readonly family: 0 | 4 | 6;
}

export interface HostPort { readonly host: string; readonly service: string }

export async function findEndpoint(options: EndpointOptions): Promise<StreamAddress> {
  const { text } = options;
  if (text.startsWith('unix:')) return unixEndpoint(text.slice(5));
  const place = text.startsWith('inet:') ? text.slice(5) : text;
  const parts = hostPort(place, options);
  if ('trouble' in parts) throw new Error(`${place}: ${parts.trouble}`);
  const port = tcpPort(parts.service);
  if (port === undefined) throw new Error(`${place}: Servname not supported for ai_socktype`);
  const addresses = parts.host === '' ? [options.family === 6 ? '::' : '0.0.0.0'] : await addressesOf(parts.host, place);
  const address = addresses.find((each) => options.family === 0 || net.isIP(each) === options.family);
  if (address === undefined) throw new Error(`${place}: Address family for hostname not supported`);
  return inetStreamAddress(address, port);
}

function unixEndpoint(path: string): StreamAddress {
  try {
    return unixStreamAddress(path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG' ? new Error(`unix-domain name too long: ${path}`) : error;
  }
}

/** host, host:port, [address], [IPv6:address]:port; with a host to fall back on also :port and port. */
export function hostPort(text: string, usual: { readonly host?: string; readonly service?: string }): HostPort | { readonly trouble: string } {
  const parts = text.startsWith('[') ? bracketed(text) : plain(text, usual.host !== undefined && usual.service === undefined);
  if ('trouble' in parts) return parts;
  const host = parts.host === '' ? usual.host : parts.host;
  const service = parts.service === '' ? usual.service : parts.service;
  if (host === undefined) return { trouble: 'missing host information' };
  if (service === undefined) return { trouble: 'missing service information' };
  if (parts.host !== '' && !isHost(host)) return { trouble: 'valid hostname or network address required' };
  if (/^[0-9]/.test(service) && !allDigits(service)) return { trouble: 'garbage after numerical service' };
  return { host, service };
}

function plain(text: string, portAlone: boolean): HostPort {
  const colon = text.lastIndexOf(':');
  if (colon >= 0) return { host: text.slice(0, colon), service: text.slice(colon + 1) };
  return portAlone ? { host: '', service: text } : { host: text, service: '' };
}

function isHost(host: string): boolean {
  return validHostname(host) || validHostaddr(host) || (/[\x80-\xff]/.test(host) && isUtf8(host));
}

async function addressesOf(host: string, place: string): Promise<readonly string[]> {
  if (validHostaddr(host)) return [host];
  const { lookupHost } = await import('./host-lookup.ts');
  const { addresses, trouble } = await lookupHost(host);
  if (addresses.length === 0) throw new Error(`${place}: ${trouble?.text ?? 'Name or service not known'}`);
  return addresses;
}
