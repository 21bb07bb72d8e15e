/**
 * Mail that would go round or multiply for ever, and strangers who try names: each comes to an end, with one report at most and none
 * to people who sent nothing.
 */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

let instance: Instance;
let [port, stranger] = [0, 0];

before(async () => {
  [port, stranger] = [await freePort(), await freePort()];
  instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${stranger} inet n - n - - smtpd
  -o mynetworks=192.0.2.0/24
${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry local virtual anvil')}
` });
  const { directory } = instance;
  const { uid, gid } = instanceAccounts();
  mkdirSync(`${directory}/mail`);
  chownSync(`${directory}/mail`, uid, gid);
  writeFileSync(`${directory}/etc/bomb`, [
    '/^b([01]*)@alias\\.test$/ b${1}0@alias.test, b${1}1@alias.test',
    `/^wide@alias\\.test$/ ${Array.from({ length: 3000 }, (_, number) => `n${number}@here.test`).join(', ')}`,
    '/^self@alias\\.test$/ self@alias.test, ann@box.test', '/^one@alias\\.test$/ two@alias.test', '/^two@alias\\.test$/ one@alias.test', '',
  ].join('\n'));
  instance.mainCf(`mydestination = here.test
alias_maps = inline:{ { a = b } { b = a } { me = me@here.test } }
local_recipient_maps = $alias_maps
virtual_alias_domains = alias.test
virtual_alias_maps = regexp:${directory}/etc/bomb
virtual_mailbox_domains = box.test
virtual_mailbox_maps = inline:{ ann@box.test=ann/ }
virtual_mailbox_base = ${directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
transport_maps = inline:{ { round.test = smtp:[127.0.0.1]:${port} } }
mynetworks = 127.0.0.0/8
smtpd_error_sleep_time = 0
`);
  await instance.start();
});
after(() => instance?.stop());

async function send(sender: string, recipient: string, text = 'Subject: x\r\n\r\nx\r\n'): Promise<string> {
  const client = await SmtpClient.meet(port);
  try {
    for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA']) {
      const reply = await client.command(line);
      if (reply.code >= 400) return reply.text;
    }
    return (await client.content(Buffer.from(`${text}.\r\n`, 'latin1'))).text;
  } finally {
    await client.quit();
  }
}

const idOf = (reply: string): string => /queued as ([0-9A-Za-z]+)/.exec(reply)![1]!;
const reports = (): string[] => {
  try {
    return readdirSync(`${instance.directory}/mail/ann/new`).map((name) => readFileSync(`${instance.directory}/mail/ann/new/${name}`, 'latin1')).filter((text) => text.includes('Undelivered Mail'));
  } catch {
    return [];
  }
};
const removed = (queueId: string): Promise<unknown> => eventually(`${queueId} is done with`, () => instance.lines(new RegExp(`${queueId}: removed`)).length === 1);

test('an alias that doubles without end is refused for now, and so is one too wide', async () => {
  for (const name of ['b', 'wide']) assert.equal(await send('ann@box.test', `${name}@alias.test`), '451 4.6.0 Alias expansion error', name);
  assert.equal(instance.lines(/warning: [0-9A-F]+: unreasonable virtual_alias_maps .* -- message not accepted, try again later/).length, 2);
});

test('aliases that lead to themselves and to each other', async () => {
  const id = idOf(await send('ann@box.test', 'self@alias.test'));
  await removed(id);
  assert.equal(instance.lines(new RegExp(`${id}: to=<ann@box\\.test>.*status=sent`)).length, 1);
  assert.match(await send('ann@box.test', 'one@alias.test'), /^[245]/);
  for (const name of ['a', 'me']) await removed(idOf(await send('', `${name}@here.test`)));
});

test('a domain whose mail comes back to us', async () => {
  const before = reports().length;
  await removed(idOf(await send('ann@box.test', 'x@round.test')));
  // Behind a port of its own it is not known for us, so it goes round until it has been seen too often.
  await eventually('one report', () => reports().length === before + 1);
  assert.match(reports().find((text) => text.includes('round.test'))!, /Diagnostic-Code: smtp; 554 5\.4\.0 Error: too many hops/);
  assert.ok(instance.lines(/to=<x@round\.test>.*status=sent/).length <= 51);
});

test('a message that has been everywhere', async () => {
  assert.match(await send('ann@box.test', 'ann@box.test', `${'Received: from a by b; Sat, 21 Nov 2026 00:00:00 +0000\r\n'.repeat(51)}\r\nx\r\n`), /^554 5\.4\.0 Error: too many hops/);
});

test('what fails on its way to nobody in particular is reported to nobody', async () => {
  const before = instance.lines(/sender non-delivery notification/).length;
  await removed(idOf(await send('', 'x@round.test')));
  assert.equal(instance.lines(/sender non-delivery notification/).length, before);
  // Nobody is told later what can be said now.
  for (const recipient of ['nobody@here.test', 'nobody@box.test', 'nobody@alias.test']) assert.match(await send('victim@far.test', recipient), /^550 5\.1\.1 /);
});

test('a stranger who tries two hundred names has twenty', async () => {
  const client = await SmtpClient.meet(stranger);
  await client.command('MAIL FROM:<>');
  const codes: number[] = [];
  for (let number = 0; number < 200; number++) {
    const reply = await client.command(`RCPT TO:<name${number}@here.test>`).catch(() => undefined);
    if (reply === undefined) break;
    codes.push(reply.code);
  }
  assert.deepEqual(codes, [...Array<number>(20).fill(550), 421].slice(-codes.length));
  assert.ok(codes.length <= 21 && codes.length >= 20, `${codes.length} answers`);
  client.drop();
});

test('a thousand recipients, and no more', async () => {
  const client = await SmtpClient.meet(port);
  await client.command('MAIL FROM:<>');
  const codes = new Map<number, number>();
  for (let number = 0; number < 1100; number++) {
    const { code } = await client.command('RCPT TO:<ann@box.test>');
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  assert.deepEqual([...codes], [[250, 1000], [452, 100]]);
  client.drop();
});

test('literals: our own is here, a zone is nowhere', async () => {
  const client = await SmtpClient.meet(stranger);
  await client.command('MAIL FROM:<>');
  for (const [recipient, want] of [
    ['a@[127.0.0.1]', /^250 /], ['a@[IPv6:::ffff:127.0.0.1]', /^(?:250|454|554|501) /], ['a@[IPv6:fe80::1%lo]', /^(?:501 5\.1\.3|454 4\.7\.1) /], ['a@[IPv6:1::2::3]', /^501 5\.1\.3 /], ['a@[192.0.2.9]', /^454 4\.7\.1 /],
  ] as const) assert.match((await client.command(`RCPT TO:<${recipient}>`)).text, want, recipient);
  client.drop();
});
