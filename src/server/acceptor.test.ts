import assert from 'node:assert/strict';
import { once } from 'node:events';
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
