/**
 * Putting an address in full form: strip source routes, turn bang and percent forms around, append origin and domain.
 *
 * Pure: tokens in, tokens out, nothing fails. The rules are those of trivial-rewrite(8) "ADDRESS REWRITING".
 */
import { scanAddress, type AddressToken } from '../../message/address-tokens.ts';

/** What is appended to incomplete addresses: `local` rewriting uses myorigin and mydomain, `remote` remote_header_rewrite_domain. */
export interface RewriteContext {
  readonly origin: string;
  readonly domain: string;
}

export interface RewriteRules {
  readonly swapBangPath: boolean;
  readonly percentHack: boolean;
  readonly appendAtOrigin: boolean;
  readonly appendDotDomain: boolean;
  /** Told of each domain that was completed. */
  readonly noteDotDomain?: ((domain: string, appended: string) => void) | undefined;
}

type Tokens = readonly AddressToken[];

const at: AddressToken = { type: '@', text: '', tokens: [] };
const dot: AddressToken = { type: '.', text: '', tokens: [] };
const emptyQuoted: AddressToken = { type: 'quoted', text: '', tokens: [] };

export function indexOfType(tokens: Tokens, type: string): number {
  return tokens.findIndex((token) => token.type === type);
}

export function lastIndexOfType(tokens: Tokens, type: string): number {
  return tokens.findLastIndex((token) => token.type === type);
}

export function isEmptyQuoted(tokens: Tokens): boolean {
  return tokens.length === 1 && tokens[0]!.type === 'quoted' && tokens[0]!.text === '';
}

export function rewriteAddress(tokens: Tokens, context: RewriteContext, rules: RewriteRules): Tokens {
  if (tokens.length === 0 || isEmptyQuoted(tokens)) return tokens;
  if (tokens.length === 1 && tokens[0]!.type === '@') return [emptyQuoted];
  const direct = withoutRoute(tokens);
  const full = lastIndexOfType(direct, '@') < 0 ? withDomain(direct, context, rules) : direct;
  return withoutTrailingDot(withFullDomain(full, context, rules));
}

/** `@a,@b:user@c` is user@c (RFC 5321 appendix C). */
function withoutRoute(tokens: Tokens): Tokens {
  if (tokens[0]!.type !== '@') return tokens;
  const colon = indexOfType(tokens, ':');
  return colon < 0 || colon === tokens.length - 1 ? tokens : tokens.slice(colon + 1);
}

function withDomain(tokens: Tokens, context: RewriteContext, rules: RewriteRules): Tokens {
  const bang = rules.swapBangPath ? indexOfType(tokens, '!') : -1;
  if (bang > 0) return [...tokens.slice(bang + 1), at, ...tokens.slice(0, bang)];
  // Nothing before the bang: what stands behind it loses its spaces, as in Postfix.
  if (bang === 0) return [...tokens.slice(1).map((token) => ({ ...token, joined: true })), { ...at, joined: true }];
  const percent = rules.percentHack ? lastIndexOfType(tokens, '%') : -1;
  if (percent >= 0) return [...tokens.slice(0, percent), at, ...tokens.slice(percent + 1)];
  if (rules.appendAtOrigin && context.origin !== '') return [...tokens, at, ...scanAddress(context.origin)];
  return tokens;
}

/** Append `.domain` to a domain without dots. Forms that end in `@` stay as they are, for clearer diagnostics. */
function withFullDomain(tokens: Tokens, context: RewriteContext, rules: RewriteRules): Tokens {
  if (!rules.appendDotDomain || context.domain === '') return tokens;
  const domainAt = lastIndexOfType(tokens, '@');
  if (domainAt < 0 || domainAt === tokens.length - 1) return tokens;
  const domain = tokens.slice(domainAt);
  if (indexOfType(domain, 'literal') >= 0 || indexOfType(domain, '.') >= 0) return tokens;
  const single = domain[1];
  if (rules.noteDotDomain && single) rules.noteDotDomain(single.text, context.domain);
  return [...tokens, dot, ...scanAddress(context.domain)];
}

/** One dot at the end of a domain means nothing; dot-dot and at-dot are left for others to refuse. */
export function withoutTrailingDot(tokens: Tokens): Tokens {
  const before = tokens.at(-2);
  if (tokens.at(-1)?.type !== '.' || before === undefined || before.type === '.' || before.type === '@') return tokens;
  return tokens.slice(0, -1);
}
