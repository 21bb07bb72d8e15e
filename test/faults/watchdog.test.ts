/** The queue process stands still: the kernel ends it, master starts another, and mail goes on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import test from 'node:test';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

/** Has the signal come, while the process cannot hear it? */
function isPending(pid: number, signal: number): boolean {
  const [, mask = '0'] = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}

test('a queue process that stands still is ended, and another takes its place', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nqmgr unix n - n 300 1 qmgr -o qmgr_daemon_timeout=1\n${masterRows('cleanup rewrite bounce defer trace discard error retry anvil')}\n`,
    mainCf: 'default_transport = discard:gone\nmydestination =\nmynetworks = 127.0.0.0/8\n',
  });
  t.after(() => instance.stop());
  await instance.start();
  const send = (): Promise<string> => submit({ port, sender: 'a@b.test', recipients: ['c@d.test'], text: 'Subject: x\n\nhello\n' });
  const first = await send();
  await eventually('the first is gone', () => instance.lines(new RegExp(`${first}: removed`)).length > 0);
  const [pid] = [...instance.children()].find(([, title]) => title.includes('queue'))!;
  process.kill(pid, 'SIGSTOP');
  await eventually('its time is over', () => isPending(pid, constants.signals.SIGALRM));
  process.kill(pid, 'SIGCONT');
  await eventually('master has seen its end', () => instance.lines(new RegExp(`pid ${pid} killed by signal 14 -- watchdog timeout`)).length > 0);
  const second = await send();
  await eventually('the second is gone', () => instance.lines(new RegExp(`${second}: removed`)).length > 0);
  assert.equal(instance.lines(/panic|fatal/).length, 0);
});
