import assert from 'node:assert/strict';
import fs from 'node:fs';
import { userInfo } from 'node:os';
import { after, test } from 'node:test';
import { Bench, type BenchOptions } from '../../delivery/testing.ts';
import { getpwnam } from '../../host/identity.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import { cleanupFlag, internalFlags } from '../../ipc/cleanup.ts';
import { sendOption } from '../../message/envelope-names.ts';
import { daemon } from './local.ts';

const isRoot = process.getuid!() === 0;
/** Who the mail is for: root delivers for another, everybody else for himself. */
const joe = getpwnam(isRoot ? 'games' : userInfo().username)!;
const { name: user, uid, gid } = joe;
/** Who root's aliases act as. */
const nobody = getpwnam(isRoot ? 'nobody' : user)!;
const benches: Bench[] = [];
after(() => benches.forEach((bench) => bench.remove()));

/** `aliases` are lines of texthash, `forward` is the user's file. */
async function open(given: { main?: string; aliases?: string; forward?: string } & Pick<BenchOptions, 'down' | 'transports'> = {}) {
  const { main = '', aliases = '', forward, ...options } = given;
  const bench = new Bench({
    row: 'local unix - n n - - local', transports: { 'far.example': 'smtp' }, ...options,
    main: `alias_maps = texthash:DIR/aliases\nmail_spool_directory = DIR/spool\nforward_path = DIR/forward/$user\${recipient_delimiter}\${extension}, DIR/forward/$user\n`
      + `recipient_delimiter = +\ndefault_privs = ${nobody.name}\nallow_mail_to_commands = alias, forward, include\nexport_environment = LANG\n${main}`,
  });
  bench.file('aliases', aliases.replaceAll('DIR', bench.directory));
  fs.mkdirSync('spool');
  fs.chmodSync('spool', 0o777);
  fs.mkdirSync('out');
  fs.chmodSync('out', 0o777);
  if (forward !== undefined) bench.file(`forward/${user}`, forward.replaceAll('DIR', bench.directory), { uid, gid });
  benches.push(bench);
  const agent = await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0];
  return { bench, agent, deliver: (recipients: Parameters<Bench['deliver']>[1], more: Parameters<Bench['deliver']>[2] = {}) => bench.deliver(agent, recipients, more) };
}

const status = (lines: string[]): string[] => lines.filter((line) => line.includes('status=')).map((line) => /to=<([^>]*)>.*(dsn=.*)/.exec(line)!.slice(1).join(' '));
const here = `${user}@example.org`;

test('a mailbox in the spool directory', async () => {
  const { bench, deliver } = await open();
  const { lines, reply, left } = await deliver([{ address: here, originalAddress: 'info@example.net' }]);
  assert.deepEqual([reply.status, left, lines.length], [0, [], 1]);
  assert.ok(lines[0]!.endsWith('orig_to=<info@example.net>, relay=local, delay=12, delays=0.5/1/0/11, dsn=2.0.0, status=sent (delivered to mailbox)'), lines[0]);
  assert.match(bench.read(`spool/${user}`), new RegExp(`^From sender@example\\.com {2}.{24}\nReturn-Path: <sender@example\\.com>\nX-Original-To: info@example\\.net\nDelivered-To: ${here}\nSubject: test\n\nhello\n\n$`));
  const file = fs.statSync(`spool/${user}`);
  assert.deepEqual([file.uid, file.mode & 0o777, fs.readdirSync('spool')], [uid, 0o600, [user]]);
});

test('capitals and an extension lead to the same mailbox', async () => {
  const { bench, deliver } = await open();
  await deliver([`${user.toUpperCase()}+Box@Example.ORG`]);
  assert.match(bench.read(`spool/${user}`), /\nDelivered-To: \S+\+Box@Example\.ORG\n/);
});

test('a Maildir below the spool directory', async () => {
  const { deliver } = await open({ main: 'mail_spool_directory = DIR/spool/\n' });
  assert.deepEqual(status((await deliver([here])).lines), [`${here} dsn=2.0.0, status=sent (delivered to maildir)`]);
  assert.equal(fs.readdirSync(`spool/${user}/new`).length, 1);
});

test('a spool directory of root: the mailbox is made by root and given to the user', { skip: isRoot ? false : 'only root owns such a directory' }, async () => {
  const { deliver } = await open();
  fs.chmodSync('spool', 0o755);
  assert.deepEqual(status((await deliver([here])).lines), [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`]);
  const file = fs.statSync(`spool/${user}`);
  assert.deepEqual([file.uid, file.gid, fs.readdirSync('spool')], [uid, gid, [user]]);
});

test('a spool directory of a group: with that group and the user\'s id', { skip: isRoot ? false : 'only root can give directories away' }, async () => {
  const { deliver } = await open();
  fs.chownSync('spool', 0, 8);
  fs.chmodSync('spool', 0o775);
  await deliver([here]);
  const file = fs.statSync(`spool/${user}`);
  assert.deepEqual([file.uid, file.gid], [uid, 8]);
});

test('unknown users', async () => {
  const { deliver, bench } = await open();
  const { lines, reply } = await deliver(['No.One@example.org', '+x@example.org']);
  assert.deepEqual(status(lines), [
    'No.One@example.org dsn=5.1.1, status=bounced (unknown user: "no.one")', '+x@example.org dsn=5.1.1, status=bounced (unknown user: "+x")',
  ]);
  assert.deepEqual([reply.status, bench.asked[0]], [0, 'bounce append No.One@example.org 5.1.1 failed unknown user: "no.one"']);
});

test('an empty local part', async () => {
  const { deliver } = await open();
  assert.deepEqual(status((await deliver(['@example.org'])).lines), ['""@example.org dsn=5.1.3, status=bounced (null username in "@example.org")']);
});

test('postmaster and mailer-daemon without an alias: discarded, with a warning', async () => {
  const { deliver } = await open();
  const { lines } = await deliver(['Postmaster@example.org']);
  assert.equal(lines[0], 'warning: required alias not found: postmaster');
  assert.match(lines[1]!, /dsn=2\.0\.0, status=sent \(discarded\)$/);
});

const aliased: [name: string, aliases: string, recipient: string, want: string[], out?: Record<string, RegExp>][] = [
  ['another user', `info ${user}`, 'info@example.org', [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`], { [`spool/${user}`]: /Delivered-To: info@example\.org\n/ }],
  ['a chain', `a b\nb c\nc ${user}`, 'a@example.org', [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`]],
  ['itself: the user of that name', `${user} ${user}, DIR/out/copy`, here, [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`, `${here} dsn=2.0.0, status=sent (delivered to file: DIR/out/copy)`]],
  ['a file', 'log DIR/out/log', 'log@example.org', ['log@example.org dsn=2.0.0, status=sent (delivered to file: DIR/out/log)'], { 'out/log': /^From sender.*\nReturn-Path.*\nDelivered-To: log@example\.org\nSubject: test\n\nhello\n\n$/ }],
  ['/dev/null', 'bin /dev/null', 'bin@example.org', ['bin@example.org dsn=2.0.0, status=sent (delivered to file: /dev/null)']],
  ['a Maildir', 'box DIR/out/box/', 'box@example.org', ['box@example.org dsn=2.0.0, status=sent (delivered to maildir)']],
  ['a command', 'run "|cat > DIR/out/run"', 'run@example.org', ['run@example.org dsn=2.0.0, status=sent (delivered to command: cat > DIR/out/run)'], { 'out/run': /^From sender@example\.com {2}.{24}\nReturn-Path: <sender@example\.com>\nDelivered-To: run@example\.org\nSubject: test\n\nhello\n$/ }],
  ['a command that fails', 'run "|echo broken; exit 1"', 'run@example.org', ['run@example.org dsn=5.3.0, status=bounced (Command died with status 1: "echo broken; exit 1". Command output: broken )']],
  ['a command that is not ready', 'run "|exit 75"', 'run@example.org', ['run@example.org dsn=4.3.0, status=deferred (temporary failure)']],
  ['the same twice', 'twice DIR/out/x, DIR/out/x, "|true", "|true"', 'twice@example.org', ['twice@example.org dsn=2.0.0, status=sent (delivered to file: DIR/out/x)', 'twice@example.org dsn=2.0.0, status=sent (delivered to command: true)']],
  ['someone elsewhere', 'away joe@far.example', 'away@example.org', ['away@example.org dsn=2.0.0, status=sent (forwarded as FW1)']],
  ['nobody', 'none ,', 'none@example.org', ['none@example.org dsn=4.3.0, status=deferred (alias database unavailable)']],
  ['someone who is not there', 'ghost nobody.here', 'ghost@example.org', ['nobody.here@example.org dsn=5.1.1, status=bounced (unknown user: "nobody.here")']],
  ['a loop', 'a b\nb a', 'a@example.org', ['b@example.org dsn=5.4.6, status=bounced (recipient nesting limit exceeded)']],
  ['quoted names', '"joe smith" /dev/null', 'joe smith@example.org', ['"joe smith"@example.org dsn=2.0.0, status=sent (delivered to file: /dev/null)']],
  ['an extension of its own', 'a+b /dev/null\na DIR/out/a', 'a+b@example.org', ['a+b@example.org dsn=2.0.0, status=sent (delivered to file: /dev/null)']],
  ['an extension that nothing matches', 'a DIR/out/a', 'a+b@example.org', ['a+b@example.org dsn=2.0.0, status=sent (delivered to file: DIR/out/a)']],
];

for (const [name, aliases, recipient, want, out = {}] of aliased) {
  test(`an alias for ${name}`, async () => {
    const { bench, deliver } = await open({ aliases });
    const { lines } = await deliver([recipient]);
    assert.deepEqual(status(lines), want.map((line) => line.replaceAll('DIR', bench.directory)), lines.join('\n'));
    for (const [file, content] of Object.entries(out)) assert.match(bench.read(file), content);
  });
}

test('commands and files of root\'s aliases are default_privs\', never root\'s', { skip: isRoot ? false : 'only root becomes others' }, async () => {
  const { bench, deliver } = await open({ aliases: 'run "|id -un > DIR/out/who"\nlog DIR/out/log' });
  await deliver(['run@example.org']);
  await deliver(['log@example.org']);
  assert.deepEqual([bench.read('out/who'), fs.statSync('out/log').uid], ['nobody\n', nobody.uid]);
});

test('an alias of root\'s has no home directory', { skip: isRoot ? false : 'our tables are not root\'s' }, async () => {
  const { deliver } = await open({ aliases: 'x ~/file' });
  assert.deepEqual(status((await deliver(['x@example.org'])).lines), ['x@example.org dsn=5.3.5, status=bounced (mail system configuration error)']);
});

test('those of somebody else\'s table are his', { skip: isRoot ? false : 'only root can give tables away' }, async () => {
  const { bench } = await open({ aliases: 'run "|id -un > DIR/out/who"' });
  fs.chownSync('aliases', uid, gid);
  const agent = await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0];
  await bench.deliver(agent, ['run@example.org']);
  assert.equal(bench.read('out/who'), `${user}\n`);
});

test('a table that cannot be asked is a deferral, never "unknown"', async () => {
  const { deliver } = await open({ main: 'alias_maps = fail:down\n' });
  const { lines } = await deliver([here]);
  assert.ok(lines.includes(`warning: fail:down: lookup of '${user}' failed`), lines.join('\n'));
  assert.deepEqual(status(lines), [`${here} dsn=4.3.0, status=deferred (alias database unavailable)`]);
});

test('what a command may know', async () => {
  const { bench, deliver } = await open({ aliases: 'run "|env > DIR/out/env"' });
  await deliver([{ address: 'run+ext@example.org', originalAddress: 'o@example.org' }], {
    request: { sender: 'se$(id)@x.example', clientAddress: '192.0.2.1', clientName: 'mx', clientHelo: 'he`lo', clientProtocol: 'ESMTP', saslUsername: 'u', dsnEnvid: 'e' },
  });
  // A table of our own has a home and a shell, root's has not.
  const others = isRoot ? /^(_|PWD|LANG|SHLVL)=/ : /^(_|PWD|LANG|SHLVL|HOME|SHELL)=/;
  const seen = bench.read('out/env').trim().split('\n').filter((line) => !others.test(line)).sort();
  assert.deepEqual(seen, [
    'CLIENT_ADDRESS=192.0.2.1', 'CLIENT_HELO=he_lo', 'CLIENT_HOSTNAME=mx', 'CLIENT_PROTOCOL=ESMTP', 'DOMAIN=example.org', 'ENVID=e', 'EXTENSION=ext',
    'LOCAL=run+ext', 'LOGNAME=run', 'ORIGINAL_RECIPIENT=o@example.org', 'PATH=/usr/bin:/bin', 'RECIPIENT=run+ext@example.org', 'SASL_USERNAME=u',
    'SENDER=se__id_@x.example', 'USER=run',
  ]);
});

test('an alias with an owner: a new message in the owner\'s name, without the sender\'s wishes', async () => {
  const { bench, deliver } = await open({ aliases: `list ann@far.example, ${user}\nowner-list ${user}\n` });
  const { lines } = await deliver([{ address: 'list@example.org', originalAddress: 'l@example.org', dsnOrcpt: 'rfc822;l@example.org', dsnNotify: 4 }], { request: { dsnEnvid: 'e', dsnRet: 1 } });
  assert.deepEqual(status(lines), ['list@example.org dsn=2.0.0, status=sent (forwarded as FW1)']);
  const [message, ...others] = bench.forwarded;
  assert.deepEqual([others.length, message!.options.flags, message!.ended], [0, internalFlags | cleanupFlag.bounce, true]);
  assert.deepEqual(message!.records, ['T1800000012 0', 'Sowner-list@example.org', 'Arewrite_context=local', 'Anotify_flags=4', 'Rann@far.example', 'Anotify_flags=4', `R${here}`]);
  assert.match(message!.content, /^Received: by host\.example\.org \(Postfix\)\n\tid FW1; \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4} \(\w+\)\nDelivered-To: list@example\.org\nSubject: test\n\nhello\n$/);
});

test('problems of a list\'s own command go to the owner', async () => {
  const { bench, deliver } = await open({ aliases: 'list "|exit 67"\nowner-list boss@far.example\n', main: 'expand_owner_alias = yes\n' });
  await deliver(['list@example.org']);
  assert.deepEqual(bench.asked, ['bounce one <boss@far.example> list@example.org 5.1.1 failed user unknown']);
});

test('an alias without an owner hands the sender\'s wishes on, but for SUCCESS, which is answered', async () => {
  const { bench, deliver } = await open({ aliases: 'away joe@far.example' });
  await deliver([{ address: 'away@example.org', originalAddress: 'l@example.org', dsnOrcpt: 'rfc822;l@example.org', dsnNotify: 6 }], { request: { dsnEnvid: 'e', dsnRet: 1, clientName: 'mx', saslMethod: 'PLAIN', logIdent: 'X' } });
  assert.deepEqual(bench.asked, ['trace append away@example.org 2.0.0 expanded delivery via local: alias expanded']);
  assert.deepEqual(bench.forwarded[0]!.records, [
    'T1800000012 0', 'Ssender@example.com', 'Aret_flags=1', 'Aenvelope_id=e', 'Alog_client_name=mx', 'Asasl_method=PLAIN', 'Alog_ident=X', 'Arewrite_context=local',
    'Adsn_orig_rcpt=rfc822;l@example.org', 'Anotify_flags=4', 'Ol@example.org', 'Rjoe@far.example',
  ]);
});

test('what must be encrypted on its way, or needs SMTPUTF8, still does', async () => {
  const { bench, deliver } = await open({ aliases: 'away joe@far.example', main: 'smtputf8_enable = yes\nsmtputf8_autodetect_classes = forward\n' });
  for (const smtputf8 of [0, sendOption.requireTlsEsmtp, sendOption.smtputf8Requested, sendOption.smtputf8Header]) await deliver(['away@example.org'], { request: { smtputf8 } });
  assert.deepEqual(bench.forwarded.map(({ options }) => options.flags & ~(internalFlags | cleanupFlag.bounce | cleanupFlag.autoUtf8)), [0, cleanupFlag.requireTls, cleanupFlag.smtputf8, 0]);
  assert.ok(bench.forwarded.every(({ options }) => options.flags & cleanupFlag.autoUtf8));
});

test('cleanup out of reach: deferred, and nothing is forwarded', async () => {
  const { deliver } = await open({ aliases: 'away joe@far.example', down: ['cleanup'] });
  const { lines, left } = await deliver(['away@example.org']);
  assert.deepEqual([status(lines), left], [['joe@far.example dsn=4.3.0, status=deferred (unable to forward message)'], ['away@example.org']]);
});

test('what is to be forwarded waits for the rest of the expansion', async () => {
  const { bench, deliver } = await open({ aliases: 'both joe@far.example, "|exit 75"' });
  const { left } = await deliver(['both@example.org']);
  assert.deepEqual([left, bench.forwarded.map(({ ended }) => ended)], [['both@example.org'], [false]]);
});

test('a message that has been here before', async () => {
  const { deliver } = await open({ aliases: 'a b@example.org\nb /dev/null' });
  const first = await deliver(['a@example.org'], { content: 'Delivered-To: A@example.org\n\n' });
  assert.deepEqual(status(first.lines), ['a@example.org dsn=5.4.6, status=bounced (mail forwarding loop for a@example.org)']);
  const second = await deliver(['a@example.org'], { content: 'Delivered-To: b@example.org\n\n' });
  assert.deepEqual(status(second.lines), ['b@example.org dsn=5.4.6, status=bounced (mail forwarding loop for b@example.org)']);
});

const includes: [name: string, content: string, want: string[], options?: { mode?: number; main?: string; alias?: string }][] = [
  ['members elsewhere and here are forwarded', `# comment\nann@far.example, bob@far.example\n\n${user}\n`, ['list@example.org dsn=2.0.0, status=sent (forwarded as FW1)']],
  ['a command', '"|true"\n', ['list@example.org dsn=2.0.0, status=sent (delivered to command: true)']],
  ['a command where that is not allowed', '"|true"\n', ['list@example.org dsn=5.7.1, status=bounced (mail to command is restricted)'], { main: 'allow_mail_to_commands = alias\n' }],
  ['a file where that is not allowed', '/dev/null\n', ['list@example.org dsn=5.7.1, status=bounced (mail to file is restricted)']],
  ['writable by all', 'ann@far.example\n', ['list@example.org dsn=5.3.5, status=bounced (mail system configuration error)'], { mode: 0o666 }],
  ['not there', '', ['list@example.org dsn=5.3.5, status=bounced (mail system configuration error)'], { alias: ':include:DIR/nothing' }],
  ['a relative path', '', ['list@example.org dsn=5.3.5, status=bounced (mail system configuration error)'], { alias: ':include:members' }],
  ['a directory', '', ['list@example.org dsn=5.3.5, status=bounced (mail system configuration error)'], { alias: ':include:DIR' }],
  ['a NUL ends a line', '"|true"\0 "|exit 67"\n', ['list@example.org dsn=2.0.0, status=sent (delivered to command: true)']],
  ['a quote that is not closed goes on to the end of the line', '"|true\n', ['list@example.org dsn=2.0.0, status=sent (delivered to command: true )']],
  ['itself, once', ':include:DIR/members\n/dev/null\n', ['list@example.org dsn=2.0.0, status=sent (delivered to file: /dev/null)'], { main: 'allow_mail_to_files = include\n' }],
];

for (const [name, content, want, { mode, main = '', alias = ':include:DIR/members' } = {}] of includes) {
  test(`an :include: file: ${name}`, async () => {
    const { bench, deliver } = await open({ aliases: `list ${alias}`, main });
    bench.file('members', content.replaceAll('DIR', bench.directory), { mode });
    assert.deepEqual(status((await deliver(['list@example.org'])).lines), want);
  });
}

test('an :include: file of somebody else acts as him', { skip: isRoot ? false : 'only root can give files away' }, async () => {
  const { bench, deliver } = await open({ aliases: 'list :include:DIR/members' });
  bench.file('members', `"|id -un > ${bench.directory}/out/who"\n`, { uid, gid });
  await deliver(['list@example.org']);
  assert.equal(bench.read('out/who'), `${user}\n`);
});

const forwards: [name: string, content: string, want: string[], out?: Record<string, RegExp>][] = [
  ['elsewhere', 'joe@far.example\n', [`${here} dsn=2.0.0, status=sent (forwarded as FW1)`]],
  ['elsewhere and to itself', `joe@far.example, \\${user}\n`, [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`, `${here} dsn=2.0.0, status=sent (forwarded as FW1)`]],
  ['to its own name', `${user}\n`, [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`]],
  ['to a command', '"|cat > DIR/out/run"\n', [`${here} dsn=2.0.0, status=sent (delivered to command: cat > DIR/out/run)`], { 'out/run': /Subject/ }],
  ['to a file', 'DIR/out/file\n', [`${here} dsn=2.0.0, status=sent (delivered to file: DIR/out/file)`]],
  ['to another local user: through the queue', 'root\n', [`${here} dsn=2.0.0, status=sent (forwarded as FW1)`]],
  ['to nobody', '# nothing\n', [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`]],
];

for (const [name, forward, want, out = {}] of forwards) {
  test(`.forward ${name}`, async () => {
    const { bench, deliver } = await open({ forward });
    const { lines } = await deliver([here]);
    assert.deepEqual(status(lines), want.map((line) => line.replaceAll('DIR', bench.directory)), lines.join('\n'));
    for (const [file, content] of Object.entries(out)) assert.match(bench.read(file), content);
  });
}

test('.forward+extension comes first; without one the extension moves on if forward is in propagate_unmatched_extensions', async () => {
  const { bench, deliver } = await open({ forward: 'joe@far.example\n', main: 'propagate_unmatched_extensions = forward\n' });
  bench.file(`forward/${user}+box`, 'box@far.example\n', { uid, gid });
  await deliver([`${user}+box@example.org`]);
  await deliver([`${user}+other@example.org`]);
  assert.deepEqual(bench.forwarded.map(({ records }) => records.at(-1)), ['Rbox@far.example', 'Rjoe+other@far.example']);
});

test('a .forward file that is not to be trusted is passed over', async () => {
  const { bench, deliver } = await open({ forward: 'joe@far.example\n' });
  fs.chmodSync(`forward/${user}`, 0o666);
  const { lines } = await deliver([here]);
  assert.deepEqual([lines[0], status(lines)], [`warning: file ${bench.directory}/forward/${user} is world writable`, [`${here} dsn=2.0.0, status=sent (delivered to mailbox)`]]);
});

test('a .forward file of somebody else', { skip: isRoot ? false : 'only root can give files away' }, async () => {
  const { bench, deliver } = await open({ forward: 'joe@far.example\n' });
  fs.chownSync(`forward/${user}`, uid + 1, gid);
  const { lines } = await deliver([here]);
  assert.deepEqual([lines[0], bench.forwarded], [`warning: file ${bench.directory}/forward/${user} has bad owner uid ${uid + 1}`, []]);
});

test('a .forward command runs as the user', { skip: isRoot ? false : 'only root becomes others' }, async () => {
  const { bench, deliver } = await open({ forward: '"|id -un > DIR/out/who"\n' });
  await deliver([here]);
  assert.equal(bench.read('out/who'), `${user}\n`);
});

const destinations: [name: string, main: string, want: string][] = [
  ['mailbox_command', 'mailbox_command = cat > DIR/out/$USER\n', 'dsn=2.0.0, status=sent (delivered to command: cat > DIR/out/$USER)'],
  ['mailbox_command_maps', `mailbox_command_maps = inline:{${user}=/bin/true}\n`, 'dsn=2.0.0, status=sent (delivered to command: /bin/true)'],
  ['a table of commands that cannot be asked', 'mailbox_command_maps = fail:x\n', 'dsn=4.3.0, status=deferred (table lookup failure)'],
  ['a table of transports that cannot be asked', 'mailbox_transport_maps = fail:x\n', 'dsn=4.3.0, status=deferred (table lookup failure)'],
];

for (const [name, main, want] of destinations) {
  test(name, async () => {
    const { bench, deliver } = await open({ main });
    assert.deepEqual(status((await deliver([here])).lines), [`${here} ${want.replaceAll('DIR', bench.directory)}`]);
  });
}

const passes: [name: string, main: string, recipient: string, transport: string, nexthop: string][] = [
  ['mailbox_transport', 'mailbox_transport = lmtp:unix:private/lmtp\n', here, 'lmtp', 'unix:private/lmtp'],
  ['mailbox_transport_maps', `mailbox_transport_maps = inline:{${user}=cyrus}\n`, here, 'cyrus', 'example.org'],
  ['fallback_transport', 'fallback_transport = smtp:other.example\n', 'ghost@example.org', 'smtp', 'other.example'],
  ['fallback_transport_maps', 'fallback_transport_maps = inline:{ghost=smtp:x.example}\n', 'ghost@example.org', 'smtp', 'x.example'],
];

for (const [name, main, recipient, transport, nexthop] of passes) {
  test(`${name}: the other agent delivers, we mark`, async () => {
    const { bench, deliver } = await open({ main });
    const { lines, left, reply } = await deliver([recipient]);
    assert.match(lines[0]!, new RegExp(`^AB1: passing <${recipient.replace('.', '\\.')}> to transport=${transport}$`));
    const [passed] = bench.passed;
    assert.deepEqual([passed!.transport, passed!.request.nexthop, passed!.request.recipients.map(({ address, offset }) => [address, offset])], [transport, nexthop, [[recipient, -1]]]);
    assert.deepEqual([left, reply.status], [[], 0]);
  });
}

test('a transport that cannot be reached', async () => {
  const { deliver } = await open({ main: 'mailbox_transport = lmtp\n', down: ['lmtp'] });
  const { lines, left } = await deliver([here]);
  assert.deepEqual([status(lines), left], [[`${here} dsn=4.3.0, status=deferred (mail transport unavailable)`], [here]]);
});

for (const [relay, recipient, want] of [
  ['$user@far.example', 'ghost+x@example.org', ['Rghost@far.example']],
  ['$local@far.example', 'ghost+x@example.org', ['Rghost+x@far.example']],
  ['catchall', 'ghost@example.org', []],
] as const) {
  test(`luser_relay = ${relay}`, async () => {
    const { bench, deliver } = await open({ main: `luser_relay = ${relay}\n`, aliases: 'catchall DIR/out/all' });
    const { left } = await deliver([recipient]);
    assert.deepEqual([left, bench.forwarded.flatMap(({ records }) => records.slice(-1))], [[], want]);
    if (want.length === 0) assert.match(bench.read('out/all'), /Delivered-To: ghost@example\.org/);
  });
}

test('a luser_relay that leads back is unknown', async () => {
  const { deliver } = await open({ main: 'luser_relay = $user@example.org\n' });
  assert.deepEqual(status((await deliver(['ghost@example.org'])).lines), ['ghost@example.org dsn=5.1.1, status=bounced (unknown user: "ghost")']);
});

test('an address that cannot be resolved now', async () => {
  const { deliver, bench } = await open({ aliases: 'a joe@far.example' });
  Object.assign(bench.tools.services, { connect: () => ({ rewrite: () => Promise.reject(new Error('down')), append: () => ({ status: 0 }) }) });
  const agent = await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0];
  const { lines } = await bench.deliver(agent, ['a@example.org']);
  assert.deepEqual(status(lines), ['a@example.org dsn=4.3.0, status=deferred (address resolver failure)']);
  assert.equal(typeof deliver, 'function');
});

const probes: [aliases: string, recipient: string, want: string][] = [
  ['a DIR/out/x', 'a@example.org', 'status=deliverable (aliased to DIR/out/x)'],
  ['', here, 'status=deliverable (delivers to mailbox)'],
  ['', 'ghost@example.org', 'status=undeliverable (unknown user: "ghost")'],
];

for (const [aliases, recipient, want] of probes) {
  test(`a probe: ${want}`, async () => {
    const { bench, deliver } = await open({ aliases });
    const { lines } = await deliver([recipient], { request: { flags: requestFlag.mtaVerify } });
    assert.ok(lines.at(-1)!.endsWith(want.replaceAll('DIR', bench.directory)), lines.join('\n'));
    assert.deepEqual([fs.readdirSync('out'), fs.readdirSync('spool')], [[], []]);
  });
}

test('an executable file is not written to', async () => {
  const { bench, deliver } = await open({ aliases: 'x DIR/out/program' });
  bench.file('out/program', '', { mode: 0o777 });
  assert.deepEqual(status((await deliver(['x@example.org'])).lines), [`x@example.org dsn=5.7.1, status=bounced (cannot append message to file ${bench.directory}/out/program: file is executable)`]);
});

const broken: [name: string, main: string, want: RegExp][] = [
  ['default_privs of root', 'default_privs = root', /^error: file \S+\/main\.cf: parameter default_privs: user root has privileged user ID/],
  ['default_privs of nobody known', 'default_privs = no-such-user', /^error: file \S+\/main\.cf: parameter default_privs: unknown user name value: no-such-user/],
  ['a mask', 'allow_mail_to_files = alias, sometimes', /^error: unknown allow_mail_to_files value "sometimes" in "alias, sometimes"/],
  ['a limit', 'mailbox_size_limit = 10', /^error: configuration error: mailbox_size_limit is smaller than message_size_limit/],
];

for (const [name, main, want] of broken) {
  test(`a setting that makes no sense: ${name}`, async () => {
    const { deliver } = await open({ main: `${main}\n` });
    const { lines, left } = await deliver([here]);
    assert.match(lines[0]!, want);
    assert.deepEqual([status(lines), left], [[`${here} dsn=4.3.5, status=deferred (mail system configuration error)`], [here]]);
  });
}
