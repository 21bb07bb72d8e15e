/**
 * Memory: an idle mail system is small, and the size of a message is no matter of memory.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { Routes } from '../faults/routes.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, type Instance } from '../instance.ts';

const idleLimit = 70_000; // kilobytes
const largeSize = 200_000_000;
const growthLimit = 150_000; // much less than the message; V8 leaves up to 64 MB of buffers uncollected, and its heap grows by as much
const sender = 'sender@client.example.test';

function kilobytes(pid: number, file: 'smaps_rollup' | 'status', field: string): number {
  return Number(new RegExp(`^${field}:[ \\t]+([0-9]+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'latin1'))![1]);
}

/** A process is at the root of its own tree; master's children have none of their own while nothing runs. */
function tree(instance: Instance): number[] {
  return [instance.pid, ...instance.children().keys()];
}

async function send(port: number, recipient: string, pieces: Iterable<Buffer>): Promise<void> {
  const client = await SmtpClient.meet(port);
  for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`]) assert.equal((await client.command(line)).code, 250);
  assert.equal((await client.command('DATA')).code, 354);
  for (const piece of pieces) await client.write(piece);
  assert.equal((await client.command('.')).code, 250);
  await client.quit();
}

function maildirFiles(instance: Instance): string[] {
  try {
    return readdirSync(`${instance.directory}/mail/joe/new`);
  } catch {
    return [];
  }
}

test(`idle: less than ${idleLimit / 1000} MB (proportional set size) in all processes together`, async (t) => {
  const routes = await Routes.open({ mainCf: 'max_idle = 1s\n' });
  t.after(() => routes.close());
  const { instance, port } = routes;
  await instance.start();
  for (const recipient of routes.recipients) await send(port, recipient, [Buffer.from('x\r\n')]);
  await eventually('the queue is empty', () => routes.queued().length === 0);
  await eventually('only the queue process is left', () => [...instance.children().values()].join() === 'queue');
  let sizes: number[] = [];
  const small = await eventually('the processes are small', () => {
    sizes = tree(instance).map((pid) => kilobytes(pid, 'smaps_rollup', 'Pss'));
    return sizes.reduce((sum, size) => sum + size, 0) < idleLimit;
  }).catch(() => false);
  t.diagnostic(`master and queue process: ${sizes.join(' + ')} kB`);
  assert.ok(small, `${sizes.join(' + ')} kB`);
});

const block = Buffer.from(`${'0123456789abcdef'.repeat(4)}\r\n`.repeat(1000), 'latin1');

function* large(bytes: number): Generator<Buffer> {
  yield Buffer.from('Subject: large\r\n\r\n');
  for (let at = 0; at < bytes; at += block.length) yield block;
}

function digest(pieces: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** Of what follows the header, with CRLF line ends. */
function bodyDigest(text: string): string {
  const found = text.replace(/\r?\n/g, '\r\n');
  return digest([Buffer.from(found.slice(found.indexOf('\r\n\r\n') + 4), 'latin1')]);
}

const roomy = `message_size_limit = 300000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
`;

test('a message of 1 byte and one of 200 MB: both pass, and no process grows with them', async (t) => {
  const routes = await Routes.open({ mainCf: roomy });
  t.after(() => routes.close());
  const { instance, port } = routes;
  await instance.start();
  const maildir = (): string[] => maildirFiles(instance);
  const toBoth = async (pieces: () => Iterable<Buffer>): Promise<void> => {
    for (const domain of ['relay', 'virtual']) await send(port, `joe@${domain}.example.test`, pieces());
  };

  await toBoth(() => [Buffer.from('x\r\n')]);
  await eventually('the small message is there twice', () => routes.relayed.length === 1 && maildir().length === 1);
  assert.match(routes.relayed[0]!, /\r\n\r\nx$/);
  const [first] = maildir();
  assert.match(readFileSync(`${instance.directory}/mail/joe/new/${first}`, 'latin1'), /\n\nx\n$/);

  const before = new Map(tree(instance).map((pid) => [pid, kilobytes(pid, 'status', 'VmRSS')]));
  for (const pid of before.keys()) writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak counts from here
  await toBoth(() => large(largeSize));
  await eventually('the large message is there twice', () => routes.relayed.length === 2 && maildir().length === 2);
  const growth = new Map([...before].map(([pid, size]) => [instance.children().get(pid) ?? 'master', kilobytes(pid, 'status', 'VmHWM') - size]));
  t.diagnostic(JSON.stringify(Object.fromEntries(growth)));

  const want = bodyDigest(Buffer.concat([...large(largeSize)]).toString('latin1'));
  assert.equal(bodyDigest(`${routes.relayed[1]}\r\n`), want);
  const second = maildir().find((name) => name !== first);
  assert.equal(bodyDigest(readFileSync(`${instance.directory}/mail/joe/new/${second}`, 'latin1')), want);
  for (const [name, size] of growth) assert.ok(size < growthLimit, `${name} grew by ${size} kB`);
  assert.deepEqual([...growth.keys()].sort(), ['delivery', 'master', 'network-in', 'network-out', 'queue']);
});
