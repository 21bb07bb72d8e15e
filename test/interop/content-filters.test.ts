/**
 * Content filters with real parts: amavis behind the queue (content_filter, and back in by a second listener) and in front of it (smtpd_proxy_filter), and
 * a Postfix from Debian in front of it. A message that amavis bans bounces in the first case, and is refused in the others.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { getpwnam } from '../../src/host/identity.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const amavisd = '/usr/sbin/amavisd';
const account = getpwnam('amavis');
const noAmavis = existsSync(amavisd) && account !== undefined ? process.getuid!() !== 0 && 'amavis changes its user' : 'amavisd-new is not installed';

/** The part of its configuration that Debian's files leave to the operator; no scanners, but no programs in attachments either. */
const configuration = (home: string, port: number, back: number): string => `use strict;
$MYHOME = '${home}'; $TEMPBASE = $db_home = $helpers_home = $MYHOME; $QUARANTINEDIR = undef; $pid_file = "$MYHOME/pid"; $lock_file = "$MYHOME/lock";
$daemon_user = 'amavis'; $daemon_group = 'amavis'; $max_servers = 2; $enable_db = 0; $enable_zmq = 0; $enable_dkim_verification = 0;
$mydomain = 'site.test'; $myhostname = 'filter.site.test'; @local_domains_maps = (['.site.test']);
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = [${port}]; @inet_acl = qw( 127.0.0.0/8 );
$forward_method = 'smtp:[127.0.0.1]:${back}'; $notify_method = $forward_method;
@bypass_virus_checks_maps = (1); @bypass_spam_checks_maps = (1); $do_syslog = 0; $LOGFILE = "$MYHOME/log"; $log_level = 1;
$final_banned_destiny = D_REJECT; $banned_filename_re = new_RE(qr'.\\.exe$'i); $banned_files_quarantine_method = undef; $banned_admin = undef;
@decoders = (['mail', \\&do_mime_decode]);
1;
`;

async function openAmavis(t: TestContext, back: number): Promise<number> {
  const port = await freePort();
  const directory = mkdtempSync(`${tmpdir()}/amavis-`);
  chmodSync(directory, 0o755);
  mkdirSync(`${directory}/home`);
  chownSync(`${directory}/home`, account!.uid, account!.gid);
  writeFileSync(`${directory}/conf`, configuration(`${directory}/home`, port, back));
  const child = spawn(amavisd, ['-c', `${directory}/conf`, 'foreground'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  t.after(async () => {
    child.kill();
    await ended;
    rmSync(directory, { recursive: true });
  });
  await eventually('amavis answers', async () => {
    if (child.exitCode !== null) throw new Error(`amavis ended: ${said}${existsSync(`${directory}/home/log`) ? readFileSync(`${directory}/home/log`, 'latin1') : ''}`);
    return answers(port);
  });
  return port;
}

const answers = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => resolve(false)).on('connect', () => { socket.destroy(); resolve(true); });
});

const rows = 'pickup cleanup qmgr rewrite bounce defer trace smtp relay error retry anvil';

interface Place { readonly house: Instance; readonly door: number; readonly taken: string[] }

/** A gateway with a door for strangers and, on another port, one for what was filtered. */
async function open(t: TestContext, filter: (t: TestContext, back: number) => Promise<number>, words: (port: number) => string): Promise<Place> {
  const [door, back, taken] = [await freePort(), await freePort(), [] as string[]];
  const sink = await openSink((text) => void taken.push(text));
  t.after(() => sink.close());
  const port = await filter(t, back);
  const house = await Instance.create({
    mainCf: `inet_protocols = ipv4
smtpd_peername_lookup = no
mydestination =
alias_maps =
local_recipient_maps =
mynetworks =
relay_domains = site.test
smtpd_relay_restrictions = reject_unauth_destination
relayhost = [127.0.0.1]:${sink.port}
smtpd_authorized_xforward_hosts = 127.0.0.0/8
`,
    masterCf: `127.0.0.1:${door} inet n - n - - smtpd
  ${words(port)}
127.0.0.1:${back} inet n - n - - smtpd -o content_filter= -o smtpd_proxy_filter= -o mynetworks=127.0.0.0/8 -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_relay_restrictions=permit_mynetworks,reject -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks
smtp-amavis unix - - n - 2 smtp -o smtp_send_xforward_command=yes -o disable_dns_lookups=yes
${masterRows(rows)}
`,
  });
  t.after(() => house.stop());
  await house.start();
  return { house, door, taken };
}

const good = 'From: ann@home.test\nTo: joe@site.test\nSubject: good\nMessage-ID: <1@home.test>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n\n.dots\nand \xe9\xfc\n';
const banned = `From: ann@home.test
To: joe@site.test
Subject: banned
Message-ID: <2@home.test>
Date: Sat, 21 Nov 2026 12:00:00 +0000
MIME-Version: 1.0
Content-Type: application/octet-stream; name="setup.exe"
Content-Disposition: attachment; filename="setup.exe"

MZ
`;

const send = (port: number, text: string): Promise<string> => submit({ port, sender: 'ann@home.test', recipients: ['joe@site.test'], text });
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

test('amavis behind the queue: good mail comes back in and leaves, banned mail bounces', { skip: noAmavis }, async (t) => {
  const { house, door, taken } = await open(t, openAmavis, (port) => `-o content_filter=smtp-amavis:[127.0.0.1]:${port}`);
  const id = await send(door, good);
  await eventually('it arrives', () => taken.length === 1);
  assert.equal(bodyOf(taken[0]!), '.dots\r\nand \xe9\xfc');
  assert.equal(taken[0]!.match(/^Received: /gm)?.length, 3);
  await eventually('the filter took it', () => house.lines(new RegExp(`${id}: to=<joe@site.test>, relay=127.0.0.1.*status=sent \\(250 `)).length === 1);
  const refused = await send(door, banned);
  await eventually('it bounces', () => taken.length === 2);
  assert.match(taken[1]!, /Undelivered Mail Returned to Sender/);
  await eventually('the log tells of it', () => house.lines(new RegExp(`${refused}: to=<joe@site.test>.*dsn=5\\.7\\.[0-9]+, status=bounced`)).length === 1);
});

for (const options of ['', ' -o smtpd_proxy_options=speed_adjust']) {
  test(`amavis in front of the queue${options}: good mail passes, banned mail is refused`, { skip: noAmavis }, async (t) => {
    const { house, door, taken } = await open(t, openAmavis, (port) => `-o smtpd_proxy_filter=127.0.0.1:${port}${options}`);
    const id = await send(door, good);
    await eventually('it arrives', () => taken.length === 1);
    assert.equal(bodyOf(taken[0]!), '.dots\r\nand \xe9\xfc');
    assert.equal(house.lines(new RegExp(`proxy-accept: END-OF-MESSAGE: 250 .*queued as ${id}; from=<ann@home.test> to=<joe@site.test> proto=ESMTP helo=<client.example.test>`)).length, 1);
    await assert.rejects(send(door, banned), /^Error: 554 5\.7\.0 Reject/);
    assert.equal(house.lines(/proxy-reject: END-OF-MESSAGE: 554 5\.7\.0 Reject/).length, 1);
    assert.equal(taken.length, 1);
    await send(door, good);
    await eventually('and mail goes on', () => taken.length === 2);
  });
}

test("Debian's Postfix in front of the queue: it is told who the client is, and its word is passed on", { skip: noDebianPostfix() }, async (t) => {
  let other!: DebianPostfix;
  const filter = async (test: TestContext, back: number): Promise<number> => {
    const port = await freePort();
    other = await DebianPostfix.create({
      mainCf: `inet_protocols = ipv4\nmydestination =\nalias_maps =\nlocal_recipient_maps =\nmynetworks = 127.0.0.0/8\nrelayhost = [127.0.0.1]:${back}\nsmtpd_authorized_xforward_hosts = 127.0.0.0/8
smtpd_recipient_restrictions = check_sender_access inline:{ bad@home.test=REJECT }, permit\nheader_checks = regexp:{{/^Subject: banned/ REJECT no}}\n`,
      masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows(rows)}\n`,
    });
    test.after(() => other.stop());
    await other.start();
    return port;
  };
  const { house, door, taken } = await open(t, filter, (port) => `-o smtpd_proxy_filter=127.0.0.1:${port}`);
  const id = await send(door, good);
  await eventually('it arrives', () => taken.length === 1);
  assert.equal(bodyOf(taken[0]!), '.dots\r\nand \xe9\xfc');
  assert.equal(other.lines(new RegExp(`${id}: client=.*, orig_client=unknown\\[127\\.0\\.0\\.1\\]`)).length, 1);
  await assert.rejects(send(door, banned), /^Error: 550 5\.7\.1 no$/);
  await assert.rejects(submit({ port: door, sender: 'bad@home.test', recipients: ['joe@site.test'], text: good }), /RCPT TO:<joe@site.test>: 554 5\.7\.1 <bad@home.test>: Sender address rejected: Access denied/);
  assert.equal(house.lines(/warning: proxy 127\.0\.0\.1:[0-9]+ rejected "RCPT TO:<joe@site\.test>": "554 5\.7\.1 /).length, 1);
});
