/** Sockets made raw: who may connect, what is replaced, what is passed on. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadWatch, awaitReadable, dup, isCloseOnExec, isOpen, readableNow, setCloseOnExec } from './descriptors.ts';
import { bind } from './libc.ts';
import { connectDatagram, descriptorOf, listenInet, listenUnix, passDescriptor, peerCredentials, receiveDescriptor, withSocketPath } from './sockets.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-sockets-'));
let number = 0;
const newPath = () => join(folder, `socket${number++}`);

for (const address of ['127.0.0.1', '::1']) {
  test(`a client reaches a raw listening socket at ${address}; the address is then in use`, async () => {
    const fd = listenInet(address, 0, 5);
    assert.ok(isCloseOnExec(fd));
    const server = createServer((client) => client.end('hello'));
    server.listen({ fd });
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect(port, address);
    client.on('error', assert.fail);
    const [bytes] = await once(client, 'data');
    assert.equal(String(bytes), 'hello');
    assert.throws(() => listenInet(address, port, 5), { code: 'EADDRINUSE' });
    client.destroy();
    server.close();
  });
}

const getsockopt = bind('int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)');

/** SO_RCVBUF; the system doubles what was asked for (socket(7)). */
function receiveBuffer(fd: number): number {
  const value = Buffer.alloc(4);
  getsockopt(fd, 1, 8, value, Buffer.from(Uint32Array.of(4).buffer));
  return value.readUInt32LE();
}

test('the buffers of a listening socket have the size that was asked for', () => {
  const [usual, small] = [listenInet('127.0.0.1', 0, 5), listenInet('127.0.0.1', 0, 5, 8192)];
  assert.equal(receiveBuffer(small), 16_384);
  assert.notEqual(receiveBuffer(usual), 16_384);
  closeSync(usual);
  closeSync(small);
});

test('addresses that are none', () => {
  for (const address of ['localhost', '300.1.1.1', '', '::g']) assert.throws(() => listenInet(address, 0, 5), { code: 'EINVAL' });
  assert.throws(() => listenInet('192.0.2.1', 0, 5), { code: 'EADDRNOTAVAIL' });
});

test('the socket file has its mode from birth and the umask is put back', () => {
  const umask = process.umask();
  for (const mode of [0o600, 0o666, 0o660]) {
    const path = newPath();
    const fd = listenUnix(path, { mode });
    assert.equal(statSync(path).mode & 0o777, mode);
    assert.equal(process.umask(), umask);
    closeSync(fd);
  }
});

for (const kind of ['stream', 'dgram'] as const) {
  test(`${kind}: a living socket is not taken over, a dead one is replaced, a file is left alone`, () => {
    const path = newPath();
    const fd = listenUnix(path, { mode: 0o600, kind });
    assert.throws(() => listenUnix(path, { mode: 0o600, kind }), { code: 'EADDRINUSE' });
    closeSync(fd);
    closeSync(listenUnix(path, { mode: 0o600, kind }));
    const file = newPath();
    writeFileSync(file, 'precious');
    assert.throws(() => listenUnix(file, { mode: 0o600, kind }), { code: 'EEXIST' });
    assert.equal(readFileSync(file, 'latin1'), 'precious');
  });
}

test('a path too long for a socket address is reached all the same', async () => {
  const deep = join(folder, 'd'.repeat(120));
  mkdirSync(deep);
  const path = join(deep, 'socket');
  const fd = listenUnix(path, { mode: 0o600 });
  assert.ok(statSync(path).isSocket());
  const server = createServer((client) => client.end());
  server.listen({ fd });
  const client = withSocketPath(path, (short) => connect(short));
  client.on('error', assert.fail);
  await once(client, 'connect');
  client.destroy();
  server.close();
});

test('the watch tells of a waiting client, on and on until it is told to stop', async () => {
  const path = newPath();
  const fd = listenUnix(path, { mode: 0o600 });
  const watch = new ReadWatch();
  let times = 0;
  const seen = new Promise<void>((resolve) => watch.watch(fd, () => { if (++times === 3) { watch.unwatch(fd); resolve(); } }));
  assert.deepEqual(readableNow([fd]), []);
  const client = connect(path);
  client.on('error', assert.fail);
  await seen;
  assert.deepEqual(readableNow([fd]), [fd]);
  assert.equal(watch.watches(fd), false);
  await new Promise(setImmediate);
  assert.equal(times, 3);
  client.destroy();
  closeSync(fd);
});

test('a throw in onReadable is an uncaught exception like any other, not swallowed', async () => {
  const path = newPath();
  const fd = listenUnix(path, { mode: 0o600 });
  const watch = new ReadWatch();
  const client = connect(path);
  client.on('error', assert.fail);
  const caught = new Promise((resolve) => process.once('uncaughtExceptionMonitor', resolve));
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').once('uncaughtException', () => undefined);
  watch.watch(fd, () => { watch.close(); throw new Error('seen'); });
  assert.match(String(await caught), /seen/);
  await new Promise(setImmediate);
  for (const listener of before) process.on('uncaughtException', listener);
  client.destroy();
  closeSync(fd);
});

test('credentials and descriptors cross a connection', async () => {
  const path = newPath();
  const server = createServer({ pauseOnConnect: true });
  server.listen({ fd: listenUnix(path, { mode: 0o600 }) });
  const client = connect(path);
  client.on('error', assert.fail);
  const [peer] = await once(server, 'connection');
  const at = descriptorOf(peer)!;
  assert.deepEqual(peerCredentials(peer), { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
  assert.equal(receiveDescriptor(at), undefined);
  const file = newPath();
  writeFileSync(file, 'what the file says');
  const fd = openSync(file, 'r');
  assert.equal(passDescriptor(descriptorOf(client)!, fd, Buffer.from('leftover')), true);
  closeSync(fd);
  assert.equal(await awaitReadable(at, 5000), true);
  const came = receiveDescriptor(at)!;
  assert.equal(String(came.bytes), 'leftover');
  const bytes = Buffer.alloc(40);
  assert.equal(bytes.toString('latin1', 0, readSync(came.fd!, bytes)), 'what the file says');
  assert.ok(isCloseOnExec(came.fd!));
  closeSync(came.fd!);
  client.write('only bytes');
  await awaitReadable(at, 5000);
  assert.deepEqual(receiveDescriptor(at), { fd: undefined, bytes: Buffer.from('only bytes') });
  client.end();
  await awaitReadable(at, 5000);
  assert.deepEqual(receiveDescriptor(at), { fd: undefined, bytes: Buffer.alloc(0) });
  peer.destroy();
  server.close();
});

test('awaitReadable gives up', async () => {
  const fd = listenUnix(newPath(), { mode: 0o600 });
  assert.equal(await awaitReadable(fd, 1), false);
  closeSync(fd);
});

test('datagrams: written with fs, refused when nobody is there', () => {
  const path = newPath();
  const server = listenUnix(path, { mode: 0o666, kind: 'dgram' });
  const fd = connectDatagram(path);
  writeSync(fd, 'one');
  writeSync(fd, 'two');
  const bytes = Buffer.alloc(10);
  assert.equal(bytes.toString('latin1', 0, readSync(server, bytes)), 'one');
  assert.equal(bytes.toString('latin1', 0, readSync(server, bytes)), 'two');
  closeSync(server);
  assert.throws(() => writeSync(fd, 'three'), { code: 'ECONNREFUSED' });
  assert.throws(() => connectDatagram(newPath()), { code: 'ENOENT' });
  closeSync(fd);
});

test('flags and copies of descriptors', () => {
  const fd = openSync('/dev/null', 'r');
  const copy = dup(fd);
  setCloseOnExec(copy, false);
  assert.deepEqual([isCloseOnExec(fd), isCloseOnExec(copy)], [true, false]);
  closeSync(fd);
  assert.deepEqual([isOpen(fd), isOpen(copy)], [false, true]);
  closeSync(copy);
  assert.throws(() => dup(copy), { code: 'EBADF' });
});
