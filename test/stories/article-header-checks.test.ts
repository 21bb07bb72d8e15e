/**
 * The two header rules of an article of 2001 and its rule for pcre, as they are printed: what they should refuse is refused, by reply to those who
 * wait for one and by report to local senders, and the rest passes. A table that cannot be read lets nothing by.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

const headerRules = '/^Subject: Make money fast/\t\tREJECT\n/^X-Mailer: Microsoft Outlook Express/\tREJECT\n';
const senderRules = '/^friend@(?!my.domain).*$/ 550 Stick this in your pipe $0\n';

async function open(t: TestContext) {
  const port = await freePort();
  const messages: string[] = [];
  const sink = await openSink((text) => void messages.push(text));
  t.after(() => sink.close());
  const instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp relay error retry anvil')}\n`,
  });
  t.after(() => instance.stop());
  const etc = `${instance.directory}/etc`;
  writeFileSync(`${etc}/header-checks`, headerRules);
  writeFileSync(`${etc}/senders`, senderRules);
  instance.mainCf(`mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:${sink.port}
header_checks = regexp:${etc}/header-checks
smtpd_sender_restrictions = check_sender_access pcre:${etc}/senders
smtp_tls_security_level = none
`);
  await instance.start();
  const send = (text: string, sender = 'ann@home.test'): Promise<string> => submit({ port, sender, recipients: ['joe@sink.test'], text }).catch((error: Error) => error.message);
  return { instance, etc, messages, send };
}

test('the header rules and the pcre rule of an article', { timeout: 90_000 }, async (t) => {
  const { instance, etc, messages, send } = await open(t);

  for (const [name, text, want] of [
    ['the first rule', 'Subject: Make money fast and easy\n\nx\n', /^550 5\.7\.1 message content rejected$/],
    ['the first rule in other letters', 'Subject: MAKE MONEY FAST\n\nx\n', /^550 5\.7\.1/],
    ['the second rule', 'Subject: x\nX-Mailer: Microsoft Outlook Express 6.00\n\nx\n', /^550 5\.7\.1/],
    ['in an attached message', 'Subject: fwd\nContent-Type: message/rfc822\n\nSubject: Make money fast\n\nx\n', /^550 5\.7\.1/],
    ['another subject', 'Subject: How to make money fast\n\nx\n', /^[0-9A-Za-z]+$/],
    ['in the text', 'Subject: x\n\nSubject: Make money fast\n', /^[0-9A-Za-z]+$/],
    ['another program', 'X-Mailer: mutt\n\nx\n', /^[0-9A-Za-z]+$/],
  ] as const) await t.test(name, async () => assert.match(await send(text), want));

  await t.test('the log names who it was', () => {
    const [line] = instance.lines(/reject: header/);
    assert.match(line!, /postfix\/cleanup\[[0-9]+\]: [0-9A-F]+: reject: header Subject: Make money fast and easy from \S*\[127\.0\.0\.1\]; from=<ann@home\.test> to=<joe@sink\.test> proto=ESMTP helo=<client\.example\.test>: 5\.7\.1 message content rejected$/);
  });

  await t.test('the pcre rule', async () => {
    assert.match(await send('Subject: x\n\nx\n', 'friend@public.test'), /550 5\.7\.1 <friend@public\.test>: Sender address rejected: Stick this in your pipe friend@public\.test/);
    assert.match(await send('Subject: x\n\nx\n', 'friend@my.domain'), /^[0-9A-Za-z]+$/);
  });

  await t.test('local mail is reported back, with the reason', async () => {
    const { status } = spawnSync(process.execPath, [runner, 'sendmail', '-C', etc, '-f', 'bob@home.test', 'joe@sink.test'], { input: 'Subject: Make money fast\n\nx\n' });
    assert.equal(status, 0);
    await eventually('it is refused', () => instance.lines(/reject: header Subject: Make money fast from local; from=<bob@home\.test> to=<joe@sink\.test>: 5\.7\.1/)[0]);
    const report = await eventually('the report comes', () => messages.find((message) => message.includes('Undelivered Mail Returned to Sender')));
    assert.match(report, /<joe@sink\.test>: message content rejected/);
    assert.match(report, /^Status: 5\.7\.1\r?$/m);
  });

  await t.test('without the table nothing is taken', async () => {
    rmSync(`${etc}/header-checks`);
    instance.signal('SIGHUP');
    await eventually('it was told', () => instance.lines(/reload/)[0]);
    await eventually('mail is refused for now', async () => /^451 4\.3\.0 Error: queue file write error/.test(await send('Subject: harmless\n\nx\n')));
  });
});
