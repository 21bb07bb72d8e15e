/**
 * header_checks, body_checks, MIME and odd bytes: the same messages and tables to Debian's Postfix and to ours, and their replies, log
 * lines and queue files compared. Skipped, by name, where there is no Postfix of Debian or we are not root.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { noDebianPostfix } from '../debian-postfix.ts';
import { contentCases, isNewer, localCases, localSettings, tableFiles } from './cleanup-content.ts';
import { playPair, type PairCase, type PairResult } from './cleanup-pair.ts';

const skip = noDebianPostfix();
/** Whoever has another build of Postfix than Debian 12's. */
const hasNewer = process.env['POSTFIX_DAEMONS'] !== undefined;
const seed = Number(process.env['PAIR_SEED'] ?? 20_261_121);

const settings: readonly PairCase['settings'][] = [
  {}, { header_checks: 'regexp:@etc@/acts', body_checks: 'regexp:@etc@/acts' }, { strict_8bitmime: 'yes', strict_mime_encoding_domain: 'yes' },
  { header_size_limit: '200', mime_nesting_limit: '2', mime_boundary_length_limit: '4', body_checks: 'regexp:@etc@/acts', body_checks_size_limit: '40' },
  { message_strip_characters: 'q\\0', disable_mime_input_processing: 'yes' }, { local_header_rewrite_clients: '', message_drop_headers: 'x-a, to' },
];

const text = fc.stringMatching(/^[-a-z:;"=()<>@.\\ \t\x00\x01\x7f\x80-\xff]{0,40}$/);
const line = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('', 'Content-Type: multipart/mixed; boundary=b', 'Content-Type: multipart/mixed;\n boundary="b c"', 'Content-Type: message/rfc822', 'Content-Transfer-Encoding: 8bit', 'Content-Transfer-Encoding: base64', '--b', '--b--', '--b c', 'Received: x', 'Message-ID: <1@x>', 'Resent-From: a', 'Bcc: a@b') },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('X-A', 'X-Act', 'Subject', 'body-act', 'Date', 'Content-ID', 'X-\xe9', 'X-B ', 'X-C\t'), fc.oneof(text, fc.constantFrom('WARN x', 'IGNORE', 'REPLACE Subject: y', 'PREPEND X-New: z', 'HOLD', 'REJECT'))).map(([name, value]) => `${name}: ${value}`) },
  { weight: 2, arbitrary: text.map((each) => ` ${each}`) },
  { weight: 2, arbitrary: text },
  fc.integer({ min: 1, max: 300 }).map((length) => 'long '.repeat(length)),
);
const message = fc.array(line, { maxLength: 30 }).map((lines) => lines.map((each) => `${each}\n`).join(''));

const random: readonly PairCase[] = fc.sample(message, { seed, numRuns: 180 }).map((each, index) => ({ name: `random message ${index} of seed ${seed}`, settings: settings[index % settings.length]!, message: each }));

const cases = [...contentCases, ...localCases].filter((each) => hasNewer || !isNewer(each));
let results = new Map<string, PairResult>();

before(async () => {
  if (skip === false) results = await playPair([...cases, ...random], { files: tableFiles, local: localSettings });
}, { timeout: 300_000 });
after(() => results.clear());

for (const { name } of cases) {
  test(name, { skip }, () => {
    const { ours, theirs } = results.get(name)!;
    assert.deepEqual(ours, theirs);
  });
}

test('random messages', { skip }, () => {
  for (const { name, message: said, settings: set } of random) {
    const { ours, theirs } = results.get(name)!;
    assert.deepEqual(ours, theirs, `${name} with ${JSON.stringify(set)}: ${JSON.stringify(said)}`);
  }
});
