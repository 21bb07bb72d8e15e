/**
 * Clients log in at our server by what Debian has: Dovecot over both kinds of socket, Cyrus SASL with its database and with saslauthd, swaks
 * as a client, fail2ban as a reader of failures. Skipped, by name, where something is not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { makePair, noOpenssl, Talk } from '../tls-scene.ts';
import { runCommand } from './log-readers-scene.ts';
import { logIn, mechanisms, type MechanismName } from './sasl-client.ts';

const missing = (file: string): string | false => (existsSync(file) ? false : `${file} is not installed`);
const noCyrus = missing('/usr/sbin/saslpasswd2') || (process.getuid!() !== 0 && 'only root can give a database to the mail system');
const noSaslauthd = noCyrus || missing('/usr/sbin/saslauthd');
const impossible = noDovecot || noOpenssl;
const users = { joe: 'secret', 'ann@example.test': 'pass word' };
const rows = masterRows('cleanup qmgr rewrite bounce defer trace discard error retry anvil tlsmgr proxymap');

const folder = mkdtempSync(`${tmpdir()}/postern-sasl-`);
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true, force: true }));

const common = (tls: string): string => `
mynetworks = 192.0.2.0/24
inet_protocols = ipv4
compatibility_level = 3.6
mydestination =
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
default_transport = discard
smtpd_sasl_auth_enable = yes
smtpd_tls_security_level = may
smtpd_error_sleep_time = 0
${tls}
`;

async function greeted(port: number): Promise<Talk> {
  const talk = await Talk.open(port);
  await talk.hear();
  return talk;
}

const login = async (port: number, mechanism: MechanismName, user: string, password: string): Promise<string> => {
  const talk = await greeted(port);
  await talk.ask('EHLO client.test');
  const reply = await logIn(talk, mechanism, user, password);
  talk.close();
  return reply;
};

const welcome = '235 2.7.0 Authentication successful';

// ---- Dovecot

let dovecot: Dovecot;
let ours: Instance;
const ports = { unix: 0, tcp: 0, limited: 0, jailed: 0, wrapped: 0 };

before(async () => {
  if (impossible) return;
  dovecot = await Dovecot.start({ mechanisms: 'plain login cram-md5 digest-md5 scram-sha-256', users });
  const pair = makePair(folder, 'mx.test', 'ec');
  for (const name of ['unix', 'tcp', 'limited', 'jailed', 'wrapped'] as const) ports[name] = await freePort();
  ours = await Instance.create({
    mainCf: `${common(`smtpd_tls_cert_file = ${pair.certificate}\nsmtpd_tls_key_file = ${pair.key}`)}smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n`,
    masterCf: `127.0.0.1:${ports.unix} inet n - n - - smtpd
  -o smtpd_sasl_authenticated_header=yes -o smtpd_tls_received_header=yes
127.0.0.1:${ports.tcp} inet n - n - - smtpd
  -o smtpd_sasl_path=inet:127.0.0.1:${dovecot.port} -o smtpd_tls_auth_only=yes
127.0.0.1:${ports.limited} inet n - n - - smtpd
  -o smtpd_client_auth_rate_limit=2 -o smtpd_client_event_limit_exceptions=
127.0.0.1:${ports.wrapped} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_tls_auth_only=yes -o smtpd_sasl_security_options=noplaintext -o smtpd_sasl_tls_security_options=noanonymous
127.0.0.1:${ports.jailed} inet n - y - - smtpd
  -o smtpd_sasl_path=inet:127.0.0.1:${dovecot.port}
${rows}
`,
  });
  symlinkSync(dovecot.socket, `${ours.directory}/queue/private/auth`);
  await ours.start();
});

after(async () => {
  if (impossible) return;
  await ours.stop();
  await dovecot.stop();
});

for (const mechanism of mechanisms) {
  test(`Dovecot: ${mechanism}`, { skip: impossible }, async () => {
    assert.equal(await login(ports.unix, mechanism, 'joe', 'secret'), welcome);
    assert.match(await login(ports.unix, mechanism, 'joe', 'wrong'), /^535 5\.7\.8 Error: authentication failed: /);
    assert.match(await login(ports.unix, mechanism, 'nobody', 'secret'), /^535 5\.7\.8 Error: authentication failed: /);
    const pattern = new RegExp(`warning: unknown\\[127\\.0\\.0\\.1\\]: SASL ${mechanism} authentication failed: .*, sasl_username=`);
    await eventually('both failures are in the log', () => ours.lines(pattern).length >= 2);
  });
}

test('Dovecot over TCP, from a process in a jail too', { skip: impossible }, async () => {
  assert.equal(await login(ports.jailed, 'PLAIN', 'ann@example.test', 'pass word'), welcome);
  const talk = await Talk.hello(ports.tcp);
  assert.equal(await logIn(talk, 'SCRAM-SHA-256', 'ann@example.test', 'pass word'), welcome);
  await talk.quit();
  assert.equal(await login(ports.tcp, 'PLAIN', 'joe', 'secret'), '503 5.5.1 Error: authentication not enabled');
});

test('Dovecot in a session that begins encrypted', { skip: impossible }, async () => {
  const talk = await Talk.encrypted(ports.wrapped);
  await talk.hear();
  assert.match(await talk.ask('EHLO client.test'), /250-AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256\r\n/);
  assert.equal(await logIn(talk, 'PLAIN', 'joe', 'secret'), welcome);
  await talk.quit();
});

const secret = Buffer.from('\0joe\0secret').toString('base64');

test('who has logged in relays, and the message says who it was', { skip: impossible }, async () => {
  const talk = await Talk.hello(ports.unix);
  assert.equal(await talk.ask('AUTH PLAIN'), '334');
  assert.equal(await talk.ask(secret), welcome);
  for (const [command, reply] of [
    ['MAIL FROM:<joe@example.test> AUTH=joe+40example.test', /^250/], ['RCPT TO:<who@elsewhere.test>', /^250/], ['DATA', /^354/], ['Subject: x\r\n\r\ny\r\n.', /^250/],
  ] as const) assert.match(await talk.ask(command), reply);
  await talk.quit();
  const line = await eventually('it is in the log', () => ours.lines(/: client=.*sasl_sender=/)[0]);
  assert.match(line, /: client=unknown\[127\.0\.0\.1\], sasl_method=PLAIN, sasl_username=joe, sasl_sender=joe\+40example\.test$/);
});

test('a message on hold shows its login', { skip: impossible }, async () => {
  const port = await freePort();
  const other = await Instance.create({
    mainCf: `${common('')}smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:${dovecot.port}\nsmtpd_sasl_authenticated_header = yes\nsmtpd_sender_restrictions = check_sasl_access inline:{joe=HOLD}\n`,
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n`,
  });
  try {
    await other.start();
    const talk = await greeted(port);
    await talk.ask('EHLO client.test');
    await logIn(talk, 'CRAM-MD5', 'joe', 'secret');
    for (const command of ['MAIL FROM:<joe@example.test> AUTH=me', 'RCPT TO:<who@elsewhere.test>', 'DATA']) await talk.ask(command);
    const [, id] = /queued as (\S+)/.exec(await talk.ask('Subject: kept', '', 'y', '.'))!;
    await talk.quit();
    const file = await eventually('it is on hold', () => execFileSync('find', [`${other.directory}/queue/hold`, '-name', id!], { encoding: 'latin1' }).trim() || undefined);
    const records = execFileSync('strings', [file], { encoding: 'latin1' });
    for (const part of ['sasl_method=CRAM-MD5', 'sasl_username=joe', 'sasl_sender=me', '(Authenticated sender: joe)', 'with ESMTPA id']) assert.ok(records.includes(part), `${part} in ${records}`);
  } finally {
    await other.stop();
  }
});

test('too many AUTH commands', { skip: impossible }, async () => {
  for (const want of [/^535/, /^535/, /^450 4\.7\.1 Error: too many AUTH commands from 127\.0\.0\.1$/]) assert.match(await login(ports.limited, 'PLAIN', 'joe', 'wrong'), want);
  await eventually('it is in the log', () => ours.lines(/warning: AUTH command rate limit exceeded: 3 from unknown\[127\.0\.0\.1\] for service /).length === 1);
});

test('swaks logs in over TLS', { skip: impossible || missing('/usr/bin/swaks') }, async () => {
  const run = (...more: readonly string[]) => runCommand('/usr/bin/swaks', ['--server', '127.0.0.1', '--port', String(ports.tcp), '--from', 'joe@example.test', '--to', 'who@elsewhere.test', '--tls', '--auth-user', 'joe', ...more], { PATH: '/usr/bin:/bin', HOME: folder });
  for (const mechanism of ['PLAIN', 'LOGIN', 'CRAM-MD5']) {
    const { status, out } = await run('--auth', mechanism, '--auth-password', 'secret');
    assert.equal(status, 0, out);
    assert.match(out, /235 2\.7\.0 Authentication successful/);
  }
  assert.equal((await run('--auth', 'PLAIN', '--auth-password', 'wrong')).status, 28);
});

test("fail2ban's filter for logins finds every failure, and the client", { skip: impossible || missing('/usr/bin/fail2ban-regex') }, async () => {
  // Debian's filter does not know SCRAM.
  const failures = ours.lines(/SASL (?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5) authentication failed:/);
  assert.ok(failures.length >= 10);
  writeFileSync(`${folder}/failures.log`, `${failures.join('\n')}\n`, 'latin1');
  const { out } = await runCommand('/usr/bin/fail2ban-regex', [`${folder}/failures.log`, '/etc/fail2ban/filter.d/postfix.conf[mode=auth]'], { PATH: '/usr/bin:/bin' });
  assert.match(out, new RegExp(`\\b${failures.length} matched, 0 missed`), out);
});

test('a Dovecot that is away is a temporary failure, and is used again when it is back', { skip: impossible }, async () => {
  const talk = await greeted(ports.unix);
  await talk.ask('EHLO client.test');
  await dovecot.end();
  assert.match(await talk.ask('EHLO client.test'), /250-AUTH PLAIN LOGIN/);
  assert.equal(await logIn(talk, 'PLAIN', 'joe', 'secret'), '454 4.7.0 Temporary authentication failure: Connection lost to authentication server');
  await dovecot.again();
  await eventually('the socket is there again', () => existsSync(dovecot.socket));
  assert.equal(await logIn(talk, 'PLAIN', 'joe', 'secret'), welcome);
  await talk.quit();
  await eventually('it is in the log', () => ours.lines(/warning: SASL: Connect to Dovecot auth socket 'private\/auth' failed: (?:Connection refused|No such file or directory)$/).length > 0);
});

test('a Dovecot that was never there: come again', { skip: impossible }, async () => {
  const port = await freePort();
  const other = await Instance.create({ mainCf: `${common('')}smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/none\n`, masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n` });
  try {
    await other.start();
    const talk = await greeted(port);
    assert.equal(await talk.ask('EHLO client.test'), '421 4.3.0 host.example.test Server local error');
    assert.equal(await talk.hear(), '<closed>');
  } finally {
    await other.stop();
  }
});

// ---- Cyrus SASL

/** A configuration of its own for the library, and a database with one user. */
function cyrusFiles(name: string, lines: string): string {
  const place = `${folder}/${name}`;
  mkdirSync(place);
  chmodSync(place, 0o755);
  writeFileSync(`${place}/smtpd.conf`, lines.replaceAll('$place', place));
  return place;
}

/** The same conversations with ours and with Debian's: what they say. */
async function sayings(port: number): Promise<string[]> {
  const said: string[] = [];
  for (const mechanism of ['PLAIN', 'LOGIN', 'CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-256'] as const) {
    for (const password of ['secret', 'wrong']) said.push(`${mechanism} ${password}: ${await login(port, mechanism, 'joe', password)}`);
    said.push(`${mechanism} unknown: ${await login(port, mechanism, 'nobody', 'secret')}`);
  }
  const talk = await greeted(port);
  said.push(await talk.ask('EHLO client.test'));
  for (const line of ['AUTH FOO', 'AUTH PLAIN !!!!', 'AUTH PLAIN =', 'AUTH PLAIN', '*', 'AUTH PLAIN', 'x x', 'AUTH LOGIN', '=', 'AUTH CRAM-MD5', '*', `AUTH PLAIN ${secret}`]) said.push(`${line}: ${await talk.ask(line)}`);
  talk.close();
  return said.map((text) => text.replace(/(AUTH CRAM-MD5: 334 ).*/, '$1...'));
}

const cyrusMain = (place: string, more = ''): string => `${common('')}smtpd_tls_security_level = none\nsmtpd_sasl_type = cyrus\ncyrus_sasl_config_path = ${place}\nsmtpd_hard_error_limit = 50\n${more}`;

test('Cyrus SASL with its database answers as it does at Debian\'s Postfix', { skip: noCyrus || noDebianPostfix() }, async () => {
  const place = cyrusFiles('database', 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: $place/sasldb2\nmech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256\n');
  const [port, theirPort] = [await freePort(), await freePort()];
  assert.equal(spawnSync('/usr/sbin/saslpasswd2', ['-p', '-c', '-f', `${place}/sasldb2`, '-u', 'host.example.test', 'joe'], { input: 'secret' }).status, 0);
  chmodSync(`${place}/sasldb2`, 0o644);
  const mine = await Instance.create({ mainCf: cyrusMain(''), masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n` });
  const theirs = await DebianPostfix.create({ mainCf: `${cyrusMain('', 'myhostname = host.example.test\ninet_interfaces = loopback-only\n')}`, masterCf: `127.0.0.1:${theirPort} inet n - n - - smtpd\n${rows}\n` });
  // Debian's looks for it nowhere else.
  for (const { directory } of [mine, theirs]) symlinkSync(place, `${directory}/etc/sasl`);
  try {
    await Promise.all([mine.start(), theirs.start()]);
    const [ourWords, theirWords] = [await sayings(port), await sayings(theirPort)];
    assert.deepEqual(ourWords, theirWords);
    assert.ok(ourWords.filter((text) => text.endsWith(welcome)).length >= 6, ourWords.join('\n'));
    const failures = (log: readonly string[]): string[] => log.map((line) => line.replace(/^.*?smtpd\[[0-9]+\]: /, '')).sort();
    const pattern = /SASL \S+ authentication (?:failed|aborted)/;
    await eventually('all is in the logs', () => mine.lines(pattern).length === theirs.lines(pattern).length);
    assert.deepEqual(failures(mine.lines(pattern)), failures(theirs.lines(pattern)));
  } finally {
    await Promise.all([mine.stop(), theirs.stop()]);
  }
});

test('Cyrus SASL: from one mechanism to another, a thousand times', { skip: noCyrus }, async () => {
  const place = cyrusFiles('switch', 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: $place/sasldb2\nmech_list: PLAIN CRAM-MD5 DIGEST-MD5\n');
  assert.equal(spawnSync('/usr/sbin/saslpasswd2', ['-p', '-c', '-f', `${place}/sasldb2`, '-u', 'host.example.test', 'joe'], { input: 'secret' }).status, 0);
  chmodSync(`${place}/sasldb2`, 0o644);
  const port = await freePort();
  const mine = await Instance.create({ mainCf: cyrusMain(place, 'smtpd_hard_error_limit = 100000\nsmtpd_soft_error_limit = 100000\n'), masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n` });
  try {
    await mine.start();
    const talk = await greeted(port);
    const turn = async (): Promise<void> => {
      for (const first of ['CRAM-MD5', 'DIGEST-MD5']) {
        assert.match(await talk.ask(`AUTH ${first}`), /^334 /);
        assert.equal(await talk.ask('*'), '501 5.7.0 Authentication aborted');
      }
      assert.match(await talk.ask('AUTH PLAIN AGpvZQB3cm9uZw=='), /^535 /);
    };
    for (let count = 0; count < 100; count++) await turn();
    // Clients that share a process have numbers of their own: pid * 10000 + slot.
    const [, slot] = await eventually('the log tells the process', () => /smtpd\[([0-9]{5,})\]: connect from/.exec(mine.log()));
    const pid = Math.floor(Number(slot) / 10_000);
    const resident = (): number => Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
    const before = resident();
    for (let count = 0; count < 500; count++) await turn();
    assert.ok(resident() - before < 20_000, `${before} kB before, ${resident()} kB after`);
    assert.equal(await talk.ask(`AUTH PLAIN ${secret}`), welcome);
    talk.close();
  } finally {
    await mine.stop();
  }
});

/** An IMAP server that knows one password, for saslauthd to ask. */
async function openImap(): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).write('* OK IMAP4rev1 ready\r\n');
    socket.on('data', (bytes: Buffer) => {
      const [tag = '', verb = ''] = bytes.toString('latin1').split(' ');
      socket.write(`${tag} ${verb === 'LOGIN' && !bytes.includes('"secret"') ? 'NO' : 'OK'} done\r\n`);
    });
  });
  server.unref();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

test('Cyrus SASL with saslauthd, which may go away', { skip: noSaslauthd }, async () => {
  const place = cyrusFiles('daemon', 'pwcheck_method: saslauthd\nsaslauthd_path: $place/mux\nmech_list: PLAIN LOGIN\n');
  const imap = await openImap();
  const port = await freePort();
  const start = async (): Promise<ChildProcess> => {
    // At its end it ends its whole process group.
    const daemon = spawn('/usr/sbin/saslauthd', ['-d', '-a', 'rimap', '-O', `127.0.0.1/${imap.port}`, '-m', place, '-n', '1'], { stdio: 'ignore', detached: true });
    await eventually('saslauthd answers', () => existsSync(`${place}/mux`));
    return daemon;
  };
  let daemon = await start();
  const mine = await Instance.create({ mainCf: cyrusMain(place), masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n` });
  const end = async (): Promise<void> => {
    const ended = new Promise((resolve) => daemon.on('exit', resolve));
    if (daemon.exitCode === null && daemon.signalCode === null && daemon.kill('SIGTERM')) await ended;
    rmSync(`${place}/mux`, { force: true });
  };
  try {
    await mine.start();
    assert.equal(await login(port, 'PLAIN', 'joe', 'secret'), welcome);
    assert.equal(await login(port, 'LOGIN', 'joe', 'secret'), welcome);
    assert.equal(await login(port, 'PLAIN', 'joe', 'wrong'), '535 5.7.8 Error: authentication failed: authentication failure');
    assert.deepEqual(await Promise.all(Array.from({ length: 30 }, (_, at) => login(port, 'PLAIN', 'joe', at % 2 === 0 ? 'secret' : 'wrong').then((reply) => reply.slice(0, 3)))), Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? '235' : '535')));
    await end();
    assert.equal(await login(port, 'PLAIN', 'joe', 'secret'), '454 4.7.0 Temporary authentication failure: generic failure');
    assert.ok(mine.lines(/warning: SASL authentication failure: cannot connect to saslauthd server: No such file or directory/).length > 0);
    daemon = await start();
    assert.equal(await login(port, 'PLAIN', 'joe', 'secret'), welcome);
  } finally {
    await mine.stop();
    await end();
    imap.close();
  }
});

test('a kind of server that nobody knows', { skip: impossible }, async () => {
  const port = await freePort();
  const other = await Instance.create({ mainCf: `${common('')}smtpd_sasl_type = other\n`, masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n` });
  try {
    await other.start();
    const talk = await Talk.open(port);
    await eventually('it is in the log', () => other.lines(/fatal: SASL per-process initialization failed/).length > 0);
    assert.ok(other.lines(/warning: unsupported SASL server implementation: other/).length > 0);
    talk.close();
  } finally {
    await other.stop();
  }
});
