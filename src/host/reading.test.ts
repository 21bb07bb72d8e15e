import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { readableNow } from './descriptors.ts';
import { sharedSocket, stopReading, takeHandles } from './reading.ts';
import { descriptorOf } from './sockets.ts';

for (const isShared of [true, false]) test(`who stops reading leaves what comes to the next reader (${isShared ? 'shared reads' : "Node's own"})`, async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = new Promise<net.Socket>((resolve) => {
    server.on('connection', resolve);
    if (isShared) takeHandles(server, (handle) => resolve(sharedSocket(handle)));
  });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const socket = await accepted;
  client.write('first');
  while (socket.readableLength === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(stopReading(socket).toString(), 'first');
  client.write('second');
  while (readableNow([descriptorOf(socket)!]).length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([readableNow([descriptorOf(socket)!]).length, socket.readableLength], [1, 0]);
  if (isShared) {
    socket.resume();
    const [chunk] = await once(socket, 'data') as [Buffer];
    assert.equal(chunk.toString(), 'second');
  }
  client.destroy();
  socket.destroy();
  server.close();
});
