/** A DNS list behind a real resolver, unbound: who is listed is refused with the list's reason; when the resolver dies nobody is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { Resolver } from '../../src/network/resolver.ts';
import { realTicker } from '../../src/network/testing.ts';
import { parseDialogues } from '../dialogues/format.ts';
import { playOverSocket } from '../dialogues/play-socket.ts';
import { ourRelease, startInstance } from '../dialogues/private-postfix.ts';
import { eventually } from '../instance.ts';
import { freePort } from '../ports.ts';

const unbound = '/usr/sbin/unbound';

const configuration = (directory: string, port: number): string => `server:
  interface: 127.0.0.1@${port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: "${directory}/unbound.pid"
  use-syslog: no
  logfile: "${directory}/log"
  module-config: "iterator"
  local-zone: "list.test." static
  local-data: "2.0.0.127.list.test. 60 IN A 127.0.0.2"
  local-data: "2.0.0.127.list.test. 60 IN A 127.0.0.10"
  local-data: '2.0.0.127.list.test. 60 IN TXT "see http://list.test/127.0.0.2"'
  local-zone: "dead.test." redirect
  local-data: "dead.test. 60 IN A 127.0.0.2"
remote-control:
  control-enable: no
`;

async function startUnbound(directory: string, port: number): Promise<ChildProcess> {
  writeFileSync(`${directory}/unbound.conf`, configuration(directory, port));
  const child = spawn(unbound, ['-d', '-c', `${directory}/unbound.conf`], { stdio: 'ignore' });
  const resolver = new Resolver({ ticker: realTicker, warn: () => undefined, configuration: { servers: [{ address: '127.0.0.1', port }], timeout: 1, attempts: 1, rotate: false, trustAd: false } });
  await eventually('unbound answers', async () => (await resolver.lookup('2.0.0.127.list.test', 'A')).status === 'ok');
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.on('exit', resolve));
  child.kill();
  await exit;
}

const lists = 'reject_rbl_client dead.test, permit_dnswl_client dead.test, reject_rbl_client list.test=127.0.0.[2;4..9]';
const names = 'reject_unknown_sender_domain';

const recipient = (from: string, reply: string, restrictions = lists) => parseDialogues('lists', `from: ${from}
= a recipient
set: smtpd_recipient_restrictions = ${restrictions}
S: 220 *
C: EHLO client.test
S: 250+
C: MAIL FROM:<ann@elsewhere.test>
S: 250 2.1.0 Ok
C: RCPT TO:<joe@dialog.test>
S: ${reply}
`)[0]!;

test('lists behind unbound: listed, not listed, dead, and out of reach', { skip: existsSync(unbound) ? false : `${unbound} is not installed` }, async () => {
  const directory = mkdtempSync(`${tmpdir()}/dns-lists-`);
  chmodSync(directory, 0o755);
  const port = await freePort();
  writeFileSync(`${directory}/resolv.conf`, `nameserver 127.0.0.1:${port}\noptions timeout:1 attempts:1\n`);
  const server = await startUnbound(directory, port);
  const instance = await startInstance(ourRelease(), [recipient('', '*'), recipient('', '*', names)], { mainCf: new Map([['resolver_configuration', `${directory}/resolv.conf`]]), command: [] });
  try {
    const expect = (from: string, reply: string, restrictions = lists): Promise<void> =>
      playOverSocket(recipient(from, reply, restrictions), { host: '127.0.0.1', port: instance.portFor(recipient('', '*', restrictions)), role: 'ours' });
    await expect('127.0.0.2', '554 5.7.1 Service unavailable; Client host [127.0.0.2] blocked using list.test; see http://list.test/127.0.0.2');
    await expect('127.0.0.3', '250 2.1.5 Ok');
    await stop(server);
    await expect('127.0.0.4', '250 2.1.5 Ok');
    await expect('127.0.0.4', '450 4.1.8 <ann@elsewhere.test>: Sender address rejected: Domain not found', names);
  } finally {
    await instance.stop();
    await stop(server);
    rmSync(directory, { recursive: true });
  }
});
