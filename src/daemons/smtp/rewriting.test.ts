/** smtp_generic_maps, and smtp_header_checks with its sisters: what the server gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import type { Service } from '../../server/daemon.ts';
import { FakeServer } from './fake-server.ts';
import type { Script } from './fake-server.ts';
import { daemon } from './smtp.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

interface Sent { readonly content: string; readonly commands: readonly string[]; readonly lines: readonly string[]; readonly left: readonly string[] }

/** One message to joe@example.org, once written to original@example.org, through a service with these lines of main.cf. */
async function send(main: string, content: string, { script = {}, request = {}, row = 'smtp unix - - n - - smtp', files = {}, down = [] as readonly string[] }: {
  script?: Script; request?: Partial<DeliveryRequest>; row?: string; files?: Readonly<Record<string, string>>; down?: readonly string[];
} = {}): Promise<Sent> {
  const fake = await FakeServer.listen(script);
  const bench = new Bench({ row, main: `smtp_tls_security_level = none\n${main}`, down });
  for (const [name, text] of Object.entries(files)) bench.file(name, text);
  const agent = await daemon.open(bench.tools as never) as Agent;
  try {
    const { lines, left } = await bench.deliver(agent, [{ address: 'joe@example.org', originalAddress: 'original@example.org' }], { content, request: { nexthop: `[127.0.0.1]:${fake.port}`, ...request } });
    const shown = lines.map((line) => line.replaceAll(`:${fake.port}`, ':25').replace(/^AB\d+: to=.* dsn=/, 'dsn='));
    return { content: (fake.messages[0] ?? '').replaceAll('\r\n', '\n'), commands: fake.commands, lines: shown, left };
  } finally {
    await agent.drain?.(true);
    bench.remove();
    await fake.close();
  }
}

const generic = (...entries: string[]): string => `smtp_generic_maps = inline:{ ${entries.map((entry) => `{${entry}}`).join(', ')} }\n`;
const mapped = 'dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)';

for (const [what, main, request, mail, rcpt] of [
  ['whole addresses', generic('sender@example.com=me@isp.test', 'joe@example.org=joe@isp.test'), {}, 'me@isp.test', 'joe@isp.test'],
  ['a domain', generic('@example.com=@isp.test'), {}, 'sender@isp.test', 'joe@example.org'],
  ['a domain to one', generic('@example.com=all@isp.test'), {}, 'all@isp.test', 'joe@example.org'],
  ['local names', generic('joe=joe@isp.test'), {}, 'sender@example.com', 'joe@isp.test'],
  ['without the domain', generic('sender@example.com=me'), {}, 'me@example.org', 'joe@example.org'],
  ['the extension goes', `recipient_delimiter = +\n${generic('sender@example.com=me@isp.test')}`, { sender: 'sender+x@example.com' }, 'me@isp.test', 'joe@example.org'],
  ['the extension stays', `recipient_delimiter = +\npropagate_unmatched_extensions = generic\n${generic('sender@example.com=me@isp.test')}`, { sender: 'sender+x@example.com' }, 'me+x@isp.test', 'joe@example.org'],
  ['the null sender', generic('@example.com=x@isp.test', '@=x@isp.test'), { sender: '' }, '', 'joe@example.org'],
  ['one step only', generic('sender@example.com=b@example.com', 'b@example.com=c@example.com'), {}, 'b@example.com', 'joe@example.org'],
] as const) test(`generic addresses in the envelope: ${what}`, async () => {
  const sent = await send(main, 'Subject: x\n\nhello\n', { request });
  assert.deepEqual([sent.commands[1]!.replace(/ SIZE.*/, ''), sent.commands[2]!.replace(/ ORCPT.*/, ''), sent.lines, sent.left], [`MAIL FROM:<${mail}>`, `RCPT TO:<${rcpt}>`, [mapped], []]);
});

for (const [what, main, content, want] of [
  ['senders and recipients', generic('@inside.test=@isp.test'), 'From: Ann <ann@inside.test>\nTo: joe@inside.test (Joe), other@else.test\nSubject: ann@inside.test\n\nann@inside.test\n',
    'From: Ann <ann@isp.test>\nTo: joe@isp.test (Joe), other@else.test\nSubject: ann@inside.test\n\nann@inside.test\n'],
  ['nothing to change: as it was', generic('@inside.test=@isp.test'), 'From:   Ann\n  <ann@else.test>\nTo: a@b.test\n\n.\n', 'From:   Ann\n  <ann@else.test>\nTo: a@b.test\n\n..\n'],
  ['not in parts', generic('@inside.test=@isp.test'),
    'From: a@inside.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nFrom: a@inside.test\n\n--b--\n',
    'From: a@isp.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nFrom: a@inside.test\n\n--b--\n'],
  ['long lists are folded', generic('@inside.test=@somewhere-else.example.test'), `To: ${Array.from({ length: 5 }, (_, number) => `person${number}@inside.test`).join(', ')}\n\nx\n`,
    'To: person0@somewhere-else.example.test,\n\tperson1@somewhere-else.example.test,\n\tperson2@somewhere-else.example.test,\n\tperson3@somewhere-else.example.test,\n\tperson4@somewhere-else.example.test\n\nx\n'],
] as const) test(`generic addresses in headers: ${what}`, async () => {
  assert.equal((await send(main, content)).content, want);
});

test('the headers that the row puts in front are generic too; ORCPT is not', async () => {
  const row = 'smtp unix - - n - - smtp flags=DOR';
  const sent = await send(generic('sender@example.com=me@isp.test', 'joe@example.org=joe@isp.test', 'original@example.org=o@isp.test'), 'Subject: x\n\nx\n', { row });
  assert.ok(sent.commands[2]!.endsWith(' ORCPT=rfc822;original@example.org'));
  assert.equal(sent.content, 'Return-Path: <me@isp.test>\nX-Original-To: o@isp.test\nDelivered-To: joe@isp.test\nSubject: x\n\nx\n');
});

const later = 'dsn=4.3.0, status=deferred (local data error while talking to 127.0.0.1[127.0.0.1])';
for (const [what, main, content, warning] of [
  ['generic addresses', 'smtp_generic_maps = fail:x\n', 'Subject: x\n\nx\n', /fail:x lookup error/],
  ['generic addresses that are none', generic('joe@example.org=,'), 'Subject: x\n\nx\n', /returns non-address result/],
  ['header checks', 'smtp_header_checks = fail:x\n', 'Subject: x\n\nx\n', /AB1: smtp header checks lookup error/],
  ['body checks', 'smtp_body_checks = fail:x\n', 'Subject: x\n\nx\n', /AB1: smtp body checks lookup error/],
] as const) test(`a table out of order makes the message wait: ${what}`, async () => {
  const sent = await send(main, content);
  assert.deepEqual([sent.lines.at(-1), sent.left, sent.content], [later, ['joe@example.org'], '']);
  assert.match(sent.lines.join('\n'), warning);
});

const parts = `Subject: one
Received: by here
\twith two lines
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain
X-Part: yes

secret line
another line
--b
Content-Type: message/rfc822

Subject: nested

deep
--b--
`;
const rules = (text: string): { files: Readonly<Record<string, string>> } => ({ files: { rules: text } });
for (const [what, main, text, want, logged] of [
  ['a header goes', 'smtp_header_checks = regexp:DIR/rules\n', '/^Received:/ IGNORE\n', parts.replace(/Received.*\n.*\n/, ''), []],
  ['a header is another', 'smtp_header_checks = regexp:DIR/rules\n', '/^Subject: (.*)/ REPLACE Subject: [$1]\n', parts.replace('Subject: one', 'Subject: [one]'), ['AB1: replace: header Subject: one: Subject: [one]']],
  ['a header goes before', 'smtp_header_checks = regexp:DIR/rules\n', '/^Subject:/ PREPEND X-New: yes\n', `X-New: yes\n${parts}`, ['AB1: prepend: header Subject: one: X-New: yes']],
  ['stripped, and said so', 'smtp_header_checks = regexp:DIR/rules\n', '/^Subject:/ STRIP why\n', parts.replace('Subject: one\n', ''), ['AB1: strip: header Subject: one: why']],
  ['only said', 'smtp_header_checks = regexp:DIR/rules\n', '/^Subject:/ WARN text\n/^Received:/ INFO\n', parts, ['AB1: warning: header Subject: one: text', 'AB1: info: header Received: by here??with two lines']],
  ['not for this place', 'smtp_header_checks = regexp:DIR/rules\n', '/^Subject:/ REJECT no\n', parts, ['warning: unsupported command in smtp_header_checks map: REJECT no']],
  ['headers of parts', 'smtp_mime_header_checks = regexp:DIR/rules\n', '/^(Subject|X-Part):/ IGNORE\n', parts.replace('X-Part: yes\n', ''), []],
  ['headers of messages within', 'smtp_nested_header_checks = regexp:DIR/rules\n', '/^Subject:/ IGNORE\n', parts.replace('Subject: nested\n', ''), []],
  ['lines', 'smtp_body_checks = regexp:DIR/rules\n', '/^secret/ REPLACE public line\n/^another/ IGNORE\n/^deep/ PREPEND high\n', parts.replace('secret line\nanother line\n', 'public line\n').replace('deep', 'high\ndeep'),
    ['AB1: replace: body secret line: public line', 'AB1: prepend: body deep: high']],
  ['lines as far as we look', 'smtp_body_checks = regexp:DIR/rules\nbody_checks_size_limit = 11\n', '/^(secret|another)/ IGNORE\n', parts.replace('secret line\n', ''), []],
] as const) test(`checks: ${what}`, async () => {
  const sent = await send(main, parts, rules(text));
  assert.equal(sent.content, want);
  assert.deepEqual(sent.lines.slice(0, -1), logged);
});

test('checks see a message that is made 7-bit for this server as it is sent', async () => {
  const script = { replies: { EHLO: '250 server.example' } };
  const content = 'Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngr\xfc\xdfe\n';
  const sent = await send('smtp_body_checks = regexp:DIR/rules\n', content, { script, request: { encoding: '8bit' }, ...rules('/^gr=FC/ PREPEND seen\n') });
  assert.match(sent.content, /\n\nseen\ngr=FC=DFe\n$/);
});

test('endless lines are looked at in pieces and stay whole', async () => {
  const long = 'x'.repeat(100_000);
  const sent = await send('smtp_line_length_limit = 0\nbody_checks_size_limit = 200000\nsmtp_body_checks = regexp:DIR/rules\n', `Subject: x\n\n${long}\nend\n`, rules('/^end/ IGNORE\n'));
  assert.equal(sent.content, `Subject: x\n\n${long}\n`);
});
