/**
 * TLS with one server after another: the handshake, the judgement of its certificate, and what the log says about both.
 *
 * `start` never rejects; undefined: there is no session, the socket is gone and the log knows why. Whether the certificate is the right
 * one is in the answer, and it is the caller who must not send mail where it has to be and is not.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import net from 'node:net';
import type tls from 'node:tls';
import { nodeTls } from '../../host/node-tls.ts';
import { errorText } from '../../host/libc.ts';
import { spkiOf, tlsaText, usableTlsa, x509Error } from '../../network/dane.ts';
import { domainToAscii } from '../../network/idna.ts';
import { cipherList } from '../../network/tls-ciphers.ts';
import { fingerprint, sessionGroup } from '../../network/tls-facts.ts';
import { isDane, level, levelName, mustMatch } from '../../network/tls-levels.ts';
import { libraryProblems, type LogMask } from '../../network/tls-log.ts';
import { protocolRange } from '../../network/tls-protocols.ts';
import { groupName, signatureBy, tlsSummary, type SessionFacts, type Signature } from '../../network/tls-summary.ts';
import { errorLine, judge, matchLines, namesOf, partOf, type Verdict } from '../../network/tls-verdict.ts';
import type { Ticker } from '../../network/ticker.ts';
import type { TlsLogLevels } from '../../tables/tls-log-levels.ts';
import { isAscii } from '../../text/ascii.ts';
import { isPending } from '../../text/maybe.ts';
import type { ClientKeys } from './tls-keys.ts';
import type { TlsPolicy } from './tls-policy.ts';
import type { Reporter } from './tls-report.ts';
import type { TlsSessions } from './tls-sessions.ts';
import type { TlsSettings } from './tls-settings.ts';

export interface TlsJob {
  readonly policy: TlsPolicy;
  /** name[address]:port */
  readonly peer: string;
  readonly host: string;
  readonly address: string;
  /** The destination's domain, without brackets and port. */
  readonly nexthop: string;
  /** As it was written. */
  readonly destination: string;
  /** The name that the server gave itself. */
  readonly helo: string;
  readonly report: Reporter | undefined;
  readonly log: TlsVoice;
}

export interface TlsVoice {
  info(text: string): void;
  warning(text: string): void;
}

export interface TlsStanding {
  /** What holds in the end: where no TLSA record was of use less is left. */
  readonly level: number;
  readonly trusted: boolean;
  readonly matched: boolean;
  readonly reused: boolean;
  /** For the log, when the connection is used again. */
  readonly facts: SessionFacts;
  readonly logsSummary: boolean;
  /** The connection may carry further messages. */
  readonly reusable: boolean;
}

export interface SecuredSocket {
  readonly socket: tls.TLSSocket;
  readonly standing: TlsStanding;
}

export interface TlsClientTools {
  readonly settings: TlsSettings;
  readonly keys: ClientKeys;
  readonly levels: TlsLogLevels;
  readonly sessions: TlsSessions;
  readonly service: string;
  readonly ticker: Ticker;
}

/** What a handshake goes by. */
interface Plan {
  readonly context: tls.SecureContext;
  readonly serverName: string | undefined;
  readonly level: number;
  /** No certificate can be the right one. */
  readonly mustFail: boolean;
  readonly names: readonly string[];
  /** Of the session. */
  readonly id: string;
}

interface Judged {
  readonly chain: readonly X509Certificate[];
  readonly verdict: Verdict;
}

const chainLimit = 100;
/** RFC 6066 section 3, and OpenSSL's limit. */
const longestServerName = 255;

export class TlsClient {
  readonly #tools: TlsClientTools;

  constructor(tools: TlsClientTools) {
    this.#tools = tools;
  }

  async start(socket: net.Socket, job: TlsJob): Promise<SecuredSocket | undefined> {
    const asked = this.#tools.levels.of({ name: job.host, address: job.address });
    const usual = isPending(asked) ? await asked : asked;
    // Where the right certificate is required, why one was not is always told.
    const mask = mustMatch(job.policy.level) ? { ...usual, untrusted: true } : usual;
    if (mask.verbose) job.log.info(`setting up TLS connection to ${job.peer}`);
    const plan = this.#plan(job, mask);
    if (plan === undefined) {
      socket.destroy();
      return undefined;
    }
    const known = this.#recall(plan, job, mask);
    const made = await this.#shake(socket, plan, job, known?.session);
    if (made === undefined) {
      this.#tools.sessions.forget(plan.id);
      job.report?.failure('validation-failure', 'tls-handshake-failure');
      return undefined;
    }
    return this.#judged(made, plan, job, mask, known);
  }

  // ---- before

  #plan(job: TlsJob, mask: LogMask): Plan | undefined {
    const { policy, peer, log } = job;
    const { settings, keys } = this.#tools;
    const range = protocolRange(policy.protocols);
    if (range === undefined) return void log.warning(`${peer}: Invalid TLS protocol list "${policy.protocols}": aborting TLS session`);
    const ciphers = cipherList({ grade: policy.grade, exclusions: policy.exclusions, securityLevel: 0 }, settings.lists);
    if ('trouble' in ciphers) return void log.warning(`${peer}: ${ciphers.trouble}`);
    if (mask.verbose) log.info(`${peer}: TLS cipher list "${ciphers.list}"`);
    const serverName = this.#serverName(job);
    if (serverName !== undefined && serverName.length > longestServerName) return void log.warning(`${peer}: ignoring too long SNI hostname: ${serverName.slice(0, 100)}`);
    if (serverName !== undefined && mask.debug) log.info(`${peer}: SNI hostname: ${serverName}`);
    const names = this.#names(job);
    const noNames = wantsNames(policy.level) && names.length === 0;
    if (noNames) log.warning(`${peer}: could not configure peer name checks`);
    const usable = this.#usable(job);
    const failure = policy.external?.failure ?? '';
    try {
      const context = keys.context({ range, ciphers: ciphers.list, securityLevel: mustMatch(usable.level) ? 1 : 0 });
      return { context, serverName, level: usable.level, mustFail: noNames || usable.mustFail || failure !== '', names, id: this.#id(job, usable.level, ciphers.list, names, serverName) };
    } catch (error) {
      for (const line of libraryProblems(error as Error)) log.warning(line);
      return undefined;
    }
  }

  #serverName({ policy, host, nexthop }: TlsJob): string | undefined {
    const name = isDane(policy.level) ? policy.base : policy.serverName === 'hostname' ? host : policy.serverName === 'nexthop' ? nexthop : policy.serverName;
    // Addresses are no server names (RFC 6066 section 3).
    return name === undefined || name === '' || net.isIP(name) !== 0 ? undefined : ascii(name);
  }

  #names({ policy, host, nexthop, peer, log }: TlsJob): string[] {
    if (!wantsNames(policy.level)) return [];
    if (policy.match.includes('.')) log.warning(`${peer}: ignoring invalid match name: "."`);
    return namesOf({ match: policy.match, nexthop, hostname: host }).map((name) => (name.startsWith('.') ? `.${ascii(name.slice(1))}` : ascii(name)));
  }

  /** Records that OpenSSL cannot use are passed over; where none is left, either nobody can be verified or nobody needs to be. */
  #usable({ policy: { level: chosen, records }, peer, log, report }: TlsJob): { readonly level: number; readonly mustFail: boolean } {
    const { settings: { digest }, keys: { daneDigests } } = this.#tools;
    if (records.length === 0) return { level: chosen, mustFail: chosen === level.fingerprint || isDane(chosen) };
    for (const record of records) if (!usableTlsa(record, digest, daneDigests)) log.warning(`${peer}: unusable TLSA RR: ${tlsaText(record)}`);
    if (records.some((record) => usableTlsa(record, digest, daneDigests))) return { level: chosen, mustFail: false };
    const fallback = chosen === level.dane || chosen === level.halfDane;
    const what = chosen === level.fingerprint ? 'fingerprints' : isDane(chosen) ? 'TLSA records' : 'trust anchors';
    report?.failure(isDane(chosen) ? 'tlsa-invalid' : 'validation-failure', `all-${what.replace(' ', '-')}-unusable`);
    log.warning(`${peer}: all ${what} unusable${fallback ? ', fallback to unauthenticated TLS' : ''}`);
    return { level: fallback ? level.encrypt : chosen, mustFail: !fallback };
  }

  #id({ policy, host, address, destination, helo }: TlsJob, chosen: number, ciphers: string, names: readonly string[], serverName = ''): string {
    const { records, protocols, external } = policy;
    const about = [helo, protocols, ciphers, String(chosen), serverName, external?.failure ?? '', ...names, '', ...records.map((record) => tlsaText(record) + record.certificate.toString('hex'))];
    return `${[this.#tools.service, destination, host, address, levelName(chosen)].join('&')}&${createHash('sha256').update(about.join('\0')).digest('hex').toUpperCase()}`;
  }

  // ---- the handshake

  #recall({ id }: Plan, { log }: TlsJob, mask: LogMask) {
    const { sessions, settings: { program } } = this.#tools;
    if (!sessions.isEnabled) return undefined;
    if (mask.cache) log.info(`looking for session ${id} in ${program} cache`);
    const known = sessions.recall(id);
    if (known !== undefined && mask.cache) log.info(`reloaded session ${id} from ${program} cache`);
    return known;
  }

  #shake(socket: net.Socket, plan: Plan, { peer, log }: TlsJob, session: Buffer | undefined): Promise<tls.TLSSocket | undefined> {
    return new Promise((resolve) => {
      let over = false;
      const finish = (stream: tls.TLSSocket | undefined, ...lines: readonly string[]): void => {
        if (over) return;
        over = true;
        timer.cancel();
        if (lines.length > 0) log.info(`SSL_connect error to ${peer}: ${lines[0]!}`);
        for (const line of lines.slice(1)) log.warning(line);
        if (stream === undefined) socket.destroy();
        resolve(stream);
      };
      const timer = this.#tools.ticker.after(this.#tools.settings.timeout * 1000, () => finish(undefined, 'Connection timed out'));
      try {
        const stream = nodeTls().connect({
          socket, secureContext: plan.context, rejectUnauthorized: false, checkServerIdentity: () => undefined,
          ...(plan.serverName === undefined ? {} : { servername: plan.serverName }), ...(session === undefined ? {} : { session }),
        });
        stream.on('error', (error: NodeJS.ErrnoException) => finish(undefined, ...troubleOf(error)));
        stream.once('close', () => finish(undefined, 'lost connection'));
        stream.once('secureConnect', () => finish(stream));
        stream.on('session', (bytes) => { stash.set(stream, bytes); });
      } catch (error) {
        finish(undefined, '-1', ...libraryProblems(error as Error));
      }
    });
  }

  // ---- after

  #judged(socket: tls.TLSSocket, plan: Plan, job: TlsJob, mask: LogMask, known: Judged | undefined): SecuredSocket {
    const reused = socket.isSessionReused();
    if (reused && mask.cache) job.log.info(`${job.peer}: Reusing old session`);
    const { chain, verdict } = reused && known !== undefined ? known : this.#judge(socket, plan, job);
    this.#keep(socket, plan, { chain, verdict }, job, mask);
    this.#tell(verdict, chain, plan, job, mask, reused);
    const facts = this.#facts(socket, plan, verdict, chain, job, reused);
    if (mask.summary) job.log.info(tlsSummary(facts));
    const standing = { level: plan.level, trusted: verdict.trusted, matched: verdict.matched && !plan.mustFail, reused, facts, logsSummary: mask.summary, reusable: job.policy.reuse };
    if (mustMatch(plan.level) && !standing.matched) job.report?.failure(verdict.trusted ? 'certificate-host-mismatch' : 'certificate-not-trusted', undefined, reused);
    return { socket, standing };
  }

  #judge(socket: tls.TLSSocket, plan: Plan, { policy, nexthop, host }: TlsJob): Judged {
    const chain = chainOf(socket);
    if (plan.mustFail) return { chain, verdict: { trusted: false, matched: false, error: { number: x509Error.unspecified, depth: 0 } } };
    // A session that was resumed without being known here has shown nobody.
    if (socket.isSessionReused() || chain.length === 0) return { chain, verdict: { trusted: false, matched: false, error: undefined } };
    const error = socket.authorizationError as unknown;
    const code = socket.authorized ? undefined : error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? 'unknown') : String(error);
    const verdict = judge({
      level: plan.level, chain, pkixError: code, match: plan.names, nexthop, hostname: host,
      records: plan.level < level.fingerprint ? [] : policy.records, digest: this.#tools.settings.digest, daneDigests: this.#tools.keys.daneDigests, now: new Date(),
    });
    return { chain, verdict: this.#withinDepth(verdict, socket) };
  }

  #withinDepth(verdict: Verdict, socket: tls.TLSSocket): Verdict {
    const { depth } = this.#tools.settings;
    if (!verdict.trusted || (verdict.dane?.depth ?? verifiedDepth(socket, depth)) <= depth) return verdict;
    return { trusted: false, matched: false, error: { number: x509Error.chainTooLong, depth: depth + 1 } };
  }

  #keep(socket: tls.TLSSocket, { id }: Plan, judged: Judged, { log }: TlsJob, mask: LogMask): void {
    const { sessions, settings: { program } } = this.#tools;
    if (!sessions.isEnabled) return;
    const save = (session: Buffer): void => {
      if (mask.cache) log.info(`save session ${id} to ${program} cache`);
      sessions.save(id, { session, ...judged });
    };
    const early = stash.get(socket);
    if (early !== undefined) save(early);
    socket.on('session', save);
  }

  #tell(verdict: Verdict, chain: readonly X509Certificate[], plan: Plan, { peer, log, policy, report }: TlsJob, mask: LogMask, reused: boolean): void {
    const [leaf] = chain;
    if (leaf === undefined) return;
    const talkative = mask.certificateMatch || mask.verbose || mask.peerCertificate;
    if (verdict.matched && mustMatch(plan.level) && talkative) for (const line of matchLines(verdict, plan.level)) log.info(`${peer}: ${line}`);
    if (!(verdict.matched && mustMatch(plan.level)) && mask.untrusted) {
      const failure = policy.external?.failure ?? '';
      const line = reused ? `${peer}: re-using session with untrusted peer credential, look for details earlier in the log`
        : failure !== '' ? `certificate verification failed for ${peer}: external policy failure (${failure})` : errorLine(verdict, peer, chain);
      if (line !== undefined) log.info(line);
      if (!reused && line !== undefined) report?.certificate(failure, verdict.error?.number ?? 0);
    }
    if (!talkative) return;
    const { digest } = this.#tools.settings;
    log.info(`${peer}: subject_CN=${partOf(leaf.subject, 'CN') ?? ''}, issuer=${partOf(leaf.issuer, 'CN') ?? partOf(leaf.issuer, 'O') ?? ''}`
      + `, cert fingerprint=${fingerprint(digest, leaf.raw)}, pkey fingerprint=${fingerprint(digest, spkiOf(leaf))}`);
  }

  #facts(socket: tls.TLSSocket, plan: Plan, verdict: Verdict, chain: readonly X509Certificate[], { peer }: TlsJob, reused: boolean): SessionFacts {
    const protocol = socket.getProtocol() ?? '';
    const signed = protocol === 'TLSv1.3' && !reused;
    const key = socket.getEphemeralKeyInfo() as { name?: string; type?: string; size?: number } | null;
    return {
      trust: trustOf(verdict, plan.level, chain), usage: 'established', peer, protocol, cipher: socket.getCipher().name,
      keyExchange: protocol === 'TLSv1.3' ? groupName(protocol, key) ?? sessionGroup(socket.getSession()) : undefined,
      server: signed && chain[0] !== undefined ? signatureBy(chain[0].publicKey) : undefined,
      client: signed ? clientSignature(socket) : undefined,
    };
  }
}

/** Sessions that came before there was a verdict. */
const stash = new WeakMap<tls.TLSSocket, Buffer>();

function wantsNames(chosen: number): boolean {
  return isDane(chosen) || chosen >= level.verify;
}

function ascii(name: string): string {
  if (isAscii(name)) return name;
  const answer = domainToAscii(name);
  return 'ascii' in answer ? answer.ascii : name;
}

function trustOf({ trusted, matched }: Verdict, chosen: number, chain: readonly X509Certificate[]): SessionFacts['trust'] {
  if (chain.length === 0) return 'Anonymous';
  if (matched && mustMatch(chosen) && chosen !== level.halfDane) return 'Verified';
  return trusted ? 'Trusted' : 'Untrusted';
}

/** As it was sent. */
function chainOf(socket: tls.TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let each = socket.getPeerX509Certificate(); each !== undefined && chain.length < chainLimit; each = each.issuerCertificate) chain.push(each);
  return chain;
}

/** How many certificates stand above the server's, that of the authority included. */
function verifiedDepth(socket: tls.TLSSocket, most: number): number {
  let depth = 0;
  let each = socket.getPeerCertificate(true);
  while (depth <= most && each?.issuerCertificate !== undefined && each.issuerCertificate !== each && each.issuerCertificate.fingerprint256 !== each.fingerprint256) {
    each = each.issuerCertificate;
    depth++;
  }
  return depth;
}

/** Servers that ask for a certificate say with which algorithms. */
function clientSignature(socket: tls.TLSSocket): Signature | undefined {
  const shared = socket.getSharedSigalgs();
  const own = shared.length === 0 ? undefined : socket.getX509Certificate();
  if (own === undefined) return undefined;
  const kind = own.publicKey.asymmetricKeyType === 'rsa' ? 'RSA-PSS+' : '';
  const scheme = kind === '' ? undefined : shared.find((each) => each.toUpperCase().startsWith(kind));
  return signatureBy(own.publicKey, scheme?.toLowerCase());
}

function troubleOf(error: NodeJS.ErrnoException): string[] {
  if (/(?:^|:)error:[0-9A-F]{8}:/.test(error.message)) return ['-1', ...libraryProblems(error)];
  if (error.code === 'ECONNRESET' && error.errno === undefined) return ['lost connection'];
  return [errorText(error)];
}
