/**
 * What TLS is to be with one server, before anybody has spoken to it: main.cf, smtp_tls_policy_maps, smtp_tls_per_site, DANE, and what
 * the message itself asks for.
 *
 * A policy that cannot be found or understood is no policy: the answer is then why the mail has to wait, and the log has been told.
 */
import type { Why } from '../../network/destination.ts';
import type { TlsaData } from '../../network/dns.ts';
import { domainToAscii } from '../../network/idna.ts';
import { isDane, level } from '../../network/tls-levels.ts';
import { anchorsIn, fingerprintRecords } from '../../network/tls-anchors.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { isAscii, lowerAscii, sameIgnoringCase, splitList } from '../../text/ascii.ts';
import { validHostname } from '../../text/hostname.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import { withDane, type DaneTools, type DaneTarget } from './tls-dane.ts';
import { parsePolicy, type ExternalPolicy, type PolicyEntry } from './tls-policy-text.ts';
import type { TlsSettings } from './tls-settings.ts';

export interface TlsPolicy {
  readonly level: number;
  readonly protocols: string;
  readonly grade: string;
  readonly exclusions: readonly string[];
  /** A name, or `hostname` or `nexthop`; '' for none. */
  readonly serverName: string;
  /** Names, or words that stand for names. */
  readonly match: readonly string[];
  /** What decides instead of authorities: TLSA records, fingerprints, trust anchors. */
  readonly records: readonly TlsaData[];
  /** The name that has the TLSA records. */
  readonly base: string | undefined;
  /** An encrypted connection may carry further messages. */
  readonly reuse: boolean;
  readonly external: ExternalPolicy | undefined;
}

/** A server, as policies see it. */
export interface Target extends DaneTarget {
  /** The destination as it was written, with brackets and port; the path of a socket. */
  readonly destination: string;
}

export interface PolicyTools extends DaneTools {
  readonly settings: TlsSettings;
  readonly policies: Maps;
  readonly sites: Maps;
  /** A line for the log at severity info. */
  readonly note: (text: string) => void;
}

export type PolicyAnswer = TlsPolicy | { readonly why: Why };

/** The mail waits: what is written in main.cf or a table cannot be followed. */
export const badConfiguration: Why = { status: '4.7.5', reason: 'client TLS configuration problem' };
const lookupTrouble: Why = { status: '4.3.0', reason: 'Temporary lookup error' };

type Found = PolicyEntry | { readonly why: Why } | undefined;

export class TlsPolicies {
  readonly #tools: PolicyTools;
  readonly #usual = new Map<number, PolicyAnswer>();

  constructor(tools: PolicyTools) {
    this.#tools = tools;
  }

  /** `optional`: the sender wants the mail delivered rather than protected (RFC 8689 section 5). */
  of(target: Target, optional: boolean): MaybePromise<PolicyAnswer> {
    const { settings, policies, sites } = this.#tools;
    if (optional) return this.#without(Math.min(settings.level, settings.wrapped ? level.encrypt : level.may));
    if (policies.isEmpty && sites.isEmpty && !isDane(settings.level)) return this.#without(settings.level);
    return this.#look(target);
  }

  /** With nothing from tables or the name service: the same for all servers. */
  #without(chosen: number): PolicyAnswer {
    const known = this.#usual.get(chosen);
    if (known !== undefined) return known;
    const made = this.#complete({ level: chosen });
    // Fingerprints that are not there are complained of every time.
    if (!('why' in made)) this.#usual.set(chosen, made);
    return made;
  }

  async #look(target: Target): Promise<PolicyAnswer> {
    const { settings, policies, sites } = this.#tools;
    const asked = policies.isEmpty ? sites.isEmpty ? undefined : this.#perSite(target) : this.#fromTable(target.destination);
    const found = isPending(asked) ? await asked : asked;
    if (found !== undefined && 'why' in found) return found;
    const entry = found ?? { level: settings.level };
    if (!isDane(entry.level)) return this.#complete(entry, target.destination);
    const dane = await withDane(entry.level, target, this.#tools);
    return 'why' in dane ? dane : this.#complete({ ...entry, level: dane.level }, target.destination, dane);
  }

  /** The destination, and for a plain domain the domains above it. */
  async #fromTable(destination: string): Promise<Found> {
    const title = this.#tools.policies.title;
    const above = isDomain(destination, this.#tools.settings.utf8) ? parents(destination) : [];
    for (const key of [destination, ...above]) {
      const where = `${title}, next-hop destination "${key}"`;
      let text: string | undefined;
      try {
        text = await this.#tools.policies.find(key);
      } catch (error) {
        if (!(error instanceof TableTrouble)) throw error;
        return this.#bad(`${where}: policy table lookup error`);
      }
      if (text === undefined) continue;
      const { entry, warnings } = parsePolicy(text);
      for (const warning of warnings) this.#tools.warn(`${where}: ${warning}`);
      return entry ?? { why: badConfiguration };
    }
    return undefined;
  }

  #bad(warning: string): { why: Why } {
    this.#tools.warn(warning);
    return { why: badConfiguration };
  }

  /** The older table knows names of destinations and of servers alike; of several answers the one that asks for more counts, and NONE over MAY. */
  async #perSite({ destination, host }: Target): Promise<Found> {
    const names = [[destination, 'next-hop destination'], ...(sameIgnoringCase(destination, host) ? [] : [[host, 'server hostname']])] as const;
    let strongest: number | undefined;
    for (const [name, kind] of names) {
      const found = await this.#siteLevel(name!, kind!);
      if (typeof found === 'object') return found;
      if (found !== undefined) strongest = strongest === undefined ? found : stronger(strongest, found);
    }
    if (strongest === undefined) return undefined;
    // A MAY there is a wild card: what main.cf asks for is more special.
    return { level: strongest === level.may ? Math.max(strongest, this.#tools.settings.level) : strongest };
  }

  async #siteLevel(name: string, kind: string): Promise<number | undefined | { readonly why: Why }> {
    const { sites, warn } = this.#tools;
    let text: string | undefined;
    try {
      text = await sites.find(name);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      warn(`${sites.title}: ${kind} "${name}": per-site table lookup error`);
      return { why: lookupTrouble };
    }
    if (text === undefined) return undefined;
    return siteLevels.get(lowerAscii(text)) ?? this.#bad(`${sites.title}: unknown TLS policy '${text}' for ${kind} ${name}`);
  }

  #complete(entry: PolicyEntry, destination = '', dane?: { readonly match: readonly string[]; readonly records: readonly TlsaData[]; readonly base: string | undefined }): PolicyAnswer {
    const { settings, warn } = this.#tools;
    const { level: chosen } = entry;
    const mandatory = chosen > level.may;
    const kind = mandatory ? 'mandatory' : 'optional';
    const serverName = entry.serverName ?? settings.serverName;
    if (chosen > level.none && serverName !== '' && !validHostname(serverName)) return this.#bad(`"${settings.program}_tls_servername = ${serverName}" specifies an invalid hostname`);
    const records = dane?.records ?? this.#records(entry);
    if (records === undefined) return { why: badConfiguration };
    if (chosen === level.fingerprint && records.length === 0) {
      warn(`nexthop domain ${destination}: configured at fingerprint security level, but with no fingerprints to match.`);
      return { why: badConfiguration };
    }
    return {
      level: chosen, records, base: dane?.base, serverName,
      protocols: entry.protocols ?? settings.protocols[kind], grade: entry.grade ?? settings.ciphers[kind],
      exclusions: this.#exclusions(entry, mandatory), match: dane?.match ?? this.#match(entry), reuse: entry.reuse ?? settings.reuse, external: entry.external,
    };
  }

  #exclusions({ level: chosen, exclusions }: PolicyEntry, mandatory: boolean): string[] {
    const { always, mandatory: strict } = this.#tools.settings.excluded;
    const own = exclusions === undefined ? [always, ...(mandatory ? [strict] : [])] : [exclusions];
    return [...own, ...(chosen > level.encrypt ? ['aNULL'] : chosen === level.encrypt ? ['eNULL'] : [])].filter((text) => text !== '');
  }

  #match({ level: chosen, match, external }: PolicyEntry): readonly string[] {
    const { settings } = this.#tools;
    if (chosen < level.verify) return [];
    // Which hosts may serve the domain is known from its policy: what is left to check is that this is the host.
    if (settings.enforcesStsPatterns && external?.type === 'sts' && match !== undefined && external.patterns.length > 0) return ['hostname'];
    return match ?? (chosen === level.verify ? settings.match.verify : settings.match.secure).split(/[, \t\r\n:]+/).filter((word) => word !== '');
  }

  /** Fingerprints or trust anchors; undefined: they cannot be read. */
  #records({ level: chosen, match, anchorFiles }: PolicyEntry): readonly TlsaData[] | undefined {
    const { settings, warn, note } = this.#tools;
    if (chosen === level.fingerprint) {
      if (settings.oldDigest) note(`using backwards-compatible default setting ${settings.program}_tls_fingerprint_digest=md5 to compute certificate fingerprints`);
      const texts = match ?? splitList(settings.match.fingerprint);
      return texts.toReversed().flatMap((text) => fingerprintRecords(text, warn));
    }
    if (chosen < level.verify) return [];
    const files = anchorFiles ?? settings.anchorFiles;
    const records: TlsaData[] = [];
    for (const file of files) {
      const found = anchorsIn(file, warn);
      if (found === undefined) return undefined;
      records.unshift(...found);
    }
    return records;
  }
}

const siteLevels: ReadonlyMap<string, number> = new Map([['none', level.none], ['may', level.may], ['must_nopeermatch', level.encrypt], ['must', level.verify]]);
const siteOrder: readonly number[] = [level.may, level.none, level.encrypt, level.verify];

function stronger(one: number, other: number): number {
  return siteOrder.indexOf(other) > siteOrder.indexOf(one) ? other : one;
}

function isDomain(text: string, utf8: boolean): boolean {
  return isAscii(text) ? validHostname(text) : utf8 && 'ascii' in domainToAscii(text);
}

/** `.b.c` and `.c` of `a.b.c`. */
function parents(domain: string): string[] {
  const found: string[] = [];
  for (let dot = domain.indexOf('.', 1); dot >= 0; dot = domain.indexOf('.', dot + 1)) found.push(domain.slice(dot));
  return found;
}

/** May this host serve the destination? An MTA-STS policy says which may (RFC 8461 section 4.1). */
export function authorizesHost({ external, match }: TlsPolicy, host: string, enforced: boolean): boolean {
  if (!enforced || external?.type !== 'sts' || match.length === 0 || external.patterns.length === 0) return true;
  const ascii = isAscii(host) ? undefined : domainToAscii(host);
  const name = lowerAscii(ascii !== undefined && 'ascii' in ascii ? ascii.ascii : host);
  return external.patterns.some((each) => {
    const pattern = lowerAscii(each);
    if (pattern === name) return true;
    const dot = name.indexOf('.');
    return pattern.startsWith('*.') && pattern.length > 2 && dot > 0 && name.slice(dot + 1) === pattern.slice(2);
  });
}
