import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Log } from '../log/log.ts';
import { recordType } from '../message/record.ts';
import { cleanupStatus, type Cleanup } from './cleanup.ts';
import { RemoteCleanup } from './cleanup-client.ts';
import { serveCleanup } from './cleanup-server.ts';
import { remoteCalls } from './connection.ts';
import { rewriteService } from './rewrite.ts';
import { serveCalls } from './serve.ts';
import { ServiceTrouble, type Calls } from './service.ts';

const limits = { timeout: 5000, idle: 1000, retries: 2 };
const quiet = { info() {}, warning() {}, error() {} } as unknown as Log;

type Serve = (socket: net.Socket) => void;

/** A server on a socket of its own; `ended` closes all its connections. */
async function listen(t: TestContext, serve: Serve): Promise<{ path: string; drop(): void }> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'ipc-'));
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(`${directory}/s`, resolve));
  const drop = (): void => { for (const socket of sockets) socket.destroy(); };
  t.after(() => {
    drop();
    server.close();
    fs.rmSync(directory, { recursive: true });
  });
  return { path: `${directory}/s`, drop };
}

type Rewrite = Calls<typeof rewriteService>;
const rewrite: Rewrite = {
  rewrite: ({ address }) => ({ address: `${address}@here` }),
  resolve: async ({ address }) => ({ transport: 'smtp', nexthop: 'there', recipient: address, flags: 1 }),
  verify: () => { throw new Error('not today'); },
};

test('requests are answered in order, on one connection, late answers or not', async (t) => {
  let connections = 0;
  const { path: socket } = await listen(t, (client) => { connections++; void serveCalls(client, rewriteService, rewrite, quiet); });
  const calls = remoteCalls(rewriteService, socket, limits);
  const answers = await Promise.all([
    calls.resolve({ sender: '', address: 'a' }), calls.rewrite({ rule: 'local', address: 'b' }), calls.resolve({ sender: '', address: 'c' }),
  ]);
  assert.deepEqual(answers.map((answer) => ('recipient' in answer ? answer.recipient : answer.address)), ['a', 'b@here', 'c']);
  assert.equal(connections, 1);
});

test('a connection that breaks is made again, and what was not answered is asked again', async (t) => {
  let connections = 0;
  const { path: socket } = await listen(t, (client) => {
    if (++connections === 1) client.on('data', () => client.destroy()).on('error', () => {});
    void serveCalls(client, rewriteService, rewrite, quiet);
  });
  const calls = remoteCalls(rewriteService, socket, limits);
  assert.equal((await calls.rewrite({ rule: 'local', address: 'b' })).address, 'b@here');
  assert.equal(connections, 2);
});

test('a service that is not there is ServiceTrouble, after a few attempts', async () => {
  const calls = remoteCalls(rewriteService, '/nonexistent/socket', { ...limits, retries: 1 });
  await assert.rejects(Promise.resolve(calls.rewrite({ rule: 'local', address: 'b' })), ServiceTrouble);
});

test('a call that throws ends the connection, not the server', async (t) => {
  const { path: socket } = await listen(t, (client) => { void serveCalls(client, rewriteService, rewrite, quiet); });
  const calls = remoteCalls(rewriteService, socket, { ...limits, retries: 0 });
  await assert.rejects(Promise.resolve(calls.verify({ sender: '', address: 'x' })), ServiceTrouble);
  assert.equal((await calls.rewrite({ rule: 'local', address: 'b' })).address, 'b@here');
});

interface Kept { text: string; aborted: boolean }

function fakeCleanup(kept: Kept[]): Cleanup {
  return {
    open({ lineEnd }) {
      const mine: Kept = { text: `${lineEnd} `, aborted: false };
      kept.push(mine);
      return {
        queueId: `Q${kept.length}`,
        record: (type, text) => { mine.text += `${String.fromCharCode(type)}=${text} `; },
        message: () => { mine.text += 'M '; },
        content: (chunk) => { mine.text += `[${chunk.toString('latin1')}]`; return true; },
        drained: async () => {},
        extracted: () => { mine.text += ' X'; },
        end: async () => ({ status: mine.text.includes('bad') ? cleanupStatus.contents : 0, reason: 'why' }),
        abort: () => { mine.aborted = true; },
      };
    },
  };
}

async function send(cleanup: Cleanup, body: string): Promise<{ status: number; reason: string }> {
  const session = await cleanup.open({ flags: 3, lineEnd: 'lf' });
  session.record(recordType.sender, 'me');
  session.message();
  session.content(Buffer.from(body));
  session.extracted();
  return session.end();
}

test('messages follow one another on a kept connection; refusals come back', async (t) => {
  const kept: Kept[] = [];
  let connections = 0;
  const { path: socket } = await listen(t, (client) => { connections++; void serveCleanup(client, fakeCleanup(kept), quiet); });
  const cleanup = new RemoteCleanup(socket, limits);
  assert.deepEqual(await send(cleanup, 'one\n'), { status: 0, reason: 'why' });
  assert.deepEqual(await send(cleanup, 'bad\n'), { status: cleanupStatus.contents, reason: 'why' });
  assert.equal(connections, 2); // one that found out that this cleanup has no names to give, and the kept one
  assert.deepEqual(kept.map(({ text }) => text), ['lf S=me M [one\n] X', 'lf S=me M [bad\n] X']);
});

test('a large message arrives whole', async (t) => {
  const kept: Kept[] = [];
  const { path: socket } = await listen(t, (client) => { void serveCleanup(client, fakeCleanup(kept), quiet); });
  const body = 'line of text\n'.repeat(300_000);
  await send(new RemoteCleanup(socket, limits), body);
  assert.equal(kept[0]!.text.replace(/\]\[|^lf S=me M \[|\] X$/g, ''), body);
});

test('a cleanup that dies in the middle is a write error: nobody may think that the message was kept', async (t) => {
  const kept: Kept[] = [];
  const { path: socket, drop } = await listen(t, (client) => { void serveCleanup(client, fakeCleanup(kept), quiet); });
  const session = await new RemoteCleanup(socket, limits).open({ flags: 0, lineEnd: 'crlf' });
  session.message();
  drop();
  assert.deepEqual(await session.end(), { status: cleanupStatus.write, reason: '' });
});

test('a client that goes away aborts its message', async (t) => {
  const kept: Kept[] = [];
  let closed: Promise<void> | undefined;
  const { path: socket } = await listen(t, (client) => { closed = serveCleanup(client, fakeCleanup(kept), quiet); });
  const session = await new RemoteCleanup(socket, limits).open({ flags: 0, lineEnd: 'crlf' });
  session.abort();
  await closed;
  assert.deepEqual(kept.map(({ aborted }) => aborted), [true]);
});
