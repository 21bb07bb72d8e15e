/**
 * Patterns that explode, on a running mail system: whoever makes one do so is refused for now, the log says which rule it was, and
 * others are served as if nothing had been. Keys that would like to be more than data find nothing.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { hasPcre2 } from '../../src/host/pcre2.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';

let instance: Instance;
let port = 0;

const rows = 'cleanup unix n - n - 0 cleanup\nrewrite unix - - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\n';

before(async () => {
  port = await freePort();
  instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}` });
  const { directory } = instance;
  writeFileSync(`${directory}/etc/senders.pcre`, '/^fine@/ OK\n/^(b+)@/ 550 not $1\n/^(a+)+$/ REJECT\n');
  writeFileSync(`${directory}/etc/senders.regexp`, '/^(c+)+\\1d/ REJECT\n');
  writeFileSync(`${directory}/etc/known`, 'ann@example.test x\n');
  instance.mainCf(`mydestination = example.test
local_recipient_maps = texthash:${directory}/etc/known
smtpd_sender_restrictions = check_sender_access pcre:${directory}/etc/senders.pcre, check_sender_access regexp:${directory}/etc/senders.regexp
smtpd_delay_reject = no
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
`);
  await instance.start();
});

after(() => instance?.stop());

const skip = hasPcre2() ? false : 'libpcre2 is not installed';

test('a pattern that explodes refuses for now, and others notice nothing', { skip }, async () => {
  const [one, other] = [await SmtpClient.meet(port), await SmtpClient.meet(port)];
  for (const [sender, table, line] of [[`${'a'.repeat(60)}@example.test`, 'pcre', 3], [`${'c'.repeat(60)}xd@example.test`, 'regexp', 1]] as const) {
    const [slow, fast] = await Promise.all([one.command(`MAIL FROM:<${sender}>`), other.command('MAIL FROM:<fine@example.test>')]);
    assert.deepEqual([slow.text, fast.code], [`451 4.3.5 <${sender}>: Sender address rejected: Server configuration error`, 250]);
    const told = new RegExp(`${table} map .*senders\\.${table}, line ${line}: match limit exceeded`);
    await eventually('the log names the rule', () => instance.lines(told).length === 1);
    await Promise.all([one.command('RSET'), other.command('RSET')]);
  }
  assert.equal((await other.command('MAIL FROM:<bbb@example.test>')).text, '550 5.7.1 <bbb@example.test>: Sender address rejected: not bbb');
});

test('keys are data', async () => {
  const client = await SmtpClient.meet(port);
  assert.equal((await client.command('MAIL FROM:<fine@example.test>')).code, 250);
  for (const user of ['$1', '__proto__', "ann' or 'a' = 'a", '*)(uid=*', '.*', '{ann}']) {
    const reply = await client.command(`RCPT TO:<"${user}"@example.test>`);
    assert.equal(reply.code, 550, `${user}: ${reply.text}`);
  }
  assert.equal((await client.command('RCPT TO:<ann@example.test>')).code, 250);
});
