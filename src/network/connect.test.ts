import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectInet, connectUnix } from './connect.ts';
import { HandTicker, realTicker } from './testing.ts';

const options = { ticker: realTicker, timeout: 30 };

async function listening(where: { port: number; host: string } | { path: string }): Promise<net.Server> {
  const server = net.createServer((socket) => { socket.on('error', () => {}); socket.end('hi'); });
  await new Promise<void>((resolve) => { server.listen(where, resolve); });
  return server;
}

test('TCP and UNIX-domain sockets connect', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'connect-'));
  const tcp = await listening({ port: 0, host: '127.0.0.1' });
  const unix = await listening({ path: join(directory, 's') });
  for (const connected of [await connectInet('127.0.0.1', (tcp.address() as net.AddressInfo).port, options), await connectUnix(join(directory, 's'), options)]) {
    assert.ok('socket' in connected);
    connected.socket.destroy();
  }
  tcp.close();
  unix.close();
  rmSync(directory, { recursive: true });
});

test('trouble has the words of the C library', async () => {
  const server = await listening({ port: 0, host: '127.0.0.1' });
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  assert.deepEqual(await connectInet('127.0.0.1', port, options), { trouble: { code: 'ECONNREFUSED', text: 'Connection refused' } });
  assert.deepEqual(await connectUnix('/nonexistent/socket', options), { trouble: { code: 'ENOENT', text: 'No such file or directory' } });
});

test('a server that does not answer: the time is up', async () => {
  const ticker = new HandTicker();
  // TEST-NET-3 is nobody's; whatever the network says comes later than this clock, or says so at once.
  const connecting = connectInet('203.0.113.1', 25, { ticker, timeout: 30 });
  ticker.pass(30_000);
  const { trouble } = await connecting as { trouble: { code: string; text: string } };
  assert.deepEqual(trouble, { code: 'ETIMEDOUT', text: 'Connection timed out' });
});

for (const [enforce, want] of [[false, 'socket'], [true, 'trouble']] as const)
  test(`a source address that is not ours: ${want}`, async () => {
    const server = await listening({ port: 0, host: '127.0.0.1' });
    const warnings: string[] = [];
    const connected = await connectInet('127.0.0.1', (server.address() as net.AddressInfo).port,
      { ...options, bindAddress: '203.0.113.9', bindEnforce: enforce, warn: (text) => warnings.push(text) });
    assert.deepEqual(warnings, ['bind 203.0.113.9: Cannot assign requested address']);
    if ('socket' in connected) connected.socket.destroy();
    assert.ok(want in connected);
    if ('trouble' in connected) assert.equal(connected.trouble.text, 'server configuration error');
    server.close();
  });
