import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import fc from 'fast-check';
import { encodeRecord, recordType } from '../message/record.ts';
import { listQueues, type Listed, type ListingOptions } from './listing.ts';
import { QueuePaths } from './queue-paths.ts';
import { SampleQueue } from './sample-queue.ts';

function listing(queue: SampleQueue, options: Partial<ListingOptions> = {}): { events: Listed[]; warnings: string[] } {
  const warnings: string[] = [];
  const paths = new QueuePaths({ root: queue.root, hashQueueNames: 'deferred, defer', hashQueueDepth: 1 });
  const events = [...listQueues({ paths, emptyAddress: 'MAILER-DAEMON', duplicateLimit: 1000, utf8: true, warn: (text) => warnings.push(text), ...options })];
  return { events, warnings };
}

const reason = (address: string, text: string): string => `<${address}>: ${text}\nrecipient=${address}\noffset=1\nreason=${text}\n\n`;

const recipient = (address: string, extra: object = {}): Listed => ({ kind: 'recipient', originalAddress: address, address, log: '', reason: '', ...extra });

const end: Listed = { kind: 'end' };

function make(t: TestContext): SampleQueue {
  return new SampleQueue(t);
}

test('an empty queue', (t) => assert.deepEqual(listing(make(t)), { events: [], warnings: [] }));

test('messages of all queues, in the order of queues; what is not complete is left out', async (t) => {
  const queue = make(t);
  const ids = new Map<string, string>();
  for (const name of ['corrupt', 'hold', 'deferred', 'incoming', 'active', 'maildrop'] as const) ids.set(name, await queue.put(name));
  queue.write('incoming/AAAAA1', 'unfinished', 0o600);
  queue.write('incoming/123.456', 'temporary', 0o700);
  const { events, warnings } = listing(queue);
  assert.deepEqual(warnings, []);
  const heads = events.filter((event) => event.kind === 'message');
  assert.deepEqual(heads.map((event) => [event.queue, event.queueId]), ['maildrop', 'active', 'incoming', 'deferred', 'hold'].map((name) => [name, ids.get(name)]));
  assert.deepEqual(heads[1], { kind: 'message', queue: 'active', queueId: ids.get('active'), arrivalTime: 1_700_000_000, size: 26, forcedExpire: false, sender: 'sender@example.test' });
  assert.deepEqual(events.slice(-3), [recipient('one@example.test'), recipient('two@example.test'), end]);
});

test('a message in maildrop has the size of its file', async (t) => {
  const queue = make(t);
  const id = await queue.put('maildrop');
  const [head] = listing(queue).events;
  assert.equal(head?.kind === 'message' && head.size, fs.statSync(`${queue.root}/maildrop/${id}`).size);
});

test('reasons come from the logs, deferred before bounced, and no recipient is told twice', async (t) => {
  const queue = make(t);
  const id = await queue.put('deferred', { recipients: ['a@x', { address: 'b@x', originalAddress: 'alias@x' }, { address: 'gone@x', done: true }, 'c@x'] });
  queue.write(`defer/${id[0]}/${id}`, reason('a@x', 'later'));
  queue.write(`bounce/${id}`, reason('gone@x', 'never'));
  assert.deepEqual(listing(queue).events.slice(1), [
    recipient('a@x', { originalAddress: '', log: 'defer', reason: 'later' }),
    recipient('gone@x', { originalAddress: '', log: 'bounce', reason: 'never' }),
    recipient('b@x', { originalAddress: 'alias@x' }),
    recipient('c@x'),
    end,
  ]);
});

test('the memory for recipients told from logs is bounded', async (t) => {
  const queue = make(t);
  const id = await queue.put('deferred', { recipients: ['a@x', 'b@x'] });
  queue.write(`defer/${id[0]}/${id}`, reason('a@x', 'later') + reason('b@x', 'later'));
  const addresses = (limit: number): string[] => listing(queue, { duplicateLimit: limit }).events.flatMap((event) => (event.kind === 'recipient' ? [event.address] : []));
  assert.deepEqual(addresses(1), ['a@x', 'b@x', 'b@x']);
  assert.deepEqual(addresses(0), ['a@x', 'b@x']);
});

test('addresses are quoted and printable, empty ones get a name', async (t) => {
  const queue = make(t);
  await queue.put('active', { sender: '', recipients: ['a b@x', 'c\x01d@x', 'caf\xc3\xa9@x', 'bad\xff@x', ''] });
  const { events } = listing(queue);
  assert.equal(events[0]?.kind === 'message' && events[0].sender, 'MAILER-DAEMON');
  assert.deepEqual(events.flatMap((event) => (event.kind === 'recipient' ? [event.address] : [])), ['"a b"@x', '"c?d"@x', 'caf\xc3\xa9@x', 'bad?@x', 'MAILER-DAEMON']);
  const ascii = listing(queue, { utf8: false }).events;
  assert.equal(ascii[3]?.kind === 'recipient' && ascii[3].address, 'caf??@x');
});

test('forced expiry shows', async (t) => {
  const queue = make(t);
  const id = await queue.put('active');
  fs.chmodSync(`${queue.root}/active/${id}`, 0o710);
  const [head] = listing(queue).events;
  assert.equal(head?.kind === 'message' && head.forcedExpire, true);
});

const T = encodeRecord(recordType.time, '1700000000 5');
const S = encodeRecord(recordType.sender, 's@x');
const R = encodeRecord(recordType.recipient, 'r@x');
const M = encodeRecord(recordType.message);
for (const [name, records, kinds, warning] of [
  ['two senders', [T, S, R, S, R], ['message', 'recipient', 'end'], /duplicate sender address: s@x -- skipping remainder of this file/],
  ['a recipient before the sender', [T, R, S], [], /missing sender address:  -- skipping remainder/],
  ['a size that is none', [encodeRecord(recordType.size, 'huge'), S, R], ['message', 'recipient', 'end'], /malformed size record: huge -- using file size instead/],
  ['a record that is cut off', [S, R, Buffer.from('R\x09x')], ['message', 'recipient', 'end'], /unexpected EOF in data, record type 82 length 9/],
  ['no time: the file has one', [S, R, M], ['message', 'recipient', 'end'], undefined],
  ['nothing', [], [], undefined],
] as const) {
  test(`a damaged file: ${name}`, (t) => {
    const queue = make(t);
    queue.write('active/AB12345', Buffer.concat([...records]));
    const { events, warnings } = listing(queue);
    assert.deepEqual(events.map(({ kind }) => kind), [...kinds]);
    if (warning) assert.match(warnings.join('\n'), warning);
    else assert.deepEqual(warnings, []);
  });
}

test('any damage is listed or warned of, never thrown', async (t) => {
  const queue = make(t);
  const id = await queue.put('active');
  const path = `${queue.root}/active/${id}`;
  const good = fs.readFileSync(path);
  fc.assert(fc.property(fc.nat(good.length), fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), (length, changes) => {
    const bad = Buffer.from(good);
    for (const [at, value] of changes) bad[at] = value;
    fs.writeFileSync(path, bad.subarray(0, length));
    const { events } = listing(queue);
    assert.equal(events.filter(({ kind }) => kind === 'message').length, events.filter(({ kind }) => kind === 'end').length);
  }), { numRuns: 300 });
});
