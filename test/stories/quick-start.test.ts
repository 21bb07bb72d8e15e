/**
 * The quick start of a well-known book on Linux servers, seven steps, on the stock main.cf and master.cf: afterwards mail from outside
 * for root reaches the account that root's alias names, and mail from inside leaves.
 *
 * Run as the reader would, with the programs of bin/ as they were built. Changed for the test are only the places (a directory of its
 * own, an unprivileged port), the accounts (this machine's), and where mail that leaves goes to: a server of the test.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { ordinaryAccount } from '../accounts.ts';
import { openSink } from '../faults/sink.ts';
import { eventually, indexedType } from '../instance.ts';
import { freePort } from '../ports.ts';
import { submit } from '../submit.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const account = ordinaryAccount();
const mick = account.name;

interface Said { readonly status: number | null; readonly text: string }

/** Runs a program of bin/; what it said on both outputs. */
function run(program: string, argv: readonly string[], input = '', as: { uid?: number; gid?: number } = {}): Promise<Said> {
  return new Promise((resolve) => {
    let text = '';
    const child = spawn(`${root}bin/${program}`, argv, { cwd: '/', ...as });
    child.stdin.on('error', () => undefined).end(input, 'latin1');
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
    child.on('close', (status) => resolve({ status, text }));
  });
}

async function succeeds(program: string, argv: readonly string[], input?: string, as?: { uid: number; gid: number }): Promise<string> {
  const { status, text } = await run(program, argv, input, as);
  assert.equal(status, 0, `${program} ${argv.join(' ')}: ${text}`);
  return text;
}

/** The stock files, with places, accounts and port of the test. */
function install(directory: string, port: number, relay: number): void {
  const { owner, group } = instanceAccounts();
  chmodSync(directory, 0o755);
  mkdirSync(`${directory}/etc`);
  mkdirSync(`${directory}/spool`);
  chmodSync(`${directory}/spool`, 0o1777);
  const places = new Map([
    ['queue_directory', `${directory}/queue`], ['data_directory', `${directory}/data`], ['command_directory', `${root}bin`],
    ['daemon_directory', `${root}libexec`], ['mail_owner', owner], ['setgid_group', group],
    ['alias_maps', `${indexedType}:${directory}/etc/aliases`], ['alias_database', `${indexedType}:${directory}/etc/aliases`],
  ]);
  const stock = readFileSync(`${root}conf/main.cf`, 'latin1').replace(/^(\w+) = .*$/gm, (line, name: string) => (places.has(name) ? `${name} = ${places.get(name)!}` : line));
  writeFileSync(`${directory}/etc/main.cf`, `${stock}
maillog_file = ${directory}/maillog
maillog_file_prefixes = ${directory}
default_database_type = ${indexedType}
mail_spool_directory = ${directory}/spool
inet_interfaces = loopback-only
relayhost = [127.0.0.1]:${relay}
`);
  const rows = readFileSync(`${root}conf/master.cf`, 'latin1').replace(/^smtp(?=\s+inet\s)/m, `127.0.0.1:${port}`);
  writeFileSync(`${directory}/etc/master.cf`, rows);
}

const aliases = (clients: string, bucket: string): string => `postmaster:       root

mailer-daemon:    root

hostmaster:       root

root:             ${mick}

mailguys:         ${mick},mick.bauer

mick.bauer:       mbauer@biscuit.stpaul.dogpeople.org

clients:          :include:${clients}

spam-reports:     ${bucket}
`;

test('the quick start in seven steps', async (t) => {
  const sunk: string[] = [];
  const sink = await openSink((text) => sunk.push(text));
  const port = await freePort();
  const directory = mkdtempSync(`${tmpdir()}/postern-quick-`);
  const etc = `${directory}/etc`;
  const textOf = (name: string): string => (existsSync(`${directory}/${name}`) ? readFileSync(`${directory}/${name}`, 'latin1') : '');
  const log = (): string => textOf('maillog');
  t.after(async () => {
    if (!t.passed) t.diagnostic(log());
    await run('postfix', ['-c', etc, 'stop']);
    await sink.close();
    rmSync(directory, { recursive: true, force: true });
  });

  await t.test('1. install: the programs and the stock files are there', async () => {
    install(directory, port, sink.port);
    assert.match(await succeeds('postconf', ['-c', etc, 'mail_version']), /^mail_version = \d/);
  });

  await t.test('2. to 4. set myhostname, myorigin and mydestination in main.cf', async () => {
    writeFileSync(`${etc}/main.cf`, 'myhostname = fearnley.polkatistas.org\nmyorigin = $mydomain\nmydestination = $myhostname, localhost.$mydomain, $mydomain\n', { flag: 'a' });
    assert.equal(await succeeds('postconf', ['-c', etc, '-xh', 'mydomain', 'myorigin', 'mydestination']),
      'polkatistas.org\npolkatistas.org\nfearnley.polkatistas.org, localhost.polkatistas.org, polkatistas.org\n');
  });

  await t.test("5. redirect root's mail to an unprivileged account", () => writeFileSync(`${etc}/aliases`, `root: ${mick}\n`));

  await t.test('6. as printed, "postfix /etc/aliases", is refused with the names of the commands that are meant', async () => {
    const { status, text } = await run('postfix', ['/etc/aliases']);
    assert.equal(status, 1);
    assert.match(text, /^postfix: fatal: .*"postalias \/etc\/aliases" or "newaliases"/);
    assert.equal(text.split('\n').length, 2);
  });

  await t.test('6. as meant: postalias, or newaliases, makes the table', async () => {
    assert.equal(await succeeds('postalias', ['-c', etc, `${etc}/aliases`]), '');
    assert.equal(await succeeds('postalias', ['-c', etc, '-q', 'root', `${etc}/aliases`]), `${mick}\n`);
    rmSync(`${etc}/aliases.${indexedType}`);
    assert.equal(await succeeds('newaliases', ['-C', etc]), '');
    assert.equal(await succeeds('postalias', ['-c', etc, '-q', 'root', `${etc}/aliases`]), `${mick}\n`);
  });

  await t.test('7. postfix start', async () => {
    assert.match(await succeeds('postfix', ['-c', etc, 'start']), /^postlog: starting the Postfix mail system$/m);
    assert.match(await succeeds('postfix', ['-c', etc, 'status']), /the Postfix mail system is running: PID: \d+/);
    assert.match(log(), /postfix\/master\[\d+\]: daemon started/);
  });

  await t.test('mail from outside for root reaches the account that its alias names', async () => {
    await submit({ port, sender: 'friend@elsewhere.example', recipients: ['root@polkatistas.org'], text: 'From: friend@elsewhere.example\nSubject: to root\n\nfrom outside\n' });
    const mailbox = await eventually('it is in the mailbox', () => (textOf(`spool/${mick}`).endsWith('\n\n') ? textOf(`spool/${mick}`) : undefined));
    assert.match(mailbox, /^From friend@elsewhere\.example  .*\n(?:.*\n)*X-Original-To: root@polkatistas\.org\nDelivered-To: .*@polkatistas\.org\n(?:.*\n)*Subject: to root\n(?:.*\n)*\nfrom outside\n\n$/);
    await eventually('the log says so', () => new RegExp(`to=<${mick}@polkatistas\\.org>, orig_to=<root@polkatistas\\.org>, relay=local, .*status=sent \\(delivered to mailbox\\)$`, 'm').test(log()));
  });

  await t.test('mail of a local user leaves, with an address of the domain', async () => {
    await succeeds('sendmail', ['-C', etc, 'friend@elsewhere.example'], 'Subject: from inside\n\nhello out there\n', account);
    const message = await eventually('it leaves', () => sunk[0]);
    assert.match(message, new RegExp(`^From: (?:.* )?<?${mick}@polkatistas\\.org>?.*\\r$`, 'm'));
    assert.match(message, /^Subject: from inside\r$/m);
    assert.match(message, /\r\n\r\nhello out there$/);
    await eventually('the log says so', () => /to=<friend@elsewhere\.example>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*status=sent/.test(log()));
  });

  await t.test('mail for an account that is not there is refused while the sender is connected', async () => {
    await assert.rejects(submit({ port, sender: 'friend@elsewhere.example', recipients: ['nobody-of-this-name@polkatistas.org'], text: '' }), /550 5\.1\.1 <nobody-of-this-name@polkatistas\.org>: Recipient address rejected: User unknown in local recipient table/);
  });

  await t.test("the chapter's longer list of aliases: chains, lists, other systems, :include: and a file", async () => {
    writeFileSync(`${etc}/clientlist.txt`, `${mick}\nmick.bauer\n`);
    writeFileSync(`${etc}/aliases`, aliases(`${etc}/clientlist.txt`, `${directory}/spool/spambucket.txt`));
    assert.equal(await succeeds('postalias', ['-c', etc, `${etc}/aliases`]), '');
    sunk.length = 0;
    for (const name of ['postmaster', 'mailguys', 'clients', 'spam-reports'])
      await submit({ port, sender: 'friend@elsewhere.example', recipients: [`${name}@polkatistas.org`], text: `Subject: to ${name}\n\n` });
    const subjects = (text: string): string[] => [...text.matchAll(/^Subject: to (.*?)\r?$/gm)].map(([, name]) => name!).sort();
    await eventually('all are delivered', () => subjects(sunk.join('\n')).length === 2 && subjects(textOf('spool/spambucket.txt')).length === 1 && subjects(textOf(`spool/${mick}`)).length === 4);
    assert.deepEqual(subjects(textOf(`spool/${mick}`)), ['clients', 'mailguys', 'postmaster', 'root']);
    assert.deepEqual(subjects(sunk.join('\n')), ['clients', 'mailguys']);
    assert.deepEqual(subjects(textOf('spool/spambucket.txt')), ['spam-reports']);
    await eventually('the log says so', () => /to=<mbauer@biscuit\.stpaul\.dogpeople\.org>, .*status=sent/.test(log()));
  });

  await t.test('mydestination as the name of a file, after postfix reload', async () => {
    writeFileSync(`${etc}/mydests.txt`, 'fearnley.polkatistas.org\nftp.polkatistas.org\n');
    await succeeds('postconf', ['-c', etc, `mydestination=${etc}/mydests.txt`]);
    assert.match(await succeeds('postfix', ['-c', etc, 'reload']), /^postlog: refreshing the Postfix mail system$/m);
    await eventually('it holds', () => submit({ port, sender: 'friend@elsewhere.example', recipients: [`${mick}@ftp.polkatistas.org`], text: 'Subject: to ftp\n\n' })
      .then(() => new RegExp(`to=<${mick}@ftp\\.polkatistas\\.org>, relay=local, .*status=sent`).test(log())));
  });

  await t.test('nothing is wrong in the log; postfix stop', async () => {
    assert.match(await succeeds('postfix', ['-c', etc, 'stop']), /^postlog: stopping the Postfix mail system$/m);
    assert.deepEqual(log().split('\n').filter((line) => /panic|fatal|error:|warning: (?!.*not part of this release)/.test(line)), []);
  });
});
