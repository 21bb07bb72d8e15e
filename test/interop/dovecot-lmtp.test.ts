/** Mail goes to Dovecot by LMTP, over a socket and over the network: stored, refused one by one, and kept while Dovecot is away. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { noDovecot } from '../dovecot.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { accepts } from '../ports.ts';
import { submit } from '../submit.ts';

const impossible = noDovecot || (existsSync('/usr/lib/dovecot/lmtp') ? false : 'dovecot-lmtpd is not installed');
const [uid, gid] = [65534, 65534];

const configuration = (folder: string, port: number): string => `base_dir = ${folder}/run
state_dir = ${folder}/state
instance_name = ${folder.slice(folder.lastIndexOf('/') + 1)}
protocols = lmtp
ssl = no
log_path = ${folder}/log
mail_location = maildir:${folder}/mail/%n
mail_uid = ${uid}
mail_gid = ${gid}
first_valid_uid = ${uid}
first_valid_gid = ${gid}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n ${folder}/users
}
userdb {
  driver = passwd-file
  args = username_format=%n ${folder}/users
}
service lmtp {
  unix_listener ${folder}/lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
`;

let folder = '';
let port = 0;
let smtpPort = 0;
let dovecot: ChildProcess | undefined;
let ours: Instance;

async function startDovecot(): Promise<void> {
  dovecot = spawn('/usr/sbin/dovecot', ['-F', '-c', `${folder}/dovecot.conf`], { stdio: 'ignore' });
  await eventually('Dovecot takes LMTP', () => {
    if (dovecot!.exitCode !== null) throw new Error(existsSync(`${folder}/log`) ? readFileSync(`${folder}/log`, 'latin1') : 'no log');
    return accepts(port);
  });
}

async function endDovecot(): Promise<void> {
  if (dovecot === undefined || dovecot.exitCode !== null || dovecot.signalCode !== null) return;
  const ended = new Promise((resolve) => dovecot!.on('exit', resolve));
  dovecot.kill('SIGTERM');
  await ended;
}

before(async () => {
  if (impossible) return;
  folder = mkdtempSync(`${tmpdir()}/dovecot-lmtp-`);
  chmodSync(folder, 0o755);
  mkdirSync(`${folder}/mail`);
  chownSync(`${folder}/mail`, uid, gid);
  [port, smtpPort] = [await freePort(), await freePort()];
  writeFileSync(`${folder}/users`, ['joe', 'ann'].map((name) => `${name}:x:${uid}:${gid}::${folder}/mail/${name}::\n`).join(''));
  writeFileSync(`${folder}/dovecot.conf`, configuration(folder, port));
  await startDovecot();
  ours = await Instance.create({
    mainCf: `inet_protocols = ipv4\nmydestination =\nmynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_peername_lookup = no\nnotify_classes =\nlmtp_dns_support_level = disabled\nminimal_backoff_time = 1s\nqueue_run_delay = 1s
transport_maps = inline:{ {net.test = lmtp:inet:[127.0.0.1]:${port}}, {socket.test = lmtp:unix:${folder}/lmtp}, {kept.test = keeping:inet:[127.0.0.1]:${port}} }\ndefault_transport = discard\n`,
    masterCf: `127.0.0.1:${smtpPort} inet n - n - - smtpd\nlmtp unix - - n - - lmtp\nkeeping unix - - n - 1 lmtp\n  -o lmtp_connection_cache_destinations=127.0.0.1 -o lmtp_connection_reuse_count_limit=2\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard')}\n`,
  });
  await ours.start();
});

after(async () => {
  if (impossible) return;
  await ours.stop();
  await endDovecot();
  rmSync(folder, { recursive: true, force: true });
});

const stored = (name: string): string[] => {
  const place = `${folder}/mail/${name}/new`;
  return existsSync(place) ? readdirSync(place).map((file) => readFileSync(`${place}/${file}`, 'latin1')) : [];
};
const send = (recipients: readonly string[], subject: string): Promise<string> => submit({ port: smtpPort, sender: 'someone@else.test', recipients, text: `Subject: ${subject}\n\n.dot\nFrom here\n` });
const verdicts = (queueId: string): string[] => ours.lines(new RegExp(`${queueId}: to=.*status=`)).map((line) => / to=(<[^>]*>).*?(?:, conn_use=(\d+))?, delay=.*dsn=([^,]*), status=(\w+)/.exec(line)!.slice(1, 5).filter((part) => part !== undefined).join(' ')).sort();
const settled = (queueId: string, count: number): Promise<string[]> => eventually(`${queueId} is settled`, () => (verdicts(queueId).length >= count ? verdicts(queueId) : undefined));

for (const domain of ['net.test', 'socket.test']) test(`to ${domain}: whom Dovecot knows has the mail, who is unknown is told`, { skip: impossible }, async () => {
  const queueId = await send([`joe@${domain}`, `nobody@${domain}`, `ann@${domain}`], domain);
  assert.deepEqual(await settled(queueId, 3), [`<ann@${domain}> 2.0.0 sent`, `<joe@${domain}> 2.0.0 sent`, `<nobody@${domain}> 5.1.1 bounced`]);
  for (const name of ['joe', 'ann']) {
    const [message] = stored(name).filter((text) => text.includes(`Subject: ${domain}`));
    assert.match(message!, /\n\n\.dot\nFrom here\n$/);
    assert.match(message!, /^Return-Path: <someone@else\.test>\n/);
  }
});

test('a connection is kept, for as many messages as the limit allows', { skip: impossible }, async () => {
  const uses: string[] = [];
  for (const subject of ['one', 'two', 'three', 'four']) uses.push(...(await settled(await send(['joe@kept.test'], subject), 1)));
  assert.deepEqual(uses, ['<joe@kept.test> 2.0.0 sent', '<joe@kept.test> 2 2.0.0 sent', '<joe@kept.test> 3 2.0.0 sent', '<joe@kept.test> 2.0.0 sent']);
});

test('Dovecot is away: the mail waits, and is stored once when it is back', { skip: impossible }, async () => {
  await endDovecot();
  const queueId = await send(['joe@net.test'], 'later');
  await eventually('it is deferred', () => verdicts(queueId).includes('<joe@net.test> 4.4.1 deferred'));
  await startDovecot();
  await eventually('it is delivered', () => verdicts(queueId).includes('<joe@net.test> 2.0.0 sent'));
  assert.equal(stored('joe').filter((text) => text.includes('Subject: later')).length, 1);
});
