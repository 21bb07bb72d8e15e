import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { SubmissionClient } from '../../ipc/submission.ts';
import { recordType } from '../../message/record.ts';
import { encoded, queueDirectory, servedPickup as bench } from './testing.ts';

const uid = process.getuid!();

async function submit(path: string, ...records: readonly string[]) {
  const client = await SubmissionClient.begin(path, 10_000, 10_000);
  assert.ok(client);
  assert.equal(client.welcome.status, 0);
  for (const record of records) client.put(record.charCodeAt(0), Buffer.from(record.slice(1), 'latin1'));
  return { queueId: client.welcome.queueId, outcome: await client.finish() };
}

const whole = ['Sme@example.org', 'Ryou@example.org', 'M', 'NSubject: x', 'X', 'E'];

test('a message goes straight to cleanup, with the user that the kernel names', async (t) => {
  const { path, cleanup, lines } = await bench(t);
  assert.deepEqual(await submit(path, ...whole), { queueId: 'ID1', outcome: { status: 0, reason: '' } });
  const { records, content, fate } = cleanup.messages[0]!;
  assert.match(records[0]!, /^T[0-9]+ [0-9]+$/);
  assert.deepEqual([records.slice(1), fate], [['Sme@example.org', 'Ryou@example.org', 'M', 'X'], 'kept']);
  assert.match(content, new RegExp(`^Received: by host\\.example\\.org \\(Postfix, from userid ${uid}\\)\\n\\tid ID1; .*\\nSubject: x\\n$`));
  assert.deepEqual(lines, [`ID1: uid=${uid} from=<me@example.org>`]);
});

for (const [name, settings, records, status, reason] of [
  ['a record that users may not send', {}, ['>x', ...whole], cleanupStatus.bad, ''],
  ['no recipient', {}, ['Sme', 'M', 'X', 'E'], cleanupStatus.bad, ''],
  ['too large', { message_size_limit: '1000' }, ['Sme', 'Ryou', 'M', ...Array<string>(20).fill(`N${'x'.repeat(100)}`), 'X', 'E'], cleanupStatus.size, ''],
  ['a sender that is not this user\'s', { local_login_sender_maps: 'inline:{nobody=*}' }, whole, cleanupStatus.denied, "not authorized to use sender='me@example.org'"],
] as const) {
  test(`refused: ${name}`, async (t) => {
    const { path, cleanup } = await bench(t, settings);
    assert.deepEqual((await submit(path, ...records)).outcome, { status, reason });
    assert.deepEqual(cleanup.messages.map(({ fate }) => fate), ['aborted']);
  });
}

test('cleanup\'s refusal is the outcome', async (t) => {
  const { path, cleanup } = await bench(t);
  cleanup.reply = { status: cleanupStatus.write, reason: 'disk full' };
  assert.deepEqual((await submit(path, ...whole)).outcome, { status: cleanupStatus.write, reason: 'disk full' });
});

test('users that are not welcome hear it before they send anything', async (t) => {
  const { path, cleanup } = await bench(t, { authorized_submit_users: '!root, !unknown' });
  const client = await SubmissionClient.begin(path, 10_000, 10_000);
  assert.equal(client!.welcome.status, cleanupStatus.denied);
  assert.match(client!.welcome.reason, new RegExp(`^User .*\\(${uid}\\) is not allowed to submit mail$`));
  assert.deepEqual(cleanup.messages, []);
});

test('without cleanup the welcome says: later', async (t) => {
  const { path, cleanup } = await bench(t);
  cleanup.down = true;
  const client = await SubmissionClient.begin(path, 10_000, 10_000);
  assert.deepEqual([client!.welcome.status, client!.welcome.queueId], [cleanupStatus.write, '']);
});

test('a user who goes away in the middle leaves nothing behind', async (t) => {
  const { path, cleanup } = await bench(t);
  const client = await SubmissionClient.begin(path, 10_000, 10_000);
  client!.put(recordType.sender, 'me');
  client!.abort();
  for (let turn = 0; cleanup.messages[0]!.fate === 'open' && turn < 100_000; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(cleanup.messages[0]!.fate, 'aborted');
});

for (const bytes of ['W', 'W\0', 'FADI\0', 'request\0open\0\0']) {
  test(`a wake-up looks through the maildrop: ${JSON.stringify(bytes)}`, async (t) => {
    const { path, put, files, service } = await bench(t);
    put('ABC1', encoded(...whole));
    const socket = net.connect(path);
    socket.end(bytes);
    await once(socket.resume(), 'close');
    await service.drain!(false);
    assert.deepEqual(files(), []);
  });
}

test('the timer of master does the same', async (t) => {
  const { put, files, service } = await bench(t);
  put('ABC1', encoded(...whole));
  service.trigger!(Buffer.from('W'));
  assert.equal(service.busy!(), true);
  await service.drain!(false);
  assert.deepEqual([files(), service.busy!()], [[], false]);
});

test('nobody who takes submissions: no client', async (t) => {
  const { root } = queueDirectory(t);
  assert.equal(await SubmissionClient.begin(`${root}/nowhere`, 10_000, 10_000), undefined);
  // Postfix's pickup takes the request for a trigger and hangs up.
  const server = net.createServer((socket) => socket.once('data', () => socket.destroy()));
  server.listen(`${root}/theirs`);
  await once(server, 'listening');
  assert.equal(await SubmissionClient.begin(`${root}/theirs`, 10_000, 10_000), undefined);
  server.close();
  fs.writeFileSync(`${root}/file`, '');
  assert.equal(await SubmissionClient.begin(`${root}/file`, 10_000, 10_000), undefined);
});
