/** Is it the right server? What the certificates say, at a security level, and the log lines about it. Pure. */
import type { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { flaw, matchDane, nameIn, shortHex, tlsaText, x509Error, type DaneVerdict } from './dane.ts';
import type { DaneDigests } from './dane-digests.ts';
import type { TlsaData } from './dns.ts';
import { lowerAscii } from '../text/ascii.ts';
import { level } from './tls-levels.ts';

export interface Evidence {
  readonly level: number;
  /** As it was sent, the server's first; empty: the server has none. */
  readonly chain: readonly X509Certificate[];
  /** Node's word for what OpenSSL found wrong; undefined: nothing. */
  readonly pkixError: string | undefined;
  /** Names or `nexthop`, `dot-nexthop`, `hostname`. */
  readonly match: readonly string[];
  readonly nexthop: string;
  readonly hostname: string;
  /** TLSA records, fingerprints or trust anchors, which decide instead of authorities; empty: there are none. */
  readonly records: readonly TlsaData[];
  readonly digest: string;
  /** See daneDigests(). */
  readonly daneDigests: DaneDigests;
  readonly now: Date;
}

export interface CertificateError {
  readonly number: number;
  readonly depth: number;
}

export interface Verdict {
  readonly trusted: boolean;
  readonly matched: boolean;
  readonly error: CertificateError | undefined;
  /** Name that the certificate was accepted for. */
  readonly name?: string | undefined;
  readonly dane?: (DaneVerdict & { matched: true }) | undefined;
}

const numbers: { readonly [code: string]: number } = {
  UNABLE_TO_GET_ISSUER_CERT: 2, UNABLE_TO_DECRYPT_CERT_SIGNATURE: 4, UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 6, CERT_SIGNATURE_FAILURE: 7,
  CERT_NOT_YET_VALID: x509Error.notYetValid, CERT_HAS_EXPIRED: x509Error.expired, ERROR_IN_CERT_NOT_BEFORE_FIELD: 13, ERROR_IN_CERT_NOT_AFTER_FIELD: 14,
  OUT_OF_MEM: 17, DEPTH_ZERO_SELF_SIGNED_CERT: x509Error.selfSignedLeaf, SELF_SIGNED_CERT_IN_CHAIN: x509Error.selfSignedInChain,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: x509Error.noLocalIssuer, UNABLE_TO_VERIFY_LEAF_SIGNATURE: x509Error.noLocalIssuer, CERT_CHAIN_TOO_LONG: x509Error.chainTooLong,
  CERT_REVOKED: 23, INVALID_CA: x509Error.invalidCa, PATH_LENGTH_EXCEEDED: 25, INVALID_PURPOSE: x509Error.invalidPurpose, CERT_UNTRUSTED: 27, CERT_REJECTED: 28,
};

const texts: ReadonlyMap<number, string> = new Map([
  [1, 'unspecified certificate verification error'], [2, 'unable to get issuer certificate'], [4, "unable to decrypt certificate's signature"],
  [6, 'unable to decode issuer public key'], [7, 'certificate signature failure'], [17, 'out of memory'], [23, 'certificate revoked'],
  [25, 'path length constraint exceeded'], [28, 'certificate rejected'], [62, 'hostname mismatch'], [64, 'IP address mismatch'],
  [65, 'no matching DANE TLSA records'], [79, 'invalid CA certificate'],
]);

export function judge(evidence: Evidence): Verdict {
  if (evidence.chain.length === 0) return { trusted: false, matched: false, error: undefined };
  if (evidence.records.length > 0) return byRecords(evidence);
  const pkix = pkixError(evidence);
  if (evidence.level < level.verify) return { trusted: pkix === undefined, matched: pkix === undefined && evidence.level > level.encrypt, error: pkix };
  return byNames(evidence, pkix);
}

function byRecords(evidence: Evidence): Verdict {
  const { level: chosen, records, chain, digest, daneDigests, now } = evidence;
  const found = matchDane(records, chain, { names: chosen === level.fingerprint ? [] : namesOf(evidence), namesAlways: chosen >= level.verify, now, fingerprintDigest: digest, digests: daneDigests });
  if (found.matched) return { trusted: true, matched: true, error: undefined, dane: found, name: found.name };
  return { trusted: found.trusted, matched: false, error: { number: found.error, depth: found.depth } };
}

function byNames(evidence: Evidence, pkix: CertificateError | undefined): Verdict {
  const [leaf] = evidence.chain;
  const names = namesOf(evidence);
  const hosts = names.filter((name) => net.isIP(name) === 0);
  const address = names.findLast((name) => net.isIP(name) !== 0);
  const name = hosts.map((each) => nameIn(leaf!, each)).find((each) => each !== undefined);
  const wrongAddress = address !== undefined && leaf!.checkIP(address) === undefined;
  // The error nearest to the server's certificate counts, that of a host name least.
  if (wrongAddress && (pkix === undefined || pkix.depth > 0)) return { trusted: false, matched: false, error: { number: x509Error.addressMismatch, depth: 0 } };
  if (pkix !== undefined) return { trusted: false, matched: false, error: pkix };
  if (hosts.length > 0 && name === undefined) return { trusted: true, matched: false, error: { number: x509Error.hostnameMismatch, depth: 0 } };
  return { trusted: true, matched: true, error: undefined, name };
}

export function namesOf({ match, nexthop, hostname }: Pick<Evidence, 'match' | 'nexthop' | 'hostname'>): string[] {
  return match.map((word) => {
    const known = lowerAscii(word);
    return known === 'nexthop' ? nexthop : known === 'dot-nexthop' ? `.${nexthop}` : known === 'hostname' ? hostname : word;
  }).filter((name) => name !== '.' && name !== '');
}

/** Node tells the last error that OpenSSL came upon; where in the chain it was follows from what it is. */
function pkixError({ chain, pkixError: code, now }: Evidence): CertificateError | undefined {
  if (code === undefined) return undefined;
  const number = numbers[code] ?? x509Error.unspecified;
  const flawed = chain.findIndex((each, at) => flaw(each, at, now) === number);
  if (flawed >= 0) return { number, depth: flawed };
  const atTop = number === x509Error.selfSignedInChain || number === x509Error.noLocalIssuer;
  return { number, depth: atTop ? chain.length - 1 : 0 };
}

/** Why the certificate is not trusted, or not the right one; undefined: it is. */
export function errorLine({ error }: Verdict, peer: string, chain: readonly X509Certificate[]): string | undefined {
  if (error === undefined) return undefined;
  const { number, depth } = error;
  const failed = `certificate verification failed for ${peer}:`;
  const who = depth > 0 ? 'CA' : 'server';
  switch (number) {
    case x509Error.selfSignedLeaf: return `${failed} self-signed certificate`;
    case x509Error.noLocalIssuer: case x509Error.selfSignedInChain: return `${failed} untrusted issuer ${oneLineName(chain[depth]?.issuer ?? '')}`;
    case 27: return `${failed} not trusted by local or TLSA policy`;
    case x509Error.notYetValid: case 13: return `${who} ${failed} certificate not yet valid`;
    case x509Error.expired: case 14: return `${who} ${failed} certificate has expired`;
    case x509Error.invalidPurpose: return `${failed} not designated for use as a ${who} certificate`;
    case x509Error.chainTooLong: return `${failed} certificate chain longer than limit(${depth - 1})`;
    default: return `${who} ${failed} num=${number}:${texts.get(number) ?? 'certificate verification error'}`;
  }
}

/** What the certificate was accepted for. */
export function matchLines({ name, dane }: Verdict, chosen: number): string[] {
  const lines = name === undefined ? [] : [`matched peername: ${name}`];
  if (dane === undefined) return lines;
  if (chosen >= level.verify) return [...lines, `Matched trust anchor at depth ${dane.depth}`];
  if (chosen === level.fingerprint) return [...lines, `Matched fingerprint: ${shortHex(dane.record.certificate)}`];
  const what = dane.byKey ? 'TA public key verified certificate' : dane.depth > 0 ? 'TA certificate' : 'EE certificate';
  return [...lines, `Matched DANE ${what} at depth ${dane.depth}: ${tlsaText(dane.record)}`];
}

/** "/O=Test/CN=name", from the lines that Node gives. */
export function oneLineName(name: string): string {
  return name.split('\n').filter((part) => part !== '').map((part) => `/${byteString(part)}`).join('');
}

/** One part of a name; undefined: it has none. */
export function partOf(name: string, key: string): string | undefined {
  const found = name.split('\n').findLast((part) => part.startsWith(`${key}=`));
  return found === undefined ? undefined : byteString(found.slice(key.length + 1));
}

function byteString(part: string): string {
  return Buffer.from(part.replace(/\\([0-9A-F]{2}|.)/g, (_, what: string) => (what.length === 2 ? String.fromCharCode(Number.parseInt(what, 16)) : what)), 'utf8').toString('latin1');
}
