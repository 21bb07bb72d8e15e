/** Attempts that were cut short: what the next attempt of the same delivery finds, and what becomes of it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { tryLock } from '../host/locks.ts';
import { bootId } from '../host/process.ts';
import { Mailboxes } from './mailbox.ts';
import { Maildirs } from './maildir.ts';
import { ears } from './testing.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'resumed-'));
const box = path.join(directory, 'joe');
const self = { uid: process.getuid!(), gid: process.getgid!() };
/** No process has this number (kernel.pid_max is at most 4194304). */
const deadPid = 4_194_305;
const key = 'AB12-x-1';
const message = 'From me  today\nSubject: x\n\nbody\n\n';

beforeEach(() => {
  for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name), { recursive: true });
});
after(() => fs.rmSync(directory, { recursive: true }));

async function* text(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

const earlier = 'From you  once\nold\n\n';
const mine = 'From me  before\nSubject: x\n\nbody\n\n';

const mailboxes: [name: string, stands: string, note: string, want: string][] = [
  ['the whole message stands there', earlier + mine, `${key} ${earlier.length}`, earlier + mine],
  ['others followed it', earlier + mine + earlier, `${key} ${earlier.length}`, earlier + mine + earlier],
  ['half of it stands there', earlier + mine.slice(0, -8), `${key} ${earlier.length}`, earlier + message],
  ['nothing of it stands there', earlier, `${key} ${earlier.length}`, earlier + message],
  ['another message stands there', earlier + mine.replace('body', 'soul'), `${key} ${earlier.length}`, earlier + mine.replace('body', 'soul') + message],
  ['the note is about another delivery', earlier + mine, `CD34-x-1 ${earlier.length}`, earlier + mine + message],
  ['the note makes no sense', earlier, `${key} x`, earlier + message],
  ['half a line, and no note', 'From you  once\nol', '', `From you  once\nol\n\n${message}`],
];

for (const [name, stands, note, want] of mailboxes) {
  test(`mailbox: ${name}`, async () => {
    fs.writeFileSync(box, stands);
    if (note !== '') fs.writeFileSync(`${box}.lock`, `${deadPid} ${os.hostname()} ${bootId()}\n${note}\n`);
    const boxes = new Mailboxes(ears().log, { attempts: 2, delay: 1, stale: 500_000, sleep: async () => undefined, now: Date.now });
    const target = { path: box, openAs: self, writeAs: self, locks: { flock: true, fcntl: true, dotlock: true }, sizeLimit: 0, otherwise: '5.2.0', key };
    assert.equal(await boxes.append(target, () => text(message.slice(0, 20), message.slice(20))), undefined);
    assert.deepEqual([fs.readFileSync(box, 'latin1'), fs.readdirSync(directory)], [want, ['joe']]);
  });
}

test('mailbox: another delivery breaks the lock first; its note is not forgotten', async () => {
  fs.writeFileSync(box, mine);
  fs.writeFileSync(`${box}.lock`, `${deadPid} ${os.hostname()} ${bootId()}\n${key} 0\n`);
  const boxes = new Mailboxes(ears().log, { attempts: 2, delay: 1, stale: 500_000, sleep: async () => undefined, now: Date.now });
  const target = { path: box, openAs: self, writeAs: self, locks: { flock: true, fcntl: true, dotlock: true }, sizeLimit: 0, otherwise: '5.2.0' };
  assert.equal(await boxes.append({ ...target, key: 'CD34-x-1' }, () => text(earlier)), undefined);
  assert.equal(await boxes.append({ ...target, key }, () => text(message)), undefined);
  assert.equal(fs.readFileSync(box, 'latin1'), mine + earlier);
});

function maildir(): { path: string; left: string; names: () => string[]; deliver: () => Promise<unknown> } {
  const place = `${directory}/maildir/`;
  const left = `${place}tmp/${key}.${os.hostname()}`;
  for (const name of ['tmp', 'new', 'cur']) fs.mkdirSync(place + name, { recursive: true });
  const maildirs = new Maildirs(ears().log, () => 1_700_000_000_000);
  const target = { path: place, rights: self, sizeLimit: 0, otherwise: '4.2.0', key };
  return { path: place, left, names: () => ['tmp', 'new'].flatMap((name) => fs.readdirSync(place + name).map(() => name)), deliver: () => maildirs.append(target, () => text(message)) };
}

test('maildir: the message was linked into new/ already', async () => {
  const { path: place, left, names, deliver } = maildir();
  fs.writeFileSync(left, mine);
  fs.linkSync(left, `${place}new/1`);
  assert.equal(await deliver(), undefined);
  assert.deepEqual([names(), fs.readFileSync(`${place}new/1`, 'latin1')], [['new'], mine]);
});

test('maildir: half of the message was in tmp/', async () => {
  const { path: place, left, names, deliver } = maildir();
  fs.writeFileSync(left, 'From me');
  assert.equal(await deliver(), undefined);
  assert.deepEqual([names(), fs.readFileSync(`${place}new/${fs.readdirSync(`${place}new`)[0]}`, 'latin1')], [['new'], message]);
});

test('maildir: another process is at it', async () => {
  const { left, names, deliver } = maildir();
  const fd = fs.openSync(left, 'w');
  assert.equal(tryLock(fd, 'flock', 'exclusive'), true);
  assert.deepEqual(await deliver(), { dsn: '4.2.0', text: `maildir delivery failed: ${left} is being delivered by another process` });
  fs.closeSync(fd);
  assert.deepEqual(names(), ['tmp']);
});
