import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import { daemon } from './virtual.ts';

const isRoot = process.getuid!() === 0;
/** Root delivers for others, everybody else for himself. */
const [uid, gid] = isRoot ? [65533, 65532] : [process.getuid!(), process.getgid!()];
const benches: Bench[] = [];
after(() => benches.forEach((bench) => bench.remove()));

async function open(main = '', down: string[] = []) {
  const bench = new Bench({
    row: 'virtual unix - n n - - virtual', down,
    main: `virtual_mailbox_base = DIR/mail\nvirtual_mailbox_maps = texthash:DIR/boxes\nvirtual_uid_maps = static:${uid}\nvirtual_gid_maps = static:${gid}\nrecipient_delimiter = +\nvirtual_minimum_uid = 1\n${main}`,
  });
  bench.file('boxes', 'joe@example.net joe\nann@example.net ann/\nup@example.net ../up\nin@example.net a/../b\n@catch.example all/\n');
  fs.mkdirSync('mail');
  fs.chownSync('mail', uid, gid);
  benches.push(bench);
  return { bench, agent: await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0] };
}

const headers = 'Return-Path: <sender@example.com>\nDelivered-To: ';
const message = 'Subject: test\n\nhello\n';

test('a mailbox: From_ line, headers, quoted From_ lines, an empty line; owned by the recipient, mode 0600', async () => {
  const { bench, agent } = await open();
  const first = await bench.deliver(agent, [{ address: 'Joe@example.net', originalAddress: 'info@example.net' }], { content: 'Subject: x\n\nFrom me\n' });
  await bench.deliver(agent, ['joe+list@example.net']);
  assert.deepEqual([first.reply.status, first.left], [0, []]);
  assert.ok(first.lines[0]!.endsWith('relay=virtual, delay=12, delays=0.5/1/0/11, dsn=2.0.0, status=sent (delivered to mailbox)'), first.lines[0]);
  const [one, two, rest] = bench.read('mail/joe').split(/^From sender@example\.com {2}[A-Z].{23}\n/m).slice(1);
  assert.equal(one, 'Return-Path: <sender@example.com>\nX-Original-To: info@example.net\nDelivered-To: Joe@example.net\nSubject: x\n\n>From me\n\n');
  assert.deepEqual([two, rest], [`${headers}joe+list@example.net\n${message}\n`, undefined]);
  const status = fs.statSync('mail/joe');
  assert.deepEqual([status.uid, status.gid, status.mode & 0o777], [uid, gid, 0o600]);
  assert.deepEqual(fs.readdirSync('mail'), ['joe']);
});

test('a Maildir is made where there is none; nothing is left in tmp', async () => {
  const { bench, agent } = await open();
  const { reply, lines } = await bench.deliver(agent, ['ann@example.net', 'anyone@catch.example']);
  assert.equal(reply.status, 0);
  assert.match(lines[0]!, /status=sent \(delivered to maildir\)$/);
  const [name, ...others] = fs.readdirSync('mail/ann/new');
  assert.match(name!, new RegExp(`^1800000012\\.V${fs.statSync('mail').dev.toString(16)}I[0-9a-f]+M0\\.`));
  assert.deepEqual([others, fs.readdirSync('mail/ann/tmp'), fs.readdirSync('mail/ann').sort()], [[], [], ['cur', 'new', 'tmp']]);
  assert.equal(bench.read(`mail/ann/new/${name}`), `${headers}ann@example.net\n${message}`);
  assert.equal(fs.readdirSync('mail/all/new').length, 1);
  assert.equal(fs.statSync('mail/ann/new').uid, uid);
});

const refusals: [name: string, main: string, recipient: string, want: string, warning: string][] = [
  ['nobody has the address', '', 'who@example.net', 'dsn=5.1.1, status=bounced (unknown user: "who@example.net")', ''],
  ['the path leads out', '', 'in@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'warning: recipient in@example.net: bad mailbox path a/../b in virtual_mailbox_maps'],
  ['uid too small', 'virtual_minimum_uid = 100\nvirtual_uid_maps = static:99', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'warning: recipient joe@example.net: bad uid 99 in virtual_uid_maps'],
  ['uid is none', 'virtual_uid_maps = static:1000x', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'warning: recipient joe@example.net: bad uid 1000x in virtual_uid_maps'],
  ['uid missing', 'virtual_uid_maps =', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'warning: recipient joe@example.net: not found in virtual_uid_maps'],
  ['gid 0', 'virtual_gid_maps = static:0', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'warning: recipient joe@example.net: bad gid 0 in virtual_gid_maps'],
  ['a table that cannot be asked', 'virtual_mailbox_maps = fail:no', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', ''],
  ['a base that is no path', 'virtual_mailbox_base = mail', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', ''],
  ['no base at all', 'virtual_mailbox_base =', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', ''],
  ['a limit below that for messages', 'virtual_mailbox_limit = 1000', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', 'error: configuration error: virtual_mailbox_limit is smaller than message_size_limit'],
  ['an unknown lock', 'virtual_mailbox_lock = padlock', 'joe@example.net', 'dsn=4.3.5, status=deferred (mail system configuration error)', ''],
];

for (const [name, main, recipient, want, warning] of refusals) {
  test(`refused: ${name}`, async () => {
    const { bench, agent } = await open(`${main}\n`);
    const { lines, reply, left } = await bench.deliver(agent, [recipient]);
    assert.ok(lines.at(-1)!.endsWith(want), lines.join('\n'));
    if (warning !== '') assert.ok(lines.includes(warning), lines.join('\n'));
    assert.deepEqual([reply.status, left.length], want.includes('bounced') ? [0, 0] : [-1, 1]);
  });
}

test('a mailbox that is full is a bounce, and the file keeps its old length', async () => {
  const { bench, agent } = await open('message_size_limit = 1000\nvirtual_mailbox_limit = 1000\n');
  bench.file('mail/joe', 'x'.repeat(950), { uid, gid, mode: 0o600 });
  const { lines } = await bench.deliver(agent, ['joe@example.net']);
  assert.match(lines[0]!, /dsn=5\.2\.2, status=bounced \(delivery failed to mailbox .*\/mail\/joe: error writing message: File too large\)$/);
  assert.equal(fs.statSync('mail/joe').size, 950);
});

test('a symbolic link, a second link, a directory are not written to', async () => {
  const { bench, agent } = await open();
  bench.file('target', 'precious\n', { uid, gid, mode: 0o666 });
  fs.symlinkSync('../target', 'mail/joe');
  fs.lchownSync('mail/joe', uid, gid);
  const linked = await bench.deliver(agent, ['joe@example.net']);
  assert.match(linked.lines[0]!, /dsn=4\.2\.0, status=deferred \(delivery failed to mailbox \S+: file is a symbolic link\)$/);
  fs.unlinkSync('mail/joe');
  fs.linkSync('target', 'mail/joe');
  const twice = await bench.deliver(agent, ['joe@example.net']);
  assert.match(twice.lines[0]!, /\(delivery failed to mailbox \S+: file has 2 hard links\)$/);
  fs.unlinkSync('mail/joe');
  fs.mkdirSync('mail/joe');
  const directory = await bench.deliver(agent, ['joe@example.net']);
  assert.match(directory.lines[0]!, /\(delivery failed to mailbox \S+: (cannot open file: Is a directory|file is a directory)\)$/);
  assert.equal(bench.read('target'), 'precious\n');
});

test('a mailbox of someone else is left alone', { skip: isRoot ? false : 'only root can give files away' }, async () => {
  const { bench, agent } = await open();
  bench.file('mail/joe', '', { uid: uid - 1, gid, mode: 0o666 });
  const { lines } = await bench.deliver(agent, ['joe@example.net']);
  assert.ok(lines.includes('warning: specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch'));
  assert.match(lines.at(-1)!, /dsn=4\.2\.0, status=deferred \(delivery failed to mailbox \S+: destination \S+ is not owned by recipient\)$/);
  assert.equal(bench.read('mail/joe'), '');
});

test('a directory the recipient cannot write to', { skip: isRoot ? false : 'needs a directory of another user' }, async () => {
  const { bench, agent } = await open();
  fs.chownSync('mail', 0, 0);
  const box = await bench.deliver(agent, ['joe@example.net']);
  assert.match(box.lines[0]!, /dsn=4\.2\.0, status=deferred \(delivery failed to mailbox (\S+): unable to create lock file \1\.lock: Permission denied\)$/);
  const dir = await bench.deliver(agent, ['ann@example.net']);
  assert.match(dir.lines.at(-1)!, /dsn=4\.2\.0, status=deferred \(maildir delivery failed: create maildir file \S+\/mail\/ann\/tmp\/\S+: Permission denied\)$/);
  assert.match(dir.lines.join('\n'), new RegExp(`warning: maildir access problem for UID/GID=${uid}/${gid}: create maildir file`));
  assert.ok(dir.lines.includes('warning: perhaps you need to create the maildirs in advance'));
});

test('a probe is answered without a delivery', async () => {
  const { bench, agent } = await open();
  const { lines } = await bench.deliver(agent, ['joe@example.net', 'ann@example.net'], { request: { flags: requestFlag.mtaVerify } });
  assert.deepEqual(lines.map((line) => /status=.*/.exec(line)![0]), ['status=deliverable (delivers to mailbox)', 'status=deliverable (delivers to maildir)']);
  assert.deepEqual(fs.readdirSync('mail'), []);
});

test('a status filter has the last word', async () => {
  const { bench, agent } = await open('virtual_delivery_status_filter = static:{4.1.1 not yet}\n');
  const { lines } = await bench.deliver(agent, ['who@example.net']);
  assert.match(lines[0]!, /dsn=4\.1\.1, status=deferred \(not yet\)$/);
});
