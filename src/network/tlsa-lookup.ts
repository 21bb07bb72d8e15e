/**
 * The TLSA records of a mail server: RFC 7672 section 2.2. Only what a validating resolver vouches for counts.
 *
 * Never rejects. That there are none, that none is of use, and that nobody knows are different answers: with the last one mail has to wait.
 */
import { lowerAscii } from '../text/ascii.ts';
import { tlsaText } from './dane.ts';
import type { Dns, DnsRecord, TlsaData } from './dns.ts';

export type TlsaAnswer =
  | { readonly kind: 'found'; readonly records: readonly TlsaData[]; /** For SNI and name checks. */ readonly base: string }
  | { readonly kind: 'none' | 'unusable' | 'error' };

export interface TlsaHost {
  /** As it was asked for. */
  readonly name: string;
  /** What that is an alias of, or itself. */
  readonly canonical: string;
  /** Its addresses, and the alias, are vouched for. */
  readonly secure: boolean;
}

export interface TlsaTools {
  readonly dns: Dns;
  readonly warn: (text: string) => void;
  readonly info?: ((text: string) => void) | undefined;
  /** Ask although the host's zone is not signed: smtp_tls_force_insecure_host_tlsa_lookup. */
  readonly force: boolean;
}

export async function lookupTlsa(host: TlsaHost, port: number, tools: TlsaTools): Promise<TlsaAnswer> {
  const alias = lowerAscii(host.name) !== lowerAscii(host.canonical);
  const worth = tools.force || host.secure || (alias ? await aliasIsSecure(host.name, tools) : false);
  if (worth === undefined) return { kind: 'error' };
  if (!worth) return { kind: 'none' };
  if (host.secure) {
    const found = await recordsOf(host.canonical, port, tools);
    if (found.kind !== 'none' || !alias) return found;
  }
  return recordsOf(host.name, port, tools);
}

async function aliasIsSecure(name: string, { dns, warn }: TlsaTools): Promise<boolean | undefined> {
  const { status, secure, reason } = await dns.lookup(name, 'CNAME');
  if (status === 'ok') return secure;
  warn(`DNSSEC status lookup error for ${name}: ${status === 'not-found' ? 'no longer a CNAME' : reason}`);
  return undefined;
}

async function recordsOf(host: string, port: number, tools: TlsaTools): Promise<TlsaAnswer> {
  const question = `_${port}._tcp.${host}`;
  const { status, records, secure, reason } = await tools.dns.lookup(question, 'TLSA');
  if (status === 'not-found' || (status === 'ok' && !secure)) return { kind: 'none' };
  if (status !== 'ok') {
    tools.warn(`DANE TLSA lookup problem: ${reason}`);
    return { kind: 'error' };
  }
  const good = records.filter((record) => isForMail(record, question, tools)).map(({ tlsa }) => tlsa!);
  return good.length === 0 ? { kind: 'unusable' } : { kind: 'found', records: good, base: host };
}

function isForMail({ name, tlsa }: DnsRecord, question: string, { warn, info }: TlsaTools): boolean {
  if (tlsa === undefined) return false;
  const shown = lowerAscii(name) === lowerAscii(question) ? name : `${question} -> ${name}`;
  if (tlsa.certificate.length === 0) warn(`${shown}: truncated TLSA RR length == 3`);
  else if (tlsa.usage !== 2 && tlsa.usage !== 3) warn(`${shown} unsupported TLSA certificate usage: ${tlsaText(tlsa)}`);
  else if (tlsa.matchingType === 255) warn(`${shown} reserved private-use matching type: ${tlsaText(tlsa)}`);
  else {
    info?.(`DNSSEC-signed TLSA record: ${name}: ${tlsaText(tlsa)}`);
    return true;
  }
  return false;
}
