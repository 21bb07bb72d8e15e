/**
 * What the log says of TLS sessions, word for word as Postfix, and how much of it (smtpd_tls_loglevel). Pure.
 *
 * What shows the library at work (states, alerts, packets: the levels `ssl-debug` and above) is out of our reach: those levels say what
 * the lower ones say.
 */
import { lowerAscii, splitList } from '../text/ascii.ts';
import type { TlsFacts } from './tls-facts.ts';

export interface LogMask {
  readonly summary: boolean;
  readonly untrusted: boolean;
  readonly peerCertificate: boolean;
  readonly verbose: boolean;
  readonly cache: boolean;
  readonly certificateMatch: boolean;
  readonly dane: boolean;
  /** Server names that are asked for. */
  readonly debug: boolean;
}

type Part = keyof LogMask;
const routine: readonly Part[] = ['summary'];
const debug: readonly Part[] = ['summary', 'verbose', 'cache', 'debug'];
const names: ReadonlyMap<string, readonly Part[]> = new Map<string, readonly Part[]>([
  ['0', []], ['none', []], ['1', routine], ['routine', routine], ['2', debug], ['debug', debug], ['3', debug], ['ssl-expert', debug],
  ['ssl-developer', debug], ...['4', '5', '6', '7', '8', '9'].map((level) => [level, debug] as const),
  ['summary', ['summary']], ['untrusted', ['untrusted']], ['peercert', ['peerCertificate']], ['verbose', ['verbose']], ['cache', ['cache']],
  ['certmatch', ['certificateMatch']], ['dane', ['dane']], ['ssl-debug', ['debug']], ['ssl-handshake-packet-dump', []], ['ssl-session-packet-dump', []], ['trace', []],
]);

export const silent: LogMask = { summary: false, untrusted: false, peerCertificate: false, verbose: false, cache: false, certificateMatch: false, dane: false, debug: false };

/** `level`: a number or names; `unknown` are words that mean nothing. */
export function logMask(level: string): { readonly mask: LogMask; readonly unknown: readonly string[] } {
  const parts = new Set<Part>();
  const unknown: string[] = [];
  for (const word of splitList(level.replaceAll('|', ' '))) {
    const known = names.get(lowerAscii(word));
    if (known === undefined) unknown.push(word);
    else for (const part of known) parts.add(part);
  }
  const mask = Object.fromEntries(Object.keys(silent).map((part) => [part, parts.has(part as Part)])) as unknown as LogMask;
  return { mask, unknown };
}

/** ` key-exchange ... server-signature ... client-signature ...`, for the log: one line. */
function negotiated(facts: TlsFacts): string {
  return facts.details.map((detail) => ` ${detail}`).join('');
}

/** `peer`: `name[address]`. */
export function summaryLine(facts: TlsFacts, peer: string): string {
  const trust = facts.peer === undefined ? 'Anonymous' : facts.peer.trusted ? 'Trusted' : 'Untrusted';
  const to = facts.sni === '' ? '' : ` to ${facts.sni}`;
  return `${trust} TLS connection established from ${lowerAscii(peer)}${to}: ${facts.protocol} with cipher ${facts.cipher}`
    + ` (${facts.usedBits}/${facts.cipherBits} bits)${negotiated(facts)}`;
}

export function certificateLine({ peer }: TlsFacts, label: string): string {
  const { subject, issuer, fingerprint, keyFingerprint } = peer!;
  return `${lowerAscii(label)}: subject_CN=${subject}, issuer=${issuer}, cert fingerprint=${fingerprint}, pkey fingerprint=${keyFingerprint}`;
}

/** Why a client's certificate was not verified, by the library's name for it. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['CERT_UNTRUSTED', 'not trusted by local or TLSA policy'], ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'],
]);
const clientReasons: ReadonlyMap<string, string> = new Map([
  ['CERT_NOT_YET_VALID', 'certificate not yet valid'], ['ERROR_IN_CERT_NOT_BEFORE_FIELD', 'certificate not yet valid'],
  ['CERT_HAS_EXPIRED', 'certificate has expired'], ['ERROR_IN_CERT_NOT_AFTER_FIELD', 'certificate has expired'],
]);
const issuerTroubles: ReadonlySet<string> = new Set(['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);

export function untrustedLine({ peer, reused }: TlsFacts, label: string, depthLimit: number): string {
  const where = lowerAscii(label);
  const { trouble, issuerName } = peer!;
  if (reused) return `${where}: re-using session with untrusted certificate, look for details earlier in the log`;
  const failed = `certificate verification failed for ${where}: `;
  if (issuerTroubles.has(trouble)) return `${failed}untrusted issuer ${issuerName}`;
  if (trouble === 'CERT_CHAIN_TOO_LONG') return `${failed}certificate chain longer than limit(${depthLimit})`;
  if (trouble === 'INVALID_PURPOSE') return `${failed}not designated for use as a client certificate`;
  const reason = reasons.get(trouble);
  return reason !== undefined ? failed + reason : `client ${failed}${clientReasons.get(trouble) ?? trouble}`;
}

/** Lines of OpenSSL's error queue as Postfix shows them: what was to be done, and what came of it. */
export function libraryProblems(error: Error): string[] {
  const lines = error.message.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const found = /(?:^|:)error:([0-9A-F]{8}):([^:]*):[^:]*:([^:]*):([^:]*):([0-9]+):(.*)$/.exec(line);
    if (found === null) return `TLS library problem: ${line}`;
    const [, code, library, reason, file, at, more] = found;
    const source = file!.replace(/^.*\/openssl\/openssl\//, '../');
    return `TLS library problem: error:${code}:${library}::${reason}:${source}:${at}:${more === '' ? '' : `${more}:`}`;
  });
}
