/**
 * What became of TLS with servers of a domain that wants to hear of it (RFC 8460): one datagram per delivery attempt to the collector at
 * smtp_tlsrpt_socket_name, in the form that tlsrpt-reporter takes from its C library.
 *
 * Reports are never worth waiting for: what cannot be sent is told to the log and forgotten.
 */
import { closeSync, writeSync } from 'node:fs';
import { connectDatagram } from '../../host/sockets.ts';
import { errorText } from '../../host/libc.ts';
import type { Dns } from '../../network/dns.ts';
import { domainToAscii } from '../../network/idna.ts';
import { isDane } from '../../network/tls-levels.ts';
import { isAscii } from '../../text/ascii.ts';
import type { TlsPolicy } from './tls-policy.ts';

/** Names of RFC 8460 section 4.3, and the collector's numbers. */
const kinds = {
  'starttls-not-supported': 201, 'certificate-host-mismatch': 202, 'certificate-not-trusted': 203, 'certificate-expired': 204, 'validation-failure': 205,
  'sts-policy-fetch-error': 301, 'sts-policy-invalid': 302, 'sts-webpki-invalid': 303, 'tlsa-invalid': 304,
} as const;
/** Of the datagram, as the library says it since its version 0.5; collectors that are older do not look at it. */
const protocolVersion = '1';
export type FailureKind = keyof typeof kinds;

const policyTypes = { tlsa: 1, sts: 2, none: 9 } as const;

/** What OpenSSL found wrong with a certificate: its error number, and the failure that it is. */
const certificateErrors: ReadonlyMap<number, readonly [kind: FailureKind, reason?: string]> = new Map<number, readonly [FailureKind, string?]>([
  [9, ['validation-failure', 'certificate_is_not_yet_valid']], [10, ['certificate-expired']], [13, ['validation-failure', "format_error_in_certificate's_notBefore_field"]],
  [14, ['certificate-expired']], [18, ['validation-failure', 'self-signed_certificate']], [19, ['validation-failure', 'self-signed_certificate_in_certificate_chain']],
  [20, ['validation-failure', 'unable_to_get_local_issuer_certificate']], [22, ['validation-failure', 'certificate_chain_too_long']],
  [26, ['validation-failure', 'unsuitable_certificate_purpose']], [27, ['certificate-not-trusted']],
]);

export interface ReportVoice {
  info(text: string): void;
  warning(text: string): void;
}

/** The attempt that is reported on. */
interface Attempt {
  readonly policy: TlsPolicy;
  readonly host: string;
  readonly address: string;
  readonly local: string | undefined;
}

export class Reporter {
  readonly #domain: string;
  readonly #record: string;
  readonly #options: { readonly socket: string; readonly skipsReused: boolean };
  readonly #voice: ReportVoice;
  #attempt: Attempt | undefined;
  #introduction = '';
  #isReported = false;

  constructor(domain: string, record: string, options: { readonly socket: string; readonly skipsReused: boolean }, voice: ReportVoice) {
    this.#domain = domain;
    this.#record = record;
    this.#options = options;
    this.#voice = voice;
  }

  /** A server is connected to. */
  begin(policy: TlsPolicy, { host, address }: { readonly host: string; readonly address: string }, local: string | undefined): void {
    this.#attempt = { policy, host, address, local };
    this.#introduction = '';
    this.#isReported = false;
  }

  /** What it said to EHLO, in plain text; lines end in LF. */
  introduced(reply: string): void {
    this.#introduction = reply.split('\n').filter((line) => line !== '').join('\r\n');
  }

  /** The first of an attempt counts. `reused`: of a session that was resumed. */
  failure(kind: FailureKind, reason?: string, reused = false): void {
    const attempt = this.#take(reused);
    if (attempt === undefined) return;
    this.#voice.info(`TLSRPT: status=failure, domain=${this.#domain}, receiving_mx=${attempt.host}[${attempt.address}], failure_type=${kind.replaceAll('-', '_')}${reason === undefined ? '' : `, failure_reason=${reason}`}`);
    const { local, host, address } = attempt;
    const detail = { c: kinds[kind], ...(local === undefined ? {} : { s: local }), n: host, ...(this.#introduction === '' ? {} : { h: this.#introduction }), r: address, ...(reason === undefined ? {} : { f: reason }) };
    this.#send(attempt, { 'failure-details': [detail], t: 1, f: 1 });
  }

  /** The certificate was refused: for a policy that is wrong itself, or by OpenSSL's error number. */
  certificate(policyFailure: string, error: number): void {
    if (Object.hasOwn(kinds, policyFailure)) return this.failure(policyFailure as FailureKind);
    const found = certificateErrors.get(error);
    if (found !== undefined) this.failure(...found);
  }

  success(reused: boolean): void {
    const attempt = this.#take(reused);
    if (attempt === undefined) return;
    this.#voice.info(`TLSRPT: status=success, domain=${this.#domain}, receiving_mx=${attempt.host}[${attempt.address}]`);
    this.#send(attempt, { t: 0, f: 0 });
  }

  #take(reused: boolean): Attempt | undefined {
    if (this.#isReported || (reused && this.#options.skipsReused)) return undefined;
    this.#isReported = this.#attempt !== undefined;
    return this.#attempt;
  }

  #send({ policy }: Attempt, result: object): void {
    const text = JSON.stringify({ dpv: protocolVersion, d: this.#domain, pr: this.#record, policies: [{ ...this.#policy(policy), ...result }] });
    try {
      const socket = connectDatagram(this.#options.socket);
      try {
        writeSync(socket, text);
      } finally {
        closeSync(socket);
      }
    } catch (error) {
      this.#voice.warning(`Could not report TLS handshake result to tlsrpt library: ${errorText(error)} (errno ${Math.abs((error as NodeJS.ErrnoException).errno ?? 0)})`);
    }
  }

  #policy({ level, records, base, external }: TlsPolicy): object {
    if (isDane(level) && records.length > 0) {
      const strings = records.map(({ usage, selector, matchingType, certificate }) => `${usage} ${selector} ${matchingType} ${certificate.toString('hex').toUpperCase()}`);
      return { 'policy-type': policyTypes.tlsa, 'policy-domain': base ?? this.#domain, 'policy-string': strings };
    }
    if (external?.type !== 'sts' || isDane(level)) return { 'policy-type': policyTypes.none, 'policy-domain': this.#domain };
    const { domain, strings, patterns } = external;
    return {
      'policy-type': policyTypes.sts, 'policy-domain': domain || this.#domain,
      ...(strings.length === 0 ? {} : { 'policy-string': strings }), ...(patterns.length === 0 ? {} : { 'mx-host': patterns }),
    };
  }
}

/** The domain as reports have it, and its TLSRPT record (RFC 8460 section 3); undefined: it wants no reports. */
export async function reportRecord(domain: string, dns: Dns, warn: (text: string) => void): Promise<{ readonly domain: string; readonly record: string } | undefined> {
  const converted = isAscii(domain) ? undefined : domainToAscii(domain);
  const name = converted !== undefined && 'ascii' in converted ? converted.ascii : domain;
  const { status, records, reason } = await dns.lookup(`_smtp._tls.${name}`, 'TXT');
  if (status !== 'ok') {
    if (status !== 'not-found' && status !== 'policy') warn(`TLSRPT support: policy lookup failed for ${name}: ${reason}`);
    return undefined;
  }
  const ours = records.map(({ data }) => data).filter((text) => text.startsWith(version));
  const good = ours.filter((text) => /^[ \t]*;/.test(text.slice(version.length)));
  for (const text of ours) if (!good.includes(text)) warn(`TLSRPT support: ignoring malformed policy for ${name}:, "${text}"`);
  if (good.length > 1) warn(`TLSRPT support: Too many TLSRPT policies for ${name}`);
  return good.length === 1 ? { domain: name, record: good[0]! } : undefined;
}

const version = 'v=TLSRPTv1';
