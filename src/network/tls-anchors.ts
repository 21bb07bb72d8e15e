/**
 * Trust anchors and fingerprints that an administrator wrote down, as TLSA records: what decides then is the same as with DANE.
 *
 * What cannot be used is told in Postfix's words.
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errorText } from '../host/libc.ts';
import type { TlsaData } from './dns.ts';

/** The longest fingerprint with colons, in characters. */
const longestFingerprint = 3 * 64;
const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/** Of a certificate, or of its key: either will do. `keysOnly`: only of the key. */
export function fingerprintRecords(text: string, warn: (text: string) => void, keysOnly = false): TlsaData[] {
  if (text.length > longestFingerprint || !/^[0-9a-f]{2}(?::?[0-9a-f]{2})*$/i.test(text)) {
    warn(text.length > longestFingerprint ? `malformed fingerprint value: ${text.slice(0, 100)}...` : `malformed fingerprint value: ${text}`);
    return [];
  }
  const record = { usage: 3, matchingType: 255, certificate: Buffer.from(text.replaceAll(':', ''), 'hex') };
  return [{ ...record, selector: 1 }, ...(keysOnly ? [] : [{ ...record, selector: 0 }])];
}

/** Those of a PEM file; undefined: it cannot be read, or there is none in it. */
export function anchorsIn(file: string, warn: (text: string) => void): TlsaData[] | undefined {
  try {
    const text = readFileSync(Buffer.from(file, 'latin1'), 'latin1');
    const found = [...text.matchAll(block)].flatMap(([pem, kind = '']) => anchorOf(pem, kind));
    if (found.length > 0) return found;
    warn(`no trust anchor in file: ${file}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno !== undefined) warn(`error opening trust anchor file: ${file}: ${errorText(error)}`);
    else warn(`error reading: ${file}: malformed trust-anchor: ${(error as Error).message}`);
  }
  return undefined;
}

/** A trust anchor may be an authority of the server's, or the server itself. */
function anchorOf(pem: string, kind: string): TlsaData[] {
  const isKey = kind === 'PUBLIC KEY';
  if (!isKey && kind !== 'CERTIFICATE' && kind !== 'X509 CERTIFICATE') return [];
  const certificate = isKey ? createPublicKey(pem).export({ type: 'spki', format: 'der' }) : new X509Certificate(pem).raw;
  return [3, 2].map((usage) => ({ usage, selector: isKey ? 1 : 0, matchingType: 0, certificate }));
}
