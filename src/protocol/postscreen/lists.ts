/**
 * DNS lists and their weights: postscreen_dnsbl_sites read, and the answers of lists added up to a client's score. Pure. postconf(5).
 */
import { parseAddressPattern, type AddressPattern } from '../../text/address-pattern.ts';
import { splitList } from '../../text/ascii.ts';
import { validHostname } from '../../text/hostname.ts';

interface Weighted {
  readonly weight: number;
  /** Undefined: any answer counts. */
  readonly pattern: AddressPattern | undefined;
}

/** One list, with all that was said about it. */
export interface ListSite {
  readonly domain: string;
  /** What clients and log see of it: the domain can hold a password. */
  readonly shownAs: string;
  readonly filters: readonly Weighted[];
}

/** Throws an Error in Postfix's words. `shownAs`: postscreen_dnsbl_reply_map. */
export function parseSites(text: string, shownAs: (domain: string) => string | undefined): ListSite[] {
  const sites = new Map<string, { domain: string; shownAs: string; filters: Weighted[] }>();
  for (const site of splitList(text)) {
    const [, domain, weighted] = siteOf(site);
    const known = sites.get(domain);
    // Postfix looks at what was said last first.
    if (known !== undefined) known.filters.unshift(weighted);
    else sites.set(domain, { domain, shownAs: shownAs(domain) ?? domain, filters: [weighted] });
  }
  return [...sites.values()];
}

/** `domain=pattern*weight` */
function siteOf(site: string): [site: string, domain: string, weighted: Weighted] {
  const star = site.indexOf('*');
  const rest = star < 0 ? site : site.slice(0, star);
  const weightText = star < 0 ? '1' : site.slice(star + 1);
  if (!/^[ ]*[+-]?[0-9]+$/.test(weightText)) throw new Error(`bad DNSBL weight factor "${weightText}" in "${site}"`);
  const equals = rest.indexOf('=');
  const domain = equals < 0 ? rest : rest.slice(0, equals);
  const pattern = equals < 0 ? undefined : patternOf(rest.slice(equals + 1));
  if (!validHostname(domain)) throw new Error(`bad DNSBL domain name "${domain}" in "${site}"`);
  return [site, domain, { weight: Number(weightText), pattern }];
}

function patternOf(text: string): AddressPattern {
  try {
    return parseAddressPattern(text);
  } catch (error) {
    throw new Error(`bad DNSBL filter syntax: ${(error as Error).message}`);
  }
}

/** What a list said of a client. `ttl` in seconds; negative: unknown. */
export interface ListAnswer {
  readonly addresses: readonly string[];
  readonly ttl: number;
}

export interface Score {
  readonly total: number;
  /** The list that weighs most, as it is shown. */
  readonly name: string;
  /** Seconds for which a result holds. */
  readonly ttl: number;
}

export class Tally {
  #total = 0;
  #name = '';
  #weight = 0;
  #passTtl = -1;
  #failTtl = -1;

  add({ shownAs, filters }: ListSite, { addresses, ttl }: ListAnswer): void {
    for (const { weight, pattern } of filters) {
      if (addresses.length > 0 && (pattern === undefined || addresses.some(pattern))) this.#count(weight, shownAs);
      // A listing that speaks against the client, or one that is missing where it would speak for it, holds for a refusal.
      if ((weight > 0) === addresses.length > 0) this.#failTtl = shorter(this.#failTtl, ttl);
      else this.#passTtl = shorter(this.#passTtl, ttl);
    }
  }

  /** So far. The bounds are postscreen_dnsbl_min_ttl and _max_ttl. */
  score(minTtl: number, maxTtl: number): Score {
    const ttl = this.#total > 0 ? this.#failTtl : this.#passTtl;
    return { total: this.#total, name: this.#name, ttl: Math.min(Math.max(ttl, minTtl), maxTtl) };
  }

  #count(weight: number, name: string): void {
    if (this.#name === '' || this.#weight < weight) {
      this.#name = name;
      this.#weight = weight;
    }
    this.#total += weight;
  }
}

const shorter = (known: number, ttl: number): number => (known < 0 || known > ttl ? ttl : known);
