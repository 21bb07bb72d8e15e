import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { connectInet } from '../../../network/connect.ts';
import type { Clock } from '../../../server/clock.ts';
import { PolicyPool, type PolicyLimits } from './policy-pool.ts';

const usual: PolicyLimits = { timeout: 5, maxIdle: 300, maxTtl: 1000, requestLimit: 0, tryLimit: 2, retryDelay: 0, connections: 10 };

type Serve = (request: string, socket: net.Socket, count: number) => void;

/** A policy server of its own, a pool for it, and a clock whose timers of policy matter run only when a test says so. */
async function scene(serve: Serve, limits: Partial<PolicyLimits>, run: (pool: PolicyPool, seen: { connections: number; requests: number; warnings: string[]; expire(): void; now: number }) => Promise<void>): Promise<void> {
  const timers = new Set<() => void>();
  const seen = { connections: 0, requests: 0, warnings: [] as string[], now: 0, expire: () => { for (const timer of [...timers]) timer(); } };
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    seen.connections++;
    sockets.add(socket);
    socket.on('error', () => undefined).on('data', (chunk) => serve(chunk.toString('latin1'), socket, ++seen.requests));
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const clock: Clock = {
    now: () => seen.now, monotonic: () => seen.now,
    after: (milliseconds, go) => {
      if (milliseconds === 0) setImmediate(go);
      else timers.add(go);
      return { cancel: () => void timers.delete(go) };
    },
  };
  const { port } = server.address() as net.AddressInfo;
  const pool = new PolicyPool({ name: 'test', limits: { ...usual, ...limits }, clock, connect: () => connectInet('127.0.0.1', port, { ticker: clock, timeout: 0 }), warn: (text) => seen.warnings.push(text) });
  try {
    await run(pool, seen);
  } finally {
    pool.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => { server.close(resolve); });
  }
}

const answer: Serve = (_request, socket) => socket.write('action=DUNNO\n\n');

test('questions one after the other share a connection', () => scene(answer, {}, async (pool, seen) => {
  for (let count = 0; count < 5; count++) assert.equal(await pool.ask('a=b\n\n'), 'DUNNO');
  assert.deepEqual([seen.connections, seen.requests, seen.warnings], [1, 5, []]);
}));

test('questions at the same time go over several connections, never more than the limit', () => scene(answer, { connections: 3 }, async (pool, seen) => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => pool.ask('a=b\n\n')));
  assert.ok(answers.every((action) => action === 'DUNNO'));
  assert.deepEqual([seen.connections, seen.requests], [3, 20]);
}));

test('a connection ends after so many questions', () => scene(answer, { requestLimit: 2 }, async (pool, seen) => {
  for (let count = 0; count < 4; count++) await pool.ask('a=b\n\n');
  assert.equal(seen.connections, 2);
}));

test('a connection ends when it is old', () => scene(answer, { maxTtl: 10 }, async (pool, seen) => {
  await pool.ask('a=b\n\n');
  seen.now = 10_000;
  await pool.ask('a=b\n\n');
  await pool.ask('a=b\n\n');
  assert.equal(seen.connections, 2);
}));

test('a kept connection that has died is no failure', () => scene((_request, socket, count) => (count === 2 ? socket.destroy() : socket.write('action=OK\n\n')), { tryLimit: 1 }, async (pool, seen) => {
  assert.equal(await pool.ask('a=b\n\n'), 'OK');
  assert.equal(await pool.ask('a=b\n\n'), 'OK');
  assert.deepEqual([seen.connections, seen.warnings], [2, []]);
}));

for (const [name, serve, trouble] of [
  ['hangs up', (_request, socket) => socket.destroy(), 'Connection reset by peer'],
  ['talks nonsense', (_request, socket) => socket.write('hello\n\n'), 'missing "=" in "hello"'],
  ['answers twice', (_request, socket) => socket.write('action=OK\n\naction=OK\n\n'), 'more than one answer'],
] as const satisfies readonly (readonly [string, Serve, string])[]) {
  test(`a server that ${name} is tried as often as it may be`, () => scene(serve, {}, async (pool, seen) => {
    assert.equal(await pool.ask('a=b\n\n'), undefined);
    assert.deepEqual(seen.warnings, [`problem talking to server test: ${trouble}`, `problem talking to server test: ${trouble}`]);
  }));
}

test('a server that says nothing is given up', () => scene(() => undefined, { tryLimit: 1 }, async (pool, seen) => {
  const asked = pool.ask('a=b\n\n');
  while (seen.requests === 0) await new Promise(setImmediate);
  seen.expire();
  assert.equal(await asked, undefined);
  assert.deepEqual(seen.warnings, ['problem talking to server test: Connection timed out']);
}));
