import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { bounceFlag } from '../../ipc/bounce.ts';
import { cleanupFlag, cleanupStatus, internalFlags } from '../../ipc/cleanup.ts';
import { dsnNotify, dsnRet } from '../../message/dsn.ts';
import { dateOf } from './desk.ts';
import { about, arrived, Bench, entry, now, recipient, timedOut, unknownUser } from './testing.ts';

const benches: Bench[] = [];
function bench(mainCf = ''): Bench {
  const made = new Bench(mainCf);
  benches.push(made);
  return made;
}
after(() => benches.forEach((each) => each.remove()));

async function bind(place: Bench, name?: string) {
  const calls = await place.service(name);
  return {
    append: (request: Parameters<typeof calls.append>[0]) => calls.append(request),
    flush: (request: Parameters<typeof calls.flush>[0]) => calls.flush(request),
    warn: (request: Parameters<typeof calls.warn>[0]) => calls.warn(request),
    trace: (request: Parameters<typeof calls.trace>[0]) => calls.trace(request),
    verp: (request: Parameters<typeof calls.verp>[0]) => calls.verp(request),
    one: (request: Parameters<typeof calls.one>[0]) => calls.one(request),
  };
}

test('a failure report, byte for byte', async () => {
  const place = bench();
  const { queueId } = place.message('Subject: test\nTo: joe\n\nhello\n.\n');
  const { append, flush } = await bind(place);
  await append(entry(queueId, recipient({ originalAddress: 'list@example.org', dsnOrcpt: 'rfc822;list@example.org' }), unknownUser));
  assert.deepEqual(await flush(about(queueId, { dsnEnvid: 'env 1' })), { status: 0 });
  const [report] = place.posted;
  assert.deepEqual(report!.options, { flags: internalFlags, lineEnd: 'lf' });
  assert.deepEqual(report!.records, [`T${now} 0`, 'Alog_message_origin=local', 'Atrace_flags=0', 'S', 'Rsender@example.com', 'M', 'X']);
  assert.deepEqual([report!.state, place.posted.length, place.log('bounce', queueId)], ['kept', 1, undefined]);
  assert.deepEqual(place.lines, [`${queueId}: sender non-delivery notification: CD1`]);
  assert.equal(report!.content, `Received: by host.example.org (Postfix)
\tid CD1; ${dateOf(now)}
Date: ${dateOf(now)}
From: Mail Delivery System <MAILER-DAEMON>
Subject: Undelivered Mail Returned to Sender
To: sender@example.com
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="${queueId}.${now}/host.example.org"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--${queueId}.${now}/host.example.org
Content-Description: Notification
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail system at host host.example.org.

Your message did not reach the recipients listed below, and no
further attempt will be made. It is attached to this report.

Should you need help, please write to postmaster and include this
report. Your own text in the attached message is not needed for that
and may be left out.

                   The mail system

<joe@example.org> (expanded from <list@example.org>): host
    mx.example.org[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO
    command)

--${queueId}.${now}/host.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; host.example.org
Original-Envelope-Id: env 1
X-Postfix-Queue-ID: ${queueId}
X-Postfix-Sender: rfc822; sender@example.com
Arrival-Date: ${dateOf(arrived)}

Final-Recipient: rfc822; joe@example.org
Original-Recipient: rfc822;list@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--${queueId}.${now}/host.example.org
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Return-Path: <sender@example.com>
Subject: test
To: joe

hello
.

--${queueId}.${now}/host.example.org--
`);
});

/** One report of a message with one recipient, and what came of it. */
async function reported(place: Bench, service: string, request: 'flush' | 'warn' | 'trace', changes: object = {}, who = recipient(), dsn = unknownUser, content?: string) {
  const { queueId } = place.message(content);
  const calls = await bind(place, service);
  await calls.append(entry(queueId, who, dsn));
  const since = { posted: place.posted.length, lines: place.lines.length };
  const { status } = await calls[request](about(queueId, changes));
  const posted = place.posted.slice(since.posted);
  const lines = place.lines.slice(since.lines).map((line) => line.replace(`${queueId}: `, ''));
  return { queueId, status, posted, lines, content: posted[0]?.content ?? '', log: place.log(service, queueId) };
}

const kept = (each: { state: string }): boolean => each.state === 'kept';

test('a warning of delay keeps the log and returns headers only', async () => {
  const { content, lines, log, status } = await reported(bench(), 'defer', 'warn', { dsnRet: dsnRet.full }, recipient(), timedOut);
  assert.deepEqual([status, lines, log === undefined], [0, ['sender delay notification: CD1'], false]);
  assert.match(content, /^Subject: Delayed Mail \(still being retried\)$/m);
  assert.match(content, /^# THIS IS A WARNING ONLY\. {2}YOU DO NOT NEED TO RESEND YOUR MESSAGE\. #$/m);
  assert.ok(content.includes(`Action: delayed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; connect to mx.example.org[192.0.2.1]:25: Connection\n    timed out\nWill-Retry-Until: ${dateOf(arrived + 5 * 86_400)}\n`), content);
  assert.match(content, /Content-Description: Undelivered Message Headers\nContent-Type: text\/rfc822-headers\n.*\n\nReturn-Path: .*\nSubject: test\n\n--/);
});

test('a record of delivery', async () => {
  const relayed = { ...unknownUser, status: '2.0.0', action: 'relayed', reason: 'delivery via mx:25: 250 Ok' };
  const { content, lines, log } = await reported(bench(), 'trace', 'trace', {}, recipient({ dsnNotify: dsnNotify.success }), relayed);
  assert.deepEqual([lines, log], [['sender delivery status notification: CD1'], undefined]);
  assert.match(content, /^Subject: Successful Mail Delivery Report$/m);
  assert.match(content, /^Action: relayed$/m);
  assert.match(content, /^Content-Description: Message Headers$/m);
});

test('what sendmail -v asked for has another name', async () => {
  const { content } = await reported(bench(), 'trace', 'trace', { flags: 0x400 });
  assert.match(content, /^Subject: Mail Delivery Status Report$/m);
});

for (const [name, mainCf, sender, want] of [
  ['a report', '', '', 'not sending trace/success notification for single-bounce message'],
  ['a report, postmaster asked', 'notify_classes = 2bounce\n', '', 'sender delivery status notification: CD1'],
  ['a report to a postmaster', 'notify_classes = 2bounce\n', 'double-bounce@host.example.org', 'not sending trace/success notification for double-bounce message'],
] as const) {
  test(`the record of the delivery of ${name}`, async () => {
    const { lines, log, status } = await reported(bench(mainCf), 'trace', 'trace', { sender });
    assert.deepEqual([status, lines, log], [0, [want], undefined]);
  });
}

const wishes: [name: string, request: 'flush' | 'warn', notify: number, sent: boolean][] = [
  ['failure, nothing said', 'flush', 0, true],
  ['failure, NEVER', 'flush', dsnNotify.never, false],
  ['failure, FAILURE', 'flush', dsnNotify.failure | dsnNotify.success, true],
  ['failure, SUCCESS,DELAY', 'flush', dsnNotify.success | dsnNotify.delay, false],
  ['delay, nothing said', 'warn', 0, true],
  ['delay, DELAY', 'warn', dsnNotify.delay, true],
  ['delay, FAILURE', 'warn', dsnNotify.failure, false],
];
for (const [name, request, notify, sent] of wishes) {
  test(`NOTIFY: ${name}`, async () => {
    const { status, posted, log } = await reported(bench(), 'defer', request, {}, recipient({ dsnNotify: notify }), timedOut);
    assert.deepEqual([status, posted.filter(kept).length], [0, sent ? 1 : 0]);
    assert.equal(log === undefined, request === 'flush');
  });
}

// RFC 5321 section 6.1, and notify_classes.
const senders: [name: string, mainCf: string, sender: string, want: string[]][] = [
  ['an ordinary sender', '', 'sender@example.com', ['<> to sender@example.com']],
  ['with copies', 'notify_classes = bounce', 'sender@example.com', ['<> to sender@example.com', '<double-bounce@host.example.org> to postmaster']],
  ['a report', '', '', []],
  ['a report, postmaster asked', 'notify_classes = 2bounce\n2bounce_notice_recipient = abuse', '', ['<double-bounce@host.example.org> to abuse']],
  ['a report to a postmaster', 'notify_classes = 2bounce, bounce', 'Double-Bounce@host.example.org', []],
];
for (const [name, mainCf, sender, want] of senders) {
  test(`the failure of mail from ${name}`, async () => {
    const { posted, status, log } = await reported(bench(`${mainCf}\n`), 'bounce', 'flush', { sender });
    assert.deepEqual(posted.map(({ records }) => `<${records[3]!.slice(1)}> to ${records[4]!.slice(1)}`), want);
    assert.deepEqual([status, log], [0, undefined]);
  });
}

test('a copy for the postmaster has its own subject, no greeting, and headers only', async () => {
  const { posted, lines } = await reported(bench('notify_classes = bounce\n'), 'bounce', 'flush');
  assert.deepEqual(lines, ['sender non-delivery notification: CD1', 'postmaster non-delivery notification: CD2']);
  assert.match(posted[1]!.content, /^Subject: Postmaster Copy: Undelivered Mail$/m);
  assert.match(posted[1]!.content, /^Auto-Submitted: auto-generated$/m);
  assert.match(posted[1]!.content, /Content-Type: text\/rfc822-headers/);
  assert.ok(!posted[1]!.content.includes('This is the mail system'));
});

test('an undeliverable notice to the postmaster is dropped, with a word in the log', async () => {
  const { lines } = await reported(bench(), 'bounce', 'flush', { sender: 'double-bounce@host.example.org' });
  assert.deepEqual(lines, ['warning: undeliverable postmaster notification discarded']);
});

for (const [name, changes, content, part] of [
  ['RET=FULL', { dsnRet: dsnRet.full }, undefined, 'Undelivered Message\nContent-Type: message/rfc822'],
  ['RET=HDRS', { dsnRet: dsnRet.headers }, undefined, 'Undelivered Message Headers\nContent-Type: text/rfc822-headers'],
  ['a large message', {}, `Subject: x\n\n${'x'.repeat(50_001)}\n`, 'Undelivered Message Headers\nContent-Type: text/rfc822-headers'],
  ['SMTPUTF8', { smtputf8: 1 }, undefined, 'Undelivered Message\nContent-Type: message/global'],
  ['REQUIRETLS', { smtputf8: 32 }, undefined, 'Undelivered Message Headers\nContent-Type: text/rfc822-headers'],
] as const) {
  test(`how much is returned: ${name}`, async () => {
    const report = await reported(bench(), 'bounce', 'flush', changes, recipient(), unknownUser, content);
    assert.ok(report.content.includes(`Content-Description: ${part}\n`), report.content);
  });
}

test('SMTPUTF8 addresses keep their form', async () => {
  const { content, posted } = await reported(bench(), 'bounce', 'flush', { smtputf8: 1 }, recipient({ address: 'j\xc3\xb6@example.org' }));
  assert.match(content, /^Final-Recipient: utf-8; j\xc3\xb6@example\.org$/m);
  assert.match(content, /^Content-Type: message\/global-delivery-status\nContent-Transfer-Encoding: 8bit$/m);
  assert.equal(posted[0]!.options.flags, internalFlags | cleanupFlag.smtputf8);
});

test('a message without its last line end is returned as it is', async () => {
  const place = bench();
  const { queueId } = place.message('Subject: x\n\nhello', { lastLineEnd: false });
  const { append, flush } = await bind(place);
  await append(entry(queueId, recipient(), unknownUser));
  await flush(about(queueId));
  assert.ok(place.posted[0]!.content.endsWith(`\nhello\n--${queueId}.${now}/host.example.org--\n`));
});

test('without the message there is still a report', async () => {
  const { content, status } = await reported(bench(), 'bounce', 'flush', { queueName: 'deferred' });
  assert.equal(status, 0);
  assert.match(content, /\n\t--- Undelivered message unavailable ---\n\n--[^\n]+--\n$/);
  assert.doesNotMatch(content, /X-Postfix-Sender|Arrival-Date|Return-Path/);
});

test('without a log there is still a report of failure, but none of a delay or delivery', async () => {
  const place = bench();
  const { queueId } = place.message();
  const { flush, warn, trace } = await bind(place);
  for (const ask of [warn, trace, flush]) assert.deepEqual(await ask(about(queueId)), { status: 0 });
  assert.deepEqual(place.posted.filter(kept).map(({ content }) => content.includes('\t--- Delivery report unavailable ---')), [true]);
});

test('a threaded report refers to the message', async () => {
  const { content } = await reported(bench('enable_threaded_bounces = yes\n'), 'bounce', 'flush');
  assert.match(content, /^References: <m1@example\.com>\nIn-Reply-To: <m1@example\.com>$/m);
});

for (const [name, answers, want] of [
  ['cleanup is out of reach', ['down'], ['connect to public/cleanup: cleanup: Connection refused', 'ID: sender notification failed to sender@example.com']],
  ['cleanup refuses', [cleanupStatus.write], ['ID: sender non-delivery notification: CD1', 'ID: sender notification failed to sender@example.com: queue file write error']],
] as const) {
  test(`a report that fails leaves the log: ${name}`, async () => {
    const place = bench('notify_classes = bounce\n');
    place.answers.push(...answers);
    const { queueId } = place.message();
    const { append, flush } = await bind(place);
    await append(entry(queueId, recipient(), unknownUser));
    const before = place.log('bounce', queueId);
    assert.notEqual((await flush(about(queueId))).status, 0);
    assert.equal(place.log('bounce', queueId), before);
    assert.deepEqual(place.lines.map((line) => line.replace('warning: ', '').replace(queueId, 'ID')), want);
    assert.deepEqual(await flush(about(queueId)), { status: 0 });
    assert.equal(place.log('bounce', queueId), undefined);
  });
}

test('a copy that fails does not undo the report', async () => {
  const place = bench('notify_classes = bounce\n');
  place.answers.push(0, 'down');
  const { status, log, lines } = await reported(place, 'bounce', 'flush');
  assert.deepEqual([status, log], [0, undefined]);
  assert.match(lines.at(-1)!, /postmaster notice failed while bouncing to sender@example\.com$/);
});

test('who asks for it gets no log of a report that failed', async () => {
  const place = bench();
  place.answers.push('down');
  const { status, log } = await reported(place, 'bounce', 'flush', { flags: bounceFlag.clean });
  assert.notEqual(status, 0);
  assert.equal(log, undefined);
});

test('recipients are marked done when that is asked for', async () => {
  const place = bench();
  const { queueId, offsets } = place.message(undefined, { recipients: ['a@example.org', 'b@example.org'] });
  const { append, flush } = await bind(place);
  await append(entry(queueId, recipient({ address: 'a@example.org', offset: offsets[0]! }), unknownUser));
  await flush(about(queueId, { flags: bounceFlag.deleteRecipient }));
  const bytes = fs.readFileSync(`active/${queueId}`, 'latin1');
  assert.deepEqual(offsets.map((offset) => bytes[offset]), ['D', 'R']);
});

test('one report at once, without a log', async () => {
  const place = bench();
  const { queueId } = place.message();
  const { one } = await bind(place);
  const request = { ...about(queueId), relay: 'none', recipient: recipient(), dsn: unknownUser };
  assert.deepEqual(await one(request), { status: 0 });
  assert.deepEqual(await one({ ...request, recipient: recipient({ dsnNotify: dsnNotify.never }) }), { status: 0 });
  assert.deepEqual(place.posted.map(({ state }) => state), ['kept']);
});

test('VERP: a report per recipient, to an address that names it', async () => {
  const place = bench();
  const { queueId } = place.message();
  const { append, verp } = await bind(place);
  await append(entry(queueId, recipient({ address: 'a@example.org' }), unknownUser));
  await append(entry(queueId, recipient({ address: 'b@example.org', originalAddress: 'c@example.net' }), unknownUser));
  assert.deepEqual(await verp({ ...about(queueId), verpDelimiters: '+=' }), { status: 0 });
  assert.deepEqual(place.posted.map(({ records }) => records[4]), ['Rsender+a=example.org@example.com', 'Rsender+c=example.net@example.com']);
  assert.equal(place.log('bounce', queueId), undefined);
});

test('VERP stops at the first report that cannot be sent', async () => {
  const place = bench();
  place.answers.push(0, 'down');
  const { queueId } = place.message();
  const { append, verp } = await bind(place);
  for (const address of ['a@example.org', 'b@example.org', 'c@example.org']) await append(entry(queueId, recipient({ address }), unknownUser));
  assert.notEqual((await verp({ ...about(queueId), verpDelimiters: '+=' })).status, 0);
  assert.equal(place.posted.length, 1);
  assert.notEqual(place.log('bounce', queueId), undefined);
});

test('entries and reports about one message keep the order they were asked for in', async () => {
  const place = bench();
  const { queueId } = place.message();
  const { append, flush } = await bind(place);
  const address = (n: number): string => `r${n}@example.org`;
  const asked = [0, 1, 2].map((n) => append(entry(queueId, recipient({ address: address(n) }), unknownUser)));
  const first = flush(about(queueId));
  asked.push(append(entry(queueId, recipient({ address: address(3) }), unknownUser)));
  const second = flush(about(queueId));
  for (const { status } of await Promise.all([...asked, first, second])) assert.equal(status, 0);
  const finals = place.posted.map(({ content }) => [...content.matchAll(/^Final-Recipient: rfc822; (.*)$/gm)].map((match) => match[1]));
  assert.deepEqual(finals, [[0, 1, 2].map(address), [address(3)]]);
});

test('many recipients are all reported', async () => {
  const place = bench();
  const { queueId } = place.message();
  const { append, flush } = await bind(place);
  const count = 2000;
  await Promise.all(Array.from({ length: count }, (_, n) => append(entry(queueId, recipient({ address: `r${n}@example.org` }), unknownUser))));
  assert.equal((await flush(about(queueId))).status, 0);
  assert.equal(place.posted[0]!.content.split('Final-Recipient: ').length - 1, count);
});

test('a log that cannot be written is a refusal', async () => {
  const place = bench();
  const { queueId } = place.message();
  fs.mkdirSync(`bounce/${queueId}`);
  const { append } = await bind(place);
  assert.notEqual((await append(entry(queueId, recipient(), unknownUser))).status, 0);
  assert.match(place.lines[0]!, /open file bounce AB\w+: EISDIR/);
});

test('a log that cannot be read is kept, and no report sent', async () => {
  const place = bench();
  const { queueId } = place.message();
  fs.mkdirSync(`bounce/${queueId}`);
  const { flush } = await bind(place);
  assert.notEqual((await flush(about(queueId))).status, 0);
  assert.deepEqual([place.posted.filter(kept).length, fs.existsSync(`bounce/${queueId}`)], [0, true]);
});

test('directories of a hashed log are made', async () => {
  const place = bench('hash_queue_names = deferred, bounce\nhash_queue_depth = 2\n');
  const { append } = await bind(place);
  assert.equal((await append(entry('ABC1', recipient(), unknownUser))).status, 0);
  assert.ok(fs.existsSync('bounce/A/B/ABC1'));
  assert.equal(fs.statSync('bounce/A/B/ABC1').mode & 0o777, 0o600);
});

for (const [name, changes, want] of [
  ['a queue id that leads elsewhere', { queueId: '../active/AB1' }, 'malformed queue id: ../active/AB1'],
  ['a queue that leads elsewhere', { queueName: '../etc' }, 'malformed queue name: ../etc'],
] as const) {
  test(`refused: ${name}`, async () => {
    const place = bench();
    const { flush } = await bind(place);
    assert.notEqual((await flush({ ...about('AB1'), flags: bounceFlag.clean, ...changes })).status, 0);
    assert.deepEqual([place.posted.length, place.lines], [0, [`warning: ${want}`]]);
  });
}

test('reports in the words of bounce_template_file', async () => {
  const file = `${fs.mkdtempSync(`${os.tmpdir()}/bounce-templates-`)}/bounce.cf`;
  after(() => fs.rmSync(path.dirname(file), { recursive: true }));
  fs.writeFileSync(file, 'failure_template = <<END\nCharset: utf-8\nSubject: Not delivered\n\nThis is $mail_name at $myhostname: gr\xfc\xdfe.\nEND\n', 'latin1');
  const place = bench(`bounce_template_file = ${file}\nmail_name = Post\n`);
  const { queueId } = place.message('Subject: test\n\nhello\n');
  const { append, flush } = await bind(place);
  await append(entry(queueId, recipient(), unknownUser));
  assert.equal((await flush(about(queueId))).status, 0);
  const { content } = place.posted[0]!;
  assert.match(content, /^Subject: Not delivered$/m);
  assert.match(content, /\nContent-Type: text\/plain; charset=utf-8\n[^]*\n\nThis is Post at host\.example\.org: gr\xfc\xdfe\.\n\n<joe@/);
});
