/**
 * TLSA records against the certificate chain that a server sent: RFC 6698, RFC 7671 and RFC 7672. Pure; only usages 2 (a trust anchor)
 * and 3 (the server itself) mean anything to mail.
 *
 * Matching type 255 is ours: a digest by a name of the caller's choice, for fingerprints that an administrator wrote down.
 * A verdict is a value; records that make no sense match nothing, and `usableTlsa` tells them apart.
 */
import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { hex } from '../text/ascii.ts';
import { standardDigests, type DaneDigests } from './dane-digests.ts';
import type { TlsaData } from './dns.ts';

/** X509_V_ERR_... of OpenSSL, as log lines name them. */
export const x509Error = {
  ok: 0, unspecified: 1, notYetValid: 9, expired: 10, selfSignedLeaf: 18, selfSignedInChain: 19, noLocalIssuer: 20, chainTooLong: 22,
  invalidPurpose: 26, hostnameMismatch: 62, addressMismatch: 64, noDaneMatch: 65, invalidCa: 79,
} as const;

export interface DaneOptions {
  /** Names of which the certificate must bear one where a trust anchor vouches for it. '.example' means any name below. None: no check. */
  readonly names: readonly string[];
  readonly now: Date;
  /** Names count as well where a record is about the server's own certificate. RFC 7672 section 3.1.1 says that they do not. */
  readonly namesAlways?: boolean;
  /** What matching type 255 is. */
  readonly fingerprintDigest?: string;
  /** Which other matching types count; SHA2-512 before SHA2-256 where none are given. */
  readonly digests?: DaneDigests;
}

export type DaneVerdict =
  | {
    readonly matched: true;
    readonly record: TlsaData;
    /** Of the certificate that the record is about: 0 is the server's. */
    readonly depth: number;
    /** The record holds a key with which the certificate at `depth` was verified, not the certificate's own. */
    readonly byKey: boolean;
    /** Which of its names the certificate was accepted for. */
    readonly name: string | undefined;
  }
  | {
    readonly matched: false;
    readonly error: number;
    readonly depth: number;
    /** Nothing is wrong but the name. */
    readonly trusted: boolean;
  };

const fingerprint = 255;
/** More certificates are no chain. */
const pathLimit = 10;

/** Can a client make anything of the record? (RFC 7671 section 4) */
export function usableTlsa({ usage, selector, matchingType, certificate }: TlsaData, fingerprintDigest?: string, digests = standardDigests): boolean {
  if ((usage !== 2 && usage !== 3) || selector > 1) return false;
  if (matchingType === fingerprint) return fingerprintDigest !== undefined && certificate.length === digestOf(fingerprintDigest, Buffer.alloc(0)).length;
  if (matchingType > 0) return certificate.length === digests.get(matchingType)?.size;
  return (selector === 0 ? certificateOf(certificate) : keyOf(certificate)) !== undefined;
}

/** `3 1 1 0123...`; what is long is shortened in the middle. */
export function tlsaText({ usage, selector, matchingType, certificate }: TlsaData): string {
  return `${usage} ${selector} ${matchingType} ${shortHex(certificate)}`;
}

export function shortHex(bytes: Buffer): string {
  if (bytes.length === 0) return '...';
  return bytes.length > 64 ? `${hex(bytes.subarray(0, 32))}...${hex(bytes.subarray(-32))}` : hex(bytes);
}

/** @param chain as it was sent, the server's certificate first */
export function matchDane(records: readonly TlsaData[], chain: readonly X509Certificate[], options: DaneOptions): DaneVerdict {
  const { fingerprintDigest, digests = standardDigests } = options;
  const usable = strongest(records.filter((record) => usableTlsa(record, fingerprintDigest, digests)), digests);
  const [leaf] = chain;
  if (leaf === undefined || usable.length === 0) return refused(x509Error.unspecified, 0);
  const itself = usable.find((record) => record.usage === 3 && isAbout(record, leaf, options));
  // RFC 7672 section 3.1.1: with usage 3 neither names nor dates count.
  if (itself) return named(leaf, { record: itself, depth: 0, byKey: false }, options.namesAlways ? options.names : []);
  const anchors = usable.filter(({ usage }) => usage === 2);
  if (anchors.length === 0) return refused(x509Error.noDaneMatch, 0);
  const path = pathOf(chain, anchors);
  const found = anchorIn(path, anchors, options);
  return found === undefined ? refused(x509Error.noDaneMatch, path.length - 1) : judged(path, found, options);
}

/** Digest algorithm agility (RFC 7671 section 9): of several digests of one kind only the most preferred counts. */
function strongest(records: readonly TlsaData[], digests: DaneDigests): readonly TlsaData[] {
  const best = new Map<string, number>();
  for (const { usage, selector, matchingType } of records) {
    const kind = `${usage} ${selector}`;
    if (matchingType !== fingerprint) best.set(kind, Math.max(best.get(kind) ?? 0, digests.get(matchingType)?.rank ?? 0));
  }
  return records.filter(({ usage, selector, matchingType }) => matchingType === 0 || matchingType === fingerprint || digests.get(matchingType)?.rank === best.get(`${usage} ${selector}`));
}

interface Anchor {
  readonly record: TlsaData;
  readonly depth: number;
  readonly byKey: boolean;
}

function anchorIn(path: readonly X509Certificate[], anchors: readonly TlsaData[], options: DaneOptions): Anchor | undefined {
  for (const [depth, certificate] of path.entries()) {
    const record = depth === 0 ? undefined : anchors.find((each) => isAbout(each, certificate, options));
    if (record) return { record, depth, byKey: false };
  }
  const last = path.at(-1)!;
  const record = anchors.find((each) => each.selector === 1 && each.matchingType === 0 && signedBy(last, keyOf(each.certificate)));
  return record && { record, depth: path.length - 1, byKey: true };
}

function judged(path: readonly X509Certificate[], anchor: Anchor, { names, now }: DaneOptions): DaneVerdict {
  const trusted = path.slice(0, anchor.depth + 1);
  const depth = trusted.findIndex((each, at) => flaw(each, at, now) !== x509Error.ok);
  if (depth >= 0) return refused(flaw(trusted[depth]!, depth, now), depth);
  return named(path[0]!, anchor, names);
}

function named(leaf: X509Certificate, anchor: Anchor, names: readonly string[]): DaneVerdict {
  const name = names.map((each) => nameIn(leaf, each)).find((each) => each !== undefined);
  if (names.length > 0 && name === undefined) return { matched: false, error: x509Error.hostnameMismatch, depth: 0, trusted: true };
  return { matched: true, ...anchor, name };
}

function refused(error: number, depth: number): DaneVerdict {
  return { matched: false, error, depth, trusted: false };
}

/** X509_V_ERR_... of a certificate by itself. */
export function flaw(certificate: X509Certificate, depth: number, now: Date): number {
  if (depth > 0 && !certificate.ca) return x509Error.invalidCa;
  if (depth === 0 && certificate.keyUsage !== undefined && !certificate.keyUsage.some((use) => use === serverUse || use === anyUse)) return x509Error.invalidPurpose;
  if (now < new Date(certificate.validFrom)) return x509Error.notYetValid;
  return now > new Date(certificate.validTo) ? x509Error.expired : x509Error.ok;
}

/** Extended key usages: TLS server, any. */
const serverUse = '1.3.6.1.5.5.7.3.1';
const anyUse = '2.5.29.37.0';

/** From the server's certificate upwards, whatever the order of what was sent; whole certificates in records fill in what was not. */
function pathOf(chain: readonly X509Certificate[], anchors: readonly TlsaData[]): X509Certificate[] {
  const known = [...chain.slice(1), ...anchors.filter(({ selector, matchingType }) => selector === 0 && matchingType === 0).map(({ certificate }) => new X509Certificate(certificate))];
  const path = [chain[0]!];
  while (path.length < pathLimit) {
    const last = path.at(-1)!;
    const issuer = known.find((each) => !path.some((there) => there.raw.equals(each.raw)) && last.checkIssued(each) && signedBy(last, each.publicKey));
    if (!issuer) break;
    path.push(issuer);
  }
  return path;
}

function signedBy(certificate: X509Certificate, key: KeyObject | undefined): boolean {
  try {
    return key !== undefined && certificate.verify(key);
  } catch {
    return false; // a key of another kind
  }
}

function isAbout({ selector, matchingType, certificate }: TlsaData, of: X509Certificate, { fingerprintDigest, digests = standardDigests }: DaneOptions): boolean {
  const whole = selector === 0 ? of.raw : spkiOf(of);
  const digest = matchingType === fingerprint ? fingerprintDigest : digests.get(matchingType)?.name;
  return certificate.equals(digest === undefined ? whole : digestOf(digest, whole));
}

/** SubjectPublicKeyInfo, DER. */
export function spkiOf(certificate: X509Certificate): Buffer {
  return certificate.publicKey.export({ type: 'spki', format: 'der' });
}

function digestOf(algorithm: string, bytes: Buffer): Buffer {
  return createHash(algorithm).update(bytes).digest();
}

function certificateOf(bytes: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

function keyOf(bytes: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: bytes, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** The certificate's name that covers `name`; '.example' is covered by any name below. A wildcard is a whole label (RFC 7672 section 3.2.3). */
export function nameIn(certificate: X509Certificate, name: string): string | undefined {
  try {
    return certificate.checkHost(name, { subject: 'default', partialWildcards: false });
  } catch {
    return undefined; // no name at all
  }
}
