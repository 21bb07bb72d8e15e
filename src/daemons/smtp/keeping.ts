/**
 * The connections that one delivery request may find open and may leave open for others: whether it may, and under which names they
 * are kept.
 *
 * Mail shares a connection only where each would have made the same one, so the names say besides the destination or the server what
 * is asked of TLS and of SMTPUTF8, and for whose login it is.
 */
import { requestFlag } from '../../ipc/deliver.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import type { HostAddress } from '../../network/destination.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { Connection } from './connection.ts';
import type { Kept } from './connection-cache.ts';
import type { Hops, Site } from './hops.ts';
import type { Logins } from './login.ts';
import type { Settings } from './settings.ts';
import type { TlsPlan } from './tls-desk.ts';
import type { TlsPlans } from './tls-plans.ts';
import { needsSmtputf8 } from './transaction.ts';

export interface KeepingTools {
  readonly settings: Settings;
  readonly hops: Hops;
  readonly logins: Logins | undefined;
}

/** A connection, and what has to be known of it when it is found again. */
export interface Keepable {
  readonly connection: Connection;
  readonly bestMx: boolean;
  readonly address: string;
  readonly endpoint: string;
}

export class Keeping {
  /** Open connections may be used. */
  load = false;
  /** Connections may be left open. */
  store = false;
  /** Where good connections of this request are kept besides under their server; '' after the first. */
  destinationKey = '';
  private readonly request: DeliveryRequest;
  private readonly tools: KeepingTools;
  private readonly plans: TlsPlans;

  constructor(request: DeliveryRequest, tools: KeepingTools, plans: TlsPlans) {
    this.request = request;
    this.tools = tools;
    this.plans = plans;
  }

  /** To be asked of the first destination. `text`: as it was written. */
  begin(destination: string, text: string): MaybePromise<void> {
    const { settings: { cache }, hops } = this.tools;
    return chain(hops.alwaysKept(destination), (always) => {
      if (always) this.load = this.store = true;
      else if (cache.onDemand) this.heed(this.request.flags);
      if (this.load || this.store) this.destinationKey = this.key('destination', text, text);
    });
  }

  // What the queue manager says about keeping connections.
  private heed(flags: number): void {
    this.load = (flags & requestFlag.connectionLoad) !== 0;
    this.store = (flags & requestFlag.connectionStore) !== 0;
  }

  /** A connection that is open already; `key`: `destinationKey`, or an endpoint. */
  take(key: string): Kept | undefined {
    return this.tools.hops.cache.take(key);
  }

  /** One to a server of less preference. */
  takeBackup(to: HostAddress, site: Site, plan: TlsPlan): Kept | undefined {
    return this.load && to.preference !== site.addresses[0]!.preference ? this.take(this.endpointOf(to, site, plan)) : undefined;
  }

  /** The first good connection is also kept under the name of the destination: so the next request need not try dead servers again. */
  keep({ connection, bestMx, address, endpoint }: Keepable): void {
    if (!connection.usable || !connection.isKeepable) return;
    this.tools.hops.cache.keep({ connection, bestMx, address, keys: { destination: this.destinationKey, endpoint } });
    this.destinationKey = '';
  }

  /** The name of connections to this server. */
  endpointOf(to: HostAddress, site: Site, plan: TlsPlan): string {
    const name = `${to.address}:${to.port || site.port}\n${this.plans.endpoint(plan)}`;
    return this.key('server', this.tools.logins === undefined ? name : `${name}\n${to.host}`, site.text);
  }

  /** The name of connections to a program on this machine. */
  endpointOfPath(path: string, plan: TlsPlan): string {
    return this.key('unix', `${path}\n${this.plans.endpoint(plan)}`, path);
  }

  private key(kind: string, name: string, destination: string): string {
    const { logins } = this.tools;
    const sharing = logins === undefined ? '' : logins.sharing({ sender: this.request.sender, destination });
    return `${kind}\n${name}\n${this.plans.key}\n${needsSmtputf8(this.request) ? 'smtputf8' : ''}\n${sharing}`;
  }
}
