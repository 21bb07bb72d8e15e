/**
 * Programs that people send mail with, unmodified, each in the ways it knows: over SMTP, and through our sendmail(1). What they were
 * given to send is what arrives, read by Python's email package; it goes to everybody it names, and nobody sees the blind copies.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { eventually, freePort, Instance } from '../instance.ts';

const program = (name: string): string => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
const python = spawnSync('python3', ['-c', 'import email']).status === 0 ? 'python3' : undefined;

const rows = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace error retry virtual anvil')}
`;

const user = userInfo().username;
const people = ['joe', 'sue', 'tom'] as const;
const sender = 'ann@home.test';
const [to, cc, bcc] = people.map((name) => `${name}@home.test`) as [string, string, string];
const subject = 'Grüße: a subject with 8 bits';

/** Everything that ways to send mail have broken: dots, long lines, 8 bits, blanks at the end, a line like mbox's. */
const text = [
  'Hello Joe,', '', '.', '..', '.a line with a dot', 'From me to you', 'grün, 日本, €', 'blanks at the end  ', `a long line ${'x'.repeat(3000)} ends`, '', '. ', '-- ', 'Ann', '',
].join('\n');
/** All bytes, and ends of lines and of mail of every kind. */
const picture = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from('\r\n.\r\n\n.\n\r.\r')]);

/** A message as sent by clients that leave its making to the caller. */
const raw = `From: Ann <${sender}>
To: ${to}
Cc: ${cc}
Subject: =?utf-8?B?${Buffer.from(subject).toString('base64')}?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_b"

--=_b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

${text}
--=_b
Content-Type: application/octet-stream
Content-Disposition: attachment; filename=picture.bin
Content-Transfer-Encoding: base64

${picture.toString('base64').replace(/.{1,76}/g, '$&\n')}
--=_b--
`;

let house: Instance;
let port: number;

before(async () => {
  port = await freePort();
  house = await Instance.create({ masterCf: rows(port) });
  const { directory } = house;
  const { uid, gid } = instanceAccounts();
  house.mainCf(`
mydestination =
alias_maps =
virtual_mailbox_domains = home.test
virtual_mailbox_maps = inline:{${people.map((name) => `{${name}@home.test = ${name}/}`).join(' ')}}
virtual_mailbox_base = ${directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
virtual_alias_maps = inline:{${user}@host.example.test=${to}}
`);
  for (const name of ['mail', 'home']) mkdirSync(`${directory}/${name}`);
  if (process.getuid!() === 0) chownSync(`${directory}/mail`, uid, gid);
  writeFileSync(`${directory}/home/text`, text);
  writeFileSync(`${directory}/home/raw`, raw);
  writeFileSync(`${directory}/home/picture.bin`, picture);
  await house.start();
});

after(() => house.stop());

const etc = (): string => `${house.directory}/etc`;
/** Where the clients find their dot files, and leave what they leave. */
const home = (name?: string): string => `${house.directory}/home${name === undefined ? '' : `/${name}`}`;

/** Runs a client to its end; rejects with what it says when it fails. */
function run(command: string, words: readonly string[], input = '', more: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(command, words, { stdio: 'pipe', cwd: home(), env: { PATH: process.env['PATH'], HOME: home(), DEAD: home('dead.letter'), LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', ...more }, timeout: 30_000 });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => (status === 0 ? resolve(said) : reject(new Error(`${command} ends with status ${status ?? signal}: ${said}`))));
  });
}

/** The next message in a Maildir, which is taken away. */
function taken(name: string): Promise<Buffer> {
  const place = `${house.directory}/mail/${name}/new`;
  return eventually(`a message for ${name}`, () => {
    const [file] = existsSync(place) ? readdirSync(place) : [];
    if (file === undefined) return undefined;
    const message = readFileSync(`${place}/${file}`);
    rmSync(`${place}/${file}`);
    return message;
  });
}

interface Read {
  readonly defects: string[];
  readonly header: Readonly<Record<string, readonly string[]>>;
  readonly texts: readonly string[];
  /** By name, in base64. */
  readonly files: Readonly<Record<string, string>>;
}

const reader = `
import base64, email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = [p for p in message.walk() if not p.is_multipart()]
header = {}
for name, value in message.items(): header.setdefault(name.lower(), []).append(str(value))
print(json.dumps({'defects': [str(d) for p in message.walk() for d in p.defects], 'header': header,
    'texts': [p.get_payload(decode=True).decode(p.get_content_charset('utf-8')) for p in parts if p.get_filename() is None],
    'files': {p.get_filename(): base64.b64encode(p.get_payload(decode=True)).decode() for p in parts if p.get_filename() is not None}}))
`;

async function read(message: Buffer): Promise<Read> {
  const done = spawnSync(python!, ['-c', reader], { input: message, encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout) as Read;
}

/** As byte strings. */
const bodyOf = (message: string): string => message.slice(message.indexOf('\n\n') + 2);
const bytes = (value: string): string => Buffer.from(value).toString('latin1');

/** Some clients end each text with one more or one less line end; none may change anything else. */
const withoutEnd = (value: string): string => value.replaceAll('\r\n', '\n').replace(/\n+$/, '');

interface Way {
  readonly title: string;
  /** The program that must be there. */
  readonly needs: string;
  /** What it sends is `raw`, so that every byte of the body is known. */
  readonly exact?: true;
  send(): Promise<unknown>;
}

const smtplib = `
import email, smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as client:
    client.sendmail(sys.argv[2], sys.argv[3:], open('raw', 'rb').read().replace(b'\\n', b'\\r\\n'), mail_options=['BODY=8BITMIME'])
`;
import { masterRows } from '../master-rows.ts';

interface Transport { sendMail(message: unknown): Promise<unknown>; close(): void }
const nodemailer = createRequire(import.meta.url)('nodemailer') as { createTransport(options: unknown): Transport };

async function nodemail(options: object): Promise<void> {
  const transport = nodemailer.createTransport(options);
  try {
    await transport.sendMail({ from: { name: 'Ann', address: sender }, to, cc, bcc, subject, text, attachments: [{ filename: 'picture.bin', content: picture, contentType: 'application/octet-stream' }] });
  } finally {
    transport.close();
  }
}

/** Settings for mutt; without a terminal it sends what it is given. */
async function mutt(...settings: string[]): Promise<void> {
  const lines = [`set from="Ann <${sender}>" realname=Ann use_from=yes use_envelope_from=yes copy=no charset=utf-8 send_charset=utf-8 ssl_starttls=no ssl_force_tls=no`, ...settings];
  writeFileSync(home('muttrc'), lines.map((line) => `${line}\n`).join(''));
  await run('mutt', ['-n', '-F', home('muttrc'), '-s', subject, '-c', cc, '-b', bcc, '-a', 'picture.bin', '--', to], text);
}

const snail = (...settings: string[]): Promise<string> =>
  run('s-nail', ['-:/', '-S', 'v15-compat=yes', '-S', 'ttycharset=utf-8', '-S', 'sendwait', ...settings.flatMap((each) => ['-S', each]),
    '-r', sender, '-s', subject, '-c', cc, '-b', bcc, '-a', 'picture.bin', to], text);

const mailutils = (url: string): Promise<string> =>
  run('mail.mailutils', ['--no-config', '--norc', '-E', `set sendmail=${url}`, '-r', sender, '-a', `Cc: ${cc}`, '-a', `Bcc: ${bcc}`, '-s', subject,
    '--content-type=application/octet-stream', '--encoding=base64', '--attach=picture.bin', to], text);

/** For clients that call sendmail without a word of ours. */
function sendmailByName(): string {
  writeFileSync(home('sendmail'), `#!/bin/sh\nexec ${program('sendmail')} -C ${etc()} "$@"\n`, { mode: 0o755 });
  return home('sendmail');
}

const ways: readonly Way[] = [
  {
    title: 'swaks, over SMTP', needs: 'swaks',
    send: () => run('swaks', ['--server', `127.0.0.1:${port}`, '--from', sender, '--to', [to, cc, bcc].join(), '--h-From', `Ann <${sender}>`, '--h-To', to, '--h-Cc', cc,
      '--h-Subject', `=?utf-8?B?${Buffer.from(subject).toString('base64')}?=`, '--attach-type', 'text/plain; charset=utf-8', '--attach-body', '@text', '--attach-name', 'picture.bin', '--attach', '@picture.bin']),
  },
  { title: 'mutt, through sendmail', needs: 'mutt', send: () => mutt(`set sendmail="${program('sendmail')} -C ${etc()} -oem -oi"`) },
  { title: 'mutt, over SMTP', needs: 'mutt', send: () => mutt(`set smtp_url="smtp://127.0.0.1:${port}"`) },
  { title: 's-nail, through sendmail', needs: 's-nail', send: () => snail(`mta=${program('sendmail')}`, `mta-arguments=-C ${etc()}`) },
  { title: 's-nail, over SMTP', needs: 's-nail', send: () => snail(`mta=smtp://127.0.0.1:${port}`, 'smtp-auth=none') },
  { title: 'mailutils, through sendmail', needs: 'mail.mailutils', send: () => mailutils(`sendmail://${sendmailByName()}`) },
  { title: 'mailutils, over SMTP', needs: 'mail.mailutils', send: () => mailutils(`smtp://127.0.0.1:${port}`) },
  { title: 'Nodemailer, through sendmail', needs: 'node', send: () => nodemail({ sendmail: true, path: sendmailByName() }) },
  { title: 'Nodemailer, over SMTP', needs: 'node', send: () => nodemail({ host: '127.0.0.1', port, ignoreTLS: true }) },
  { title: 'smtplib of Python, over SMTP', needs: 'python3', exact: true, send: () => run('python3', ['-c', smtplib, String(port), sender, to, cc, bcc]) },
  { title: 'sendmail -t, with a message as it is', needs: 'python3', exact: true, send: () => run(program('sendmail'), ['-C', etc(), '-i', '-t', '-f', sender], `Bcc: Tom <${bcc}>\n${raw}`) },
];

const isThere = (name: string): boolean => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;

for (const { title, needs, exact, send } of ways) {
  const skip = python === undefined ? 'python3 is not here' : !isThere(needs) && `${needs} is not installed`;
  test(`mail from ${title}`, { skip }, async () => {
    await send();
    for (const name of people) {
      const message = await taken(name);
      assert.ok(message.toString('latin1').startsWith(`Return-Path: <${sender}>\nX-Original-To: ${name}@home.test\nDelivered-To: ${name}@home.test\nReceived: `), message.toString('latin1'));
      if (exact) assert.equal(bodyOf(message.toString('latin1')), bodyOf(bytes(raw)));
      assert.match(message.toString('latin1'), title.endsWith('SMTP') ? /^Received: from .*\n\tby host\.example\.test \(Postfix\) with E?SMTP id /m : /^Received: by host\.example\.test \(Postfix, from userid /m);
      const { header, texts, files, defects } = await read(message);
      assert.deepEqual(defects, []);
      assert.equal(header['bcc'], undefined);
      assert.deepEqual([header['subject'], header['to'], header['cc']], [[subject], [to], [cc]]);
      assert.equal(header['message-id']?.length, 1);
      assert.equal(header['date']?.length, 1);
      assert.deepEqual(texts.map(withoutEnd).filter((each) => each !== ''), [withoutEnd(text)]);
      assert.deepEqual(files, { 'picture.bin': picture.toString('base64') });
    }
  });
}

const cronHeader = `MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <HOME=/home/${user}>
X-Cron-Env: <PATH=/usr/bin:/bin>
X-Cron-Env: <LOGNAME=${user}>
`;
const cronMessage = `From: ${user} (Cron Daemon)
To: ${user}
Subject: Cron <${user}@host> /usr/local/bin/backup --all
${cronHeader}
${text}`;
const cron = (): Promise<string> => run(program('sendmail'), ['-FCronDaemon', '-i', '-odi', '-oem', '-oi', '-t'], cronMessage, { MAIL_CONFIG: etc() });

test('mail from cron, the way it calls sendmail', async () => {
  await cron();
  const message = (await taken('joe')).toString('latin1');
  const from = `${user}@host.example.test`;
  const [id = ''] = /(?<=^\tid )[0-9A-F]+/m.exec(message) ?? [];
  const dated = message.replace(/\w{3}, [ 0-9]\d \w{3} [0-9]{4} [0-9:]{8} [+-][0-9]{4} \(\w+\)/g, 'DATE').replace(/<[0-9]{14}\./, '<WHEN.');
  assert.equal(dated, `Return-Path: <${from}>
X-Original-To: ${user}
Delivered-To: ${to}
Received: by host.example.test (Postfix, from userid ${process.getuid!()})
\tid ${id}; DATE
From: ${from} (Cron Daemon)
To: ${from}
Subject: Cron <${user}@host> /usr/local/bin/backup --all
${cronHeader}Message-Id: <WHEN.${id}@host.example.test>
Date: DATE

${bytes(text)}`);
  await eventually('it is out of the queue', () => house.lines(new RegExp(`${id}: removed`)).length === 1);
  const told = house.lines(new RegExp(id)).map((line) => line.replace(/^.*? host (\S+)\[[0-9]+\]: /, '$1 ').replaceAll(id, 'ID').replace(/<[0-9]{14}\./, '<WHEN.').replace(/(delays?|size)=[0-9./]+/g, '$1='));
  // Processes that work at the same time log in any order.
  assert.deepEqual(told.sort(), [
    'postfix/cleanup ID: message-id=<WHEN.ID@host.example.test>',
    `postfix/pickup ID: uid=${process.getuid!()} from=<${user}>`,
    `postfix/qmgr ID: from=<${from}>, size=, nrcpt=1 (queue active)`,
    'postfix/qmgr ID: removed',
    `postfix/virtual ID: to=<${to}>, orig_to=<${user}>, relay=virtual, delay=, delays=, dsn=2.0.0, status=sent (delivered to maildir)`,
  ]);
});

test('mail from cron while the mail system is down arrives when it is up again', async () => {
  await house.end();
  await cron();
  assert.equal(readdirSync(`${house.directory}/queue/maildrop`).length, 1);
  await house.start();
  assert.equal(bodyOf((await taken('joe')).toString('latin1')), bytes(text));
});

test('without -i a line with nothing but a dot ends the message', async () => {
  await run(program('sendmail'), ['-C', etc(), '-f', sender, to], 'Subject: short\n\none\n..two\n.\nthree\n');
  assert.equal(bodyOf((await taken('joe')).toString('latin1')), 'one\n..two\n');
});

test('everything went through once, and nothing is left in the queue', async () => {
  await eventually('the queue is empty', () => ['maildrop', 'incoming', 'active', 'deferred'].every((queue) =>
    readdirSync(`${house.directory}/queue/${queue}`, { recursive: true, withFileTypes: true }).every((entry) => !entry.isFile())));
  for (const name of people) assert.deepEqual(readdirSync(`${house.directory}/mail/${name}/new`), []);
  assert.deepEqual(house.lines(/panic|fatal|error|bounced|deferred/), []);
});
