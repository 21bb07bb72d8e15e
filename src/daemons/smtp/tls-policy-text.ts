/**
 * One entry of smtp_tls_policy_maps: a security level, and attributes. Pure. postconf(5).
 *
 * A mistake in an attribute may weaken what was meant: it makes the whole entry unusable, and the mail waits. The words are Postfix's.
 */
import { sameIgnoringCase, splitList, splitListGroups, trimWhite, allDigits } from '../../text/ascii.ts';
import { validHostname } from '../../text/hostname.ts';
import { level, levelName, levelOf } from '../../network/tls-levels.ts';

/** A policy from outside, for reports: MTA-STS (RFC 8461) by way of a plugin. */
export interface ExternalPolicy {
  readonly type: 'sts' | 'no-policy-found';
  readonly domain: string;
  readonly strings: readonly string[];
  readonly patterns: readonly string[];
  /** What is wrong with the policy itself: nothing can satisfy it. '' when nothing is. */
  readonly failure: string;
}

export interface PolicyEntry {
  readonly level: number;
  readonly grade?: string;
  readonly protocols?: string;
  readonly serverName?: string;
  readonly match?: readonly string[];
  readonly exclusions?: string;
  readonly anchorFiles?: readonly string[];
  readonly reuse?: boolean;
  readonly rawKeys?: boolean;
  readonly external?: ExternalPolicy;
}

type Draft = {
  level: number; grade?: string; protocols?: string; serverName?: string; match?: string[]; exclusions?: string; anchorFiles?: string[];
  reuse?: boolean; rawKeys?: boolean; ttl?: string; type?: ExternalPolicy['type']; domain?: string; strings?: string[]; patterns?: string[]; failure?: string;
};

/** What is wrong with an attribute; undefined: nothing. */
type Take = (draft: Draft, value: string, name: string) => string | undefined;

/** RFC 8460 section 4.3, those that a plugin may tell. */
export const policyFailures: ReadonlySet<string> = new Set(['sts-policy-fetch-error', 'sts-policy-invalid', 'sts-webpki-invalid', 'validation-failure']);

const twice = (name: string): string => `attribute "${name}" is specified multiple times`;
const empty = (name: string): string => `attribute "${name}" has empty value`;
const unexpected = (name: string, value: string): string => `attribute "${name}" has an unexpected value: "${value}"`;
const malformed = (name: string, value: string): string => `attribute "${name}" has a malformed value: "${value}"`;
const atLevel = (name: string, { level: chosen }: Draft): string => `attribute "${name}" invalid at security level "${levelName(chosen)}"`;

function yesOrNo(set: (draft: Draft, value: boolean) => void): Take {
  return (draft, value, name) => {
    const yes = sameIgnoringCase(value, 'yes');
    if (!yes && !sameIgnoringCase(value, 'no')) return `attribute "${name}" has bad value: "${value}"`;
    set(draft, yes);
    return undefined;
  };
}

function once(key: 'protocols' | 'exclusions' | 'ttl' | 'domain' | 'failure' | 'grade' | 'serverName', check: (value: string, name: string) => string | undefined = () => undefined): Take {
  return (draft, value, name) => {
    if (key === 'grade' && value === '') return empty(name);
    if (draft[key] !== undefined) return twice(name);
    const trouble = check(value, name);
    if (trouble === undefined) draft[key] = value;
    return trouble;
  };
}

const takers: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['ciphers', once('grade')],
  ['protocols', once('protocols')],
  ['servername', once('serverName', (value, name) => (validHostname(value) ? undefined : `"${name}=${value}" specifies an invalid hostname`))],
  ['match', takeMatch],
  ['exclude', once('exclusions')],
  ['tafile', (draft, value, name) => {
    if (draft.level !== level.verify && draft.level !== level.secure) return atLevel(name, draft);
    if (value === '') return empty(name);
    (draft.anchorFiles ??= []).push(value);
    return undefined;
  }],
  ['connection_reuse', yesOrNo((draft, value) => { draft.reuse = value; })],
  ['enable_rpk', yesOrNo((draft, value) => { draft.rawKeys = value; })],
  ['policy_ttl', once('ttl', (value, name) => (allDigits(value) && Number(value) <= 0x7fffffff ? undefined : malformed(name, value)))],
  ['policy_type', (draft, value, name) => {
    if (draft.type !== undefined) return twice(name);
    const type = (['sts', 'no-policy-found'] as const).find((each) => sameIgnoringCase(each, value));
    if (type === undefined) return unexpected(name, value);
    draft.type = type;
    return undefined;
  }],
  ['policy_domain', once('domain', (value, name) => (validHostname(value) ? undefined : malformed(name, value)))],
  ['policy_string', (draft, value) => void (draft.strings ??= []).push(value)],
  ['mx_host_pattern', (draft, value) => void (draft.patterns ??= []).push(value)],
  ['policy_failure', once('failure', (value, name) => (policyFailures.has(value) ? undefined : unexpected(name, value)))],
]);

function takeMatch(draft: Draft, value: string, name: string): string | undefined {
  if (value === '') return empty(name);
  const separator = draft.level === level.fingerprint ? '|' : draft.level >= level.verify ? ':' : undefined;
  if (separator === undefined) return atLevel(name, draft);
  (draft.match ??= []).push(...value.split(separator).filter((word) => word !== ''));
  return undefined;
}

export interface PolicyParse {
  /** Undefined: the entry cannot be used. */
  readonly entry: PolicyEntry | undefined;
  /** To be logged behind the name of the table and of the destination. */
  readonly warnings: readonly string[];
}

export function parsePolicy(text: string): PolicyParse {
  const words = splitListGroups(text);
  const [first, ...rest] = words;
  if (first === undefined) return refused('invalid empty policy');
  const chosen = levelOf(first);
  if (chosen === undefined) return refused(`invalid security level "${first}"`);
  if (chosen < level.may) return { entry: { level: chosen }, warnings: rest.map((word) => `ignoring attribute "${word}" with TLS disabled`) };
  const draft: Draft = { level: chosen };
  for (const word of rest) {
    const trouble = takeWord(draft, word);
    if (trouble !== undefined) return refused(trouble);
  }
  return finished(draft);
}

function refused(warning: string): PolicyParse {
  return { entry: undefined, warnings: [warning] };
}

function takeWord(draft: Draft, word: string): string | undefined {
  const pair = attributeOf(word);
  if (typeof pair === 'string') return `malformed attribute/value pair "${word}": ${pair}`;
  const take = [...takers].find(([name]) => sameIgnoringCase(name, pair.name))?.[1];
  return take === undefined ? `invalid attribute name: "${pair.name}"` : take(draft, pair.value, pair.name);
}

/** `name=value`, or `{ name = value }` with blanks in the value. */
function attributeOf(word: string): { readonly name: string; readonly value: string } | string {
  let text = word;
  if (word.startsWith('{')) {
    if (!word.endsWith('}')) return `missing '}' in "${word}"`;
    text = splitList(word.slice(1, -1).replaceAll(',', '\0')).join(' ').replaceAll('\0', ',');
  }
  const at = text.indexOf('=');
  if (at < 0) return "missing '=' after attribute name";
  const name = trimWhite(text.slice(0, at));
  return name === '' ? 'missing attribute name' : { name, value: trimWhite(text.slice(at + 1)) };
}

function finished({ type, domain, strings, patterns, failure, ttl, ...entry }: Draft): PolicyParse {
  if (type === undefined) {
    if ((ttl ?? domain ?? strings ?? patterns ?? failure) !== undefined)
      return refused('built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, mx_host_pattern or policy_failure');
    return { entry, warnings: [] };
  }
  return { entry: { ...entry, external: { type, domain: domain ?? '', strings: strings ?? [], patterns: patterns ?? [], failure: failure ?? '' } }, warnings: [] };
}
