/**
 * Hiding hosts behind their domain (masquerade_domains): `user@host.example.org` becomes `user@example.org`.
 *
 * The first domain of the list that is the address's own or a parent of it decides; with `!` in front it keeps the address as it is. Users of
 * masquerade_exceptions keep theirs whatever the domain. What asks a table throws as that does. Nothing else throws.
 */
import { splitList } from '../../text/ascii.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { foldCase } from '../../text/utf8.ts';

export interface Masquerade {
  readonly domains: readonly MasqueradeDomain[];
  /** Is this local part (external form) excepted? undefined: nobody is. */
  readonly isExcepted: ((local: string) => MaybePromise<boolean>) | undefined;
}

export interface MasqueradeDomain {
  readonly name: string;
  readonly hides: boolean;
}

/** masquerade_domains: `!` before a domain turns it off, and another `!` on again. */
export function masqueradeDomains(text: string): MasqueradeDomain[] {
  return splitList(text).flatMap((word) => {
    const bangs = /^!*/.exec(word)![0].length;
    const name = foldCase(word.slice(bangs));
    return name === '' ? [] : [{ name, hides: bangs % 2 === 0 }];
  });
}

/** The address (external form) as the world is to see it; undefined: as it is. */
export function masquerade({ domains, isExcepted }: Masquerade, address: string): MaybePromise<string | undefined> {
  const at = address.lastIndexOf('@');
  if (at < 0) return undefined;
  const decide = (excepted: boolean): string | undefined => (excepted ? undefined : hidden(domains, address, at));
  return isExcepted === undefined ? decide(false) : chain(isExcepted(address.slice(0, at)), decide);
}

function hidden(domains: readonly MasqueradeDomain[], address: string, at: number): string | undefined {
  const domain = foldCase(address.slice(at + 1));
  const first = domains.find(({ name }) => domain === name || domain.endsWith(`.${name}`));
  return first === undefined || !first.hides || domain === first.name ? undefined : address.slice(0, at + 1) + first.name;
}
