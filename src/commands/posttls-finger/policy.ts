/** What posttls-finger(1) asks of a server's certificate, from its options and from DANE. */
import { tlsaText, usableTlsa } from '../../network/dane.ts';
import type { Dns, TlsaData } from '../../network/dns.ts';
import { fingerprintRecords } from '../../network/tls-anchors.ts';
import { lookupTlsa } from '../../network/tlsa-lookup.ts';
import type { Credentials } from './credentials.ts';
import { isDane, level } from '../../network/tls-levels.ts';
import { logs } from './levels.ts';
import type { FingerOptions } from './options.ts';
import type { MxFacts, Place } from './places.ts';

export interface Policy {
  readonly level: number;
  /** Names, or words that stand for names. */
  readonly match: readonly string[];
  /** What decides instead of authorities: TLSA records, fingerprints, trust anchors. */
  readonly records: readonly TlsaData[];
  /** Name that has the TLSA records. */
  readonly base: string | undefined;
}

export interface PolicyVoice {
  info(text: string): void;
  warning(text: string): void;
}

export class Policies {
  readonly #options: FingerOptions;
  readonly #credentials: Credentials | undefined;
  readonly #dns: Dns;
  readonly #voice: PolicyVoice;

  constructor(options: FingerOptions, credentials: Credentials | undefined, dns: Dns, voice: PolicyVoice) {
    this.#options = options;
    this.#credentials = credentials;
    this.#dns = dns;
    this.#voice = voice;
  }

  /** Without DANE. `local`: there is no name that could have TLSA records. */
  plain(local: boolean): Policy {
    const { level: chosen, match } = this.#options;
    return { level: local && isDane(chosen) ? level.secure : chosen, match, records: this.#ownRecords(), base: undefined };
  }

  /** For a host; undefined: what DANE has to say is not known now. */
  async of(place: Place, mx: MxFacts | undefined): Promise<Policy | undefined> {
    const { level: chosen, insecureMx } = this.#options;
    if (!isDane(chosen)) return this.plain(false);
    if (this.#credentials === undefined) return this.plain(true);
    if (mx === undefined || mx.secure || insecureMx !== level.may) return this.#dane(place, mx);
    this.#voice.info('MX RRset is insecure: try to encrypt');
    return { ...this.plain(true), level: level.may };
  }

  async #dane(place: Place, mx: MxFacts | undefined): Promise<Policy | undefined> {
    const options = this.#options;
    const talkative = (options.log & (logs.verbose | logs.dane)) !== 0;
    const found = await lookupTlsa(place, place.port, {
      dns: this.#dns, warn: (text) => this.#voice.warning(text), info: talkative ? (text) => this.#voice.info(text) : undefined, force: options.forceTlsa,
    });
    if (found.kind === 'error') return undefined;
    if (found.kind !== 'found') {
      if (options.verbose > 0 || options.level === level.daneOnly) this.#voice.info(`no ${found.kind === 'unusable' ? 'usable ' : ''}TLSA records found, resorting to "secure"`);
      return this.plain(true);
    }
    const isInsecure = mx !== undefined && !mx.secure;
    if (isInsecure && options.insecureMx === level.encrypt) {
      this.#voice.info('TLSA RRs found, MX RRset insecure: just encrypt');
      return { ...this.plain(true), level: level.encrypt };
    }
    if (isInsecure) this.#voice.info('MX RRset insecure: log verified as trusted');
    const names = mx === undefined ? [] : mx.name === mx.canonical ? [mx.name] : [mx.canonical, mx.name];
    return { level: isInsecure ? level.halfDane : options.level, match: [found.base, ...names], records: found.records, base: found.base };
  }

  /** Fingerprints and trust anchors from the command line. */
  #ownRecords(): readonly TlsaData[] {
    const { level: chosen, match } = this.#options;
    if (chosen !== level.fingerprint) return this.#credentials?.anchors ?? [];
    return match.toReversed().flatMap((text) => fingerprintRecords(text, (warning) => this.#voice.warning(warning), this.#options.rawKeys));
  }

  /** The level that is left when records that cannot be used are passed over; `mustFail`: nothing can fit. */
  usable({ level: chosen, records }: Policy, peer: string, { digest, daneDigests }: Pick<Credentials, 'digest' | 'daneDigests'>): { readonly level: number; readonly mustFail: boolean } {
    for (const record of records) if (!usableTlsa(record, digest, daneDigests)) this.#voice.warning(`${peer}: unusable TLSA RR: ${tlsaText(record)}`);
    if (records.length === 0 || records.some((record) => usableTlsa(record, digest, daneDigests))) return { level: chosen, mustFail: false };
    const fallback = chosen === level.dane || chosen === level.halfDane;
    const what = chosen === level.fingerprint ? 'fingerprints' : isDane(chosen) ? 'TLSA records' : 'trust anchors';
    this.#voice.warning(`${peer}: all ${what} unusable${fallback ? ', fallback to unauthenticated TLS' : ''}`);
    return { level: fallback ? level.encrypt : chosen, mustFail: !fallback };
  }
}
