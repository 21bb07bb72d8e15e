/**
 * Taking our own domains off an address until what is left says where it really goes.
 *
 * `user@remote@ours`, `user%remote@ours` and `remote!user@ours` all mean user@remote (trivial-rewrite(8), resolve(3)); quoted
 * local parts are opened too, or a relay could be had by quoting. The loop is bounded by the length of the address.
 */
import { quote822Local } from '../../message/address.ts';
import { internalize, scanAddress, type AddressToken } from '../../message/address-tokens.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { indexOfType, isEmptyQuoted, lastIndexOfType, rewriteAddress, type RewriteContext, type RewriteRules } from './rewrite-address.ts';

type Tokens = readonly AddressToken[];

export interface StripRules extends RewriteRules {
  readonly resolveNullDomain: boolean;
  readonly resolveDequoted: boolean;
  /** empty_address_recipient */
  readonly emptyAddress: string;
  readonly myhostname: string;
  readonly local: RewriteContext;
  /** Is this a domain of ours (mydestination, own addresses)? Throws TableTrouble. */
  readonly isLocal: (domain: string) => MaybePromise<boolean>;
}

export interface Stripped {
  /** user@domain, internal form */
  readonly recipient: string;
  /** False: the domain is someone else's. */
  readonly isLocal: boolean;
}

export async function stripLocal(address: string, rules: StripRules): Promise<Stripped | undefined> {
  let tokens: Tokens = scanAddress(quote822Local(address));
  let saved: Tokens | undefined;
  for (let round = 0; round <= address.length + 100; round++) {
    tokens = withoutTrailing(tokens, rules);
    const at = lastIndexOfType(tokens, '@');
    if (at >= 0) {
      if (at < tokens.length - 1 && !(await rules.isLocal(internalize(tokens.slice(at + 1)))))
        return { recipient: internalize(tokens), isLocal: false };
      saved = tokens.slice(at);
      tokens = tokens.slice(0, at);
    }
    const opened = reopened(tokens, rules);
    if (opened !== undefined) tokens = opened;
    else if (tokens.length === 0 || isEmptyQuoted(tokens)) tokens = scanAddress(rules.emptyAddress);
    else if (saved === undefined) tokens = [...tokens, ...scanAddress(`@${rules.myhostname}`)];
    else return { recipient: internalize([...tokens, ...saved]), isLocal: true };
  }
  return undefined;
}

function withoutTrailing(tokens: Tokens, rules: StripRules): Tokens {
  const before = tokens.at(-2);
  let kept = tokens;
  if (tokens.at(-1)?.type === '.' && lastIndexOfType(tokens, '@') >= 0 && before?.type !== '.' && before?.type !== '@') kept = tokens.slice(0, -1);
  return rules.resolveNullDomain && kept.at(-1)?.type === '@' ? kept.slice(0, -1) : kept;
}

/** The local part that is left, rewritten, when it names another destination; else undefined. */
function reopened(tokens: Tokens, rules: StripRules): Tokens | undefined {
  if (tokens.length === 0) return undefined;
  const routed = indexOfType(tokens, '@') >= 0
    || (rules.swapBangPath && indexOfType(tokens, '!') >= 0)
    || (rules.percentHack && indexOfType(tokens, '%') >= 0);
  if (routed) return rewriteAddress(tokens, rules.local, rules);
  const only = tokens.length === 1 ? tokens[0]! : undefined;
  if (!rules.resolveDequoted || only?.type !== 'quoted') return undefined;
  const text = opened(only.text, rules);
  return text === undefined ? undefined : rewriteAddress(scanAddress(text), rules.local, rules);
}

function opened(local: string, rules: StripRules): string | undefined {
  const at = local.lastIndexOf('@');
  if (at >= 0) return quote822Local(local);
  const percent = rules.percentHack ? local.lastIndexOf('%') : -1;
  if (percent >= 0) return quote822Local(`${local.slice(0, percent)}@${local.slice(percent + 1)}`);
  return rules.swapBangPath && local.includes('!') ? local : undefined;
}
