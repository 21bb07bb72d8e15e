import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { getpwnam } from '../../host/identity.ts';
import { Configuration } from '../../config/configuration.ts';
import { ShowqReader, type ShowqEvent } from '../../ipc/showq.ts';
import { createLog } from '../../log/log.ts';
import { MemorySink } from '../../log/sinks.ts';
import { SampleQueue } from '../../queue/sample-queue.ts';
import type { Service, Tools } from '../../server/daemon.ts';
import { Ending } from '../../server/ending.ts';
import { daemon } from './showq.ts';

/** showq at a socket of the queue, as the skeleton would run it: the working directory is the queue directory. */
async function serve(t: TestContext, queue: SampleQueue): Promise<{ path: string; sink: MemorySink; served: Promise<unknown>[] }> {
  const before = process.cwd();
  process.chdir(queue.root);
  t.after(() => process.chdir(before));
  const sink = new MemorySink();
  const log = createLog(sink, 'postfix/showq', 1, () => { throw new Error('exit'); });
  const service = await daemon.open({ config: Configuration.load(queue.etc), log, store: {} } as unknown as Tools) as Service;
  const served: Promise<unknown>[] = [];
  const server = net.createServer((socket) => served.push(service.client!({ socket, log, slot: 0, ending: new Ending() }).finally(() => socket.end())));
  const path = `${queue.root}/public/showq`;
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  return { path, sink, served };
}

async function list(path: string): Promise<ShowqEvent[]> {
  const reader = new ShowqReader();
  const events: ShowqEvent[] = [];
  for await (const chunk of net.connect({ path })) events.push(...reader.feed(chunk as Buffer));
  assert.ok(reader.finished);
  return events;
}

test('a client hears what is in the queue, and the end', async (t) => {
  const queue = new SampleQueue(t);
  const { path, sink } = await serve(t, queue);
  assert.deepEqual(await list(path), []);
  const id = await queue.put('hold', { recipients: ['one@x'] });
  queue.write('active/AB12345', 'S\x03s@xR\x09x');
  assert.deepEqual((await list(path)).map((event) => (event.kind === 'message' ? event.queueId : event.kind)), ['AB12345', 'end', id, 'recipient', 'end']);
  assert.deepEqual(sink.lines, ['postfix/showq[1]: warning: active/AB12345: unexpected EOF in data, record type 82 length 9']);
});

test('a long list goes to a slow client whole, and one that goes away ends it', async (t) => {
  const queue = new SampleQueue(t);
  const { path, served } = await serve(t, queue);
  const recipients = Array.from({ length: 20_000 }, (_, number) => `recipient${number}@example.test`);
  await queue.put('active', { recipients });
  const slow = net.connect({ path });
  const gone = net.connect({ path }).on('error', () => undefined);
  gone.once('data', () => gone.destroy());
  const reader = new ShowqReader();
  let count = 0;
  for await (const chunk of slow) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const event of reader.feed(chunk as Buffer)) if (event.kind === 'recipient') count++;
  }
  assert.equal(count, recipients.length);
  await Promise.all(served);
});

test('a queue directory that is missing is an empty queue', async (t) => {
  const queue = new SampleQueue(t);
  const { path } = await serve(t, queue);
  fs.rmSync(`${queue.root}/deferred`, { recursive: true });
  assert.deepEqual(await list(path), []);
});

test('a user who is not in authorized_mailq_users hears nothing', { skip: process.getuid!() !== 0 ? 'only root can call as someone else' : fs.existsSync('/usr/bin/python3') ? false : 'python3 is not installed' }, async (t) => {
  const queue = new SampleQueue(t);
  fs.appendFileSync(`${queue.etc}/main.cf`, 'authorized_mailq_users = !daemon, static:all\n');
  const { path, sink } = await serve(t, queue);
  for (const directory of [queue.root, `${queue.root}/public`]) fs.chmodSync(directory, 0o755);
  fs.chmodSync(path, 0o666);
  const { uid, gid } = getpwnam('daemon')!;
  const call = async (user: { uid?: number; gid?: number }): Promise<string> => (await promisify(execFile)('/usr/bin/python3', ['-c', `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
while True:
    b = s.recv(65536)
    if not b: break
    sys.stdout.buffer.write(b)`, path], { ...user, encoding: 'latin1', cwd: '/', timeout: 20_000 })).stdout;
  const refused = await call({ uid, gid });
  const welcome = await call({});
  assert.deepEqual([refused === '', welcome === ''], [true, false]);
  assert.deepEqual(sink.lines, [`postfix/showq[1]: warning: user daemon(${uid}) is not allowed to view the mail queue`]);
});
