/**
 * Which parameters something in src/ reads. A name counts as read when it stands in the program text (comments, tests, the cards
 * and postconf left out), when a template of the list below makes it, when a daemon asks for its family, or when the default of one
 * that is read refers to it. `node test/parameter-usage.ts --write` sets and removes `notYetUsed` on the cards accordingly.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { visitNames } from '../src/config/expand.ts';
import type { Card } from '../src/parameters/card.ts';
import { suffixesOfProgram, familyMember } from '../src/parameters/families.ts';
import { cardOf, parameterNames } from '../src/parameters/parameters.ts';

const source = fileURLToPath(new URL('../src/', import.meta.url));
const cardFolder = `${source}parameters/`;

/**
 * Names that no program of Postfix goes by either: they tell people and installation scripts where things are, or do nothing any more, as
 * those of the last four lines: the first is read and forgotten, names of certificates never match several labels, tlsproxy(8) takes
 * ciphers from who asks, libsasl2's client has no path, only the old queue manager has a fudge factor. Negative answers of the name
 * service are always seen here, which is what dns_ncache_ttl_fix_enable is for.
 */
const forPeople: ReadonlySet<string> = new Set([
  'html_directory', 'manpage_directory', 'readme_directory', 'sample_directory', 'shlib_directory', 'meta_directory', 'openssl_path',
  'sendmail_path', 'mailq_path', 'newaliases_path', 'mail_release_date', 'process_id_directory', 'tls_daemon_random_bytes',
  'lmtp_cname_overrides_servername', 'smtp_cname_overrides_servername', 'dont_remove', 'fork_attempts', 'fork_delay', 'ipc_ttl',
  'berkeley_db_create_buffer_size', 'berkeley_db_read_buffer_size', 'application_event_drain_time',
  'error_service_name', 'tls_wildcard_matches_multiple_labels', 'tls_eecdh_strong_curve', 'tls_eecdh_ultra_curve',
  'tls_low_cipherlist', 'tls_export_cipherlist', 'tlsproxy_tls_ciphers', 'tlsproxy_tls_mandatory_ciphers',
  'tlsproxy_tls_exclude_ciphers', 'tlsproxy_tls_mandatory_exclude_ciphers', 'smtp_sasl_path', 'lmtp_sasl_path',
  'qmgr_fudge_factor', 'dns_ncache_ttl_fix_enable',
]);

/** Names that program text puts together: the file, the text that does it, and what comes out. */
const templates: readonly (readonly [file: string, text: string, names: (text: string) => readonly string[]])[] = [
  ['daemons/smtp/settings.ts', '`lmtp_${lmtpNames.get(suffix) ?? suffix}`', clientNames],
  ['daemons/smtp/tls-settings.ts', 'read: Read', clientNames],
  ['tables/server/proxy.ts', '`${service}_service_name`', () => ['proxymap_service_name', 'proxywrite_service_name']],
  ['daemons/trivial-rewrite/trivial-rewrite.ts', '`${prefix}transport_maps`', () => ['', 'address_verify_'].flatMap((prefix) => [
    `${prefix}transport_maps`, `${prefix}sender_dependent_relayhost_maps`, `${prefix}sender_dependent_default_transport_maps`])],
];

// read('connect_timeout') is smtp_connect_timeout and lmtp_connect_timeout.
function clientNames(text: string): string[] {
  const renamed = new Map([...text.matchAll(/\['(\w+)', '(lhlo_\w+|discard_lhlo_\w+)'\]/g)].map((match) => [match[1]!, match[2]!]));
  return [...text.matchAll(/\b(?:read|mask)\('(\w+)'\)/g)].flatMap(([, suffix]) => [`smtp_${suffix}`, `lmtp_${renamed.get(suffix!) ?? suffix}`]);
}

/** The text of every file that could read a parameter, without comments. */
function programText(): ReadonlyMap<string, string> {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|(?:^|\/)(?:testing|fake-server)\.ts$|^parameters\/|^commands\/postconf\//.test(file));
  return new Map(files.map((file) => [file, withoutComments(readFileSync(source + file, 'utf8'))]));
}

function withoutComments(text: string): string {
  return text.replace(/^[ \t]*\/\*[^]*?\*\//gm, '').replace(/(^|[ \t;,{(])\/\/[^\n]*/g, '$1');
}

export function readNames(): ReadonlySet<string> {
  const texts = programText();
  const words = new Set([...texts.values()].flatMap((text) => text.match(/[A-Za-z0-9_]+/g) ?? []));
  const known = new Set<string>(parameterNames());
  const used = new Set([...known].filter((name) => words.has(name) || forPeople.has(name)));
  for (const [file, text, names] of templates) {
    const all = texts.get(file) ?? '';
    if (!all.includes(text)) throw new Error(`src/${file} no longer has ${text}: mend the list of templates in test/parameter-usage.ts`);
    for (const name of names(all)) if (known.has(name)) used.add(name);
  }
  for (const suffix of new Set([...suffixesOfProgram.values()].flat())) if (words.has(suffix)) used.add(familyMember('x', suffix).fallback);
  for (const name of used) visitDefault(name, (other) => known.has(other) && used.add(other));
  return used;
}

// A Set that grows while it is walked is walked to its end.
function visitDefault(name: string, visit: (name: string) => unknown): void {
  const { default: text } = cardOf(name) as Card;
  // A set of characters; its `$` names nothing.
  if (text.includes('$') && name !== 'smtpd_expansion_filter') visitNames(text, visit);
}

export interface FlagChange { readonly file: string; readonly name: string; readonly change: 'add' | 'remove' }

/** What has to change on the cards. */
export function flagChanges(): FlagChange[] {
  const used = readNames();
  return parameterNames().flatMap((name): FlagChange[] => {
    const flagged = cardOf(name)!.notYetUsed === true;
    return flagged === !used.has(name) ? [] : [{ file: cardFile(name), name, change: flagged ? 'remove' : 'add' }];
  });
}

const cardTexts = new Map(readdirSync(cardFolder).filter((file) => /^[a-z0-9-]+\.ts$/.test(file)).map((file) => [file, readFileSync(cardFolder + file, 'utf8')]));

function cardFile(name: string): string {
  return [...cardTexts].find(([, text]) => cardLine(name).test(text))?.[0] ?? '?';
}

function cardLine(name: string): RegExp {
  return new RegExp(`^  '?${name}'?: \\{ kind: .* \\},$`, 'm');
}

if (process.argv[2] === '--write' && process.argv[1] === fileURLToPath(import.meta.url)) {
  const changes = flagChanges();
  for (const { file, name, change } of changes) {
    const edit = (line: string): string => (change === 'add' ? line.replace(/ \},$/, ', notYetUsed: true },') : line.replace(', notYetUsed: true', ''));
    cardTexts.set(file, cardTexts.get(file)!.replace(cardLine(name), edit));
  }
  for (const file of new Set(changes.map((change) => change.file))) writeFileSync(cardFolder + file, cardTexts.get(file)!);
  process.stdout.write(`${changes.length} cards changed\n`);
}
