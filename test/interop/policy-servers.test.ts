/** Real policy servers from Debian decide about our recipients: postgrey (greylisting) and policyd-spf (SPF). Skipped, by name, without them. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { parseDialogues } from '../dialogues/format.ts';
import { playOverSocket } from '../dialogues/play-socket.ts';
import { ourRelease, startInstance } from '../dialogues/private-postfix.ts';
import { noNames, surround } from '../dialogues/surroundings.ts';
import { eventually } from '../instance.ts';
import { freePort } from '../ports.ts';

const postgrey = '/usr/sbin/postgrey';
const policydSpf = '/usr/bin/policyd-spf';
const missing = (file: string): string | false => (existsSync(file) ? false : `${file} is not installed`);

const about = (policy: number, from: string, sender: string, reply: string): string => `from: ${from}
= a recipient
set: smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:${policy}
S: 220 *
C: EHLO client.test
S: 250+
C: MAIL FROM:<${sender}>
S: 250 2.1.0 Ok
C: RCPT TO:<joe@dialog.test>
S: ${reply}
`;

/** Our server, and a client that says who the sender is and expects a reply. */
async function withServer(policy: number, run: (expect: (sender: string, reply: string) => Promise<void>) => Promise<void>): Promise<void> {
  const dialogue = (sender: string, reply: string) => parseDialogues('policy', about(policy, '127.0.0.2', sender, reply))[0]!;
  const instance = await startInstance(ourRelease(), [dialogue('', '*')]);
  try {
    const port = instance.portFor(dialogue('', '*'));
    await run((sender, reply) => playOverSocket(dialogue(sender, reply), { host: '127.0.0.1', port, role: 'ours' }));
  } finally {
    await instance.stop();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.on('exit', resolve));
  child.kill();
  await exit;
}

const answers = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
});

test('postgrey lets a stranger wait, then in', { skip: missing(postgrey) || (process.getuid?.() !== 0 && 'postgrey changes its user') }, async () => {
  const directory = mkdtempSync(`${tmpdir()}/postgrey-`);
  const port = await freePort();
  const words = [`--inet=127.0.0.1:${port}`, `--dbdir=${directory}`, '--delay=1', '--user=root', '--group=root', `--pidfile=${directory}/pid`, '--greylist-text=come again', '--x-greylist-header=X-Grey: yes'];
  const child = spawn(postgrey, words, { stdio: 'ignore' });
  try {
    await eventually('postgrey answers', () => answers(port));
    await withServer(port, async (expect) => {
      await expect('ann@elsewhere.test', '450 4.2.0 <joe@dialog.test>: Recipient address rejected: come again');
      await eventually('postgrey lets us in', () => expect('ann@elsewhere.test', '250 2.1.5 Ok').then(() => true, () => false));
      await expect('ann@another.test', '450 4.2.0 <joe@dialog.test>: Recipient address rejected: come again');
    });
  } finally {
    await ended(child);
    rmSync(directory, { recursive: true });
  }
});

test('policyd-spf refuses who may not send for a domain', { skip: missing(policydSpf) || noNames('postfix') }, async () => {
  const directory = mkdtempSync(`${tmpdir()}/policyd-spf-`);
  chmodSync(directory, 0o755);
  writeFileSync(`${directory}/conf`, 'debugLevel = 1\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = Fail\nPermError_reject = False\nTempError_Defer = False\nskip_addresses = 192.0.2.0/24\n');
  const around = await surround('postfix');
  const children = new Set<ChildProcess>();
  // As spawn(8) does it: a process for each connection.
  const server = createServer((socket) => {
    const [command, ...words] = [...around.command, policydSpf, `${directory}/conf`];
    const child = spawn(command!, words, { stdio: ['pipe', 'pipe', 'ignore'] });
    children.add(child);
    socket.on('error', () => undefined);
    child.stdin!.on('error', () => undefined);
    socket.pipe(child.stdin!);
    child.stdout!.pipe(socket);
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  try {
    await withServer((server.address() as AddressInfo).port, async (expect) => {
      await expect('ann@refused.names.test', '550 5.7.23 <joe@dialog.test>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. *');
      await expect('ann@allowed.names.test', '250 2.1.5 Ok');
      await expect('ann@host.names.test', '250 2.1.5 Ok');
    });
    assert.ok(children.size > 0);
  } finally {
    await Promise.all([...children].map(ended));
    await new Promise((resolve) => { server.close(resolve); });
    await around.stop();
    rmSync(directory, { recursive: true });
  }
});
