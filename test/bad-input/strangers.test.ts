/**
 * A running mail system that is told nonsense: bytes without meaning on every one of its sockets, resets in every state, names of
 * JavaScript's own, signals, and queue files that are none. Each time no process has ended, nothing panicked, and the next message
 * is delivered.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { createFileStore } from '../../src/queue/file-store.ts';
import { writeSample } from '../../src/queue/sample-queue.ts';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { masterRows } from '../master-rows.ts';

const rows = `${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp')}
lmtp unix - - n - - lmtp
${masterRows('error retry discard local virtual anvil showq')}
`;

let instance: Instance;
let port = 0;
let queue = '';

before(async () => {
  port = await freePort();
  instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}` });
  const { directory } = instance;
  const { uid, gid } = instanceAccounts();
  queue = `${directory}/queue`;
  mkdirSync(`${directory}/mail`);
  chownSync(`${directory}/mail`, uid, gid);
  writeFileSync(`${directory}/etc/mailboxes`, 'joe@example.test joe/\n');
  instance.mainCf(`mydestination = local.example.test
local_recipient_maps = inline:{ ann=x }
alias_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:${directory}/etc/mailboxes
virtual_mailbox_base = ${directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
mynetworks = 127.0.0.0/8
`);
  await instance.start();
});

after(() => instance?.stop());

const sockets = (): string[] => ['private', 'public'].flatMap((name) => readdirSync(`${queue}/${name}`).map((socket) => `${name}/${socket}`)).sort();
const arrived = (): number => (existsSync(`${instance.directory}/mail/joe/new`) ? readdirSync(`${instance.directory}/mail/joe/new`).length : 0);
const outcries = (): string[] => instance.lines(/(panic|fatal|unexpected): |Segmentation|throttling/);

/** The mail system still does its work. */
async function assertHealthy(): Promise<void> {
  const before = arrived();
  await submit({ port, sender: 'ann@example.test', recipients: ['joe@example.test'], text: 'Subject: still there\n\nyes\n' });
  await eventually('the message arrives', () => arrived() > before);
}

/** Says `bytes` to a socket and listens until the other side is done; `reset`: hangs up rudely instead. */
function say(target: net.NetConnectOpts, bytes: Buffer, reset = false): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(target);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('data', () => undefined);
    socket.on('connect', () => socket.write(bytes, () => (!reset ? socket.end() : 'port' in target ? socket.resetAndDestroy() : socket.destroy())));
  });
}

/** Every group of processes is at work; their process ids. */
async function allRunning(): Promise<readonly number[]> {
  for (const path of sockets()) await say({ path: `${queue}/${path}` }, Buffer.from('\0'));
  await assertHealthy();
  return [...instance.children().keys()].sort();
}

/** Bytes that look like luck and are the same each time. */
function noise(length: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16 & 0xff;
  }));
}

const nul = (...words: string[]): Buffer => Buffer.from(words.join('\0') + '\0', 'latin1');

const nonsense: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['one null byte', Buffer.alloc(1)],
  ['300 bytes of noise', noise(300, 1)],
  ['64 KB of noise', noise(65536, 2)],
  ['64 KB of null bytes', Buffer.alloc(65536)],
  ['a megabyte without an end', Buffer.alloc(1 << 20, 'A')],
  ['SMTP', Buffer.from('EHLO x\r\nMAIL FROM:<>\r\n')],
  ['HTTP', Buffer.from('GET / HTTP/1.0\r\n\r\n')],
  ['an unknown request', nul('request', 'nosuch', '', '')],
  ['a request named like a property', nul('request', '__proto__', '')],
  ['a request named like a method', nul('request', 'constructor', '')],
  ['half a request', nul('request', 'resolve', 'sender')],
  ['attributes out of order', nul('sender', 'x', 'request', 'resolve', '')],
  ['a number that is none', nul('request', 'bounce', 'flags', 'NaN', 'queue_id', '../../x', '')],
  ['a delivery request from nowhere', nul('flags', '0', 'queue_name', '../../etc', 'queue_id', '../passwd', 'offset', '-1', 'size', '1e99', 'nexthop', '', '')],
  ['a path for a queue id', nul('request', 'flush', 'queue_id', '../../../etc/passwd', '')],
  ['every trigger byte', Buffer.from('FIDAW\0\xff\n', 'latin1')],
];

test('bytes without meaning on every private and public socket end no process', async () => {
  const before = await allRunning();
  const known = sockets();
  assert.ok(known.length >= 16, `the sockets: ${known.join(' ')}`);
  for (const path of known) await Promise.all(nonsense.flatMap(([, bytes]) => [say({ path: `${queue}/${path}` }, bytes), say({ path: `${queue}/${path}` }, bytes, true)]));
  await assertHealthy();
  assert.deepEqual([...instance.children().keys()].sort(), before);
  assert.deepEqual(outcries(), []);
  assert.deepEqual(sockets(), known);
});

test('a peer that resets the connection, whatever the state, ends no process', async () => {
  const before = await allRunning();
  const steps = ['', 'EHLO x\r\n', 'MAIL FROM:<a@example.test>\r\n', 'RCPT TO:<joe@example.test>\r\n', 'DATA\r\n', 'Subject: x\r\n\r\ntext', '\r\n.\r\n', 'QUIT\r\n'];
  for (let count = 1; count <= steps.length; count++) await say({ port, host: '127.0.0.1' }, Buffer.from(steps.slice(0, count).join('')), true);
  for (const chunk of ['BDAT 100 LAST\r\nxx', 'BDAT 99999999999999999999\r\n', 'BDAT -1\r\n'])
    await say({ port, host: '127.0.0.1' }, Buffer.from(`EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<joe@example.test>\r\n${chunk}`), true);
  await assertHealthy();
  assert.deepEqual([...instance.children().keys()].sort(), before);
  assert.deepEqual(outcries(), []);
});

test('noise, and a line of a megabyte, on the SMTP port are answered in SMTP', async () => {
  const before = await allRunning();
  for (let seed = 10; seed < 30; seed++) await say({ port, host: '127.0.0.1' }, noise(5000, seed));
  const client = await SmtpClient.meet(port);
  assert.match((await client.command(`NOOP ${'x'.repeat(3000)}`)).text, /^500 5\.5\.2 host\.example\.test Error: command too long$/);
  assert.equal((await client.command('RSET')).code, 250);
  // Nobody reads all of this: after the answer the connection is of no use.
  assert.match((await client.command(`NOOP ${'x'.repeat(1 << 20)}`)).text, /^500 5\.5\.2 /);
  client.drop();
  await assertHealthy();
  assert.deepEqual([...instance.children().keys()].sort(), before);
  assert.deepEqual(outcries(), []);
  // One event, one line, and no control byte in it.
  assert.doesNotMatch(instance.log(), /[\x00-\x09\x0b-\x1f\x7f]/);
});

test('the names of properties of JavaScript\'s objects are ordinary text', async () => {
  const client = await SmtpClient.meet(port);
  for (const [command, reply] of [
    ['HELO __proto__', /^250 /],
    ['EHLO constructor', /^250-/],
    ['MAIL FROM:<a@example.test> __proto__=1', /^555 5\.5\.4 /],
    ['MAIL FROM:<__proto__@example.test>', /^250 /],
    ['RCPT TO:<constructor@example.test>', /^550 5\.1\.1 /],
    ['RCPT TO:<__proto__@example.test>', /^550 5\.1\.1 /],
    ['RCPT TO:<toString@example.test>', /^550 5\.1\.1 /],
    ['RCPT TO:<hasOwnProperty@local.example.test>', /^550 5\.1\.1 /],
    ['RCPT TO:<toString@local.example.test>', /^550 5\.1\.1 /],
    ['RCPT TO:<joe@example.test> constructor=x', /^555 5\.5\.4 /],
    ['RCPT TO:<joe@example.test>', /^250 /],
    ['toString', /^500 5\.5\.2 /],
    ['constructor', /^500 5\.5\.2 /],
    ['__proto__ x', /^221 2\.7\.0 /], // smtpd_forbidden_commands: no command begins like this
  ] as const) assert.match((await client.command(command)).text, reply, command);
  await client.quit();
  await assertHealthy();
});

/** A file in a queue, as cleanup(8) would have left it: owned by the mail system, and the x bit says that it is complete. */
function put(name: string, bytes: Buffer, mode = 0o700): void {
  const { uid, gid } = instanceAccounts();
  const path = `${queue}/incoming/${name}`;
  writeFileSync(path, bytes, { mode: 0o600 });
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

async function goodFile(): Promise<Buffer> {
  const store = createFileStore({ root: `${instance.directory}/elsewhere`, hashQueueNames: '', hashQueueDepth: 1, longQueueIds: false });
  mkdirSync(`${instance.directory}/elsewhere/incoming`, { recursive: true });
  const writer = store.create();
  writeSample(writer, { sender: 'ann@example.test', recipients: ['joe@example.test'], content: `Subject: sample\n\n${'a line of text\n'.repeat(200)}` });
  await writer.commit('incoming');
  return readFileSync(`${instance.directory}/elsewhere/incoming/${writer.queueId}`);
}

const scan = (): Promise<void> => say({ path: `${queue}/public/qmgr` }, Buffer.from('I'));

test('queue files that are none go to the corrupt queue, with a warning, and the queue manager lives on', async () => {
  const before = await allRunning();
  const good = await goodFile();
  const cases: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['empty', Buffer.alloc(0)],
    ['one byte', Buffer.from('C')],
    ['noise', noise(2000, 3)],
    ['null bytes', Buffer.alloc(2000)],
    ['bad first byte', Buffer.concat([Buffer.from('?'), good.subarray(1)])],
    ['no sizes', Buffer.concat([good.subarray(0, 2), Buffer.from('x'.repeat(60)), good.subarray(62)])],
    ['huge record length', Buffer.from([0x43, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
    ['a pointer to itself', Buffer.concat([good.subarray(0, 100), Buffer.from(`p\x11${'100'.padStart(15)}0`, 'latin1')])],
    ...[20, 90, 150, 400, Math.floor(good.length / 2), good.length - 3].map((length) => [`the first ${length} bytes`, good.subarray(0, length)] as const),
  ];
  const names = cases.map((_, index) => `BAD0${index.toString(16).toUpperCase().padStart(2, '0')}ABCDE`);
  for (const [index, [, bytes]] of cases.entries()) put(names[index]!, bytes);
  await scan();
  for (const [index, [what]] of cases.entries()) await eventually(`${what} is saved as corrupt`, () => existsSync(`${queue}/corrupt/${names[index]!}`));
  assert.deepEqual(readdirSync(`${queue}/corrupt`).sort(), [...names].sort());
  for (const name of names) assert.equal(instance.lines(new RegExp(`warning: saving corrupt file "${name}" from queue "active" to queue "corrupt"`)).length, 1, name);
  await assertHealthy();
  assert.deepEqual([...instance.children().keys()].sort(), before);
  assert.deepEqual(outcries(), []);
});

test('what is not a finished file in the incoming queue is left alone', async () => {
  await allRunning();
  put('0123456789A', await goodFile(), 0o600);
  mkdirSync(`${queue}/incoming/0123456789B`);
  put('not-an-id', await goodFile());
  const arrivedBefore = arrived();
  await scan();
  await assertHealthy();
  assert.equal(arrived(), arrivedBefore + 1);
  assert.deepEqual(readdirSync(`${queue}/incoming`).filter((name) => name.length > 1).sort(), ['0123456789A', '0123456789B', 'not-an-id']);
  assert.deepEqual(outcries(), []);
});

test('noise in the maildrop is not mail', async () => {
  const { uid, gid } = instanceAccounts();
  const before = await allRunning();
  for (const [name, bytes] of [['0000000001A', Buffer.alloc(0)], ['0000000001B', noise(500, 4)], ['0000000001C', Buffer.from('T')]] as const) {
    writeFileSync(`${queue}/maildrop/${name}`, bytes, { mode: 0o700 });
    chownSync(`${queue}/maildrop/${name}`, uid, gid);
    chmodSync(`${queue}/maildrop/${name}`, 0o700);
  }
  writeFileSync(`${queue}/maildrop/0000000001D`, await goodFile(), { mode: 0o644 }); // somebody still writes this one
  await say({ path: `${queue}/public/pickup` }, Buffer.from('W'));
  await eventually('pickup removes them', () => readdirSync(`${queue}/maildrop`).join() === '0000000001D');
  await eventually('and says why', () => instance.lines(/pickup\[[0-9]+\]: warning: uid=[0-9]+: unexpected or malformed record type -?[0-9]+$/).length === 3);
  await assertHealthy();
  assert.deepEqual([...instance.children().keys()].sort(), before);
  assert.deepEqual(outcries(), []);
});

const inspectorPort = '240D'; // 9229

test('SIGUSR1 opens no inspector in any process', async () => {
  const pids = [instance.pid, ...await allRunning()];
  const listening = (): string[] => ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'latin1').split('\n').filter((line) => line.includes(`:${inspectorPort} `) && / 0A /.test(line)));
  const before = listening();
  for (const pid of pids) process.kill(pid, 'SIGUSR1');
  await assertHealthy();
  assert.deepEqual(listening(), before);
  assert.deepEqual([instance.pid, ...[...instance.children().keys()].sort()], pids);
});

test('a process that is aborted leaves nothing behind, and another takes its place', async () => {
  const pids = await allRunning();
  for (const signal of ['SIGUSR2', 'SIGABRT'] as const) {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // ended by the first signal
      }
    }
    await eventually('they end', () => ![...instance.children().keys()].some((pid) => pids.includes(pid)));
  }
  await assertHealthy();
  const left = [...readdirSync(queue), ...readdirSync(instance.directory), ...readdirSync(`${instance.directory}/data`)];
  assert.deepEqual(left.filter((name) => /core|heapsnapshot|report|\.log$|isolate/.test(name)), []);
});
