/**
 * Sendmail's access and virtusertable lines that mean nothing to Postfix: told with file and line, and with what to write.
 *
 * The entry goes into the table all the same, as Postfix has it; nothing throws.
 */
import { sourceEntries, type SourceEntry, type SourceOptions } from './source.ts';

const restrictionOf = new Map([
  ['connect', 'check_client_access'],
  ['from', 'check_sender_access'],
  ['to', 'check_recipient_access'],
]);

/** The hint for a line, or undefined when it is not Sendmail's own. */
export function sendmailHint(key: string, value: string): string | undefined {
  return keyHint(key) ?? errorHint(value) ?? percentHint(key, value);
}

function keyHint(key: string): string | undefined {
  const [, tag, rest] = /^(connect|from|to):(.+)$/i.exec(key) ?? [];
  if (tag === undefined) return undefined;
  return `"${tag}:" is Sendmail syntax; write "${rest}" in a table of its own for ${restrictionOf.get(tag.toLowerCase())}`;
}

const mailerErrors = new Map([
  ['nouser', '5.1.1'], ['nohost', '5.1.2'], ['unavailable', '4.3.0'], ['tempfail', '4.3.0'], ['protocol', '5.5.0'], ['usage', '5.5.4'], ['config', '5.3.5'],
]);

/** `ERROR:"550 text"`, `ERROR:5.7.1:"550 text"`, `error:nouser 550 text`; not transport(5)'s `error:text` and `error:5.1.1 text`. */
function errorHint(value: string): string | undefined {
  const [, status, word, quoted] = /^error:(?:(\d\.\d+\.\d+):|([a-z]+)(?=[ \t]))?[ \t]*(.*)$/i.exec(value) ?? [];
  if (quoted === undefined) return undefined;
  const [, code, text] = /^"?([45]\d\d)[ -](.*?)"?$/.exec(quoted) ?? [];
  const known = word === undefined ? undefined : mailerErrors.get(word.toLowerCase());
  if (code === undefined || (word !== undefined && known === undefined)) return undefined;
  const detail = status ?? known;
  return `"${value.slice(0, 6)}" with a reply code is Sendmail syntax; write "${[code, detail, text].filter(Boolean).join(' ')}" in an access table`;
}

function percentHint(key: string, value: string): string | undefined {
  if (!/(?:^|[, \t])%[0-9]/.test(value)) return undefined;
  const [, domain] = /^%1(@[^, \t]+)$/.exec(value) ?? [];
  const instead = domain !== undefined && key.startsWith('@') ? `write "${key} ${domain}": the user name stays` : 'write the address out';
  return `"%" with a digit is Sendmail syntax; ${instead}`;
}

/** sourceEntries() with hints. */
export function* sourceEntriesWithHints(text: string, options: SourceOptions): Generator<SourceEntry> {
  for (const entry of sourceEntries(text, options)) {
    const hint = sendmailHint(entry.key, entry.value);
    if (hint !== undefined) options.warn(`${options.file}, line ${entry.line}: ${hint}`);
    yield entry;
  }
}
