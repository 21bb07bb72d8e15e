/** Which lines are taken for Sendmail's, and what is said of them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { sendmailHint, sourceEntriesWithHints } from './sendmail-hints.ts';

for (const [key, value, want] of [
  ['Connect:192.0.2', 'REJECT', '"Connect:" is Sendmail syntax; write "192.0.2" in a table of its own for check_client_access'],
  ['from:spam@example.org', 'DISCARD', '"from:" is Sendmail syntax; write "spam@example.org" in a table of its own for check_sender_access'],
  ['To:list@', 'OK', '"To:" is Sendmail syntax; write "list@" in a table of its own for check_recipient_access'],
  ['example.org', 'ERROR:"550 We do not take this"', '"ERROR:" with a reply code is Sendmail syntax; write "550 We do not take this" in an access table'],
  ['example.org', 'ERROR:5.7.1:"550 Go away"', '"ERROR:" with a reply code is Sendmail syntax; write "550 5.7.1 Go away" in an access table'],
  ['joe@example.org', 'error:nouser 550 No such user', '"error:" with a reply code is Sendmail syntax; write "550 5.1.1 No such user" in an access table'],
  ['@example.org', '%1@example.net', '"%" with a digit is Sendmail syntax; write "@example.org @example.net": the user name stays'],
  ['joe@example.org', '%1+%2@example.net', '"%" with a digit is Sendmail syntax; write the address out'],
  ['example.org', 'RELAY', undefined],
  ['example.org', 'error:mail for this domain is not deliverable', undefined],
  ['example.org', 'error:5.1.1 No such domain', undefined],
  ['example.org', 'smtp:[192.0.2.1]:25', undefined],
  ['joe', 'joe%example.org@relay.example', undefined],
  ['to', 'x', undefined],
  ['2001:db8::1', 'OK', undefined],
] as const) {
  test(`${key} ${value}`, () => assert.equal(sendmailHint(key, value), want));
}

test('told with file and line; the entry stays', () => {
  const said: string[] = [];
  const options = { file: 'access', utf8: true, warn: (text: string) => said.push(text) };
  const entries = [...sourceEntriesWithHints('a OK\nTo:b OK\n', options)];
  assert.deepEqual(entries.map(({ key }) => key), ['a', 'To:b']);
  assert.deepEqual(said, ['access, line 2: "To:" is Sendmail syntax; write "b" in a table of its own for check_recipient_access']);
});
