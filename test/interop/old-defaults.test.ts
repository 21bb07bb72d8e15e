/** At compatibility level 0 our programs say what Debian's say of each default that has changed since, in the same words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const mainCf = `compatibility_level = 0
myhostname = host.example.test
mydestination = host.example.test
mynetworks = 192.0.2.1
local_recipient_maps =
smtpd_recipient_restrictions = check_recipient_access inline:{elsewhere.test=ok}, reject_unauth_destination
smtpd_peername_lookup = no
`;

const rows = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('rewrite cleanup qmgr anvil bounce defer trace retry error local relay smtp')}
`;

const commands = [
  'EHLO client.example.test', 'MAIL FROM:<joe@one>', 'RCPT TO:<ann@sub.host.example.test>', 'RCPT TO:<ann@elsewhere.test>', 'RCPT TO:<ann@reject.test>',
  'RSET', 'MAIL FROM:<j\xf6e@one.test>', 'RCPT TO:<\xe4nn@host.example.test>',
];

const said = /using backwards-compatible default setting .*/;

/** What the log says after this conversation, each line once. */
async function hear(system: Instance | DebianPostfix, port: number): Promise<string[]> {
  const client = await SmtpClient.meet(port);
  const codes: number[] = [];
  for (const command of commands) codes.push((await client.command(command)).code);
  assert.deepEqual(codes, [250, 250, 250, 250, 554, 250, 250, 250]);
  await client.quit();
  await eventually('the session is over', () => system.lines(/disconnect from/).length > 0);
  return [...new Set(system.lines(said).map((line) => said.exec(line)![0].replaceAll('unknown[127.0.0.1]', 'CLIENT')))].sort();
}

const expected = [
  'using backwards-compatible default setting "smtpd_relay_restrictions = (empty)" to avoid "Relay access denied" error for recipient "ann@elsewhere.test" from client "CLIENT"',
  'using backwards-compatible default setting append_dot_mydomain=yes to rewrite "one" to "one.example.test"',
  'using backwards-compatible default setting relay_domains=$mydestination to accept mail for address "ann@sub.host.example.test"',
  'using backwards-compatible default setting relay_domains=$mydestination to accept mail for domain "sub.host.example.test"',
  'using backwards-compatible default setting smtpd_relay_before_recipient_restrictions=no to reject recipient "ann@reject.test" from client "CLIENT"',
  'using backwards-compatible default setting smtputf8_enable=no to accept non-ASCII recipient address "?nn@host.example.test" from CLIENT',
  'using backwards-compatible default setting smtputf8_enable=no to accept non-ASCII sender address "j?e@one.test" from CLIENT',
];

test('ours', async (context) => {
  const port = await freePort();
  const system = await Instance.create({ mainCf, masterCf: rows(port) });
  context.after(() => system.stop());
  await system.start();
  assert.deepEqual(await hear(system, port), expected);
});

test("Debian's", { skip: noDebianPostfix() }, async (context) => {
  const port = await freePort();
  const system = await DebianPostfix.create({ mainCf, masterCf: rows(port) });
  context.after(() => system.stop());
  await system.start();
  assert.deepEqual(await hear(system, port), expected);
});
