/**
 * What the corpus must speak of: every restriction, access(5) action, extension, verb, and every parameter of smtpd. What no dialogue can show
 * stands in a list, with the test that shows it; a name in that list that has a dialogue, or whose test does not know it, is a mistake too.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { catalogue } from '../../src/daemons/smtpd/access/catalogue.ts';
import { cardOf, parameterNames } from '../../src/parameters/parameters.ts';
import { restrictionNames } from '../../src/parameters/restriction-names.ts';
import { readDialogues } from './format.ts';
import { mainCf } from './stage.ts';

const dialogues = readDialogues(new URL('./', import.meta.url));
const settings = dialogues.flatMap((dialogue) => [...dialogue.settings]);
const wordsOf = (text: string): string[] => text.match(/[A-Za-z0-9_]+/g) ?? [];
const words = new Set(settings.flatMap(([, value]) => wordsOf(value)));
const set = new Set(settings.map(([name]) => name));
const moves = dialogues.flatMap((dialogue) => dialogue.moves);
const replies = moves.flatMap((move) => (move.kind === 'hear' ? move.lines : []));
const commands = moves.flatMap((move) => (move.kind === 'say' ? Buffer.concat(move.packets).toString('latin1').split('\r\n') : []));
const lacking = (names: Iterable<string>, has: (name: string) => boolean): string[] => [...names].filter((name) => !has(name));

test('the corpus is large', () => assert.ok(dialogues.length >= 850, `${dialogues.length} dialogues`));

test('every restriction', () => {
  // Not check_address_map: it is what local_header_rewrite_clients makes of a table.
  const names = new Set([...restrictionNames, ...catalogue.keys()].filter((name) => name !== 'check_address_map'));
  assert.deepEqual(lacking(names, (name) => words.has(name)), []);
});

test('every list of restrictions', () => {
  const lists = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn'].map((name) => `smtpd_${name}_restrictions`);
  assert.deepEqual(lacking([...lists, 'smtpd_restriction_classes'], (name) => set.has(name)), []);
});

test('every action of access(5)', () => {
  const actions = 'OK RELAY DUNNO REJECT DEFER DEFER_IF_PERMIT DEFER_IF_REJECT INFO WARN HOLD DISCARD FILTER REDIRECT BCC PREPEND'.split(' ');
  assert.deepEqual(lacking(actions, (name) => words.has(name)), []);
});

test('every keyword of EHLO', () => {
  const keywords = 'PIPELINING SIZE VRFY ETRN STARTTLS AUTH ENHANCEDSTATUSCODES 8BITMIME DSN SMTPUTF8 CHUNKING XCLIENT XFORWARD XVERP'.split(' ');
  assert.deepEqual(lacking(keywords, (name) => replies.some((line) => new RegExp(`^250[- ]${name}(?: |$)`).test(line))), []);
});

test('every verb', () => {
  const verbs = 'HELO EHLO XCLIENT XFORWARD STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY ETRN QUIT HELP'.split(' ');
  assert.deepEqual(lacking(verbs, (name) => commands.some((line) => new RegExp(`^${name}(?: |$)`, 'i').test(line))), []);
});

/** Parameters that speak in no reply, or only in one that a dialogue cannot bring about; and where they are seen. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  'test/stories/tls-server.test.ts': [
    'smtpd_client_new_tls_session_rate_limit', 'smtpd_tls_loglevel', 'smtpd_tls_received_header', 'smtpd_tls_session_cache_timeout',
    'smtpd_tls_session_cache_database',
  ],
  // Nothing but a comparison in postscreen looks at these.
  'src/daemons/postscreen/proxy-role.test.ts': ['smtpd_tls_eecdh_grade', 'smtpd_tls_dh512_param_file'],
  'test/interop/sasl.test.ts': ['smtpd_sasl_authenticated_header', 'smtpd_sasl_path', 'smtpd_sasl_type'],
  'test/stories/whole-gateway.test.ts': ['smtpd_hide_client_session', 'smtpd_service_name'],
  'test/interop/other-clients.test.ts': ['smtpd_client_port_logging'],
};

/** smtpd's own, by name. Not those that the stage has for all. */
function* parametersOfSmtpd(): Generator<string> {
  for (const name of parameterNames()) {
    const card = cardOf(name);
    const isOf = /^smtpd_/.test(name) || /_reject_code$|_tempfail_action$|_defer_code$|_reject_reason$/.test(name);
    if (isOf && !mainCf.has(name) && card?.notYetUsed === undefined && card?.ours === undefined) yield name;
  }
}

test('every parameter of smtpd, in a dialogue or elsewhere', () => {
  const named = new Map(Object.entries(elsewhere).flatMap(([file, names]) => names.map((name) => [name, file] as const)));
  const has = (name: string): boolean => set.has(name) || words.has(name);
  assert.deepEqual(lacking(parametersOfSmtpd(), (name) => has(name) || named.has(name)), []);
  assert.deepEqual([...named.keys()].filter(has), [], 'these have dialogues');
  for (const [file, names] of Object.entries(elsewhere)) {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    assert.deepEqual(lacking(names, (name) => text.includes(name)), [], file);
  }
});
