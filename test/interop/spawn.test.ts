/**
 * spawn(8): commands that get the client's connection itself. What a row may say and what the log says is compared with Debian's spawn; policyd-spf runs as
 * Debian documents it, as a policy service under spawn.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { SmtpClient } from '../faults/smtp-client.ts';

const notRoot = process.getuid!() !== 0 && 'only root can become another user';
const policydSpf = '/usr/bin/policyd-spf';

async function open(t: TestContext, side: string, rows: string, mainCf = ''): Promise<Instance | DebianPostfix> {
  const options = { mainCf: `inet_protocols = ipv4\nmydestination =\nalias_maps =\n${mainCf}`, masterCf: `${rows}\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry anvil')}\n` };
  const house = side === 'ours' ? await Instance.create(options) : await DebianPostfix.create(options);
  t.after(() => house.stop());
  await house.start();
  return house;
}

/** All that the other side says to this; `keep` leaves our side open. */
function say(port: number, text: string, keep = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    let heard = '';
    socket.on('error', reject).on('data', (chunk) => { heard += chunk.toString('latin1'); }).on('close', () => resolve(heard));
    if (keep) socket.write(text);
    else socket.end(text);
  });
}

/** A row, what a client says, what it hears, and what the log says. */
const programs: readonly (readonly [title: string, attributes: string, said: string, heard: RegExp, logged: RegExp | undefined])[] = [
  ['cat', 'user=nobody argv=/bin/cat', 'hello\n', /^hello\n$/, undefined],
  ['a command by its name', 'user=nobody argv=cat', 'hello\n', /^hello\n$/, undefined],
  ['much', 'user=nobody argv=/usr/bin/head -c 3000000 /dev/zero', '', /^\0{3000000}$/, undefined],
  ['standard error too', 'user=nobody argv=/bin/sh -c {echo out; echo err >&2}', '', /^out\nerr\n$/, undefined],
  ['who it is', 'user=nobody argv=/usr/bin/id -u -n', '', /^nobody\n$/, undefined],
  ['its group', 'user=nobody:daemon argv=/usr/bin/id -g -n', '', /^daemon\n$/, undefined],
  ['no other groups', 'user=nobody argv=/bin/sh -c {grep Groups /proc/self/status | grep -cw 0; true}', '', /^0\n$/, undefined],
  ['a session of its own', "user=nobody argv=/bin/sh -c {test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo own}", '', /^own\n$/, undefined],
  ['blocking input', 'user=nobody argv=/bin/sh -c {sleep 0.2; read line; echo got $line}', 'it\n', /^got it\n$/, undefined],
  ['its environment', 'user=nobody argv=/bin/sh -c {echo $PATH}', '', /^\/usr\/bin:\/bin\n$/, undefined],
  ['a status', 'user=nobody argv=/bin/sh -c {exit 7}', '', /^$/, /warning: command \/bin\/sh exit status 7$/],
  ['a signal', 'user=nobody argv=/bin/sh -c {kill -9 $$}', '', /^$/, /warning: command \/bin\/sh killed by signal 9$/],
  ['too long', 'user=nobody argv=/bin/sh -c {echo begun; sleep 100 & sleep 100}', '', /^begun\n$/, /warning: \/bin\/sh: process id [0-9]+: command time limit exceeded$/],
  ['no such command', 'user=nobody argv=/nowhere/command', '', /^$/, /execvp \/nowhere\/command: No such file or directory$/],
];

for (const side of ['ours', "Debian's"]) {
  test(`${side}: commands under spawn`, { skip: notRoot || (side !== 'ours' && noDebianPostfix()) }, async (t) => {
    // The other one says that the time is over, and then waits for the command all the same.
    const played = programs.filter(([title]) => side === 'ours' || title !== 'too long');
    const ports = await Promise.all(played.map(() => freePort()));
    const rows = played.map(([, attributes], at) => `127.0.0.1:${ports[at]} inet n n n - 0 spawn ${attributes.replace(/\{(.*)\}/, '{ $1 }')}`).join('\n');
    const house = await open(t, side, rows, 'command_time_limit = 2s\n');
    await Promise.all(played.map(([title, , said, heard, logged], at) => t.test(title, async () => {
      assert.match(await say(ports[at]!, said), heard);
      if (logged !== undefined) await eventually(`the log tells of it: ${String(logged)}`, () => house.lines(logged).length > 0);
    })));
  });
}

const mistakes: readonly (readonly [attributes: string, words: string])[] = [
  ['argv=/bin/cat', 'missing user= attribute'],
  ['user=nobody', 'missing argv= attribute'],
  ['user=nobody flags=R argv=/bin/cat', 'unknown attribute name: flags=R'],
  ['user=root argv=/bin/cat', 'request to deliver as root'],
  ['user=no-such-user argv=/bin/cat', 'unknown user name: no-such-user'],
  ['user=nobody:no-such-group argv=/bin/cat', 'unknown group name: no-such-group'],
  ['user=nobody:root argv=/bin/cat', 'request to use privileged group id 0'],
  ['user=OWNER argv=/bin/cat', 'request to deliver as mail system owner'],
];

for (const side of ['ours', "Debian's"]) {
  test(`${side}: rows that make no sense run nothing`, { skip: notRoot || (side !== 'ours' && noDebianPostfix()) }, async (t) => {
    const ports = await Promise.all(mistakes.map(() => freePort()));
    const rows = mistakes.map(([attributes], at) => `127.0.0.1:${ports[at]} inet n n n - 0 spawn ${attributes.replace('OWNER', 'postfix')}`).join('\n');
    const house = await open(t, side, rows, side === 'ours' ? 'mail_owner = postfix\n' : '');
    for (const [at, [attributes, words]] of mistakes.entries()) {
      const socket = net.connect({ port: ports[at]!, host: '127.0.0.1' }).on('error', () => undefined).resume();
      await eventually(`${attributes}: ${words}`, () => house.lines(/spawn\[[0-9]+\]: fatal: /).some((line) => line.endsWith(words)));
      socket.destroy();
    }
  });
}

test('policyd-spf under spawn, as Debian documents it', { skip: notRoot || (!existsSync(policydSpf) && `${policydSpf} is not installed`) }, async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/policyd-spf-`);
  t.after(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o755);
  writeFileSync(`${directory}/conf`, 'debugLevel = 1\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = False\nskip_addresses = 127.0.0.0/8\n');
  const door = await freePort();
  const rows = `127.0.0.1:${door} inet n - n - - smtpd
policyd-spf unix - n n - 0 spawn user=nobody argv=${policydSpf} ${directory}/conf`;
  const house = await open(t, 'ours', rows, `policyd-spf_time_limit = 3600
mynetworks =
relay_domains = site.test
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policyd-spf, permit
`);
  for (let turn = 0; turn < 3; turn++) {
    const client = await SmtpClient.meet(door);
    await client.command('MAIL FROM:<ann@elsewhere.test>');
    assert.equal((await client.command('RCPT TO:<joe@site.test>')).text, '250 2.1.5 Ok');
    await client.quit();
  }
  assert.deepEqual(house.lines(/warning|fatal/), []);
});
