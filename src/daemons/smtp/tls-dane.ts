/**
 * DANE for one server: RFC 7672. What of levels `dane` and `dane-only` is left when the name service has been asked.
 *
 * That nobody knows whether there are TLSA records makes the mail wait: whoever could make a question fail could else turn protection off.
 */
import type { Why } from '../../network/destination.ts';
import type { Dns, TlsaData } from '../../network/dns.ts';
import { level, levelName } from '../../network/tls-levels.ts';
import { lookupTlsa } from '../../network/tlsa-lookup.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import type { TlsSettings } from './tls-settings.ts';

/** The MX or SRV records behind a destination. */
export interface MxFacts {
  readonly name: string;
  readonly canonical: string;
  readonly secure: boolean;
}

export interface DaneTarget {
  readonly destination: string;
  /** As it was asked for. */
  readonly host: string;
  /** What that is an alias of, or itself. */
  readonly canonical: string;
  /** The name service vouches for the host's addresses. */
  readonly secure: boolean;
  /** 0: no network at all. */
  readonly port: number;
  readonly mx: MxFacts | undefined;
}

export interface DaneTools {
  readonly settings: TlsSettings;
  readonly dns: Dns;
  /** smtp_host_lookup has dns. */
  readonly asksDns: boolean;
  readonly warn: (text: string) => void;
  /** Told once whether answers are vouched for; looks into it when the first are not. */
  readonly vouched: (secure: boolean) => MaybePromise<void>;
  /** Where the log is to show records. */
  readonly info: ((text: string) => void) | undefined;
}

export interface DaneLevel {
  readonly level: number;
  readonly match: readonly string[];
  readonly records: readonly TlsaData[];
  readonly base: string | undefined;
}

type Answer = DaneLevel | { readonly why: Why };

/** @param chosen level.dane or level.daneOnly */
export async function withDane(chosen: number, target: DaneTarget, tools: DaneTools): Promise<Answer> {
  const { settings, dns, warn, info } = tools;
  const mistake = mistakeIn(chosen, target, tools);
  if (mistake !== undefined) {
    warn(mistake);
    // For a socket there is nothing to fall back to: the administrator asked for what cannot be.
    return target.port === 0 ? { why: { status: '4.7.5', reason: 'client TLS configuration problem' } } : lesser(chosen, level.may, 'client TLS configuration problem');
  }
  const looked = tools.vouched(target.secure || target.mx?.secure === true);
  if (isPending(looked)) await looked;
  const insecure = target.mx !== undefined && !target.mx.secure;
  if (insecure && (chosen === level.daneOnly || settings.insecureMx <= level.may)) return lesser(chosen, level.may, 'non DNSSEC destination');
  const found = await lookupTlsa({ name: target.host, canonical: target.canonical, secure: target.secure }, target.port, { dns, warn, info, force: settings.forcesTlsa });
  if (found.kind === 'error') return { why: { status: '4.7.5', reason: `TLSA lookup error for ${target.host}:${target.port}` } };
  if (found.kind !== 'found') return found.kind === 'none' ? lesser(chosen, level.may, 'no TLSA records found') : lesser(chosen, level.encrypt, 'TLSA records unusable');
  if (insecure && settings.insecureMx === level.encrypt) return lesser(chosen, level.encrypt, 'Verification not possible, MX RRset is insecure');
  return { level: insecure ? level.halfDane : chosen, match: namesFor(found.base, target.mx), records: found.records, base: found.base };
}

function mistakeIn(chosen: number, { destination, port }: DaneTarget, { settings, asksDns }: DaneTools): string | undefined {
  if (port === 0) return `${destination}: the "dane" security level is invalid for delivery via unix-domain sockets`;
  if (!asksDns || !settings.dnssec) return `${destination}: ${levelName(chosen)} configured with dnssec lookups disabled`;
  // Whoever passes over MX records that cannot be had cannot be sure of the right host.
  if (settings.ignoresMxErrors) return `${destination}: ${levelName(chosen)} configured with MX lookup errors ignored`;
  return undefined;
}

/** With `dane` less will do; `dane-only` makes the mail wait. */
function lesser(chosen: number, instead: number, reason: string): Answer {
  return chosen === level.dane ? { level: instead, match: [], records: [], base: undefined } : { why: { status: '4.7.5', reason } };
}

/** RFC 7672 section 3.2.2: the base domain, and where there are MX records the domain that has them. */
function namesFor(base: string, mx: MxFacts | undefined): string[] {
  if (mx === undefined) return [base];
  return mx.name === mx.canonical ? [base, mx.name] : [base, mx.canonical, mx.name];
}
