/** OpenSSL's trace of a handshake, and the facts in it that Node's tls has no words for. Pure. */
import { X509Certificate } from 'node:crypto';

export interface TraceFacts {
  /** As the server sent it. */
  readonly chain: readonly X509Certificate[];
  /** Signature schemes of TLS 1.3: `rsa_pss_rsae_sha256`. */
  readonly serverScheme: string | undefined;
  readonly clientScheme: string | undefined;
}

/** No server sends more. */
const chainLimit = 100;

export function readTrace(text: string): TraceFacts {
  const records = text.split(/^(?=(?:Sent|Received)(?: TLS)? Record$)/m);
  const from = (who: string): string => records.filter((record) => record.startsWith(who)).join('');
  const server = from('Received');
  return { chain: certificatesOf(server), serverScheme: schemeOf(server), clientScheme: schemeOf(from('Sent')) };
}

function certificatesOf(text: string): X509Certificate[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----/g) ?? [];
  return found.slice(0, chainLimit).flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}

function schemeOf(text: string): string | undefined {
  return /CertificateVerify, Length=[0-9]+\n\s+Signature Algorithm: ([a-z0-9_]+)/.exec(text)?.[1];
}
