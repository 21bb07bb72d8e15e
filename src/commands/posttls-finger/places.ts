/** Where posttls-finger(1) connects to: a destination's addresses, and how far the name service vouches for them. Never rejects. */
import type { Configuration } from '../../config/configuration.ts';
import { inetProtocols } from '../../config/own-addresses.ts';
import { tcpPort } from '../../config/tcp-ports.ts';
import { domainAddresses, hostAddresses, serviceAddresses, type DestinationTools, type Destinations } from '../../network/destination.ts';
import type { Dns, DnsAnswer, RecordType } from '../../network/dns.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import { probeDnssec } from '../../network/dnssec-probe.ts';
import { domainToAscii } from '../../network/idna.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { parseNexthop, type BadNexthop } from '../../network/nexthop.ts';
import { Resolver } from '../../network/resolver.ts';
import type { TlsaHost } from '../../network/tlsa-lookup.ts';
import { isAscii } from '../../text/ascii.ts';
import { validHostaddr } from '../../text/hostname.ts';
import { processTicker } from '../host-lookup.ts';
import type { FingerOptions } from './options.ts';

export interface Place extends TlsaHost {
  readonly address: string;
  readonly port: number;
}

/** The MX or SRV records behind a destination. */
export interface MxFacts {
  readonly name: string;
  readonly canonical: string;
  readonly secure: boolean;
}

export interface Places {
  readonly nexthop: string;
  readonly places: readonly Place[];
  readonly mx: MxFacts | undefined;
  /** Why there are none. */
  readonly why: string;
}

export interface PlaceVoice {
  info(text: string): void;
  warning(text: string): void;
}

/** Notes whether any answer was vouched for. */
export class WatchedDns implements Dns {
  readonly #dns: Dns;
  asked = false;
  secure = false;

  constructor(voice: PlaceVoice) {
    this.#dns = new Resolver({ ticker: processTicker, warn: (text) => voice.warning(text) });
  }

  async lookup(name: string, type: RecordType): Promise<DnsAnswer> {
    const answer = await this.#dns.lookup(name, type);
    this.asked = true;
    this.secure ||= answer.secure;
    return answer;
  }
}

export async function findPlaces(text: string, options: FingerOptions, config: Configuration, dns: WatchedDns, voice: PlaceVoice): Promise<Places | BadNexthop> {
  const known = config.get('known_tcp_ports');
  const nexthop = parseNexthop(text, options.smtp ? 'smtp' : '24', (service) => tcpPort(service, known));
  if ('trouble' in nexthop) return nexthop;
  const tools = toolsOf(options, config, dns, voice);
  const { host, literal, service, port } = nexthop;
  const direct = !options.smtp || literal;
  const found = await (direct ? hostAddresses(host, false, tools) : options.srv ? serviceAddresses(host, service, false, false, tools) : domainAddresses(host, false, tools));
  const type = options.srv ? 'SRV' : 'MX';
  const mx = direct ? undefined : await mxFacts(options.srv ? `_${service}._tcp.${host}` : host, type, dns);
  if (dns.asked && !dns.secure) await probeDnssec(config.get('dnssec_probe'), dns, (text) => voice.warning(text));
  return { nexthop: host, places: await placesOf(found, port, dns), mx, why: found.why?.reason ?? '' };
}

function toolsOf(options: FingerOptions, config: Configuration, dns: Dns, voice: PlaceVoice): DestinationTools {
  const hosts = new HostsFile('/etc/hosts', processTicker);
  return {
    settings: {
      ...inetProtocols(config.get('inet_protocols')), lookup: options.lookup, preference: options.family, randomize: true, balance: false, addressLimit: 0,
      ignoreMxError: false, ignoreSrvError: false, allowSrvFallback: false, deferNoMxAddress: false, idnaTransitional: false,
    },
    dns, native: (host) => lookupNative(host, hosts, dns), own: new Set(), random: Math.random, log: voice,
  };
}

/** The resolver remembers what it was asked a moment ago. */
async function mxFacts(name: string, type: RecordType, dns: Dns): Promise<MxFacts | undefined> {
  const ascii = isAscii(name) ? name : domainToAscii(name, false);
  const answer = await dns.lookup(typeof ascii === 'string' ? ascii : 'ascii' in ascii ? ascii.ascii : name, type);
  if (answer.status !== 'ok') return undefined;
  return { name, canonical: answer.records[0]?.name ?? name, secure: answer.secure };
}

function placesOf({ addresses }: Destinations, port: number, dns: Dns): Promise<Place[]> {
  return Promise.all(addresses.map(async (each) => {
    const place = { name: each.host, address: each.address, port: each.port || port };
    if (validHostaddr(each.host)) return { ...place, canonical: each.host, secure: false };
    const answer = await dns.lookup(each.host, each.family === 6 ? 'AAAA' : 'A');
    const record = answer.records.find(({ data }) => data === each.address);
    return { ...place, canonical: record?.name ?? each.host, secure: record !== undefined && answer.secure };
  }));
}
