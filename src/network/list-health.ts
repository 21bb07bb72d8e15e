/**
 * Is a DNS list alive? One that has what no list may have (127.0.0.1, the domain `invalid`) answers for everything, as dead lists do: it is
 * not believed for a while, and the log is told. RFC 5782 section 5.
 */
import type { Dns } from './dns.ts';

export interface HealthSources {
  readonly dns: Dns;
  monotonic(): number;
  warn(text: string): void;
}

/** Milliseconds for which it is believed that a list is dead, or alive. */
const verdictHolds = 300_000;

interface Verdict { readonly isDead: Promise<boolean>; readonly until: number }

/** What a list must not have, by what it was asked for: the point where a query of that kind would show that it is dead. */
export const testPoint = (query: string): string => (/^(?:[0-9a-f]\.){31}[0-9a-f]$/.test(query)
  ? '1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0' : /^[0-9]+(?:\.[0-9]+){3}$/.test(query) ? '1.0.0.127' : 'invalid');

/** Of one list. */
export class ListHealth {
  readonly #verdicts = new Map<string, Verdict>();

  /** `query` is what stands in front of the list's domain; asks the list at most once in five minutes. */
  isDead(domain: string, query: string, { dns, monotonic, warn }: HealthSources): Promise<boolean> {
    const point = testPoint(query);
    const known = this.#verdicts.get(point);
    if (known !== undefined && monotonic() < known.until) return known.isDead;
    const isDead = Promise.resolve(dns.lookup(`${point}.${domain}`, 'A')).then(({ status }) => {
      if (status !== 'ok') return false;
      const what = point === 'invalid' ? 'the domain "invalid"' : '127.0.0.1';
      warn(`DNS list ${domain} lists ${what}: it answers for everything and is not believed (RFC 5782 section 5); asked again in ${verdictHolds / 1000} seconds`);
      return true;
    });
    this.#verdicts.set(point, { isDead, until: monotonic() + verdictHolds });
    return isDead;
  }
}
