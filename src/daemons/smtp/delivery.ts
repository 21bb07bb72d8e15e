/**
 * One delivery request, from its nexthop to an outcome for every recipient: which servers are tried, in which order, with
 * which connections, and what is made of each failure.
 *
 * While further servers are left, temporary failures only cost this server its turn; with the last one they count. Hard
 * failures count at once. The request ends with every recipient reported through the Outcome.
 */
import type { Delivery } from '../../delivery/agent.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import type { DeliveryRequest, Recipient } from '../../ipc/deliver.ts';
import type { HostAddress } from '../../network/destination.ts';
import type { BadNexthop } from '../../network/nexthop.ts';
import type { Failure, Peer } from '../../protocol/smtp-client/steps.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Connection, Ending } from './connection.ts';
import type { Kept } from './connection-cache.ts';
import { contentOf } from './content.ts';
import { addedHeaders } from './headers.ts';
import type { Hops, Route, Site } from './hops.ts';
import { Keeping, type Keepable } from './keeping.ts';
import { Ledger } from './ledger.ts';
import { loginCase, type Logins } from './login.ts';
import type { Notices } from './notices.ts';
import type { Rewriting } from './rewriting.ts';
import type { Settings } from './settings.ts';
import type { TlsDesk, TlsPlan } from './tls-desk.ts';
import { TlsPlans } from './tls-plans.ts';
import { transactionOf } from './transaction.ts';

export interface ErrandTools {
  readonly settings: Settings;
  readonly hops: Hops;
  readonly tls: TlsDesk;
  readonly logins: Logins | undefined;
  readonly rewriting: Rewriting | undefined;
  readonly clock: { now(): number };
  /** Absent: no postmaster wants to know. */
  readonly notices: Notices | undefined;
  readonly passOn: (transport: string, recipient: Recipient, delivery: Delivery) => Promise<boolean>;
}

/** What holds while one server is tried. */
interface Turn extends Keepable {
  /** Undefined: the connection was found under the destination's name, and nothing was asked for. */
  readonly plan: TlsPlan | undefined;
}

/** Servers that are still to be tried, and how many had their turn. */
interface Rest {
  readonly addresses: readonly HostAddress[];
  readonly count: number;
}

/** How far the servers of a destination have been gone through. */
interface Walk {
  tried: number;
  sessions: number;
  /** No other server of this destination follows. */
  last: boolean;
}

/** The status of a failed TLS handshake. */
const tlsTrouble = '4.7.5';
/** The status of a connection that was lost. */
const connectionTrouble = '4.4.2';
const configurationError = { status: '4.3.5', reason: 'mail system configuration error' } as const;

export class Errand {
  private readonly delivery: Delivery;
  private readonly tools: ErrandTools;
  private readonly ledger: Ledger;
  private readonly plans: TlsPlans;
  private readonly keeping: Keeping;
  /** No destination follows. */
  private finalNexthop = false;
  /** Where we are on our way to, as it was written. */
  private destination = '';

  constructor(delivery: Delivery, tools: ErrandTools) {
    this.delivery = delivery;
    this.tools = tools;
    this.ledger = new Ledger(delivery, tools.settings, tools.clock);
    const { logTlsStatus: showsStatus, client: { myHostname, helpfulWarnings: helpful } } = tools.settings;
    this.plans = new TlsPlans({ desk: tools.tls, delivery, ledger: this.ledger, showsStatus, myHostname, helpful });
    this.keeping = new Keeping(delivery.request, tools, this.plans);
  }

  /** Over the network: a list of destinations, then the fallback relays. */
  overInet(nexthop: string): MaybePromise<void> {
    const { settings, hops } = this.tools;
    if (settings.destination.ipv4 || settings.destination.ipv6) return this.overSites(hops.route(nexthop), 0);
    this.ledger.blame({ status: '4.4.4', reason: 'all network protocols are disabled' });
    return this.ledger.settleRest();
  }

  /** From this destination on. */
  private overSites(route: Route, number: number): MaybePromise<void> {
    const { named, all } = route;
    if (this.ledger.left.length === 0) return undefined;
    if (number === all.length || this.finalNexthop) return this.settle(number > named.length, named[0] ?? '');
    this.finalNexthop = number === all.length - 1;
    return chain(this.toSite(all[number]!, number === 0), () => this.overSites(route, number + 1));
  }

  /** Nothing is left to be tried. */
  private async settle(atFallback: boolean, firstSite: string): Promise<void> {
    const { ledger, tools: { settings, passOn } } = this;
    const smtp = settings.program === 'smtp';
    if (atFallback) ledger.excuse('smtp_fallback_relay');
    else if (smtp && firstSite === settings.relayhost) ledger.excuse('relayhost');
    else if (smtp && settings.bestMxTransport !== '' && loops(ledger.why)) await ledger.passRest((recipient) => passOn(settings.bestMxTransport, recipient, this.delivery));
    await ledger.settleRest();
  }

  /** To a program on this machine. */
  async overUnix(path: string): Promise<void> {
    const { settings } = this.tools;
    if (settings.fallbackRelay !== '')
      this.delivery.log.warning(`ignoring "${settings.program}_fallback_relay = ${settings.fallbackRelay}" setting for non-TCP connections`);
    this.destination = path;
    const policy = this.keeping.begin(path, path);
    if (isPending(policy)) await policy;
    this.ledger.finalServer = true;
    const begun = this.plans.begin(settings.client.myHostname);
    if (isPending(begun)) await begun;
    const planned = this.plans.ofPath(path);
    const plan = isPending(planned) ? await planned : planned;
    if (plan) await this.toPath(path, plan);
    await this.ledger.settleRest();
  }

  private async toPath(path: string, plan: TlsPlan): Promise<void> {
    const { keeping, tools: { hops, settings } } = this;
    const endpoint = keeping.endpointOfPath(path, plan);
    const kept = keeping.load ? keeping.take(endpoint) : undefined;
    if (kept && (await this.reuse(kept, plan)) !== 'stale') return;
    const asked = hops.unixOptions(path, plan);
    const options = isPending(asked) ? await asked : asked;
    this.ledger.tls = this.plans.status(plan);
    const opened = await hops.openUnix(path, options, this.delivery.log, this.plans.secure(plan, options.peer, settings.client.myHostname));
    if ('why' in opened) this.ledger.blame(opened.why);
    else await this.fresh({ connection: opened.connection, bestMx: false, address: path, endpoint, plan }, () => {});
  }

  private toSite(text: string, first: boolean): MaybePromise<void> {
    this.destination = text;
    return chain(this.tools.hops.find(text, this.delivery.log), (site) => this.siteFound(site, first));
  }

  private siteFound(site: Site | BadNexthop, first: boolean): MaybePromise<void> {
    this.ledger.why = undefined;
    if ('trouble' in site) {
      this.delivery.log.warning(site.trouble);
      return this.ledger.blame(configurationError);
    }
    this.plans.adviseOn(site.port);
    if (site.why) this.ledger.blame(site.why);
    if (site.selfIsMx || (site.addresses.length === 0 && loops(site.why))) this.finalNexthop = true;
    if (site.addresses.length === 0) return undefined;
    const begun = chain(this.plans.begin(site.host), () => (first ? this.keeping.begin(site.host, site.text) : undefined));
    return isPending(begun) ? begun.then(() => this.overSite(site)) : this.overSite(site);
  }

  private overSite(site: Site): MaybePromise<void> {
    const all: Rest = { addresses: site.addresses, count: 0 };
    if (!this.keeping.load || this.keeping.destinationKey === '') return this.overServers(site, all);
    // The log says what was asked for with this server; for a connection found under the destination's name nothing was.
    return chain(this.tryKept(this.keeping.destinationKey, all, undefined), (rest) => (this.ledger.left.length > 0 ? this.overServers(site, rest) : undefined));
  }

  private async overServers(site: Site, all: Rest): Promise<void> {
    const rest = this.keeping.load ? await this.overKept(site, all) : all;
    if (this.ledger.left.length > 0) await this.overFresh(site, rest);
  }

  // ---- connections that are open already

  /** Returns what is left to be tried, and how many servers had their turn. */
  private async overKept(site: Site, all: Rest): Promise<Rest> {
    let rest = all;
    const best = site.addresses[0]!.preference;
    for (const each of site.addresses) {
      if (this.ledger.left.length === 0 || each.preference !== best || !rest.addresses.includes(each)) continue;
      const planned = this.plans.of(each, site);
      const plan = isPending(planned) ? await planned : planned;
      if (!plan) continue;
      const tried = this.tryKept(this.keeping.endpointOf(each, site, plan), rest, plan);
      rest = isPending(tried) ? await tried : tried;
    }
    return rest;
  }

  private tryKept(key: string, rest: Rest, plan: TlsPlan | undefined): MaybePromise<Rest> {
    const kept = this.keeping.take(key);
    if (!kept) return rest;
    const count = rest.count + 1;
    const { sessionLimit, addressLimit } = this.tools.settings;
    const exhausted = count === sessionLimit || count === addressLimit;
    const addresses = exhausted ? [] : rest.addresses.filter(({ address }) => address !== kept.address);
    this.ledger.finalServer = this.finalNexthop && addresses.length === 0;
    return this.reuse(kept, plan).then((ending) => {
      if (ending !== 'stale') return { addresses, count };
      this.ledger.finalServer = false;
      return rest;
    });
  }

  private reuse({ connection, bestMx, address, keys: { endpoint } }: Kept, plan: TlsPlan | undefined): Promise<Ending> {
    this.ledger.tls = this.plans.status(plan);
    this.plans.reused(connection);
    return this.transfer({ connection, bestMx, address, endpoint, plan });
  }

  // ---- new connections

  private async overFresh(site: Site, { addresses, count }: Rest): Promise<void> {
    const { settings } = this.tools;
    const walk: Walk = { tried: count, sessions: count, last: false };
    for (let at = 0; at < addresses.length && this.ledger.left.length > 0 && !walk.last; at++) {
      const to = addresses[at]!;
      walk.last = ++walk.tried === settings.addressLimit || at === addresses.length - 1;
      const planned = this.plans.of(to, site);
      const plan = isPending(planned) ? await planned : planned;
      if (!plan) continue;
      const kept = this.keeping.takeBackup(to, site, plan);
      if (kept && (await this.overKeptBackup(kept, walk, plan))) continue;
      // A server that cannot do TLS in spite of what it says gets the mail without, where that is allowed.
      if ((await this.overNew(to, site, walk, plan)) === 'retry without TLS') {
        if (this.ledger.wasLost) walk.sessions--;
        await this.overNew(to, site, walk, { ...plan, plain: true });
      }
    }
  }

  /** True: it has had its turn. */
  private async overKeptBackup(kept: Kept, walk: Walk, plan: TlsPlan): Promise<boolean> {
    const before = { ...walk };
    this.beginSession(walk);
    if ((await this.reuse(kept, plan)) !== 'stale') return true;
    Object.assign(walk, before);
    return false;
  }

  /** One more session with this destination; it may be the last one allowed. */
  private beginSession(walk: Walk): void {
    if (++walk.sessions === this.tools.settings.sessionLimit) walk.last = true;
    this.ledger.finalServer = this.finalNexthop && walk.last;
  }

  private async overNew(to: HostAddress, site: Site, walk: Walk, plan: TlsPlan): Promise<'over' | 'retry without TLS'> {
    const { hops } = this.tools;
    const { log, request } = this.delivery;
    const bestMx = to.preference === site.addresses[0]!.preference;
    const asked = hops.options(to, site, bestMx, plan, request.nexthop);
    const message = { queueId: request.queueId, age: this.tools.clock.now() / 1000 - request.times.incomingArrival };
    const fitted = hops.withPix(isPending(asked) ? await asked : asked, message);
    const options = isPending(fitted) ? await fitted : fitted;
    this.ledger.tls = this.plans.status(plan);
    const opened = await hops.openInet(to, site, options, log, this.plans.secure(plan, options.peer, site.host));
    if ('why' in opened) {
      this.ledger.blame(opened.why);
      log.info(opened.why.reason);
      return 'over';
    }
    this.plans.opened(plan, opened.connection);
    this.ledger.finalServer = this.finalNexthop && walk.last;
    return await this.fresh({ connection: opened.connection, bestMx, address: to.address, endpoint: this.keeping.endpointOf(to, site, plan), plan }, () => this.beginSession(walk));
  }

  private async fresh(turn: Turn & { readonly plan: TlsPlan }, begin: () => void): Promise<'over' | 'retry without TLS'> {
    const { options } = turn.connection;
    const { logins } = this.tools;
    if (logins) turn.connection.login = { logins, whose: loginCase(this.delivery, this.destination, options.peer) };
    const failure = await turn.connection.handshake();
    if (failure) this.tellPostmaster(turn.connection);
    if (turn.connection.offersTls && turn.connection.secured === undefined && this.tools.settings.noteTlsOffer && options.tls === 'none')
      this.delivery.log.info(`Host offered STARTTLS: [${options.peer.host}]`);
    this.plans.shaken(turn.plan, turn.connection, failure);
    this.ledger.tls = this.plans.status(turn.plan);
    if (failure) return this.handshakeFailed(failure, turn);
    begin();
    const { ledger, plans } = this;
    // TLS may also break behind the handshake, in spite of what the server says.
    ledger.repeatsLost = turn.connection.secured !== undefined && plans.mayGoPlain(turn.plan) && this.mayRetryPlain() && !(await this.hasLogin(options.peer));
    ledger.wasLost = false;
    await this.transfer(turn);
    ledger.repeatsLost = false;
    return ledger.wasLost && ledger.left.length > 0 ? 'retry without TLS' : 'over';
  }

  // Trouble with TLS that nobody insists on says nothing about the destination as a whole.
  private async handshakeFailed(failure: Failure, { connection: { secured, options: { tls, peer } }, plan }: Turn & { readonly plan: TlsPlan }): Promise<'over' | 'retry without TLS'> {
    const { ledger, delivery: { log, request } } = this;
    const optional = failure.status === tlsTrouble && tls === 'may';
    // The server may also go away when TLS stands.
    const isTls = optional || (tls === 'may' && secured !== undefined && failure.status === connectionTrouble);
    if (isTls && this.plans.mayGoPlain(plan) && this.mayRetryPlain() && !(await this.hasLogin(peer))) {
      log.info(`${request.queueId}: ${failure.reason}`);
      return 'retry without TLS';
    }
    await ledger.fail(ledger.left, optional ? { ...failure, scope: 'message' } : failure, peer.nameAddressPort);
    ledger.turnOver();
    return 'over';
  }

  // The first attempts are with TLS only: the trouble may pass.
  private mayRetryPlain(): boolean {
    const { flags, times } = this.delivery.request;
    return isTraceOnly(flags) || times.activeArrival - times.incomingArrival >= this.tools.settings.minBackoff;
  }

  // Where we have a password, mail that goes there without it is refused; and the password is not for a connection in the clear.
  private async hasLogin(peer: Peer): Promise<boolean> {
    try {
      return (await this.tools.logins?.has(loginCase(this.delivery, this.destination, peer))) ?? false;
    } catch {
      return true;
    }
  }

  /** The message, over a connection that is ready for it. */
  private transfer(turn: Turn): Promise<Ending> {
    const { delivery: { request }, ledger, tools: { settings, rewriting } } = this;
    if (rewriting === undefined) return this.handOver(turn, request, addedHeaders(settings, request), ledger.left);
    return this.rewritten(turn.connection, rewriting).then((found) =>
      (found === 'failed' ? 'broken' : this.handOver(turn, found.request, found.headers, found.request.recipients)));
  }

  /** `shown`: the request as the server is to see it. */
  private handOver(turn: Turn, shown: DeliveryRequest, headers: string, recipients: readonly Recipient[]): Promise<Ending> {
    const { connection } = turn;
    const { ledger, tools: { settings } } = this;
    const converted = settings.convertMime && !connection.offersEightBit && shown.encoding !== '7bit';
    const keep = this.keeping.store && connection.isKeepable;
    const transaction = transactionOf(shown, recipients, settings, { keep, converted, requireTls: connection.options.requireTls !== undefined, dsn: connection.offersDsn });
    return connection.exchange(transaction, contentOf(this.delivery, this.tools, headers, converted), ledger.round(connection), this.delivery.log).then((ending) => {
      this.tellPostmaster(connection);
      if (ending === 'orderly') ledger.complete = true;
      if (ending !== 'stale') this.keeping.keep(turn);
      ledger.turnOver();
      return ending;
    });
  }

  /** Nobody waits for it. */
  private tellPostmaster(connection: Connection): void {
    void this.tools.notices?.after(connection, this.delivery.request.sender);
  }

  /** The request as the server is to see it, and the headers in front; 'failed': that could not be found out, and has been reported. */
  private async rewritten(connection: Connection, rewriting: Rewriting): Promise<{ request: DeliveryRequest; headers: string } | 'failed'> {
    const { delivery: { request, log }, ledger, tools: { settings } } = this;
    try {
      const shown = await rewriting.envelope(request, ledger.left, log);
      const [first] = shown.recipients;
      const original = settings.flags.originalTo && first ? [{ ...first, originalAddress: await rewriting.address(first.originalAddress, log) }] : undefined;
      return { request: shown, headers: addedHeaders(settings, original ? { ...shown, recipients: original } : shown) };
    } catch (error) {
      const { nameAddress, nameAddressPort } = connection.options.peer;
      log.warning(`${request.queueId}: ${(error as Error).message}`);
      await ledger.fail(ledger.left, { status: '4.3.0', reason: `local data error while talking to ${nameAddress}`, remoteMta: '', diagnostic: '', scope: 'message', softUntilLast: false }, nameAddressPort);
      // It may be busy with another message; else nobody knows of it any more.
      if (connection.usable) connection.quit();
      ledger.turnOver();
      return 'failed';
    }
  }
}

function loops(why: { readonly status: string } | undefined): boolean {
  return why !== undefined && /^[45]\.4\.6$/.test(why.status);
}
