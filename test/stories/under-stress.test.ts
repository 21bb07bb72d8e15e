/** `stress` in main.cf: a service that reached its limit of clients serves those that come then with the settings for bad times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmtpClient } from '../faults/smtp-client.ts';
import { freePort, Instance } from '../instance.ts';

test('who comes at the limit has less patience spent on him', async (context) => {
  const port = await freePort();
  const system = await Instance.create({
    mainCf: 'smtpd_hard_error_limit = ${stress?1}${stress:5}\nsmtpd_error_sleep_time = 0\n',
    masterCf: `127.0.0.1:${port} inet n - n - 2 smtpd\n   -o { smtpd_banner = $myhostname \${stress?{busy}:{calm}} }\nanvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\n`,
  });
  context.after(() => system.stop());
  await system.start();
  const calm = await SmtpClient.meet(port);
  const busy = await SmtpClient.meet(port);
  assert.deepEqual([(await calm.command('FOO')).code, (await calm.command('FOO')).code], [500, 500]);
  assert.deepEqual([(await busy.command('FOO')).code, (await busy.command('FOO')).code], [500, 421]);
  await calm.quit();
  assert.equal(system.lines(/has reached its process limit "2": new clients may experience noticeable delays/).length, 1);
  assert.equal(system.lines(/too many errors after UNKNOWN from|too many errors after FOO from/).length, 1);
});
