/** Limits of clients in bad times: `stress` in lists and limits, and a mail system whose anvil(8) is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmtpClient } from '../faults/smtp-client.ts';
import { freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

test('lists and limits of clients know of stress', async (context) => {
  const port = await freePort();
  const system = await Instance.create({
    mainCf: `mydestination = box.test
local_recipient_maps =
mynetworks =
smtpd_peername_lookup = no
smtpd_hard_error_limit = 20
smtpd_client_count_timeout = 100s
smtpd_recipient_restrictions = \${stress?{reject}:{permit}}
smtpd_client_message_rate_limit = \${stress?{1}:{100}}
`,
    masterCf: `127.0.0.1:${port} inet n - n - 2 smtpd\n${masterRows('anvil rewrite cleanup')}\n`,
  });
  context.after(() => system.stop());
  await system.start();
  const calm = await SmtpClient.meet(port);
  const busy = await SmtpClient.meet(port);
  const codes = async (client: SmtpClient): Promise<number[]> => {
    const found: number[] = [];
    for (const command of ['MAIL FROM:<>', 'RCPT TO:<joe@box.test>', 'RSET', 'MAIL FROM:<>']) found.push((await client.command(command)).code);
    return found;
  };
  assert.deepEqual(await codes(calm), [250, 250, 250, 250]);
  assert.deepEqual(await codes(busy), [450, 503, 250, 450]);
  await calm.quit();
  await busy.quit();
});

test('without anvil clients are served all the same, and it is said once', async (context) => {
  const port = await freePort();
  const system = await Instance.create({
    mainCf: 'smtpd_peername_lookup = no\nsmtpd_client_event_limit_exceptions =\nsmtpd_client_count_timeout = 1s\nsmtpd_client_message_rate_limit = 1\n',
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('rewrite cleanup')}\n`,
  });
  context.after(() => system.stop());
  await system.start();
  for (let turn = 0; turn < 3; turn++) {
    const client = await SmtpClient.meet(port);
    assert.equal((await client.command('MAIL FROM:<>')).code, 250);
    await client.quit();
  }
  assert.equal(system.lines(/anvil: no answer for 1 s -- client limits are not enforced/).length, 1);
});
