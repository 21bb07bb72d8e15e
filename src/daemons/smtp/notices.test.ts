import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import type { Tools } from '../../server/daemon.ts';
import { openNotices, wantedTroubles, type Talked } from './notices.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

interface Bench { readonly tools: Tools; readonly records: string[]; readonly texts: string[]; readonly warnings: string[] }

/** Tools whose cleanup keeps what it gets, or is out of reach. */
function bench(mainCf: string, isDown = false): Bench {
  const folder = mkdtempSync(`${tmpdir()}/notices-`);
  writeFileSync(`${folder}/main.cf`, `compatibility_level = 3.12\nmyhostname = host.test\nmyorigin = host.test\n${mainCf}`);
  const [records, texts, warnings]: string[][] = [[], [], []];
  const session = {
    queueId: 'ABC', record: (type: number, text: string) => void records!.push(String.fromCharCode(type) + text), message: () => undefined,
    content: (chunk: Buffer) => texts!.push(chunk.toString('latin1')) > 0, extracted: () => undefined, end: async () => ({ status: 0, reason: '' }),
  };
  const cleanup = { open: async () => { if (isDown) throw new Error('connection refused'); return session; } };
  const tools = { config: Configuration.load(folder), clock: { now: () => 1_800_000_000_000 }, log: { warning: (text: string) => void warnings!.push(text) }, services: { cleanup: () => cleanup } };
  rmSync(folder, { recursive: true });
  return { tools: tools as unknown as Tools, records: records!, texts: texts!, warnings: warnings! };
}

function talked(trouble: 'protocol' | 'data' | 'none', lines: readonly string[] = ['In:  220 mx', 'Out: EHLO x']): Talked {
  return { peer: { nameAddressPort: 'mx.test[192.0.2.1]:25' }, takeTranscript: () => ({ lines, troubles: new Set(trouble === 'none' ? [] : [trouble]) }) };
}

test('a notice, line by line', async () => {
  const { tools, records, texts } = bench('notify_classes = protocol\nerror_notice_recipient = errors@host.test\n');
  await openNotices(tools, 'SMTP')!.after(talked('protocol', ['In:  220 mx', `Out: ${'x'.repeat(60)} ${'y'.repeat(30)}`, 'In:  501 \x1b[2Jbad']), 'me@host.test');
  assert.deepEqual(records, ['T1800000000 0', 'Alog_message_origin=local', 'Atrace_flags=0', 'Sdouble-bounce@host.test', 'Rerrors@host.test']);
  assert.equal(texts.join('').slice(texts.join('').indexOf('From:')), `From: Mail Delivery System <MAILER-DAEMON@host.test>
To: Postmaster <errors@host.test>
Subject: Postfix SMTP client: errors from mx.test[192.0.2.1]:25

Unexpected response from mx.test[192.0.2.1]:25.

Transcript of session follows.

 In:  220 mx
 Out: ${'x'.repeat(60)}
     ${'y'.repeat(30)}
 In:  501 ?[2Jbad

For other details, see the local mail logfile
`);
});

test('the old form of addresses, and LMTP', async () => {
  const { tools, texts } = bench('notify_classes = data\nheader_from_format = obsolete\n');
  await openNotices(tools, 'LMTP')!.after(talked('data'), 'me@host.test');
  assert.match(texts.join(''), /^From: MAILER-DAEMON@host\.test \(Mail Delivery System\)\nTo: postmaster \(Postmaster\)\nSubject: Postfix LMTP client: /m);
});

for (const [name, mainCf, trouble, sender] of [
  ['nothing was wrong', 'notify_classes = protocol', 'none', 'me@host.test'],
  ['nobody asked for that', 'notify_classes = protocol', 'data', 'me@host.test'],
  ['it was a report', 'notify_classes = protocol', 'protocol', ''],
  ['it was a notice', 'notify_classes = protocol', 'protocol', 'double-bounce@host.test'],
] as const) test(`no notice: ${name}`, async () => {
  const { tools, records } = bench(`${mainCf}\n`);
  await openNotices(tools, 'SMTP')!.after(talked(trouble), sender);
  assert.deepEqual(records, []);
});

test('nobody wants to know by default', () => assert.equal(openNotices(bench('').tools, 'SMTP'), undefined));

test('a cleanup that is out of reach is a line in the log', async () => {
  const { tools, warnings } = bench('notify_classes = protocol\n', true);
  await openNotices(tools, 'SMTP')!.after(talked('protocol'), 'me@host.test');
  assert.deepEqual(warnings, ['postmaster notify: connection refused']);
});

test('a class that is none', () => assert.throws(() => wantedTroubles('protocol, nonsense'), /unknown notify_classes value "nonsense"/));
