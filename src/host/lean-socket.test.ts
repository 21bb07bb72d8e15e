import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { connectLean } from './lean-connect.ts';
import { fullSocket, LeanSocket, type PeerSocket } from './lean-socket.ts';
import { sharedSocket, takeHandles } from './reading.ts';
import { isTcpHandle, leanSockets } from './tcp-handle.ts';

/** A server whose next client is `lean` (or a net.Socket), and a net.Socket that is connected to it. */
async function pair(lean = true): Promise<{ served: PeerSocket; peer: net.Socket; close(): void }> {
  const server = net.createServer({ allowHalfOpen: true });
  const served = new Promise<PeerSocket>((resolve) => {
    server.listen(0, '127.0.0.1', () => takeHandles(server, (handle) => {
      assert.ok(isTcpHandle(handle));
      resolve(lean ? new LeanSocket(handle) : sharedSocket(handle));
    }));
  });
  await once(server, 'listening');
  const peer = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  peer.on('error', () => {});
  await Promise.all([served, once(peer, 'connect')]);
  return { served: await served, peer, close: () => server.close() };
}

/** What a socket tells, until it closes. */
function story(socket: PeerSocket): { readonly told: string[]; readonly closed: Promise<void> } {
  const told: string[] = [];
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => { told.push('close'); resolve(); }));
  socket.on('end', () => told.push('end'));
  socket.on('data', (bytes: Buffer) => told.push(bytes.toString('latin1')));
  return { told, closed };
}

const text = (length: number): Buffer => Buffer.alloc(length, 'abcdefgh');

test('this Node has what lean sockets need', () => assert.ok(leanSockets));

for (const lean of [true, false]) {
  const name = lean ? 'a lean socket' : "Node's own socket";

  test(`${name} answers, hears the end, and writes after it`, async () => {
    const { served, peer, close } = await pair(lean);
    const heard: Buffer[] = [];
    peer.on('data', (bytes) => heard.push(bytes));
    const { told, closed } = story(served);
    peer.end('hello');
    await new Promise<void>((resolve) => served.on('end', resolve));
    assert.equal(served.writable, true);
    served.write('one ', 'latin1');
    served.cork();
    served.write('tw\xf6 ', 'latin1');
    served.write(Buffer.from('three '));
    served.write('four', 'latin1');
    served.uncork();
    served.end(() => served.destroy());
    assert.equal(served.writable, false);
    await Promise.all([closed, once(peer, 'end')]);
    assert.deepEqual(told, ['hello', 'end', 'close']);
    assert.equal(Buffer.concat(heard).toString('latin1'), 'one tw\xf6 three four');
    close();
  });

  test(`${name} reads nothing while it is paused`, async () => {
    const { served, peer, close } = await pair(lean);
    served.pause();
    const { told, closed } = story(served);
    peer.write('first');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, []);
    served.resume();
    await new Promise<void>((resolve) => served.once('data', () => resolve())).then(() => peer.destroy());
    await new Promise<void>((resolve) => served.on('end', resolve)).then(() => served.destroy());
    await closed;
    close();
  });

  test(`${name} keeps what the peer does not take, in order, and tells when it has left`, async () => {
    const { served, peer, close } = await pair(lean);
    story(served);
    peer.pause();
    const sent: Buffer[] = [];
    let room = true;
    while (room) {
      const bytes = text(100_000 + sent.length);
      sent.push(bytes);
      room = served.write(bytes);
    }
    assert.ok(served.writableLength > 0);
    assert.equal(served.writableNeedDrain, true);
    served.write('end', 'latin1');
    sent.push(Buffer.from('end'));
    const left: string[] = [];
    served.once('drain', () => left.push('drain'));
    const written = new Promise<void>((resolve) => served.write('', () => { left.push('left'); resolve(); }));
    const got: Buffer[] = [];
    peer.on('data', (bytes) => got.push(bytes)).resume();
    await written;
    served.end(() => served.destroy());
    await once(peer, 'end');
    assert.equal(served.writableNeedDrain, false);
    assert.deepEqual(left.sort(), ['drain', 'left']);
    assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
    peer.destroy();
    close();
  });

  test(`a reset is the end of ${name}, and no exception`, async () => {
    const { served, peer, close } = await pair(lean);
    const { told, closed } = story(served);
    peer.resetAndDestroy();
    await closed;
    assert.deepEqual(told, ['close']);
    assert.equal(served.destroyed, true);
    assert.equal(served.write('nobody hears', 'latin1'), false);
    close();
  });

  test(`${name} knows both ends`, async () => {
    const { served, peer, close } = await pair(lean);
    assert.deepEqual([served.remoteAddress, served.remotePort, served.localAddress, served.localPort], ['127.0.0.1', peer.localPort, '127.0.0.1', peer.remotePort]);
    served.destroy();
    peer.destroy();
    close();
  });
}

test('who waits for bytes to leave hears of a peer that goes away first', async () => {
  const { served, peer, close } = await pair();
  const { closed } = story(served);
  peer.pause();
  for (let room = true; room;) room = served.write(text(1 << 20));
  const left = new Promise<void>((resolve) => served.write('', resolve));
  const ended = new Promise<void>((resolve) => served.end(resolve));
  served.destroy();
  await Promise.all([left, ended, closed]);
  peer.destroy();
  close();
});

test('a net.Socket goes on where a lean one was', async () => {
  const { served, peer, close } = await pair();
  const { told } = story(served);
  peer.write('lean');
  await new Promise<void>((resolve) => served.once('end', resolve) && served.on('data', () => resolve()));
  served.write('one ', 'latin1');
  const full = fullSocket(served);
  assert.ok(full instanceof net.Socket);
  assert.deepEqual([served.writable, served.write('not me', 'latin1')], [false, false]);
  full.write('two');
  peer.write('full');
  const [bytes] = await once(full, 'data');
  assert.equal(String(bytes), 'full');
  full.end();
  const heard: Buffer[] = [];
  for await (const piece of peer) heard.push(piece as Buffer);
  assert.equal(String(Buffer.concat(heard)), 'one two');
  assert.ok(!told.includes('full') && !told.includes('close'));
  assert.equal(fullSocket(full), full);
  assert.equal(fullSocket(served), full);
  assert.equal(served.destroyed, false);
  served.destroy();
  assert.equal(full.destroyed, true);
  await new Promise<void>((resolve) => served.on('close', resolve));
  close();
});

test('connecting: to someone, to nobody, and not any more', async () => {
  const server = net.createServer((socket) => socket.on('error', () => {}).end('welcome')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const socket = await new Promise<LeanSocket>((resolve, reject) => { connectLean('127.0.0.1', port, resolve, reject); });
  const { told, closed } = story(socket);
  await new Promise<void>((resolve) => socket.once('end', resolve));
  socket.destroy();
  await closed;
  assert.deepEqual(told, ['welcome', 'end', 'close']);
  const cancelled = connectLean('127.0.0.1', port, () => assert.fail(), () => assert.fail());
  cancelled.cancel();
  cancelled.cancel();
  server.close();
  await once(server, 'close');
  const code = await new Promise<string>((resolve) => { connectLean('127.0.0.1', port, () => assert.fail(), (errno, name) => resolve(`${errno} ${name}`)); });
  assert.equal(code, '111 ECONNREFUSED');
});
