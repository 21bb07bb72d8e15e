import assert from 'node:assert/strict';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import net from 'node:net';
import test from 'node:test';
import type { PeerSocket } from '../host/lean-socket.ts';
import { listenInet } from '../host/sockets.ts';
import { createLog } from '../log/log.ts';
import { Acceptor, type ServerEnd } from './acceptor.ts';
import { systemClock } from './clock.ts';

const log = createLog({ write: () => undefined, flush: () => undefined }, 'postfix/test', 1, () => { throw new Error('exit'); });

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

for (const [address, connectTo, want] of [
  ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
  ['0.0.0.0', '127.0.0.1', undefined],
] as const) {
  test(`a listener bound to ${address} ${want === undefined ? 'leaves it to the socket to tell where the client came in' : 'tells where its clients come in'}`, async (t) => {
    const port = await freePort();
    const fd = listenInet(address, port, 10);
    const came = new Promise<{ socket: PeerSocket; end: ServerEnd | undefined }>((resolve) => {
      const acceptor = new Acceptor({ descriptors: [fd], limit: 0, log, clock: systemClock, client: (socket, end) => resolve({ socket, end }), full: () => undefined });
      acceptor.start();
      t.after(() => acceptor.close());
    });
    const client = net.connect(port, connectTo);
    const { socket, end } = await came;
    assert.deepEqual(end, want === undefined ? undefined : { address: want, port });
    assert.equal(socket.localPort, port);
    socket.destroy();
    client.destroy();
  });
}

interface Door { readonly port: number; readonly served: PeerSocket[]; readonly told: string[]; readonly acceptor: Acceptor; come(): net.Socket }

async function door(t: { after(run: () => void): void }, options: { limit: number; firstSpare?: number }): Promise<Door> {
  const port = await freePort();
  const served: PeerSocket[] = [];
  const told: string[] = [];
  const clients: net.Socket[] = [];
  const warns = createLog({ write: (_severity, _tag, _number, text) => told.push(text), flush: () => undefined }, 'postfix/test', 1, () => { throw new Error('exit'); });
  const acceptor = new Acceptor({
    ...options, descriptors: [listenInet('127.0.0.1', port, 10)], log: warns, clock: systemClock,
    client: (socket) => served.push(socket), crowded: () => told.push('crowded'), full: () => told.push('full'),
  });
  acceptor.start();
  t.after(() => {
    acceptor.close();
    for (const socket of [...served, ...clients]) socket.destroy();
  });
  const come = (): net.Socket => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
    clients.push(socket);
    return socket;
  };
  return { port, served, told, acceptor, come };
}

async function until(ready: () => boolean): Promise<void> {
  while (!ready()) await new Promise((resolve) => { setImmediate(resolve); });
}

test('of many clients nine tenths are a crowd', async (t) => {
  const { served, told, come } = await door(t, { limit: 100 });
  for (let count = 0; count < 100; count++) come();
  await until(() => served.length === 100);
  assert.deepEqual(told, [...Array<string>(11).fill('crowded'), 'full']);
});

test('at the limit a client waits until another has gone', async (t) => {
  const { served, told, come, acceptor } = await door(t, { limit: 2 });
  for (let count = 0; count < 3; count++) await once(come(), 'connect');
  await until(() => served.length === 2);
  assert.deepEqual(told, ['crowded', 'full']);
  acceptor.gone();
  await until(() => served.length === 3);
});

test('the last descriptors are not for clients: who got one is served, the next waits until somebody has gone', async (t) => {
  const probe = await open('/dev/null');
  const firstSpare = probe.fd + 12;
  await probe.close();
  const { served, told, come, acceptor } = await door(t, { limit: 0, firstSpare });
  const first: PeerSocket[] = [];
  while (told.length === 0) {
    const client = come();
    first.push(client);
    await once(client, 'connect');
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  assert.match(told[0]!, /^warning: all but the last descriptors are in use by [0-9]+ clients: new ones have to wait$/);
  const before = served.length;
  come();
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.equal(served.length, before);
  for (const client of first) client.destroy();
  for (const socket of served) socket.destroy();
  await new Promise((resolve) => { setImmediate(resolve); });
  for (let count = 0; count < before; count++) acceptor.gone();
  await until(() => served.length > before);
  assert.equal(told.length, 1);
});
