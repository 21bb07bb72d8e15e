/**
 * What the client is called: the name that its address has, if that name has the address too. Otherwise `unknown`.
 *
 * Names come from a stranger's name server: they are checked as host names before anybody sees them (valid_hostname). Never rejects.
 * An answer is remembered for a few seconds, so that a busy client is described without waiting; one that came of trouble is not.
 * RFC 7001 section 3 (iprev); smtpd_peername_lookup switches it off.
 */
import { plainAddress } from '../../network/address.ts';
import { reverseName, type Dns } from '../../network/dns.ts';
import type { HostsFile } from '../../network/hosts-file.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import type { Ticker } from '../../network/ticker.ts';
import type { ConnectionEnds } from '../../server/daemon.ts';
import { validHostaddr, validHostname } from '../../text/hostname.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';
import { labelOf } from './other-client.ts';
import type { ProxiedEnds } from './upstream-proxy.ts';

type NameStatus = Client['nameStatus'];

interface Names { readonly name: string; readonly reverseName: string; readonly nameStatus: NameStatus; readonly reverseStatus: NameStatus }

/** Names, and for how many seconds the name service says that they hold. */
interface Found { readonly names: Names; readonly holds: number }

export interface NameSources {
  readonly dns: Dns;
  readonly hosts: HostsFile;
  readonly ticker: Ticker;
  /** Told of names that do not lead back. */
  readonly warn: (text: string) => void;
  /** smtpd_peername_lookup */
  readonly enabled: boolean;
  /** smtpd_client_port_logging */
  readonly logsPort?: boolean;
}

/** The address of this server that a listener is bound to, where it is bound to one. */
export interface ServerEnd { readonly address: string; readonly port: number }

/** Clients whose names are remembered, and for how many milliseconds at most: a change of the hosts file is noticed as late. */
const rememberedClients = 1000;
const rememberedFor = 5000;

const unknown = (status: NameStatus, reverse = 'unknown', reverseStatus: NameStatus = status): Names =>
  ({ name: 'unknown', reverseName: reverse, nameStatus: status, reverseStatus });

export class ClientNames {
  readonly #sources: NameSources;
  readonly #remembered = new Map<string, { readonly names: Names; readonly until: number }>();

  constructor(sources: NameSources) {
    this.#sources = sources;
  }

  describe(socket: ConnectionEnds, serverEnd?: ServerEnd): MaybePromise<Client> {
    const address = plainAddress(socket.remoteAddress ?? '');
    const port = String(socket.remotePort ?? '');
    const server = { address: plainAddress(serverEnd?.address ?? socket.localAddress ?? ''), port: serverEnd?.port ?? socket.localPort ?? '' };
    return this.#described(address, port, server);
  }

  /** The client that a proxy speaks for. */
  describeProxied({ client, server }: ProxiedEnds): MaybePromise<Client> {
    return this.#described(client.address, client.port, server);
  }

  #described(address: string, port: string, server: { address: string; port: number | string }): MaybePromise<Client> {
    const withPort = this.#sources.logsPort === true;
    const names = this.#names(address);
    return isPending(names) ? names.then((late) => clientOf(late, address, port, server, withPort)) : clientOf(names, address, port, server, withPort);
  }

  #names(address: string): MaybePromise<Names> {
    const { enabled, ticker } = this.#sources;
    if (address === '' || !enabled) return unknown('permanent');
    const known = this.#remembered.get(address);
    if (known !== undefined && known.until > ticker.monotonic()) return known.names;
    return namesOf(address, this.#sources).then(({ names, holds }) => {
      this.#remember(address, names, Math.min(holds * 1000, rememberedFor));
      return names;
    });
  }

  #remember(address: string, names: Names, milliseconds: number): void {
    if (milliseconds <= 0 || names.nameStatus === 'temporary' || names.reverseStatus === 'temporary') return;
    this.#remembered.delete(address);
    if (this.#remembered.size >= rememberedClients) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(address, { names, until: this.#sources.ticker.monotonic() + milliseconds });
  }
}

function clientOf(names: Names, address: string, port: string, server: { address: string; port: number | string }, withPort: boolean): Client {
  return {
    name: names.name, reverseName: names.reverseName, nameStatus: names.nameStatus, reverseStatus: names.reverseStatus,
    address,
    literal: address.includes(':') ? `IPv6:${address}` : address,
    port,
    label: labelOf(names.name, address, port, withPort),
    serverAddress: server.address, serverPort: String(server.port),
  };
}

async function namesOf(address: string, { dns, hosts, warn }: NameSources): Promise<Found> {
  const listed = hosts.nameOf(address);
  const found = listed === undefined ? await pointerOf(address, dns) : { name: listed, holds: Infinity };
  const { holds } = found;
  if ('status' in found) return { names: unknown(found.status), holds };
  const { name } = found;
  if (!validHostname(name) || validHostaddr(name)) return { names: unknown('permanent'), holds };
  const back = await lookupNative(name, hosts, dns);
  const leadsBack = back.addresses.some((each) => plainAddress(each) === address);
  if (!leadsBack) warn(`hostname ${name} does not resolve to address ${address}${back.trouble === undefined ? '' : `: ${back.trouble.text}`}`);
  if (back.trouble !== undefined) return { names: unknown(back.trouble.kind === 'again' ? 'temporary' : 'permanent', name, 'ok'), holds };
  if (!leadsBack) return { names: unknown('permanent', name, 'ok'), holds };
  return { names: { name, reverseName: name, nameStatus: 'ok', reverseStatus: 'ok' }, holds };
}

async function pointerOf(address: string, dns: Dns): Promise<{ name: string; holds: number } | { status: NameStatus; holds: number }> {
  const answer = await dns.lookup(reverseName(address), 'PTR');
  const [first] = answer.records;
  if (answer.status === 'ok' && first !== undefined) return { name: first.data, holds: answer.ttl };
  return { status: answer.status === 'retry' ? 'temporary' : 'permanent', holds: answer.ttl };
}
