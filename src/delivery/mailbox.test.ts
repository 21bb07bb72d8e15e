import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { tryLock } from '../host/locks.ts';
import { bootId } from '../host/process.ts';
import { Mailboxes, parseMailboxLocks, type MailboxTarget } from './mailbox.ts';
import { ears } from './testing.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'mailbox-'));
const box = path.join(directory, 'joe');
const lock = `${box}.lock`;
const self = { uid: process.getuid!(), gid: process.getgid!() };
const now = Date.now();
beforeEach(() => {
  for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name));
});
after(() => fs.rmSync(directory, { recursive: true }));

function mailboxes(attempts = 2, onSleep: () => void = () => undefined, clock = now) {
  const { log, lines } = ears();
  let slept = 0;
  const sleep = async (): Promise<void> => {
    slept++;
    onSleep();
    await new Promise(setImmediate);
  };
  return { boxes: new Mailboxes(log, { attempts, delay: 1000, stale: 500_000, sleep, now: () => clock }), lines, slept: () => slept };
}

const target: MailboxTarget = {
  path: box, openAs: self, writeAs: self, locks: { flock: true, fcntl: true, dotlock: true }, sizeLimit: 0, otherwise: '5.2.0',
};

async function* text(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

test('names of locks', () => {
  assert.deepEqual(parseMailboxLocks('mailbox_delivery_lock', 'fcntl, DOTLOCK'), { flock: false, fcntl: true, dotlock: true });
  assert.throws(() => parseMailboxLocks('mailbox_delivery_lock', 'fcntl lockf'), /unknown mailbox_delivery_lock value "lockf" in "fcntl lockf"/);
  assert.throws(() => parseMailboxLocks('mailbox_delivery_lock', ' ,'), /parameter mailbox_delivery_lock specifies no applicable mailbox locking method/);
});

test('messages are appended one after the other, and the lock file is gone afterwards', async () => {
  const { boxes } = mailboxes();
  const answers = await Promise.all([boxes.append(target, () => text('a', 'b\n')), boxes.append(target, () => text('c', 'd\n')), boxes.append(target, () => text('e\n'))]);
  assert.deepEqual(answers, [undefined, undefined, undefined]);
  assert.deepEqual([fs.readFileSync(box, 'latin1'), fs.readdirSync(directory)], ['ab\ncd\ne\n', ['joe']]);
});

test('two services of one process keep each other out', async () => {
  const one = mailboxes(100_000);
  const two = mailboxes(100_000);
  const parts = Array.from({ length: 50 }, () => 'x');
  const answers = await Promise.all([one.boxes.append(target, () => text(...parts, '\n')), two.boxes.append({ ...target, locks: { flock: false, fcntl: true, dotlock: false } }, () => text(...parts, '\n'))]);
  assert.deepEqual(answers, [undefined, undefined]);
  assert.equal(fs.readFileSync(box, 'latin1'), `${'x'.repeat(50)}\n${'x'.repeat(50)}\n`);
});

test('an error in the middle leaves the old content', async () => {
  fs.writeFileSync(box, 'old\n');
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('half');
    throw Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28 });
  }
  assert.deepEqual(await mailboxes().boxes.append(target, () => broken()), {
    dsn: '4.3.0', text: 'error writing message: No space left on device', diagnostic: { type: 'x-unix', text: 'input/output error' },
  });
  assert.deepEqual([fs.readFileSync(box, 'latin1'), fs.readdirSync(directory)], ['old\n', ['joe']]);
});

const held: [name: string, lock: string, want: 'waits' | 'broken'][] = [
  ['someone else\'s', '4711\n', 'waits'],
  ['empty', '', 'waits'],
  ['a living process of ours', `${process.pid} ${os.hostname()} ${bootId()}\n`, 'waits'],
  ['a process of another host', `999999999 elsewhere ${bootId()}\n`, 'waits'],
  ['a process that is gone', `999999999 ${os.hostname()} ${bootId()}\n`, 'broken'],
  ['a process of before the last boot', `${process.pid} ${os.hostname()} 00000000-0000-0000-0000-000000000000\n`, 'broken'],
];

for (const [name, content, want] of held) {
  test(`a lock file of ${name}: ${want}`, async () => {
    fs.writeFileSync(lock, content);
    const { boxes, slept } = mailboxes();
    const failure = await boxes.append(target, () => text('a\n'));
    const refused = { dsn: '4.2.0', text: `unable to create lock file ${lock}: File exists` };
    assert.deepEqual([failure, slept(), fs.existsSync(lock)], want === 'waits' ? [refused, 1, true] : [undefined, 0, false]);
  });
}

test('a lock file that is old is broken, whosever it is', async () => {
  fs.writeFileSync(lock, '4711\n');
  const { boxes } = mailboxes(1, () => undefined, now + 600_000);
  assert.deepEqual([await boxes.append(target, () => text('a\n')), fs.existsSync(lock)], [undefined, false]);
});

test('a lock file that goes away is waited for', async () => {
  fs.writeFileSync(lock, '4711\n');
  const { boxes, slept } = mailboxes(3, () => fs.rmSync(lock));
  assert.deepEqual([await boxes.append(target, () => text('a\n')), slept()], [undefined, 1]);
});

for (const style of ['flock', 'ofd'] as const) {
  test(`a kernel lock (${style}) that someone else holds is waited for, and no longer than that`, async () => {
    fs.writeFileSync(box, '');
    const fd = fs.openSync(box, 'r+');
    assert.ok(tryLock(fd, style, 'exclusive'));
    const { boxes, slept } = mailboxes(3);
    assert.deepEqual(await boxes.append(target, () => text('a\n')), { dsn: '4.2.0', text: 'unable to lock for exclusive access: Resource temporarily unavailable' });
    assert.equal(slept(), 2);
    fs.closeSync(fd);
    assert.equal(await boxes.append(target, () => text('a\n')), undefined);
  });
}

test('a lock of another process counts', async () => {
  fs.writeFileSync(box, '');
  const program = 'import fcntl, sys; f = open(sys.argv[1], "r+"); fcntl.lockf(f, fcntl.LOCK_EX); print("held", flush=True); sys.stdin.read()';
  const holder = spawn('python3', ['-c', program, box], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const failure = await mailboxes(1).boxes.append({ ...target, locks: { flock: false, fcntl: true, dotlock: false } }, () => text('a\n'));
  assert.equal(failure?.dsn, '4.2.0');
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.stdin.end();
  await gone;
});

test('/dev/null takes everything and needs no lock', async () => {
  assert.equal(await mailboxes().boxes.append({ ...target, path: '/dev/null' }, () => text('a\n')), undefined);
});

test('without root\'s rights only oneself can be delivered to', { skip: self.uid === 0 ? 'we are root' : false }, async () => {
  const other = { uid: self.uid + 1, gid: self.gid };
  const failure = await mailboxes().boxes.append({ ...target, openAs: other, writeAs: other }, () => text('a\n'));
  assert.equal(failure?.dsn, '4.3.5');
});
