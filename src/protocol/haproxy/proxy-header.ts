/**
 * The header that a proxy writes in front of a client's bytes: HAProxy's PROXY protocol, version 1 (a line of text) and
 * version 2 (binary), for smtpd(8) and postscreen(8).
 *
 * Pure, and asked again with everything received so far as long as the answer is `'more'`: at most `proxyHeaderLimit` bytes. Taken are TCP over IPv4,
 * TCP over IPv6, and version 2's LOCAL (a connection of the proxy's own); version 1's UNKNOWN is refused, since it would step
 * around control by address. Additions (TLVs) are skipped. Errors are Postfix's words; nothing throws.
 */
import { parseIpAddress, renderIpAddress } from '../../text/cidr.ts';
import { lowerAscii } from '../../text/ascii.ts';
import { validHostport, validIpv4, validIpv6 } from '../../text/hostname.ts';

export type ProxyFamily = 'IPv4' | 'IPv6';

/** `address` in its usual text, `::ffff:192.0.2.1` as 192.0.2.1; `port` in decimal. */
export interface ProxyEnd {
  readonly address: string;
  readonly port: string;
  readonly family: ProxyFamily;
}

export type ProxyHeader =
  | { readonly kind: 'proxied'; readonly client: ProxyEnd; readonly server: ProxyEnd }
  /** Nobody else is behind the proxy: the ends are those of the connection itself. */
  | { readonly kind: 'local' };

export type ProxyReading = { readonly header: ProxyHeader; readonly length: number } | 'more' | { readonly error: string };

/** Bytes of the longest header: the 536 that every IPv4 host has to take in one piece (RFC 1122 section 3.3.3). */
export const proxyHeaderLimit = 536;

const textStart = Buffer.from('PROXY ');
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n');
const binaryHead = 16;

const bothFamilies: readonly ProxyFamily[] = ['IPv4', 'IPv6'];

/**
 * @param bytes everything received so far; what stands behind the header (`length`) is the client's
 * @param families which ones inet_protocols allows
 */
export function readProxyHeader(bytes: Buffer, families: readonly ProxyFamily[] = bothFamilies): ProxyReading {
  if (beginsLike(bytes, textStart)) return bytes.length < textStart.length ? 'more' : readText(bytes, families);
  if (beginsLike(bytes, signature)) return bytes.length < binaryHead ? 'more' : readBinary(bytes, families);
  return { error: 'unrecognized protocol header' };
}

/** Why a header of which no more will come is none. */
export function cutProxyHeader(bytes: Buffer): string {
  if (bytes.length >= textStart.length && beginsLike(bytes, textStart)) return 'missing protocol header terminator';
  return bytes.length < binaryHead ? 'short protocol header' : 'short version 2 protocol header';
}

function beginsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

// ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"

function readText(bytes: Buffer, families: readonly ProxyFamily[]): ProxyReading {
  const end = bytes.subarray(0, proxyHeaderLimit).indexOf(10);
  if (end < 0) return bytes.length < proxyHeaderLimit ? 'more' : { error: cutProxyHeader(bytes) };
  const [, protocol, clientAddress, serverAddress, clientPort, serverPort] = bytes.toString('latin1', 0, end).split(/[ \r]+/);
  const family = familyNamed(protocol, families);
  if (family === undefined) return { error: 'bad or missing protocol type' };
  const client = textAddress(clientAddress, family, families);
  if (client === undefined) return { error: 'bad or missing client address' };
  const server = textAddress(serverAddress, family, families);
  if (server === undefined) return { error: 'bad or missing server address' };
  if (clientPort === undefined || !validHostport(clientPort)) return { error: 'bad or missing client port' };
  if (serverPort === undefined || !validHostport(serverPort)) return { error: 'bad or missing server port' };
  const header: ProxyHeader = { kind: 'proxied', client: { ...client, port: clientPort }, server: { ...server, port: serverPort } };
  return { header, length: end + 1 };
}

function familyNamed(protocol: string | undefined, families: readonly ProxyFamily[]): ProxyFamily | undefined {
  const word = lowerAscii(protocol ?? '');
  const family = word === 'tcp4' ? 'IPv4' : word === 'tcp6' ? 'IPv6' : undefined;
  return family !== undefined && families.includes(family) ? family : undefined;
}

type Place = Omit<ProxyEnd, 'port'>;

function textAddress(text: string | undefined, family: ProxyFamily, families: readonly ProxyFamily[]): Place | undefined {
  if (text === undefined || !(family === 'IPv4' ? validIpv4(text) : validIpv6(text))) return undefined;
  const address = parseIpAddress(family === 'IPv4' ? text.replace(/[0-9]+/g, (number) => String(Number(number))) : text);
  return address === undefined ? undefined : placeOf(address, families);
}

// ---- version 2: signature, version and command, family and transport, length; then addresses, ports and additions

const addressBytes: Readonly<Record<ProxyFamily, number>> = { IPv4: 4, IPv6: 16 };

function readBinary(bytes: Buffer, families: readonly ProxyFamily[]): ProxyReading {
  const command = bytes[12]!;
  if ((command & 0xf0) !== 0x20) return { error: 'unrecognized protocol version' };
  const size = bytes.readUInt16BE(14);
  const length = binaryHead + size;
  if (length > proxyHeaderLimit) return { error: 'short version 2 protocol header' };
  if (bytes.length < length) return 'more';
  if ((command & 0x0f) === 0) return { header: { kind: 'local' }, length };
  if ((command & 0x0f) !== 1) return { error: 'bad command in proxy header' };
  const family = familyOf(bytes[13]!);
  if (family === undefined) return { error: 'unsupported network protocol' };
  if (!families.includes(family)) return { error: `Postfix ${family} support is disabled` };
  if (size < 2 * addressBytes[family] + 4) return { error: 'short address field' };
  return { header: { kind: 'proxied', ...binaryEnds(bytes, addressBytes[family], families) }, length };
}

// TCP alone: what came by UDP or a UNIX socket has no address that access control knows.
function familyOf(code: number): ProxyFamily | undefined {
  return code === 0x11 ? 'IPv4' : code === 0x21 ? 'IPv6' : undefined;
}

function binaryEnds(bytes: Buffer, width: number, families: readonly ProxyFamily[]): { client: ProxyEnd; server: ProxyEnd } {
  const address = (at: number): Place => placeOf(bytes.subarray(binaryHead + at, binaryHead + at + width), families);
  const port = (at: number): string => String(bytes.readUInt16BE(binaryHead + at));
  return {
    client: { ...address(0), port: port(2 * width) },
    server: { ...address(width), port: port(2 * width + 2) },
  };
}

// An IPv4 client of an IPv6 listener is known by its IPv4 address, as everywhere.
function placeOf(address: Uint8Array, families: readonly ProxyFamily[]): Place {
  const isMapped = address.length === 16 && address[10] === 255 && address[11] === 255 && address.subarray(0, 10).every((byte) => byte === 0);
  const plain = isMapped && families.includes('IPv4') ? address.subarray(12) : address;
  return { address: renderIpAddress(plain), family: plain.length === 4 ? 'IPv4' : 'IPv6' };
}
