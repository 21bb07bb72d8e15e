/**
 * Cyrus behind ours, in the three ways of its manual: mailbox_transport to lmtpd's socket, LMTP over the network, and pipe(8) with its
 * `deliver`. What it stores, whom it does not know, and what it has no room for. Skipped, by name, without cyrus-common or root.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { getpwnam } from '../../src/host/identity.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { accepts } from '../ports.ts';
import { missing } from '../real-programs.ts';
import { submit } from '../submit.ts';

const programs = '/usr/lib/cyrus/bin';
const account = getpwnam('cyrus');
const impossible = missing(`${programs}/master`, `${programs}/lmtpd`, `${programs}/deliver`) || (process.getuid!() !== 0 || account === undefined ? 'only root can start Cyrus as its own user' : false);

let folder = '';
let cyrus: ChildProcess | undefined;
let house: Instance;
let door = 0;
let port = 0;

function writeConfiguration(): void {
  for (const place of ['', '/conf', '/spool', '/socket', '/run']) {
    if (place !== '') mkdirSync(`${folder}${place}`);
    chownSync(`${folder}${place}`, account!.uid, account!.gid);
  }
  // Whoever is named here gets a mailbox with the first mail.
  writeFileSync(`${folder}/imapd.conf`, `configdirectory: ${folder}/conf
partition-default: ${folder}/spool
defaultpartition: default
cyrus_user: cyrus
cyrus_group: mail
lmtpsocket: ${folder}/socket/lmtp
lmtp_downcase_rcpt: yes
unixhierarchysep: yes
virtdomains: off
autocreate_quota: 8
autocreate_post: yes
autocreate_users: joe ann bob
lmtp_over_quota_perm_failure: yes
duplicatesuppression: no
sasl_mech_list: PLAIN
`);
  writeFileSync(`${folder}/cyrus.conf`, `START {
  recover cmd="${programs}/ctl_cyrusdb -C ${folder}/imapd.conf -r"
}
SERVICES {
  lmtpunix cmd="${programs}/lmtpd -C ${folder}/imapd.conf" listen="${folder}/socket/lmtp" prefork=0 maxchild=3
  lmtp cmd="${programs}/lmtpd -a -C ${folder}/imapd.conf" listen="127.0.0.1:${port}" prefork=0 maxchild=3
}
EVENTS {
}
`);
}

async function startCyrus(): Promise<void> {
  cyrus = spawn(`${programs}/master`, ['-C', `${folder}/imapd.conf`, '-M', `${folder}/cyrus.conf`, '-p', `${folder}/run/pid`], { stdio: 'ignore' });
  await eventually('lmtpd answers', () => {
    if (cyrus!.exitCode !== null) throw new Error(`Cyrus ended with status ${cyrus!.exitCode}`);
    return accepts(port);
  });
}

async function endCyrus(): Promise<void> {
  if (cyrus === undefined || cyrus.exitCode !== null || cyrus.signalCode !== null) return;
  const children = readFileSync(`/proc/${cyrus.pid}/task/${cyrus.pid}/children`, 'latin1').split(' ').filter((word) => word !== '');
  const ended = new Promise((resolve) => cyrus!.on('exit', resolve));
  cyrus.kill('SIGTERM');
  await ended;
  await eventually("Cyrus' children are gone", () => !children.some((pid) => existsSync(`/proc/${pid}`)));
}

before(async () => {
  if (impossible) return;
  folder = mkdtempSync(`${tmpdir()}/cyrus-`);
  chmodSync(folder, 0o755);
  [port, door] = [await freePort(), await freePort()];
  writeConfiguration();
  await startCyrus();
  house = await Instance.create({
    mainCf: `inet_protocols = ipv4
mydestination = site.test
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
recipient_delimiter = +
notify_classes =
lmtp_dns_support_level = disabled
mailbox_transport = lmtp:unix:${folder}/socket/lmtp
transport_maps = inline:{ { net.test = lmtp:inet:[127.0.0.1]:${port} }, { pipe.test = cyrus: } }
cyrus_destination_recipient_limit = 1
minimal_backoff_time = 1s
queue_run_delay = 1s
default_transport = discard
`,
    masterCf: `127.0.0.1:${door} inet n - n - - smtpd
lmtp unix - - n - - lmtp
cyrus unix - n n - - pipe flags=DRX user=cyrus argv=${programs}/deliver -C ${folder}/imapd.conf -e -r \${sender} -m \${extension} \${user}
${masterRows('cleanup qmgr rewrite bounce defer trace local error retry discard anvil')}
`,
  });
  await house.start();
  // Cyrus takes what goes over the limit, and nothing after it.
  await verdicts(await send(['bob@site.test'], 'large', `${'x'.repeat(70)}\n`.repeat(300)), 1);
});

after(async () => {
  if (impossible) return;
  await house.stop();
  await endCyrus();
  rmSync(folder, { recursive: true, force: true });
});

/** Every message in Cyrus' mailboxes. */
function stored(): string[] {
  const files = readdirSync(`${folder}/spool`, { recursive: true, encoding: 'latin1' }).filter((name) => /\/[0-9]+\.$/.test(name));
  return files.map((name) => readFileSync(`${folder}/spool/${name}`, 'latin1'));
}

const send = (recipients: readonly string[], subject: string, more = ''): Promise<string> =>
  submit({ port: door, sender: 'someone@else.test', recipients, text: `From: someone@else.test\nMessage-ID: <${subject}@else.test>\nSubject: ${subject}\n\n.dot\nFrom here\n${more}` });

/** What became of each recipient, sorted: address, status, and in words. */
const verdicts = (id: string, count: number): Promise<string[]> => eventually(`${id} is settled: ${house.log()}`, () => {
  const found = house.lines(new RegExp(`${id}: to=.*status=`)).map((line) => / to=<([^>]*)>.*dsn=([^,]*), status=([a-z]+)/.exec(line)!.slice(1, 4).join(' ')).sort();
  return found.length >= count ? found : undefined;
});

for (const domain of ['site.test', 'net.test', 'pipe.test']) {
  test(`${domain}: who is known has the mail`, { skip: impossible }, async () => {
    const id = await send([`joe@${domain}`, `Ann@${domain}`], domain);
    assert.deepEqual((await verdicts(id, 2)).map((line) => line.replace(/ 2\.[0-9.]+ /, ' 2 ')), [`Ann@${domain} 2 sent`, `joe@${domain} 2 sent`]);
    const copies = stored().filter((text) => text.includes(`Subject: ${domain}\r\n`));
    assert.equal(copies.length, 2);
    for (const text of copies) {
      assert.match(text, /^Return-Path: <someone@else\.test>\r\n/);
      assert.match(text, /\r\n\r\n\.dot\r\nFrom here\r\n$/);
    }
  });

  test(`${domain}: who is not known is told`, { skip: impossible }, async () => {
    // deliver(8) tells no more than that there was something wrong (status 65).
    assert.equal((await verdicts(await send([`nobody@${domain}`], `unknown-${domain}`), 1))[0], `nobody@${domain} ${domain === 'pipe.test' ? '5.6.0' : '5.1.1'} bounced`);
  });

  test(`${domain}: no room`, { skip: impossible }, async () => {
    assert.equal((await verdicts(await send([`bob@${domain}`], `full-${domain}`), 1))[0], `bob@${domain} ${domain === 'pipe.test' ? '5.6.0' : '5.2.2'} bounced`);
  });
}

test('Cyrus is away: the mail waits for it', { skip: impossible }, async () => {
  await endCyrus();
  const waiting = await Promise.all(['site.test', 'net.test'].map(async (domain) => ({ domain, id: await send([`joe@${domain}`], `later-${domain}`) })));
  for (const { id } of waiting) assert.match((await verdicts(id, 1))[0]!, / 4\.[0-9.]+ deferred$/);
  await startCyrus();
  for (const { domain, id } of waiting) {
    await eventually(`the mail for ${domain} is delivered`, () => house.lines(new RegExp(`${id}: to=.*status=sent`)).length > 0);
    assert.equal(stored().filter((text) => text.includes(`Subject: later-${domain}\r\n`)).length, 1, domain);
  }
});
