import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import type { PeerSocket } from '../host/lean-socket.ts';
import { descriptorOf, listenUnix, passDescriptor } from '../host/sockets.ts';
import { createLog } from '../log/log.ts';
import { Acceptor } from './acceptor.ts';
import { systemClock } from './clock.ts';
import type { ConnectionEnds } from './daemon.ts';
import { passClient } from './passed-client.ts';

const lines: string[] = [];
const log = createLog({ write: (_severity, _tag, _number, text) => void lines.push(text), flush: () => undefined }, 'postfix/test', 1, () => { throw new Error('exit'); });
const ends: ConnectionEnds = { remoteAddress: '192.0.2.1', remotePort: 4711, localAddress: '192.0.2.2', localPort: 25 };

interface Came { readonly socket: PeerSocket; readonly ends: ConnectionEnds | undefined }

/** A row of type pass, and a pair of sockets whose server side is to be passed on. */
async function stage(t: TestContext) {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/pass-`);
  const path = `${directory}/smtpd`;
  const clients: Came[] = [];
  const acceptor = new Acceptor({
    descriptors: [listenUnix(path, { mode: 0o600 })], limit: 2, log, clock: systemClock, passed: true, full: () => undefined,
    client: (socket, _end, who) => void clients.push({ socket, ends: who }),
  });
  acceptor.start();
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [owned] = await once(server, 'connection') as [net.Socket];
  t.after(() => {
    acceptor.close();
    server.close();
    for (const { socket } of clients) socket.destroy();
    for (const socket of [client, owned]) socket.destroy();
    fs.rmSync(directory, { recursive: true });
  });
  return { path, clients, acceptor, client, owned };
}

const until = async (isDone: () => boolean): Promise<void> => {
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve));
};

for (const [name, unread] of [['nothing was said yet', ''], ['something was said', 'EHLO x\r\n'], ['much was said', 'x'.repeat(60_000)]] as const) test(`a client is passed on: ${name}`, async (t) => {
  const { path, clients, client, owned } = await stage(t);
  const outcome: unknown[] = [];
  passClient(path, owned, ends, Buffer.from(unread), { passed: (isPassed) => outcome.push(isPassed), taken: (isLate) => outcome.push(isLate) });
  await until(() => outcome.length === 2);
  assert.deepEqual(outcome, [true, false]);
  owned.destroy();
  const [{ socket, ends: who }] = clients as [Came];
  assert.deepEqual(who, ends);
  let heard = '';
  socket.on('data', (chunk: Buffer) => { heard += chunk.toString('latin1'); });
  client.write('QUIT\r\n');
  await until(() => heard.endsWith('QUIT\r\n'));
  assert.equal(heard, `${unread}QUIT\r\n`);
  (socket as net.Socket).end('221 Bye\r\n');
  const [bye] = await once(client, 'data') as [Buffer];
  assert.equal(bye.toString(), '221 Bye\r\n');
});

test('nobody is there: the client stays', async (t) => {
  const { path, owned } = await stage(t);
  const outcome: unknown[] = [];
  passClient(`${path}-none`, owned, ends, Buffer.alloc(0), { passed: (...said) => outcome.push(...said), taken: () => outcome.push('taken') });
  await until(() => outcome.length > 0);
  assert.deepEqual(outcome, [false, 'No such file or directory']);
  assert.equal(owned.destroyed, false);
});

for (const [name, text, want] of [
  ['no descriptor', undefined, 'pass: cannot receive file descriptor'],
  ['no attributes', '\0', 'pass: cannot receive connection attributes'],
  ['an attribute is missing', '\0client_address\x00192.0.2.1\0\0', 'pass: missing attribute "client_port"'],
] as const) test(`what is no client is none, and frees its place: ${name}`, async (t) => {
  const { path, clients, acceptor, owned } = await stage(t);
  lines.length = 0;
  const carrier = net.connect(path);
  await once(carrier, 'connect');
  if (text !== undefined) passDescriptor(descriptorOf(carrier)!, descriptorOf(owned)!, Buffer.from(text));
  carrier.end();
  carrier.on('error', () => undefined).resume();
  await until(() => lines.length > 0);
  assert.deepEqual([lines, clients.length, acceptor.clients], [[`warning: ${want}`], 0, 0]);
});

test('a client of this process is taken as far as there is room', async (t) => {
  const { acceptor, clients, owned } = await stage(t);
  assert.equal(acceptor.take(owned, ends), true);
  assert.equal(acceptor.take(owned, ends), true);
  assert.equal(acceptor.take(owned, ends), false);
  acceptor.gone();
  assert.equal(acceptor.take(owned, ends), true);
  assert.equal(clients.length, 3);
  acceptor.close();
  acceptor.gone();
  assert.equal(acceptor.take(owned, ends), false);
});
