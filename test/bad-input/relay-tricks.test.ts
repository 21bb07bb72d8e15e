/**
 * The ways in which servers were talked into relaying for strangers since 1999: routes, percent and bang, quotes, literals, dots, blanks,
 * upper case, senders that are ours, and mixtures of them. What is refused is refused; what is taken is for a mailbox here, and
 * the server at the other end of the relay hears of none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSink } from '../faults/sink.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const [away, here, host] = ['elsewhere.test', 'here.test', 'mx.here.test'];

const tricks: readonly string[] = [
  // Plain, and with a host in front or behind.
  ...[`u@${away}`, `u@${away}.`, `u@${away.toUpperCase()}`, `u@.${away}`, `u@${away}@${here}`, `u@${here}@${away}`, `@${here}:u@${away}`, `@${host}:u@${away}`, `@${here},@${host}:u@${away}`, `@${away}:u@${away}`],
  ...[`u%${away}`, `u%${away}@${here}`, `u%${away}@${host}`, `u%${away}@`, `u%${away}%${here}@${here}`, `u%${here}%${away}@${here}`, `u%${away}@[127.0.0.1]`, `@${here}:u%${away}@${here}`],
  ...[`${away}!u`, `${away}!u@${here}`, `${here}!${away}!u`, `${here}!u@${away}`, `${away}!u%${here}`, `u%${away}!${here}`, `${away}!u@[127.0.0.1]`, `@${here}:${away}!u`],
  // Quotes.
  ...[`"u@${away}"`, `"u@${away}"@${here}`, `"u%${away}"`, `"u%${away}"@${here}`, `"${away}!u"@${here}`, `"u"@${away}`, `"u@${away}"@[127.0.0.1]`, `u"@"${away}`, `"u\\@${away}"@${here}`, `"@${here}:u@${away}"`],
  ...[`u\\@${away}@${here}`, `u\\%${away}@${here}`, `""u@${away}`, `u@"${away}"`, `"u@${away}`, `u@${away}"`, `'u@${away}'@${here}`, `'u@${away}'`],
  // Comments, brackets, blanks.
  ...[`u@${away}(@${here})`, `u(@${here})@${away}`, `(u@${here})u@${away}`, `u@(${here})${away}`, `<u@${away}>`, `<u@${here}>u@${away}`, `u@${away} `, ` u@${away}`, `u @${away}`, `u@ ${away}`, `u@${away}\t`, `u@${here} u@${away}`, `u@${here},u@${away}`, `u@${here};u@${away}`],
  // Literals.
  ...['u@[192.0.2.9]', 'u@192.0.2.9', 'u@[192.0.2.9', 'u@192.0.2.9]', `u%${away}@[192.0.2.9]`, 'u@[IPv6:2001:db8::1]', 'u@[IPv6:fe80::1%lo]', 'u@[3221225993]', 'u@[0xc0.0.2.9]', 'u@[]', 'u@[x]', `u@[${away}]`, 'u@#3221225993'],
  // Bytes that some take for others.
  ...[`u\xef\xbc\xa0${away}`, `u\0@${away}`, `u@${away}\0@${here}`, `u@${away}\0.${here}`, `u\x7f@${away}`, `u@${here}\xe3\x80\x82${away}`, `u@${away}\xc2\xa0`, `\xe4@${away}`, `u@xn--${away}`],
  // Domains that look like ours.
  ...[`u@x${here}`, `u@${here}.${away}`, `u@${away}.${here}x`, `u@${here}/../${away}`, `u@*.${here}`, `u@%`, 'u@', '@', '@:', `:u@${away}`, `@:u@${away}`, `@@${here}:u@${away}`, `u@@${away}`, `@${here}u@${away}`, `@${here}:@${away}`],
  // Not addresses at all.
  ...[`|u@${away}`, `/u@${away}`, `:include:/u@${away}`, `\${u}@${away}`, `-u@${away}`, `u+@${away}`, `smtp:[${away}]`, `u@smtp:[${away}]`, `u/transport=smtp/@${away}`],
];

/** By design for us: a name of ours with a strange local part, or no name at all. The same for Postfix. */
const senders = ['<>', `<u@${here}>`, '<root>', `<postmaster@${host}>`, `<u%${away}@${here}>`];

test(`${tricks.length} tricks of strangers, from ${senders.length} senders: nothing is relayed`, async (t) => {
  const relayed: string[] = [];
  const sink = await openSink((text) => relayed.push(text));
  const [port, trusted] = [await freePort(), await freePort()];
  const instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${trusted} inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8
${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard anvil')}
`,
    mainCf: `myhostname = ${host}
mydestination = ${here}, ${host}, localhost
mynetworks = 192.0.2.0/24
relayhost = [127.0.0.1]:${sink.port}
alias_maps =
local_recipient_maps =
local_transport = discard:
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 100000
smtpd_junk_command_limit = 100000
`,
  });
  t.after(async () => {
    await instance.stop();
    await sink.close();
  });
  await instance.start();
  const client = await SmtpClient.meet(port);
  const taken: string[] = [];
  for (const sender of senders) {
    for (const trick of tricks) {
      assert.match((await client.command('RSET')).text, /^250 /);
      await client.command(`MAIL FROM:${sender}`);
      const { code, text } = await client.command(`RCPT TO:<${trick}>`);
      assert.ok(code === 250 || (code >= 450 && code < 560), `${trick}: ${text}`);
      if (code !== 250) continue;
      taken.push(trick);
      assert.equal((await client.command('DATA')).code, 354);
      assert.match((await client.content(Buffer.from('Subject: trick\r\n\r\n.\r\n'))).text, /queued as/);
    }
  }
  await client.quit();
  t.diagnostic(`taken: ${[...new Set(taken)].join(' ')}`);
  // Whoever may relay can: the way is open, and the sink listens.
  const friend = await SmtpClient.meet(trusted);
  for (const line of [`MAIL FROM:<u@${here}>`, `RCPT TO:<u@${away}>`, 'DATA']) assert.ok((await friend.command(line)).code < 400);
  await friend.content(Buffer.from('Subject: honest\r\n\r\n.\r\n'));
  await friend.quit();
  await eventually('what was taken is delivered', () => instance.lines(/status=sent/).length === taken.length + 1);
  assert.deepEqual(relayed.map((text) => /^Subject: (.*?)\r?$/m.exec(text)?.[1]), ['honest']);
  assert.equal(instance.lines(/relay=none.*status=sent/).length, taken.length);
});
