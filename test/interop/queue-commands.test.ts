/**
 * postcat, postsuper and postqueue, next to Postfix's: the same queue, the same command line, the same words, statuses, and files
 * afterwards. Judged by Debian's, or by the commands in the directory that POSTFIX_COMMANDS names. Skipped, by name, where there are
 * none, or we are not root.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getgrnam, getpwnam } from '../../src/host/identity.ts';

const theirs = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';
const newer = process.env['POSTFIX_COMMANDS'] !== undefined;
const skip = process.getuid!() !== 0 ? 'needs root' : fs.existsSync(`${theirs}/postsuper`) && getpwnam('postfix') ? false : "Debian's postfix is not installed";
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const folder = fs.mkdtempSync(`${os.tmpdir()}/postern-queue-commands-`);
after(() => fs.rmSync(folder, { recursive: true }));
fs.chmodSync(folder, 0o755);

type SideName = 'ours' | 'theirs';
const sideNames = ['ours', 'theirs'] as const;
const queues = ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'maildrop', 'pid', 'private', 'public', 'saved', 'trace'];

const record = (type: string, data: string | Buffer): Buffer => {
  const bytes = Buffer.from(data as string, 'latin1');
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(length), bytes]);
};

const envelope = Buffer.concat([
  record('T', '1700000000 123456'), record('A', 'create_time=1700000000'), record('A', 'rewrite_context=local'), record('A', 'bad attribute'), record('W', '1700014400'),
  record('F', 'Full Name'), record('S', 'sender@example.test'), record('A', 'dsn_orig_rcpt=rfc822;one@example.test'), record('O', 'one@example.test'), record('R', 'one@example.test'), record('D', 'done@example.test'),
]);
const content = Buffer.concat([
  record('N', 'Received: from x'), record('N', '\tby y'), record('L', 'Subject: a long '), record('L', 'line in '), record('N', 'pieces'), record('N', 'To: one@example.test'), record('w', '0000000000'), record('N', ''),
  record('N', 'body'), record('N', 'Not: a header'), record('L', 'piece, '), record('N', 'end'), record('N', '\xff\0nul'), record('N', 'x'.repeat(300)), record('L', 'unended'),
]);

/** With a size record in front, which tells where the content is. */
function queueFile(extracted = Buffer.alloc(0)): Buffer {
  const size = (offset: number): Buffer => record('C', [content.length, offset, 2, 0, 999].map((number) => String(number).padStart(15)).join(' '));
  const before = Buffer.concat([size(0), envelope, record('p', '              0'), record('M', '')]).length;
  return Buffer.concat([size(before), envelope, record('p', '              0'), record('M', ''), content, record('X', ''), extracted, record('p', '              0'), record('E', '')]);
}

const files: ReadonlyMap<string, Buffer> = new Map([
  ['whole', queueFile(Buffer.concat([record('R', 'two@example.test'), record('A', 'encoding=8bit')]))],
  ['no size', Buffer.concat([envelope, record('M', ''), content, record('X', ''), record('E', '')])],
  ['cut in the content', queueFile().subarray(0, 400)],
  ['cut in a record', queueFile().subarray(0, 290)],
  ['only an envelope', envelope],
  ['an unknown record', Buffer.concat([envelope, record('q', 'x'), record('\x01', 'y'), record('E', '')])],
  ['more behind the end', Buffer.concat([queueFile(), record('N', 'more')])],
  ['a size that is none', Buffer.concat([record('C', 'x y z'), envelope, record('M', ''), content, record('X', ''), record('E', '')])],
  ['a pointer to itself', Buffer.concat([record('T', '1 1'), record('p', '             -1'), record('E', '')])],
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('hello, this is no queue file\n')],
]);

function makeSide(side: SideName): string {
  const place = `${folder}/${side}`;
  const [owner, group] = [getpwnam('postfix')!.uid, getgrnam('postdrop')!.gid];
  fs.rmSync(`${place}/queue`, { recursive: true, force: true });
  for (const name of ['etc', 'queue', ...queues.map((each) => `queue/${each}`)]) fs.mkdirSync(`${place}/${name}`, { recursive: true });
  for (const name of queues) fs.chownSync(`${place}/queue/${name}`, owner, name === 'maildrop' || name === 'public' ? group : 0);
  fs.chmodSync(`${place}/queue/maildrop`, 0o730);
  fs.writeFileSync(`${place}/etc/main.cf`, `compatibility_level = 3.6
myhostname = host.example.org
queue_directory = ${place}/queue
data_directory = ${place}
daemon_directory = ${process.env['POSTFIX_DAEMONS'] ?? '/usr/lib/postfix/sbin'}
maillog_file = ${place}/maillog
maillog_file_prefixes = ${folder}
`);
  fs.writeFileSync(`${place}/etc/master.cf`, '');
  fs.writeFileSync(`${place}/maillog`, '');
  fs.chownSync(`${place}/maillog`, owner, group);
  return place;
}

interface Said { readonly status: number | null; readonly stdout: string; readonly stderr: string }

function run(side: SideName, command: string, argv: readonly string[], input = Buffer.alloc(0), place = side): Said {
  const [file, words] = side === 'ours' ? [process.execPath, [runner, command, ...argv]] : [`${theirs}/${command}`, argv];
  const { PATH, LD_PRELOAD } = process.env;
  const { status, stdout, stderr } = spawnSync(file, words, { input, encoding: 'latin1', timeout: 20_000, cwd: folder, env: { PATH, LD_PRELOAD, MAIL_CONFIG: `${folder}/${place}/etc`, TZ: 'UTC' } });
  const plain = (text: string): string => text.replaceAll(`${folder}/${place}`, 'DIR').replace(/^\/\S+\/(?=post\w+: )/gm, '').replace(/(usage: )\/\S+\//, '$1');
  return { status, stdout: plain(stdout), stderr: plain(stderr) };
}

test('postcat shows what Postfix\'s shows', { skip, timeout: 120_000 }, async (t) => {
  for (const side of sideNames) makeSide(side);
  const name = (key: string): string => `${folder}/${key.replaceAll(' ', '-')}`;
  for (const [key, bytes] of files) fs.writeFileSync(name(key), bytes);
  const options = ['', '-e', '-h', '-b', '-he', '-bh', '-o', '-d', '-od', '-r', '-ro', '-s 20', '-os 120', ...(newer ? ['-f', '-fo'] : [])];
  for (const key of files.keys()) {
    for (const words of options.map((each) => each.split(' ').filter((word) => word !== ''))) {
      await t.test(`${key}: ${words.join(' ')}`, () => assert.deepEqual(run('ours', 'postcat', [...words, name(key)]), run('theirs', 'postcat', [...words, name(key)])));
    }
  }
  for (const words of [['-q'], ['-q', 'NOPE1234'], ['-q', '../x'], ['-x'], ['-s', 'x'], [`${folder}/absent`], [name('whole'), name('text'), name('no size')]])
    await t.test(words.join(' ').replaceAll(folder, ''), () => assert.deepEqual(run('ours', 'postcat', words), run('theirs', 'postcat', words)));
});

/** A queue with something wrong everywhere; queue ids by name. */
function fill(side: SideName): Map<string, string> {
  const root = `${makeSide(side)}/queue`;
  const owner = getpwnam('postfix')!.uid;
  const ids = new Map<string, string>();
  const put = (key: string, queue: string, mode = 0o700): string => {
    const temporary = `${root}/${queue}/x`;
    fs.writeFileSync(temporary, queueFile());
    fs.chmodSync(temporary, mode);
    fs.chownSync(temporary, owner, 0);
    const id = `12345${fs.statSync(temporary).ino.toString(16).toUpperCase()}`;
    const hashed = queue === 'deferred' ? `${root}/deferred/1` : `${root}/${queue}`;
    fs.mkdirSync(hashed, { recursive: true });
    fs.chownSync(hashed, owner, 0);
    fs.renameSync(temporary, `${hashed}/${id}`);
    ids.set(key, id);
    return id;
  };
  for (const queue of ['maildrop', 'incoming', 'active', 'deferred', 'hold']) put(queue, queue);
  put('second', 'deferred');
  put('unfinished', 'incoming', 0o600);
  put('old', 'active', 0o600);
  fs.utimesSync(`${root}/active/${ids.get('old')}`, 1, 1);
  fs.mkdirSync(`${root}/defer/1`);
  for (const [log, key] of [['defer/1', 'deferred'], ['bounce', 'active'], ['trace', 'hold']] as const) fs.writeFileSync(`${root}/${log}/${ids.get(key)}`, 'why\n', { mode: 0o600 });
  fs.mkdirSync(`${root}/hold/folder`);
  for (const path of ['defer/1', `defer/1/${ids.get('deferred')}`, `bounce/${ids.get('active')}`, `trace/${ids.get('hold')}`, 'hold/folder']) fs.chownSync(`${root}/${path}`, owner, 0);
  return ids;
}

/** Files with their modes; ids by name. */
function listing(side: SideName, name: (text: string) => string): string[] {
  const root = `${folder}/${side}/queue`;
  return fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => !/^(public|private|pid|saved)/.test(entry.name))
    .map((entry) => `${entry.parentPath.slice(root.length)}/${entry.name}`)
    .map((path) => `${name(path)} ${(fs.lstatSync(root + path).mode & 0o7777).toString(8)}`).sort();
}

const operations: readonly (readonly [argv: readonly string[], input?: string])[] = [
  [['-d', 'deferred']], [['-d', 'ALL']], [['-d', 'ALL', 'hold']], [['-d', 'ALL', 'hold', 'active']], [['-d', '-'], 'hold\nnope\n../x\n\nactive\n'], [['-d', 'NOPE1234']], [['-d', 'all']], [['-d', 'deferred', 'hold']],
  [['-h', 'active']], [['-h', 'hold']], [['-h', 'ALL']], [['-h', 'maildrop']], [['-h', 'ALL', 'deferred']], [['-H', 'hold']], [['-H', 'active']], [['-H', 'ALL']], [['-r', 'hold']], [['-r', 'ALL']], [['-r', 'maildrop']], [['-r', 'ALL', 'hold']],
  [['-e', 'deferred']], [['-e', 'deferred', '-e', 'deferred']], [['-e', 'ALL']], [['-e', 'unfinished']], [['-f', 'hold']], [['-f', 'ALL']], [['-f', 'deferred']], [['-e', 'maildrop']],
  [['-h', 'active', '-H', 'active', '-r', 'active']], [['-d', 'active', '-d', 'deferred', '-d', 'second']], [['-d', '-', '-h', '-'], 'active\n'],
  [['-p']], [['-s']], [['-S']], [['-ps']], [['-p', 'active']], [['-s', 'hold']], [[]], [['hold']], [['-s', '-d', 'hold']], [['-d', 'hold', 'nonsense']], [['-s', 'bounce']], [['-d', 'hold', 'bounce']], [['-v', '-z']], [['-d']], [['-c', 'relative', '-s']],
];

for (const [argv, input = ''] of operations) {
  test(`postsuper ${argv.join(' ')}`, { skip }, () => {
    const seen = sideNames.map((side) => {
      const ids = fill(side);
      const names = new Map([...ids].map(([name, id]) => [id, name]));
      const named = (text: string): string => text.replace(/\b12345[0-9A-F]+\b/g, (id) => names.get(id) ?? id);
      const meant = (word: string): string => (argv.indexOf(word) > 0 && /^-[defhHr]$/.test(argv[argv.indexOf(word) - 1]!) ? ids.get(word) ?? word : word);
      const { status, stdout, stderr } = run(side, 'postsuper', argv.map(meant), Buffer.from(input.split('\n').map((line) => ids.get(line) ?? line).join('\n')));
      return { status, stdout, stderr: named(stderr).split('\n'), files: listing(side, named) };
    });
    assert.deepEqual(seen[0], seen[1]);
  });
}

for (const words of [[], ['-p', '-j'], ['-p', 'x'], ['-x'], ['-i', '../x'], ['-i', 'ABCDEF1'], ['-s', 'a b'], ['-s', 'example.org'], ['-s', '[1.2.3]'], ['-s', `${'x'.repeat(200)}.y`], ['-f'], ['-i'], ['-c', '/nonexistent', '-p']]) {
  test(`postqueue ${words.join(' ').slice(0, 40)}, with the mail system down`, { skip }, () => {
    for (const side of sideNames) makeSide(side);
    assert.deepEqual(run('ours', 'postqueue', words), run('theirs', 'postqueue', words));
  });
}

test('the list of one queue, with the mail system down', { skip: skip || (newer ? false : 'reasons of bounces and JSON members are those of Postfix 3.11') }, () => {
  const ids = fill('theirs');
  const root = `${folder}/theirs/queue`;
  const log = (recipient: string, reason: string, action: string): string =>
    `<${recipient}>: ${reason}\nrecipient=${recipient}\noriginal_recipient=orig-${recipient}\noffset=1\ndsn_orig_rcpt=rfc822;${recipient}\nstatus=4.4.1\naction=${action}\nreason=${reason}\n\n`;
  fs.writeFileSync(`${root}/defer/1/${ids.get('deferred')}`, log('one@example.test', 'connect to x: "refused"', 'delayed') + log('two@example.test', 'connect to x: "refused"', 'delayed'));
  fs.writeFileSync(`${root}/bounce/${ids.get('active')}`, log('one@example.test', 'no such user\xe9', 'failed'));
  fs.chmodSync(`${root}/hold/${ids.get('hold')}`, 0o710);
  fs.rmdirSync(`${root}/hold/folder`); // Postfix tells of it in the log only, we on standard error as well
  for (const words of [['-p'], ['-j']]) {
    const [ours, postfix] = [run('ours', 'postqueue', words, undefined, 'theirs'), run('theirs', 'postqueue', words)];
    assert.match(ours.stdout, /one@example\.test/);
    assert.deepEqual(ours, postfix);
  }
});
