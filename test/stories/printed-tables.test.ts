/**
 * The master.cf tables that two well-known articles print, as readers type them in: one of 1999 (Postfix in a weekly column) and one
 * of 2002 (a book's chapter, with chroot jails). What had to be changed to run them here: the port, since 25 is not ours to take;
 * `user=`, which names accounts that this machine need not have; and where the programs of pipe rows are.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ordinaryAccount } from '../accounts.ts';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance, indexedType } from '../instance.ts';
import { submit } from '../submit.ts';

const printed = (year: string): string => readFileSync(new URL(`printed-tables/${year}.cf`, import.meta.url), 'latin1');
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const account = ordinaryAccount();
const isRoot = process.getuid!() === 0;
const sender = 'bob@sink.example.test';
const text = `From: ${sender}
Message-ID: <1@sink.example.test>
Date: Sat, 21 Nov 2026 12:00:00 +0100
Subject: hello

.a line with a dot
From me to you
`;

interface House {
  readonly instance: Instance;
  readonly port: number;
  /** Messages that came back out by SMTP. */
  readonly sunk: readonly string[];
  send(...recipients: string[]): Promise<string>;
  /** What the programs were run with: their words, and the message. */
  ran(program: string): { words: string[]; message: string }[];
  mailbox(): string;
  /** The log line of a delivery. */
  delivered(recipient: string, status: string): Promise<string>;
}

async function open(t: TestContext, table: string, mainCf = ''): Promise<House> {
  const [port, sunk] = [await freePort(), [] as string[]];
  const sink = await openSink((message) => sunk.push(message));
  const instance = await Instance.create({ masterCf: '' });
  t.after(async () => {
    if (!t.passed) t.diagnostic(instance.log());
    await Promise.all([sink.close(), instance.stop()]);
  });
  const { directory } = instance;
  instance.masterCf(adapted(table, { port, stubs: `${directory}/programs` }));
  instance.mainCf(settings(directory, sink.port) + mainCf);
  makeStubs(directory);
  postalias(directory, `root: ${account.name}\n`);
  await instance.start();
  return {
    instance, port, sunk,
    send: (...recipients) => submit({ port, sender, recipients, text }),
    ran: (program) => runs(`${directory}/ran`, program),
    mailbox: () => (existsSync(`${directory}/spool/${account.name}`) ? readFileSync(`${directory}/spool/${account.name}`, 'latin1') : ''),
    delivered: async (recipient, status) => eventually(`${recipient} is ${status}`, () => instance.lines(new RegExp(`to=<${recipient.replace('+', '\\+')}>, .*status=${status} `))[0]),
  };
}

function adapted(table: string, { port, stubs }: { port: number; stubs: string }): string {
  return table.replace(/^smtp(?=\s+inet\s)/m, `127.0.0.1:${port}`).replace(/user=\w+/g, `user=${account.name}`).replace(/argv=\S*?(?=\w+ )/g, `argv=${stubs}/`);
}

function settings(directory: string, sinkPort: number): string {
  return `
mydestination = $myhostname, example.test
fast_flush_domains =
alias_maps = ${indexedType}:${directory}/etc/aliases
mail_spool_directory = ${directory}/spool
recipient_delimiter = +
relay_domains = cyrus.example.test, uucp.example.test, ifmail.example.test, procmail.example.test
transport_maps = inline:{{cyrus.example.test = cyrus:}, {uucp.example.test = uucp:gateway}, {ifmail.example.test = ifmail:f1.n2.z3}, {procmail.example.test = procmail:}, {sink.example.test = smtp:[127.0.0.1]:${sinkPort}}}
`;
}

/** The programs that rows call. */
const programs = { cyrus: 'deliver', uucp: 'uux', ifmail: 'ifmail', procmail: 'procmail' } as const;

/** Programs that write down their words, one per line, and what they read; `later` and `gone` in a word say how they end. */
const stub = `#!/bin/sh
place=$(mktemp DIRECTORY/ran/.XXXXXX) || exit 75
for word; do printf '%s\\n' "$word"; done > "$place"
printf '\\f' >> "$place"
cat >> "$place"
mv "$place" "DIRECTORY/ran/\${0##*/}.$$"
case "$*" in *later*) exit 75 ;; *gone*) exit 67 ;; esac
`;

function makeStubs(directory: string): void {
  for (const [name, mode] of [['programs', 0o755], ['ran', 0o1777], ['spool', 0o1777]] as const) {
    mkdirSync(`${directory}/${name}`);
    chmodSync(`${directory}/${name}`, mode);
  }
  for (const program of Object.values(programs)) {
    writeFileSync(`${directory}/programs/${program}`, stub.replaceAll('DIRECTORY', directory));
    chmodSync(`${directory}/programs/${program}`, 0o755);
  }
}

/** Write aliases and make the table of them. */
function postalias(directory: string, aliases: string): void {
  writeFileSync(`${directory}/etc/aliases`, aliases);
  const { status, stderr } = spawnSync(process.execPath, [runner, 'postalias', '-c', `${directory}/etc`, `${indexedType}:${directory}/etc/aliases`], { encoding: 'latin1' });
  assert.equal(status, 0, stderr);
}

function runs(place: string, program: string): { words: string[]; message: string }[] {
  return readdirSync(place).filter((name) => name.startsWith(`${program}.`)).map((name) => {
    const [words = '', message = ''] = readFileSync(`${place}/${name}`, 'latin1').split('\f');
    return { words: words.split('\n').slice(0, -1), message };
  });
}

/** The process behind a log line, and what it takes for the root directory. */
function rootOf(line: string): string {
  const number = Number(/\[([0-9]+)\]:/.exec(line)?.[1]);
  const pid = number > 4_194_304 ? Math.floor(number / 10_000) : number;
  return readlinkSync(`/proc/${pid}/root`);
}

/** The message as it was sent, without what was put in front. */
const contentOf = (message: string): string => message.slice(message.indexOf(`From: ${sender}\n`));
const withFlags = printed('1999').replace('flag=', 'flags=');
const fromLine = /^From bob@sink\.example\.test {2}\w{3} \w{3} [ 0-9]\d \d\d:\d\d:\d\d \d{4}\nReceived: /;
const returnPath = /^Return-Path: <bob@sink\.example\.test>\nReceived: /;

async function staysAndLeaves(house: House): Promise<void> {
  await house.send(`${account.name}@example.test`, 'root@example.test', 'joe@sink.example.test');
  await eventually('it leaves', () => house.sunk.length === 1);
  assert.equal(contentOf(`${house.sunk[0]!.replaceAll('\r\n', '\n')}\n`), text);
  await eventually('both are here', () => house.mailbox().split(text.replace('\nFrom me', '\n>From me')).length === 3);
}

async function isPickedUp(house: House): Promise<void> {
  const { status, stderr } = spawnSync(process.execPath, [runner, 'sendmail', '-C', `${house.instance.directory}/etc`, 'ann@sink.example.test'], {
    input: 'Subject: from here\n\nhello\n', encoding: 'latin1', ...(isRoot ? { uid: account.uid, gid: account.gid } : {}),
  });
  assert.equal(status, 0, stderr);
  const message = await eventually('it leaves', () => house.sunk.find((each) => /^Subject: from here\r$/m.test(each)));
  assert.match(message, new RegExp(`by host\\.example\\.test \\(Postfix, from userid ${account.uid}\\)`));
}

async function calls(house: House, program: keyof typeof programs, recipients: readonly string[], words: readonly string[], head: RegExp): Promise<void> {
  await house.send(...recipients);
  for (const recipient of recipients) {
    const line = await house.delivered(recipient, 'sent');
    assert.ok(line.endsWith(`, dsn=2.0.0, status=sent (delivered via ${program} service)`), line);
  }
  const { message, ...ran } = house.ran(programs[program]).find((each) => each.words.join().includes(recipients[0]!.split('@')[0]!.split('+')[0]!))!;
  assert.deepEqual(ran.words, words);
  assert.match(message, head);
  assert.equal(contentOf(message), text);
}

test('the table of 1999, as printed but for its misprint', async (t) => {
  const house = await open(t, withFlags);
  await t.test('starts; mail comes in, stays here and leaves', () => staysAndLeaves(house));
  await t.test('mail of a local user is picked up, and leaves', () => isPickedUp(house));
  for (const [program, recipients, words, head] of [
    ['cyrus', ['jim+lists@cyrus.example.test'], ['-e', '-q', '-m', 'lists', 'jim'], returnPath],
    ['cyrus', ['joe@cyrus.example.test'], ['-e', '-q', '-m', '', 'joe'], returnPath],
    ['uucp', ['joe@uucp.example.test', 'ann+x@uucp.example.test'],
      ['-r', '-n', '-z', '-abob@sink.example.test', '-', 'gateway!rmail', '(ann+x@uucp.example.test)', '(joe@uucp.example.test)'], fromLine],
    ['ifmail', ['joe@ifmail.example.test', 'ann@ifmail.example.test'], ['-r', 'f1.n2.z3', '(ann@ifmail.example.test)', '(joe@ifmail.example.test)'], fromLine],
  ] as const) await t.test(`${program} calls its program with ${words.map((word) => word || "''").join(' ')}`, () => calls(house, program, recipients, words, head));
  await t.test('a program that ends with 75 keeps the mail in the queue, one that ends with 67 sends it back', () => comesBack(house));
  await t.test('nothing is wrong in the log', () => assert.deepEqual(house.instance.lines(/panic|fatal|error:|warning:/), []));
});

async function comesBack(house: House): Promise<void> {
  await house.send('later@cyrus.example.test', 'gone@uucp.example.test');
  assert.match(await house.delivered('later@cyrus.example.test', 'deferred'), / relay=cyrus, .* dsn=4\.3\.0, status=deferred \(temporary failure\)$/);
  assert.match(await house.delivered('gone@uucp.example.test', 'bounced'), / relay=uucp, .* dsn=5\.1\.1, status=bounced \(user unknown\)$/);
  const report = await eventually('the sender is told', () => house.sunk.find((each) => each.includes('Final-Recipient: rfc822; gone@uucp.example.test')));
  assert.ok(!report.includes('later@cyrus.example.test'));
}

test('flag= as the table of 1999 prints it: that one service is not started, and the log names file, line and flags=', async (t) => {
  const house = await open(t, printed('1999'));
  const [line, ...more] = house.instance.lines(/error:/);
  assert.deepEqual(more, []);
  assert.ok(line!.endsWith(`error: ${house.instance.directory}/etc/master.cf: line 16: unknown attribute name: flag=R (did you mean flags=R?) -- service "cyrus" is not started`), line);
  await house.send('joe@cyrus.example.test', 'joe@uucp.example.test', `${account.name}@example.test`, 'joe@sink.example.test');
  for (const recipient of ['joe@uucp.example.test', `${account.name}@example.test`, 'joe@sink.example.test']) await house.delivered(recipient, 'sent');
  assert.match(await house.delivered('joe@cyrus.example.test', 'deferred'), /dsn=4\.3\.0, status=deferred \(.*mail transport unavailable\)$/);
  assert.deepEqual(house.ran('deliver'), []);
});

test('the table of 2002, as printed', async (t) => {
  const house = await open(t, printed('2002'));
  await t.test('starts; mail comes in, stays here and leaves', () => staysAndLeaves(house));
  await t.test('mail of a local user is picked up, and leaves', () => isPickedUp(house));
  await t.test('procmail calls its program with -t -m USER=joe EXT=lists /etc/procmailrc', () =>
    calls(house, 'procmail', ['joe+lists@procmail.example.test'], ['-t', '-m', 'USER=joe', 'EXT=lists', '/etc/procmailrc'], returnPath));
  await t.test('chroot = y is a jail: those services see nothing but the queue directory', { skip: isRoot ? false : 'only root can chroot' }, () => jails(house));
  await t.test('an alias that is added later is known in the jail too', () => knowsNewAlias(house));
  await t.test('nothing is wrong in the log', () => assert.deepEqual(house.instance.lines(/panic|fatal|error:|warning: (?!.*not part of this release)/), []));
});

async function jails(house: House): Promise<void> {
  const { instance } = house;
  const jail = `${instance.directory}/queue`;
  for (const [service, root] of [['smtpd', jail], ['cleanup', jail], ['qmgr', jail], ['pickup', jail], ['smtp', jail], ['local', '/'], ['pipe', '/']] as const) {
    const line = await eventually(`${service} speaks`, () => instance.lines(new RegExp(`postfix/${service}\\[`)).at(-1));
    assert.equal(rootOf(line), root, line);
  }
}

async function knowsNewAlias(house: House): Promise<void> {
  const { directory } = house.instance;
  await assert.rejects(house.send('new@example.test'), /550 5\.1\.1 <new@example\.test>: Recipient address rejected: User unknown in local recipient table/);
  postalias(directory, `root: ${account.name}\nnew: ${account.name}\n`);
  await eventually('the new alias is known', () => house.send('new@example.test').catch(() => undefined));
  await eventually('it is delivered', () => house.instance.lines(/orig_to=<new@example\.test>, .*status=sent/)[0]);
}
