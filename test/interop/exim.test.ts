/**
 * Exim, from Debian's package, unpacked: mail both ways, in all the forms that both know. Skipped where we are not root or the package cannot be had.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { Exim, noExim } from '../exim.ts';
import { eventually, freePort } from '../instance.ts';
import { makePair, noOpenssl } from '../tls-scene.ts';
import { arrivedThere, bodyOf, difficultBody, hand, Home, letter, tellTales } from './mail-peers.ts';

const impossible = noExim || noOpenssl;
const place = mkdtempSync(`${tmpdir()}/exim-pair-`);
chmodSync(place, 0o755);

let exim: Exim;
let home: Home;

before(async () => {
  if (impossible) return;
  const pair = makePair(place, 'peer.test', 'ec');
  const port = await freePort();
  exim = await Exim.start({
    nextPort: port, pair, people: ['joe', 'sue', 'careful', 'busy', 'j\xc3\xb6rg'],
    rcpt: `  warn senders = queued@*
    control = queue
  deny local_parts = nobody
    domains = exim.test : *.exim.test
    message = we know nobody of this name
  defer local_parts = busy
    condition = \${if exists{${place}/busy}}
    message = 4.2.1 come back later
  deny local_parts = careful
    ! verify = sender/callout=5s`,
    content: '  deny condition = ${if match{$h_subject:}{spam}}\n    message = 5.7.1 this is spam',
    transport: `  hosts_avoid_tls = \${if inlist{$domain}{clear.test:data.test}{*}{}}
  hosts_require_tls = \${if eq{$domain}{tls.test}{*}{}}
  hosts_try_chunking = \${if eq{$domain}{data.test}{}{*}}
  hosts_avoid_pipelining = \${if eq{$domain}{data.test}{*}{}}`,
  });
  home = await Home.create(port, exim.port, 'exim.test', pair);
  await home.house.start();
});

after(async () => {
  if (!impossible) {
    await home?.house.stop();
    await exim?.stop();
  }
  rmSync(place, { recursive: true, force: true });
});

tellTales(() => ({ peer: exim, home }), {
  skip: impossible, domain: 'exim.test', kept: ['joe@kept.exim.test', 'joe@reused.exim.test'], tryAgain: () => void exim.run('-qff'), refusal: /host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550 we know nobody of this name \(in reply to RCPT TO command\)/,
  received: {
    'home.test': /^Received: from exim\.test \(unknown \[127\.0\.0\.1\]\)\n\tby host\.example\.test \(Postfix\) with ESMTPS id /m,
    'clear.test': /^Received: from exim\.test \(unknown \[127\.0\.0\.1\]\)\n\tby host\.example\.test \(Postfix\) with ESMTP id /m,
    'tls.test': /\) with ESMTPS id /, 'data.test': /\) with ESMTP id /,
  },
});

const skip = impossible;

test('in pieces (BDAT) and in a row (pipelining), or with DATA and one at a time', { skip }, async () => {
  const line = (domain: string): string => exim.lines(new RegExp(`[=-]> ann@${domain} .*C="250 2\\.0\\.0 Ok: (?:[0-9]+ bytes )?queued as `))[0]!;
  assert.match(line('home.test'), / X=TLS1\.3:\S+ CV=no L K /);
  assert.match(line('clear.test'), / L K C=/);
  assert.ok(!/ X=| L | K /.test(line('data.test')), line('data.test'));
  const ends = home.house.lines(/disconnect from unknown\[127\.0\.0\.1\] ehlo=1 mail=1 rcpt=2/);
  for (const content of ['bdat=1', 'data=1']) assert.ok(ends.some((each) => each.includes(content)), `${content}: ${ends.join('\n')}`);
});

test('several messages over one connection, to us', { skip }, async () => {
  const subjects = ['first', 'second', 'third'];
  for (const subject of subjects) await hand(exim.port, { sender: 'queued@exim.test', recipients: ['bob@clear.test'], text: letter(subject), mail: ' BODY=8BITMIME' });
  exim.run('-qq');
  for (const subject of subjects) assert.equal(bodyOf(await home.arrived('bob', subject)), difficultBody);
  await eventually('they came by one connection', () => home.house.lines(/disconnect from .* ehlo=\d+ mail=3 rcpt=3 bdat=3 /).length === 1);
});

for (const [domain, protocol] of [['plain.exim.test', 'esmtp'], ['encrypted.exim.test', 'esmtps']] as const) test(`from us to ${domain}: ${protocol}`, { skip }, async () => {
  const queueId = await home.give({ sender: 'ann@home.test', recipients: [`joe@${domain}`], text: letter(domain), mail: ' BODY=8BITMIME' });
  assert.deepEqual(await home.settled(queueId, 1), [`joe@${domain} 2.0.0 sent`]);
  const message = await arrivedThere(exim, 'joe', domain);
  assert.match(message, new RegExp(`^\tby exim\\.test with ${protocol} `, 'm'));
  assert.equal(bodyOf(message), difficultBody);
});

test('addresses beyond ASCII (SMTPUTF8), both ways', { skip }, async () => {
  const [mail, body] = [' SMTPUTF8 BODY=8BITMIME', 'Gr\xc3\xbc\xc3\x9fe\n'];
  const queueId = await home.give({ sender: 'j\xc3\xb6rg@home.test', recipients: ['j\xc3\xb6rg@exim.test'], text: letter('utf8-\xc3\xa4', body), mail });
  assert.equal((await home.settled(queueId, 1))[0]!.replace(/^\S+ /, ''), '2.0.0 sent');
  const message = await arrivedThere(exim, 'j\xc3\xb6rg', 'utf8-\xc3\xa4');
  assert.match(message, /^\tby exim\.test with utf8esmtps /m);
  assert.equal(bodyOf(message), body);
  await hand(exim.port, { sender: 'j\xc3\xb6rg@exim.test', recipients: ['j\xc3\xb6rg@home.test'], text: letter('back-\xc3\xa4', body), mail });
  const back = await home.arrived('j\xc3\xb6rg', 'back-\xc3\xa4');
  assert.match(back, /\) with UTF8SMTPS id /);
  assert.match(back, /^Return-Path: <j\xc3\xb6rg@exim\.test>\n/);
});

test('a recipient that is refused for now waits with us', { skip }, async () => {
  writeFileSync(`${place}/busy`, '');
  const queueId = await home.give({ sender: 'ann@home.test', recipients: ['joe@exim.test', 'busy@exim.test'], text: letter('for-busy'), mail: ' BODY=8BITMIME' });
  assert.deepEqual([...new Set(await home.settled(queueId, 2))], ['busy@exim.test 4.2.1 deferred', 'joe@exim.test 2.0.0 sent']);
  rmSync(`${place}/busy`);
  await arrivedThere(exim, 'busy', 'for-busy');
  await arrivedThere(exim, 'joe', 'for-busy');
});

test('refused after the dot: the sender gets it back', { skip }, async () => {
  const queueId = await home.give({ sender: 'ann@home.test', recipients: ['joe@exim.test', 'sue@exim.test'], text: letter('spam'), mail: ' BODY=8BITMIME' });
  assert.deepEqual(await home.settled(queueId, 2), ['joe@exim.test 5.7.1 bounced', 'sue@exim.test 5.7.1 bounced']);
  await home.said('ann', 'Diagnostic-Code: smtp; 550 5.7.1 this is spam', 'Subject: spam');
});

test('what Exim took and cannot deliver comes back to our sender', { skip }, async () => {
  const queueId = await home.give({ sender: 'ann@home.test', recipients: ['late@exim.test'], text: letter('failed-there'), mail: ' BODY=8BITMIME' });
  assert.deepEqual(await home.settled(queueId, 1), ['late@exim.test 2.0.0 sent']);
  const report = await home.said('ann', 'X-Failed-Recipients: late@exim.test', 'nobody has this name');
  assert.match(report, /^Return-Path: <>\n/);
});

test('a notice of success is passed on, and Exim sends it', { skip }, async () => {
  const queueId = await home.give({ sender: 'ann@home.test', recipients: ['joe@exim.test'], text: letter('notify-me'), mail: ' BODY=8BITMIME RET=HDRS ENVID=QQ1', rcpt: ' NOTIFY=SUCCESS ORCPT=rfc822;joe@exim.test' });
  assert.deepEqual(await home.settled(queueId, 1), ['joe@exim.test 2.0.0 sent']);
  const report = await home.said('ann', 'Action: delivered', 'Original-Envelope-ID: QQ1');
  assert.match(report, /^Final-Recipient: ?rfc822;joe@exim\.test$/m);
  assert.ok(!report.includes('Successful Mail Delivery Report'), 'ours is not sent as well');
});

test('Exim asks us whether the sender exists', { skip }, async () => {
  const ask = async (sender: string): Promise<string[]> => home.settled(await home.give({ sender, recipients: ['careful@exim.test'], text: letter(`from-${sender}`), mail: ' BODY=8BITMIME' }), 1);
  assert.deepEqual(await ask('ann@home.test'), ['careful@exim.test 2.0.0 sent']);
  assert.match((await ask('nobody@home.test'))[0]!, /^careful@exim\.test 5\.\d\.\d bounced$/);
  assert.match(home.house.lines(/to=<careful@.*status=bounced/)[0]!, /Sender verify failed/);
  assert.ok(home.house.lines(/NOQUEUE: reject: RCPT from .*: 550 5\.1\.1 <nobody@home\.test>: .*; from=<> to=<nobody@home\.test>/).length > 0);
});

test('nothing of this was trouble', { skip }, () => {
  assert.deepEqual(home.house.lines(/(panic|fatal|error): /), []);
  assert.ok(!existsSync(`${exim.directory}/log/paniclog`), exim.log());
});
