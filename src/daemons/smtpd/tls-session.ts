/** The facts of an encrypted session as restrictions ask for them, and as a Received: header tells them. */
import type { TlsFacts as ReceivedTls } from '../../message/received.ts';
import type { TlsFacts } from '../../network/tls-facts.ts';
import type { TlsSession } from './access/state.ts';

export function sessionOf({ protocol, cipher, usedBits, peer, sni }: TlsFacts): TlsSession {
  return {
    protocol, cipher, bits: usedBits, sni, clientCertFingerprint: peer?.fingerprint ?? '', clientPubkeyFingerprint: peer?.keyFingerprint ?? '',
    clientTrusted: peer?.trusted ?? false, subject: peer?.subject ?? '', issuer: peer?.issuer ?? '',
  };
}

export function receivedTls(facts: TlsFacts, requested: boolean): ReceivedTls {
  const { protocol, cipher, usedBits, cipherBits, peer } = facts;
  const isOfClient = (detail: string): boolean => detail.startsWith('client-');
  const ours = facts.details.filter((detail) => !isOfClient(detail)).join(' ');
  return {
    protocol, cipher, usedBits, cipherBits, details: [...(ours === '' ? [] : [ours]), ...facts.details.filter(isOfClient)],
    client: peer === undefined ? { kind: 'none', requested } : { kind: 'certificate', commonName: peer.subject, issuer: peer.issuer, trusted: peer.trusted },
  };
}
