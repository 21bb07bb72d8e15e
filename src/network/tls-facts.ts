/**
 * What is known of an encrypted session after its handshake: protocol, cipher, what was negotiated, and who the peer showed to be.
 *
 * Node does not tell a server which group keys were exchanged in; the session it can export does. Names are those that Postfix logs.
 */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { printable } from '../text/ascii.ts';
import { cipherBits } from './tls-ciphers.ts';

/** A certificate that the peer showed. Byte strings. */
export interface PeerCertificate {
  /** Common names; '' where there is none. */
  readonly subject: string;
  readonly issuer: string;
  /** The issuer's whole name on one line: `/C=.../CN=...` */
  readonly issuerName: string;
  readonly fingerprint: string;
  readonly keyFingerprint: string;
  readonly trusted: boolean;
  /** The library's name for why not; '' when it is trusted. */
  readonly trouble: string;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly usedBits: number;
  readonly cipherBits: number;
  /** The server name that the client asked for; '' where that makes no difference. */
  readonly sni: string;
  readonly reused: boolean;
  /** `key-exchange ...`, `server-signature ...`, `client-signature ...`: those that are known, TLSv1.3 only. */
  readonly details: readonly string[];
  readonly peer: PeerCertificate | undefined;
}

/** What kind of key a certificate of ours has. */
export interface KeyKind {
  readonly name: 'RSA-PSS' | 'ECDSA' | 'ED25519' | 'ED448' | string;
  readonly bits: number;
  /** '' for keys without one */
  readonly curve: string;
}

export interface FactsWish {
  /** Hash of fingerprints (smtpd_tls_fingerprint_digest). */
  readonly digest: string;
  /** Longest chain of issuers that is trusted (smtpd_tls_ccert_verifydepth). */
  readonly depth: number;
  readonly keys: readonly KeyKind[];
  /** Work out `details`. */
  readonly wantsDetails: boolean;
  readonly sni: string;
}

export function factsOf(socket: TLSSocket, wish: FactsWish): TlsFacts {
  const protocol = socket.getProtocol() ?? '';
  const cipher = socket.getCipher().name;
  const bits = cipherBits(cipher);
  const reused = socket.isSessionReused();
  const certificate = socket.getPeerX509Certificate();
  const details = wish.wantsDetails && protocol === 'TLSv1.3' ? negotiated(socket, wish.keys, certificate, reused) : [];
  const peer = certificate === undefined ? undefined : peerOf(socket, certificate, wish);
  return { protocol, cipher, usedBits: bits.used, cipherBits: bits.algorithm, sni: wish.sni, reused, details, peer };
}

/** TLS groups by number, as the library names them: RFC 8446 section 4.2.7 and IANA's list. */
const groups: ReadonlyMap<number, string> = new Map([
  [23, 'secp256r1'], [24, 'secp384r1'], [25, 'secp521r1'], [29, 'x25519'], [30, 'x448'], [31, 'brainpoolP256r1tls13'], [32, 'brainpoolP384r1tls13'],
  [33, 'brainpoolP512r1tls13'], [256, 'ffdhe2048'], [257, 'ffdhe3072'], [258, 'ffdhe4096'], [259, 'ffdhe6144'], [260, 'ffdhe8192'],
  [512, 'MLKEM512'], [513, 'MLKEM768'], [514, 'MLKEM1024'], [4587, 'SecP256r1MLKEM768'], [4588, 'X25519MLKEM768'], [4589, 'SecP384r1MLKEM1024'],
]);

/** Field 19 of an exported session is the number of its group; undefined: it is not there. */
export function sessionGroup(session: Buffer | undefined): string | undefined {
  if (session === undefined) return undefined;
  const body = contents(session, 0);
  for (let at = body?.from; body !== undefined && at !== undefined && at < body.to;) {
    const field = contents(session, at);
    if (field === undefined) return undefined;
    if (session[at] === 0xb3) return groupNamed(session, field.from);
    at = field.to;
  }
  return undefined;
}

/** Field 4 of an exported session is its id; undefined: it has none. */
export function sessionId(session: Buffer | undefined): Buffer | undefined {
  if (session === undefined) return undefined;
  let field = contents(session, 0);
  let at = field?.from;
  for (let number = 1; at !== undefined && number <= 4; number++) {
    field = contents(session, at);
    if (number < 4) at = field?.to;
  }
  return field === undefined || at === undefined || session[at] !== 0x04 || field.from === field.to ? undefined : session.subarray(field.from, field.to);
}

function groupNamed(session: Buffer, at: number): string | undefined {
  const number = contents(session, at);
  if (number === undefined || session[at] !== 0x02 || number.to - number.from > 4) return undefined;
  return groups.get(session.readUIntBE(number.from, number.to - number.from));
}

/** Where a DER element's contents lie. */
function contents(bytes: Buffer, at: number): { readonly from: number; readonly to: number } | undefined {
  const first = bytes[at + 1];
  if (first === undefined) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 4 || at + 2 + size > bytes.length) return undefined;
  const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
  const from = at + 2 + size;
  return from + length <= bytes.length ? { from, to: from + length } : undefined;
}

function negotiated(socket: TLSSocket, keys: readonly KeyKind[], certificate: X509Certificate | undefined, reused: boolean): string[] {
  const details: string[] = [];
  const group = sessionGroup(socket.getSession());
  if (group !== undefined) details.push(`key-exchange ${group}`);
  // Nothing is signed when a session is resumed.
  if (reused) return details;
  const signature = serverSignature(socket.getSharedSigalgs(), keys);
  if (signature !== undefined) details.push(signature);
  if (certificate !== undefined) details.push(clientSignature(keyKind(certificate.publicKey)));
  return details;
}

const curveOfHash: ReadonlyMap<string, string> = new Map([['SHA256', 'prime256v1'], ['SHA384', 'secp384r1'], ['SHA512', 'secp521r1']]);

/** The first signature algorithm of both sides that one of our keys can do (RFC 8446 section 4.2.3). */
export function serverSignature(shared: readonly string[], keys: readonly KeyKind[]): string | undefined {
  for (const algorithm of shared) {
    const [kind, hash] = algorithm.split('+') as [string, string];
    const key = keys.find(({ name, curve }) => name.toUpperCase() === kind.toUpperCase() && (name !== 'ECDSA' || curve === curveOfHash.get(hash)));
    if (key !== undefined) return `server-signature ${keyText(key)}${hash === 'UNDEF' ? '' : ` server-digest ${hash}`}`;
  }
  return undefined;
}

function clientSignature(key: KeyKind): string {
  const hash = [...curveOfHash].find(([, curve]) => curve === key.curve)?.[0];
  return `client-signature ${keyText(key)}${hash === undefined ? '' : ` client-digest ${hash}`}`;
}

function keyText({ name, bits, curve }: KeyKind): string {
  if (curve !== '') return `${name} (${curve})`;
  return name === 'RSA-PSS' ? `${name} (${bits} bits)` : name;
}

export function keyKind(key: KeyObject): KeyKind {
  const { modulusLength: bits = 0, namedCurve: curve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa': case 'rsa-pss': return { name: 'RSA-PSS', bits, curve: '' };
    case 'ec': return { name: 'ECDSA', bits: 0, curve };
    default: return { name: (key.asymmetricKeyType ?? '').toUpperCase(), bits, curve: '' };
  }
}

function peerOf(socket: TLSSocket, certificate: X509Certificate, { digest, depth }: FactsWish): PeerCertificate {
  const isTooLong = socket.authorized && issuersOf(certificate) > depth;
  const trusted = socket.authorized && !isTooLong;
  const trouble = trusted ? '' : isTooLong ? 'CERT_CHAIN_TOO_LONG' : String(socket.authorizationError ?? '');
  return {
    subject: nameOf(certificate.subject, ['CN']), issuer: nameOf(certificate.issuer, ['CN', 'O']), issuerName: oneLine(certificate.issuer),
    fingerprint: fingerprint(digest, certificate.raw),
    keyFingerprint: fingerprint(digest, certificate.publicKey.export({ type: 'spki', format: 'der' })),
    trusted, trouble,
  };
}

/** How many certificates stand above this one in what was sent and verified. */
function issuersOf(certificate: X509Certificate): number {
  let count = 0;
  for (let at = certificate.issuerCertificate; at !== undefined && count < 100; at = at.issuerCertificate) count++;
  return count;
}

export function fingerprint(digest: string, bytes: Buffer): string {
  return createHash(digest).update(bytes).digest('hex').toUpperCase().replace(/..(?=.)/g, '$&:');
}

function nameParts(name: string | undefined): (readonly [key: string, value: string])[] {
  return (name ?? '').split('\n').filter((line) => line.includes('=')).map((line) => {
    const at = line.indexOf('=');
    const value = line.slice(at + 1).replace(/\\([,+"\\<>;# =])/g, '$1');
    return [line.slice(0, at), printable(Buffer.from(value, 'utf8').toString('latin1'), '?', true)] as const;
  });
}

function nameOf(name: string | undefined, keys: readonly string[]): string {
  const parts = nameParts(name);
  return keys.map((key) => parts.find(([part]) => part === key)?.[1]).find((value) => value !== undefined) ?? '';
}

function oneLine(name: string | undefined): string {
  return nameParts(name).map(([key, value]) => `/${key}=${value}`).join('');
}

/** Does the library know this digest algorithm? */
export function digestExists(name: string): boolean {
  try {
    createHash(name);
    return true;
  } catch {
    return false;
  }
}
