/**
 * What Postfix's log says about a TLS session that we began, from what Node tells about it. Pure.
 *
 * "Verified TLS connection established to host[addr]:25: TLSv1.3 with cipher X (256/256 bits) key-exchange x25519 server-signature ..."
 */
import type { KeyObject } from 'node:crypto';
import { cipherBits } from './tls-ciphers.ts';

export interface Signature {
  /** RSA-PSS, ECDSA, ED25519, ... */
  readonly name: string;
  readonly curve?: string;
  readonly bits?: number;
  /** None: not known, or the algorithm has none. */
  readonly digest?: string | undefined;
}

export interface SessionFacts {
  readonly trust: 'Anonymous' | 'Verified' | 'Trusted' | 'Untrusted';
  readonly usage: 'established' | 'reused';
  readonly peer: string;
  readonly protocol: string;
  /** By OpenSSL's name. */
  readonly cipher: string;
  readonly keyExchange?: string | undefined;
  readonly server?: Signature | undefined;
  readonly client?: Signature | undefined;
}

export function tlsSummary({ trust, usage, peer, protocol, cipher, keyExchange, server, client }: SessionFacts): string {
  const { used, algorithm } = cipherBits(cipher);
  return `${trust} TLS connection ${usage} to ${peer}: ${protocol} with cipher ${cipher} (${used}/${algorithm} bits)`
    + (keyExchange === undefined ? '' : ` key-exchange ${keyExchange}`) + signatureText('server', server) + signatureText('client', client);
}

function signatureText(side: string, signature: Signature | undefined): string {
  if (signature === undefined) return '';
  const { name, curve, bits, digest } = signature;
  const detail = curve !== undefined ? ` (${curve})` : bits !== undefined ? ` (${bits} bits)` : '';
  return ` ${side}-signature ${name}${detail}${digest === undefined ? '' : ` ${side}-digest ${digest}`}`;
}

const groups: { readonly [name: string]: string } = { X25519: 'x25519', X448: 'x448', prime256v1: 'secp256r1' };

/** The group of a key exchange by OpenSSL's TLS name; only TLS 1.3 tells it apart from the cipher. */
export function groupName(protocol: string, key: { readonly name?: string | undefined; readonly type?: string | undefined; readonly size?: number | undefined } | null): string | undefined {
  if (protocol !== 'TLSv1.3' || !key) return undefined;
  if (key.type === 'DH') return key.size === undefined ? undefined : `ffdhe${key.size}`;
  return key.name === undefined ? undefined : groups[key.name] ?? key.name;
}

const curveDigests: { readonly [curve: string]: string } = { prime256v1: 'SHA256', secp384r1: 'SHA384', secp521r1: 'SHA512' };

/**
 * How the holder of a key signed in a TLS 1.3 handshake. `scheme` is the signature scheme's name (`rsa_pss_rsae_sha256`) when it is known;
 * for curves the digest follows from the curve.
 */
export function signatureBy(key: KeyObject, scheme?: string): Signature | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const digest = scheme === undefined ? undefined : /sha(?:256|384|512)$/.exec(scheme)?.[0].toUpperCase();
  if (type === 'rsa' || type === 'rsa-pss') return { name: type === 'rsa' ? 'RSA-PSS' : 'rsassaPss', digest, ...(details?.modulusLength === undefined ? {} : { bits: details.modulusLength }) };
  if (type === 'ec') return { name: 'ECDSA', curve: details?.namedCurve ?? '', digest: digest ?? curveDigests[details?.namedCurve ?? ''] };
  return type === undefined ? undefined : { name: type.toUpperCase() };
}
