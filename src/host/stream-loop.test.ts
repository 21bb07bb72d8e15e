import assert from 'node:assert/strict';
import net from 'node:net';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { test } from 'node:test';
import { localTimeText } from './local-time.ts';
import {
  acceptStream, connectStream, inetStreamAddress, listenStream, peer, receive, received, send, shortIpv6, streamError, StreamLoop, unixStreamAddress, wouldBlock, type StreamAddress,
} from './stream-loop.ts';

/** Free a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A server that answers what it hears, and a client that says something; what came back, and who the server thought the client was. */
function echo(address: StreamAddress, said: Buffer, window = 0): { heard: Buffer; who: ReturnType<typeof peer> } {
  const loop = new StreamLoop();
  const listener = listenStream(address, 5, window);
  const heard: Buffer[] = [];
  let who: ReturnType<typeof peer> | undefined;
  loop.watch(listener, 'read', {
    ready: () => {
      const fd = acceptStream(listener);
      who = peer();
      loop.watch(fd, 'read', { ready: () => { const length = receive(fd); if (length > 0) assert.equal(send(fd, received.subarray(0, length)), length); else loop.close(fd); } });
    },
  });
  const { fd, pending } = connectStream(address, window);
  assert.ok(fd > 0);
  const reading = { ready: (): void => {
    const length = receive(fd);
    heard.push(Buffer.from(received.subarray(0, Math.max(length, 0))));
    if (Buffer.concat(heard).length < said.length) return;
    loop.close(fd);
    loop.close(listener);
    loop.end();
  } };
  const connected = (): void => {
    assert.equal(streamError(fd), 0);
    assert.equal(send(fd, said), said.length);
    loop.watch(fd, 'read', reading);
  };
  if (pending) loop.watch(fd, 'write', { ready: connected });
  else connected();
  loop.run();
  return { heard: Buffer.concat(heard), who: who! };
}

test('bytes there and back', async () => {
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => at & 255));
  const place = mkdtempSync(`${tmpdir()}/postern-loop-`);
  for (const [address, family, name] of [
    [inetStreamAddress('127.0.0.1', await freePort()), 'inet', '127.0.0.1'], [unixStreamAddress(`${place}/socket`), 'unix', 'local'], [unixStreamAddress(`${place}/socket`), 'unix', 'local'],
  ] as const) {
    const { heard, who } = echo(address, bytes, 16384);
    assert.deepEqual([heard.equals(bytes), who], [true, { family, address: name }]);
  }
  assert.equal(statSync(`${place}/socket`).mode & 0o777, 0o666);
  rmSync(place, { recursive: true });
});

test('nothing to read, nobody to accept, nobody there', async () => {
  const port = await freePort();
  const listener = listenStream(inetStreamAddress('127.0.0.1', port), 5);
  assert.equal(acceptStream(listener), -1);
  assert.equal(wouldBlock(), true);
  const loop = new StreamLoop();
  const { fd, pending } = connectStream(inetStreamAddress('127.0.0.1', await freePort()));
  assert.equal(pending ? streamError(fd) : -fd, constants.errno.ECONNREFUSED);
  if (pending) loop.close(fd);
  loop.close(listener);
  assert.throws(() => listenStream(unixStreamAddress('/nonexistent/socket'), 5), { code: 'ENOENT', syscall: 'bind' });
  assert.throws(() => unixStreamAddress('x'.repeat(108)), { code: 'ENAMETOOLONG' });
});

test('timers in their order', () => {
  const loop = new StreamLoop();
  const ran: string[] = [];
  const note = (name: string) => () => { ran.push(name); };
  loop.after(2, note('later'));
  loop.after(0, note('first'));
  loop.after(0, note('second'));
  loop.cancel(loop.after(0, note('never')));
  loop.after(3, () => loop.end());
  loop.run(() => {});
  assert.deepEqual(ran, ['first', 'second', 'later']);
});

test('addresses of IPv6, short', () => {
  for (const [bytes, want] of [
    ['00000000000000000000000000000001', '::1'], ['00000000000000000000000000000000', '::'], ['20010db8000000000000000000000001', '2001:db8::1'], ['20010db8000100000000000100000000', '2001:db8:1::1:0:0'],
    ['20010db8000100020003000400050006', '2001:db8:1:2:3:4:5:6'], ['fe800000000000000000000000000000', 'fe80::'], ['00010000000200030004000500060007', '1:0:2:3:4:5:6:7'],
  ] as const) assert.equal(shortIpv6(Buffer.from(bytes, 'hex')), want);
});

test('local time by a pattern', () => {
  const time = new Date(2026, 10, 21, 9, 5, 7).getTime();
  for (const [pattern, want] of [['%Y%m%d%H/%M.', '2026112109/05.'], ['%b %e %H:%M:%S', 'Nov 21 09:05:07'], ['\xe4%%', '\xe4%'], ['', ''], ['x'.repeat(300), 'x'.repeat(300)]] as const)
    assert.equal(localTimeText(pattern, time), want);
});
