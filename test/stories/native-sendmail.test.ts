/**
 * The compiled sendmail (native/sendmail.c) beside Node's: the same message in the queue, the same log lines, the same words and
 * exit statuses; and Node's in its place whenever the mail system cannot be asked, or must not be believed.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import test, { after, before, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { privateSendmail } from '../../tools/native.mjs';
import { recordsOf } from '../../src/message/record-reader.ts';
import { eventually, Instance } from '../instance.ts';

const run = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const isRoot = process.getuid!() === 0;
/** Somebody who is neither root nor the mail owner. */
const stranger = { uid: 64_999, gid: 64_999 };
/** Without a queue manager what comes stays in incoming, where it can be looked at. */
const rows = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
`;

interface Outcome { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** An instance with a compiled sendmail of its own, and a Node's sendmail that leaves a note that it ran. */
class Office {
  readonly instance: Instance;
  readonly native: string;
  readonly node: string;

  private constructor(instance: Instance, native: string) {
    this.instance = instance;
    this.native = native;
    this.node = `${instance.directory}/own/bin/sendmail`;
  }

  static async open(mainCf = '', masterCf = rows): Promise<Office | undefined> {
    const instance = await Instance.create({ masterCf, mainCf });
    const own = privateSendmail(`${instance.directory}/own`, `${instance.directory}/etc`);
    if (own === undefined) {
      await instance.stop();
      return undefined;
    }
    instance.mainCf(`${own.setting}\n`);
    const office = new Office(instance, own.path);
    writeFileSync(`${instance.directory}/ran`, '');
    chmodSync(`${instance.directory}/ran`, 0o666);
    const script = (name: string): string => `#!/bin/sh\necho ${name} >> '${instance.directory}/ran'\nexec '${process.execPath}' --disable-sigusr1 '${run}' ${name} -C '${instance.directory}/etc' "$@"\n`;
    for (const name of ['sendmail', 'mailq']) writeFileSync(`${instance.directory}/own/bin/${name}`, script(name), { mode: 0o755 });
    return office;
  }

  get socketFile(): string {
    return `${this.native}.socket`;
  }

  spawn(program: string, words: readonly string[], options: { uid?: number; gid?: number; argv0?: string; env?: NodeJS.ProcessEnv } = {}): ChildProcess & { said: Promise<Outcome> } {
    const { env = {}, ...rest } = options;
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...env }, argv0: program, ...rest });
    child.stdin.on('error', () => undefined); // a program that has had enough
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk: Buffer) => { said[name] += chunk.toString('latin1'); });
    return Object.assign(child, { said: new Promise<Outcome>((resolve) => child.on('close', (status) => resolve({ status, ...said }))) });
  }

  send(program: string, words: readonly string[], input: Buffer | string, options = {}): Promise<Outcome> {
    const child = this.spawn(program, words, options);
    child.stdin!.end(typeof input === 'string' ? Buffer.from(input, 'latin1') : input);
    return child.said;
  }

  /** Which of Node's programs have run since the last time. */
  ran(): string {
    const names = readFileSync(`${this.instance.directory}/ran`, 'latin1');
    writeFileSync(`${this.instance.directory}/ran`, '');
    return names;
  }

  /** Take what is in a queue out of it: records without their times, queue ids and dates. */
  take(queue: string): string[][] {
    const directory = `${this.instance.directory}/queue/${queue}`;
    return readdirSync(directory).filter((name) => /^[0-9A-F]+$/.test(name)).map((name) => {
      const file = readFileSync(`${directory}/${name}`);
      rmSync(`${directory}/${name}`);
      return [...recordsOf(file)].map((step) => (step.kind === 'record' ? plain(String.fromCharCode(step.record.type) + step.record.data.toString('latin1'), name) : step.kind));
    });
  }

  /** Log lines about mail since the last time, without times, ids and process numbers; first waits for the `last` one. */
  async log(last?: RegExp): Promise<string[]> {
    const file = `${this.instance.directory}/maillog`;
    if (last !== undefined) await eventually(`the log line ${last}`, () => last.test(this.instance.log()));
    const lines = this.instance.log().split('\n').filter((line) => /\/(?:pickup|cleanup|sendmail|postdrop)\[/.test(line) && !line.includes('trigger public/qmgr'));
    writeFileSync(file, '');
    return lines.map((line) => line.slice(line.indexOf('postfix/')).replace(/\[[0-9]+\]/, '').replace(/[0-9]{14}\.[0-9A-F]+@/, 'ID@').replace(/: [0-9A-F]{9,}:/, ': ID:'));
  }
}

function plain(record: string, queueId: string): string {
  return record.replaceAll(queueId, 'ID').replace(/^(T|Acreate_time=)[0-9 ]+$/, '$1').replace(/(?:Date: |; )\w{3}, .*[0-9]{4} .*$/, 'DATE').replace(/<[0-9]{14}\./, '<TIME.')
    .replace(/^C.*/, (sizes) => sizes.replace(/^(C *[0-9]+) +[0-9]+/, '$1 OFFSET'));
}

let shared: Office | undefined;
before(async () => {
  shared = await Office.open('message_size_limit = 2500000\n');
  await shared?.instance.start();
});
after(() => shared?.instance.stop());

/** The office of a test, or undefined where no C compiler is: then the test says so. */
function officeFor(t: TestContext): Office | undefined {
  if (shared === undefined) t.skip('no C compiler: cc could not make native/sendmail.c');
  return shared;
}

const letter = 'From: ann@example.org\nTo: joe@example.org, "b c" <bc@example.org>\nCc: (nobody) x@y\nSubject: a letter\n\nhello\n';
const long = 'z'.repeat(5000);
const sender = ['-f', 'ann@example.org'] as const;

for (const [name, words, input, options] of [
  ['recipients as words', [...sender, 'joe@example.org', 'a b, c <d@e>'], letter],
  ['-t', [...sender, '-t'], letter],
  ['-t with words', [...sender, '-t', 'more@example.org'], letter],
  ['-t with a Resent- block', [...sender, '-t'], `Resent-To: r@x\nResent-Cc: s@x\n${letter}`],
  ['-t without recipients', [...sender, '-t'], 'Subject: x\n\n'],
  ['no recipients', [...sender], letter],
  ['the login name as sender', ['joe@example.org'], letter],
  ['-F, and the null sender', ['-F', 'Some One', '-f', '<>', 'joe'], letter],
  ['NAME of the environment', ['joe'], 'x\n', { env: { NAME: 'Ann \xe4 Other' } }],
  ['a malformed sender', ['-f', 'a, b', 'joe'], letter],
  ['-r, -B, -N, -R, -V and -XV', ['-r', 'ann@x', '-B8BITMIME', '-N', 'success,delay', '-R', 'full', '-V', 'abc+40', '-XV', 'joe'], letter],
  ['-v', [...sender, '-v', 'joe'], letter],
  ['-bv', [...sender, '-bv', 'joe', 'anna'], ''],
  ['-O and -G', [...sender, '-O', 'requiretls=yes', '-G', 'joe'], letter],
  ['options that mean nothing any more', [...sender, '-A', 'x', '-h', '9', '-m', '-o7', '-oem', '-x', 'joe'], letter],
  ['a dot that ends the message', [...sender, 'joe'], 'one\n..\n.x\n.\ntwo\n'],
  ['-i', [...sender, '-i', 'joe'], 'one\n.\ntwo\n'],
  ['-oi', [...sender, '-oi', 'joe'], 'one\n.\ntwo\n'],
  ['CR LF', [...sender, '-t'], letter.replaceAll('\n', '\r\n')],
  ['8-bit, NUL and control bytes', [...sender, 'joe'], '\x80\xff\0\x01\n\0\n\n\xa0 \r\n'],
  ['a last line without its end', [...sender, 'joe'], 'one\ntwo'],
  ['no input', [...sender, 'joe'], ''],
  ['a mailbox separator', [...sender, 'joe'], 'From ann Thu Jan  1 00:00:00 1970\nSubject: x\n\n'],
  ['white space first', [...sender, 'joe'], ' not a header\n'],
  ['long lines', [...sender, '-t'], `To: joe\nX: ${long}\n\n${long}\n${long}`],
  ['300 kB', [...sender, 'joe'], `Subject: x\n\n${`${'y'.repeat(70)}\n`.repeat(4300)}`],
  ['two megabytes', [...sender, 'joe'], `Subject: x\n\n${`${'y'.repeat(70)}\n`.repeat(28_000)}`],
  ['three megabytes, more than message_size_limit', [...sender, 'joe'], `Subject: x\n\n${`${'y'.repeat(70)}\n`.repeat(42_000)}`],
] as readonly (readonly [string, readonly string[], string, object?])[]) {
  test(`the same from both: ${name}`, async (t) => {
    const office = officeFor(t);
    if (office === undefined) return;
    const look = async (program: string) => {
      const outcome = await office.send(program, words, input, options);
      return { outcome, messages: office.take('incoming'), log: await office.log(outcome.status === 0 ? /message-id=/ : /fatal: /) };
    };
    const native = await look(office.native);
    assert.equal(office.ran(), '', 'the mail system took the call');
    const node = await look(office.node);
    office.ran();
    assert.deepEqual(native, node);
    assert.equal(native.messages.length, native.outcome.status === 0 ? 1 : 0);
  });
}

for (const [name, words, options, ran] of [
  ['an option that it must not handle', ['-bv', '-t'], {}, 'sendmail\n'],
  ['a bad option', ['-?'], {}, 'sendmail\n'],
  ['the listing of the queue', ['-bp'], {}, 'sendmail\n'],
  ['SMTP', ['-bs'], {}, 'sendmail\n'],
  ['another configuration', ['-C', '/nonexistent', 'joe'], {}, 'sendmail\n'],
  ['MAIL_CONFIG', ['joe'], { env: { MAIL_CONFIG: '/nonexistent' } }, 'sendmail\n'],
  ['another name', [], { argv0: '/usr/bin/mailq' }, 'mailq\n'],
  ['a command line of 300 kB', [...sender, ...Array<string>(30_000).fill('joe@example')], {}, 'sendmail\n'],
] as const) {
  test(`Node's takes over, with the input untouched: ${name}`, async (t) => {
    const office = officeFor(t);
    if (office === undefined) return;
    const look = async (program: string, how: object) => {
      const outcome = await office.send(program, words, 'QUIT\r\n', how);
      const messages = office.take('incoming');
      return { outcome, messages, log: await office.log(messages.length > 0 ? /message-id=/ : undefined) };
    };
    const native = await look(office.native, options);
    assert.equal(office.ran(), ran);
    assert.deepEqual(native, await look(office.node.replace('sendmail', ran.trim()), { ...options, argv0: undefined }));
    office.ran();
  });
}

test('another user: the mail system names the user that the kernel names', { skip: !isRoot && 'only root can be somebody else' }, async (t) => {
  const office = officeFor(t);
  if (office === undefined) return;
  for (const program of [office.native, office.node]) {
    assert.deepEqual(await office.send(program, [...sender, 'joe'], letter, stranger), { status: 0, stdout: '', stderr: '' });
    assert.equal((await office.log(/message-id=/))[0], 'postfix/pickup: ID: uid=64999 from=<ann@example.org>');
    assert.equal(office.ran(), program === office.native ? '' : 'sendmail\n');
    // No account, so no sender but a given one.
    assert.deepEqual(await office.send(program, ['joe'], letter, stranger), { status: 75, stdout: '', stderr: 'sendmail: fatal: no login name found for user ID 64999\n' });
    office.ran();
    await office.log(program === office.native ? /fatal: / : undefined); // a stranger's own program may not write the log
  }
  assert.equal(office.take('incoming').length, 2);
});

test('twenty at once, with input that comes in small pieces', async (t) => {
  const office = officeFor(t);
  if (office === undefined) return;
  const outcomes = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const child = office.spawn(office.native, ['-f', `ann${index}@example.org`, 'joe']);
    for (const piece of ['Sub', 'ject', `: ${index}\n`, '\n', 'text\n', '.', '.\n']) await new Promise<void>((resolve) => child.stdin!.write(piece, () => setImmediate(resolve)));
    child.stdin!.end();
    return child.said;
  }));
  assert.deepEqual(outcomes.map(({ status, stderr }) => [status, stderr]), Array(20).fill([0, '']));
  const subjects = office.take('incoming').map((records) => records.find((record) => record.startsWith('NSubject: ')));
  assert.deepEqual(subjects.sort(), Array.from({ length: 20 }, (_, index) => `NSubject: ${index}`).sort());
  assert.equal(office.ran(), '');
  await office.log(/message-id=/);
});

test('with the whole queue behind it: one story in the log, under one queue id', async (t) => {
  const more = `${rows}qmgr unix n - n 300 1 qmgr\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\ndiscard unix - - n - - discard\n`;
  const office = await Office.open('default_transport = discard:gone\nmydestination =\n', more);
  if (office === undefined) return t.skip('no C compiler: cc could not make native/sendmail.c');
  const { instance } = office;
  t.after(() => instance.stop());
  await instance.start();
  assert.deepEqual(await office.send(office.native, [...sender, '-t'], letter), { status: 0, stdout: '', stderr: '' });
  assert.equal(office.ran(), '');
  const removed = await eventually('the end', () => instance.lines(/: removed$/)[0]);
  const id = /: ([0-9A-Za-z]+): removed$/.exec(removed)![1]!;
  const programs = instance.lines(new RegExp(`\\]: ${id}: `)).map((line) => /postfix\/([a-z]+)\[/.exec(line)![1]!);
  assert.deepEqual([...new Set(programs)], ['pickup', 'cleanup', 'qmgr', 'discard']);
  assert.equal(instance.lines(/status=sent/).length, 3);
});

/** Returns when the program has read most of it. */
function feed(child: ChildProcess, bytes: string): Promise<void> {
  return new Promise((resolve) => child.stdin!.write(bytes, () => resolve()));
}

const much = `Subject: much\n\n${`${'m'.repeat(99)}\n`.repeat(6000)}`;

test('a program that is killed halfway leaves nothing behind', async (t) => {
  const office = officeFor(t);
  if (office === undefined) return;
  const child = office.spawn(office.native, [...sender, 'joe']);
  await feed(child, much);
  child.kill('SIGKILL');
  await child.said;
  await office.send(office.native, [...sender, 'later'], letter);
  await eventually('only the later message', () => readdirSync(`${office.instance.directory}/queue/incoming`).length === 1);
  assert.ok(office.take('incoming')[0]!.includes('Rlater@host.example.test'));
  await office.log(/message-id=/);
});

test('a mail system that is stopped halfway: the message is begun anew, whole, and waits in the maildrop', async (t) => {
  const office = await Office.open();
  if (office === undefined) return t.skip('no C compiler: cc could not make native/sendmail.c');
  t.after(() => office.instance.stop());
  await office.instance.start();
  const child = office.spawn(office.native, [...sender, '-i', 'joe']);
  await feed(child, much);
  await office.instance.end();
  child.stdin!.end('the end\n');
  assert.deepEqual(await child.said, { status: 0, stdout: '', stderr: '' });
  assert.equal(office.ran(), 'sendmail\n');
  const [records] = office.take('maildrop');
  assert.equal(records!.filter((record) => record === `N${'m'.repeat(99)}`).length, 6000);
  assert.ok(records!.includes('Nthe end'));
  // And while it is down:
  assert.equal((await office.send(office.native, [...sender, 'joe'], letter)).status, 0);
  assert.deepEqual([office.ran(), office.take('maildrop').length], ['sendmail\n', 1]);
});

test('users who are not welcome are told so', { skip: !isRoot && 'only root can be somebody else' }, async (t) => {
  const office = await Office.open('authorized_submit_users = !nobody, root\n');
  if (office === undefined) return t.skip('no C compiler: cc could not make native/sendmail.c');
  t.after(() => office.instance.stop());
  await office.instance.start();
  const refused = { status: 75, stdout: '', stderr: 'sendmail: fatal: User unknown(64999) is not allowed to submit mail\n' };
  assert.deepEqual(await office.send(office.native, [...sender, 'joe'], letter, stranger), refused);
  assert.equal((await office.send(office.native, [...sender, 'joe'], letter)).status, 0);
  assert.deepEqual([office.ran(), office.take('incoming').length], ['sendmail\n', 1]);
});

test('a socket file that others may have written is not believed, nor a socket that another user serves', { skip: !isRoot && 'only root can be somebody else' }, async (t) => {
  const office = await Office.open();
  if (office === undefined) return t.skip('no C compiler: cc could not make native/sendmail.c');
  t.after(() => office.instance.stop());
  await office.instance.start();
  const usesNode = async (): Promise<boolean> => {
    assert.equal((await office.send(office.native, [...sender, 'joe'], letter)).status, 0);
    return office.ran() !== '';
  };
  assert.equal(await usesNode(), false);
  const file = office.socketFile;
  chmodSync(file, 0o664);
  assert.equal(await usesNode(), true, 'writable by a group');
  chmodSync(file, 0o644);
  chownSync(file, stranger.uid, stranger.gid);
  assert.equal(await usesNode(), true, "a stranger's");
  chownSync(file, 0, 0);
  const directory = `${office.instance.directory}/theirs`;
  const script = "require('net').createServer((socket) => socket.end()).listen(process.argv[1], () => console.log('up'))";
  writeFileSync(file, `${directory}/pickup\n0\n`);
  mkdirSync(directory);
  chownSync(directory, stranger.uid, stranger.gid);
  const theirs = spawn(process.execPath, ['-e', script, `${directory}/pickup`], { stdio: ['ignore', 'pipe', 'inherit'], ...stranger });
  t.after(() => theirs.kill());
  await new Promise((resolve) => theirs.stdout.once('data', resolve));
  assert.equal(await usesNode(), true, 'served by another user');
  assert.equal(office.take('incoming').length, 4);
});

test('a reload writes the file again, and a program that waits for input goes on with Node', async (t) => {
  const office = await Office.open();
  if (office === undefined) return t.skip('no C compiler: cc could not make native/sendmail.c');
  t.after(() => office.instance.stop());
  await office.instance.start();
  const child = office.spawn(office.native, [...sender, 'joe']);
  await feed(child, much.slice(0, 400_000));
  rmSync(office.socketFile);
  office.instance.signal('SIGHUP');
  await eventually('the file', () => existsSync(office.socketFile));
  await eventually("Node's program", () => readFileSync(`${office.instance.directory}/ran`, 'latin1') !== '');
  child.stdin!.end();
  assert.deepEqual(await child.said, { status: 0, stdout: '', stderr: '' });
  assert.equal(office.take('incoming').length, 1);
});
