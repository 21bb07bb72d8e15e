/**
 * Rewriting the addresses of a header field where they stand: everything else in it (names, comments, groups) stays, and the field is laid out
 * anew when one of them changed. Pure but for what the steps do; a throw or rejection of a step is passed on.
 */
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { externalize, parseAddresses, scanAddress, type AddressToken } from './address-tokens.ts';
import { addressHeader, foldHeader } from './header.ts';

/** What becomes of one address, in external form; undefined: it is left as it is. Steps follow each other on each address. */
export type AddressStep = (address: string) => MaybePromise<string | undefined>;

export interface HeaderRewriting {
  readonly steps: readonly AddressStep[];
  /** header_address_token_limit: what is beyond so many tokens is cut when the field is laid out anew. 0: no limit. */
  readonly tokenLimit: number;
  /** Told of an entry that lost its comments because it had too many. */
  warn(text: string): void;
}

/**
 * The field with its addresses rewritten, or the field itself.
 *
 * @param field the field, lines joined by "\n"
 * @param name its name, as the new field is to have it
 */
export function rewriteAddressField(field: string, name: string, body: string, rewriting: HeaderRewriting): MaybePromise<string> {
  const tokens = parseAddresses(body, rewriting.tokenLimit);
  const { steps } = rewriting;
  const texts = new Map<number, string>();
  let changed = false;
  // From token `at` and its step `next` on; what has to be waited for goes on from where it stood.
  const work = (at: number, next: number): MaybePromise<string> => {
    for (; at < tokens.length; at++, next = 0) {
      if (tokens[at]!.type !== 'address') continue;
      for (; next < steps.length; next++) {
        const text = next === 0 ? externalize(tokens[at]!.tokens) : externalize(scanAddress(texts.get(at)!));
        texts.set(at, text);
        const result = steps[next]!(text);
        if (isPending(result)) return result.then((late) => (took(at, late), work(at, next + 1)));
        took(at, result);
      }
    }
    return changed ? foldHeader(addressHeader(name, rewrittenTokens(tokens, texts), rewriting.warn)) : field;
  };
  const took = (at: number, result: string | undefined): void => {
    if (result === undefined) return;
    texts.set(at, result);
    changed = true;
  };
  return work(0, 0);
}

function rewrittenTokens(tokens: readonly AddressToken[], texts: ReadonlyMap<number, string>): AddressToken[] {
  return tokens.map((token, at) => {
    const text = texts.get(at);
    return text === undefined ? token : { ...token, tokens: scanAddress(text) };
  });
}
