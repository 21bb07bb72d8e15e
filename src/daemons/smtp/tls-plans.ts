/**
 * The TLS plans of one request: made once per server of a destination, and asked for again when a connection fails or one is found
 * open already.
 */
import type { Delivery } from '../../delivery/agent.ts';
import type { HostAddress } from '../../network/destination.ts';
import { level, levelName } from '../../network/tls-levels.ts';
import { tlsSummary } from '../../network/tls-summary.ts';
import type { ClientOptions, Failure } from '../../protocol/smtp-client/steps.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Connection, Secure } from './connection.ts';
import type { Site } from './hops.ts';
import type { Ledger } from './ledger.ts';
import type { TlsDesk, TlsPlan, TlsWishes, Unplanned } from './tls-desk.ts';
import type { Target } from './tls-policy.ts';
import type { Reporter } from './tls-report.ts';
import type { Requirement } from './tls-require.ts';

export interface PlanTools {
  readonly desk: TlsDesk;
  readonly delivery: Delivery;
  readonly ledger: Ledger;
  /** smtp_log_tls_feature_status */
  readonly showsStatus: boolean;
  readonly myHostname: string;
  /** helpful_warnings */
  readonly helpful: boolean;
}

const submissionsPort = 465;

export class TlsPlans {
  readonly #tools: PlanTools;
  readonly #wishes: TlsWishes;
  #known: Map<HostAddress, TlsPlan | undefined> | undefined;
  #requirement: Requirement = 'disable';
  #report: Reporter | undefined;

  constructor(tools: PlanTools) {
    this.#tools = tools;
    this.#wishes = tools.desk.wishes(tools.delivery.request.smtputf8);
  }

  /** What the message asks for, in the names of connections that are kept. */
  get key(): string {
    return `${this.#wishes.optional ? 'optional' : ''}${this.#wishes.required ? this.#requirement : ''}`;
  }

  /** Another destination. */
  begin(domain: string): MaybePromise<void> {
    this.#known = undefined;
    this.#requirement = 'disable';
    const report = this.#tools.desk.reporter(domain, this.#wishes, this.#tools.delivery.log);
    if (!this.#wishes.required && !isPending(report)) {
      this.#report = report;
      return undefined;
    }
    return this.#begun(domain, report);
  }

  /** Whoever comes to this port without TLS waits for a greeting in vain. */
  adviseOn(port: number): void {
    const { desk: { settings: { wrapped, program } }, delivery: { log }, helpful } = this.#tools;
    if (port === submissionsPort && !wrapped && helpful)
      log.info(`SMTPS wrappermode (TCP port 465) requires setting "${program}_tls_wrappermode = yes", and "${program}_tls_security_level = encrypt" (or stronger)`);
  }

  async #begun(domain: string, report: MaybePromise<Reporter | undefined>): Promise<void> {
    this.#report = await report;
    this.#requirement = await this.#tools.desk.requirement(domain, this.#wishes);
  }

  /** Undefined: this server is not to be tried, and the ledger has the reason. */
  of(to: HostAddress, site: Site): MaybePromise<TlsPlan | undefined> {
    if (this.#known?.has(to)) return this.#known.get(to);
    const { host, canonical = host, secure = false, port } = to;
    return chain(this.#make({ destination: site.text, host, canonical, secure, port: port || site.port, mx: site.records }), (plan) => {
      (this.#known ??= new Map()).set(to, plan);
      return plan;
    });
  }

  /** A program on this machine. */
  ofPath(path: string): MaybePromise<TlsPlan | undefined> {
    const { myHostname: host, delivery: { log } } = this.#tools;
    return chain(this.#make({ destination: path, host, canonical: host, secure: false, port: 0, mx: undefined }), (plan) => {
      if (plan?.policy.level !== level.may) return plan;
      // What does not leave the machine gains nothing from encryption without authentication.
      log.warning('smtp_connect_local: opportunistic TLS encryption is not appropriate for unix-domain destinations.');
      return { ...plan, plain: true };
    });
  }

  #make(target: Target): MaybePromise<TlsPlan | undefined> {
    const { desk, delivery: { request, log } } = this.#tools;
    return chain(desk.plan(target, this.#wishes, this.#requirement, request.queueId, log), (found) => this.#taken(found));
  }

  #taken(found: TlsPlan | Unplanned): TlsPlan | undefined {
    const { ledger } = this.#tools;
    if ('policy' in found) return found;
    if ('skip' in found) return undefined;
    ledger.blame(found.why);
    ledger.tls = this.#tools.showsStatus ? found.status.text : '';
    return undefined;
  }

  status(plan: TlsPlan | undefined): string {
    return plan !== undefined && this.#tools.showsStatus ? plan.status.text : '';
  }

  endpoint(plan: TlsPlan): string {
    return this.#tools.desk.key(plan);
  }

  secure(plan: TlsPlan, peer: ClientOptions['peer'], nexthop: string): Secure {
    const { desk, delivery: { log } } = this.#tools;
    return (socket, helo, introduction) => {
      this.#report?.introduced(introduction);
      return desk.secure(socket, helo, plan, { peer, nexthop, report: this.#report, log });
    };
  }

  /** A connection stands; nobody has spoken. */
  opened({ policy }: TlsPlan, { options: { peer }, localAddress }: Connection): void {
    this.#report?.begin(policy, peer, localAddress);
  }

  /** A new connection is ready for mail, or is not. */
  shaken({ policy, requirement, status, plain }: TlsPlan, connection: Connection, failure: Failure | undefined): void {
    const { delivery: { request, log } } = this.#tools;
    const { secured, offersRequireTls, offersTls, introduction, options: { peer } } = connection;
    if (secured === undefined) this.#report?.introduced(introduction);
    if (failure !== undefined) return this.#failed(policy.level, secured !== undefined, failure, status);
    // It offered TLS, and refused when it was asked.
    if (secured === undefined && offersTls && !plain && policy.level === level.may) this.#report?.failure('starttls-not-supported');
    if (secured === undefined) {
      status.level('none');
      return status.required('none');
    }
    if (requirement === 'disable') return;
    if (offersRequireTls) return status.required(secured.matched ? 'requiretls' : 'nocertmatch');
    status.required('none');
    log.info(`${request.queueId}: Sender requested REQUIRETLS, but REQUIRETLS support was not offered by host ${peer.nameAddress}`);
  }

  #failed(chosen: number, isSecure: boolean, { breach }: Failure, status: TlsPlan['status']): void {
    if (breach === undefined) return;
    if (isSecure) return status.required('none', true);
    this.#report?.failure('starttls-not-supported');
    if (chosen > level.may) status.level(levelName(chosen), true);
    status.required('nostarttls', true);
  }

  /** A connection that is kept is used once more. */
  reused({ secured }: Connection): void {
    if (secured?.logsSummary) this.#tools.delivery.log.info(tlsSummary({ ...secured.facts, usage: 'reused' }));
  }

  /** May what fails with TLS go without it? */
  mayGoPlain({ policy, requirement, plain }: TlsPlan): boolean {
    return policy.level === level.may && !plain && (requirement === 'disable' || requirement === 'opportunistic');
  }
}
