import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readSync } from 'node:fs';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { LeanSocket } from './lean-socket.ts';
import { takeHandles } from './reading.ts';
import { ringEntries, SendRing } from './send-ring.ts';
import { flushSends, sendWithTurn, type Sender } from './turn-sends.ts';

const noRing = SendRing.open(64) === undefined && 'this kernel gives no io_uring';

/** `count` lean sockets, and what the peer of each hears until it is closed. */
async function lean(t: TestContext, count: number): Promise<{ served: LeanSocket[]; peers: net.Socket[]; heard: Promise<string>[] }> {
  const server = net.createServer({ allowHalfOpen: true });
  const served: LeanSocket[] = [];
  let all: () => void;
  const accepted = new Promise<void>((resolve) => { all = resolve; });
  server.listen(0, '127.0.0.1', () => takeHandles(server, (handle) => {
    if (served.push(new LeanSocket(handle)) === count) all();
  }));
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const peers: net.Socket[] = [];
  // One after the other, so that both lists have the same order.
  for (let made = 0; made < count; made++) {
    const peer = net.connect(port, '127.0.0.1');
    peers.push(peer.on('error', () => {}));
    t.after(() => peer.destroy());
    await once(peer, 'connect');
  }
  await accepted;
  const heard = peers.map((peer) => new Promise<string>((resolve) => {
    let text = '';
    peer.on('data', (bytes) => { text += bytes.toString('latin1'); }).on('close', () => resolve(text));
  }));
  return { served, peers, heard };
}

/** What the kernel has for a peer now; its own reads come later. */
function hasArrived(peer: net.Socket): string {
  const bytes = Buffer.alloc(100);
  try {
    return bytes.toString('latin1', 0, readSync((peer as unknown as { _handle: { fd: number } })._handle.fd, bytes));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    return '';
  }
}

test('among few sockets a text leaves at once, among more with the turn', { skip: noRing }, async (t) => {
  const few = await lean(t, 2);
  few.served[0]!.write('now', 'latin1');
  assert.equal(hasArrived(few.peers[0]!), 'now');
  const more = await lean(t, 1);
  few.served[0]!.write('later', 'latin1');
  assert.equal(hasArrived(few.peers[0]!), '');
  flushSends();
  assert.equal(hasArrived(few.peers[0]!), 'later');
  more.served[0]!.destroy();
  await more.heard[0];
  await new Promise((resolve) => setTimeout(resolve, 20));
  few.served[0]!.write('now again', 'latin1');
  assert.equal(hasArrived(few.peers[0]!), 'now again');
  for (const socket of few.served) socket.destroy();
  await Promise.all(few.heard);
});

test('what is written to many leaves whole and in order, also when they are closed before the turn ends', async (t) => {
  const count = ringEntries * 2 + 5;
  const { served, heard } = await lean(t, count);
  served.forEach((socket, index) => {
    socket.write(`one \xf6 ${index} `, 'latin1');
    if (index % 2 === 0) socket.write(`two ${index} `, 'latin1');
    if (index % 3 === 0) socket.write(Buffer.from('bytes '));
    if (index % 5 === 0) socket.destroy();
    else socket.end(() => socket.destroy());
    assert.equal(socket.writable, false);
  });
  const expected = (index: number): string => `one \xf6 ${index} ${index % 2 === 0 ? `two ${index} ` : ''}${index % 3 === 0 ? 'bytes ' : ''}`;
  assert.deepEqual(await Promise.all(heard), served.map((_, index) => expected(index)));
});

test('a socket that is closed among many tells so once, and nobody else', async (t) => {
  const { served, peers, heard } = await lean(t, 8);
  const closed: number[] = [];
  served.forEach((socket, index) => socket.on('data', () => {}).on('close', () => closed.push(index)));
  peers[3]!.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const socket of served) socket.write('hello', 'latin1');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(closed, [3]);
  for (const socket of served) socket.end(() => socket.destroy());
  assert.deepEqual(await Promise.all(heard), served.map((_, index) => (index === 3 ? '' : 'hello')));
});

test('a net.Socket that takes over has nothing before it that has not left', async (t) => {
  for (const count of [1, 3]) {
    const { served, heard } = await lean(t, count);
    served[0]!.write('220 ready ', 'latin1');
    const full = served[0]!.succeed();
    full.end('and on');
    assert.equal(await heard[0], '220 ready and on');
  }
});

/** Somebody with a descriptor, and what it is told. */
class Listener implements Sender {
  told = '';
  sendNow(text: string): void { this.told += text; }
  sent(): void { this.told += '(sent)'; }
  lost(): void { this.told += '(lost)'; }
}

test('what the kernel has no room for comes back to its writer', { skip: noRing }, async (t) => {
  const { served, peers } = await lean(t, 2);
  peers[0]!.pause();
  const text = 'x'.repeat(4000);
  const crowd = served.map(() => new Listener());
  let sent = 0;
  while (!/^(\(sent\))*x/.test(crowd[0]!.told) && sent++ < 5000) {
    for (const [index, socket] of served.entries()) assert.ok(sendWithTurn(crowd[index]!, socket.fd, index === 0 ? text : 'y'));
    assert.ok(sendWithTurn(new Listener(), -1 >>> 1, 'to nobody'));
    flushSends();
  }
  const rest = crowd[0]!.told.replaceAll('(sent)', '');
  assert.ok(rest.length > 0 && rest.length <= text.length);
  assert.equal(crowd[1]!.told, '(sent)'.repeat(sent));
  let heard = 0;
  const took = sent * text.length - rest.length;
  await new Promise<void>((resolve) => peers[0]!.on('data', (bytes) => { if ((heard += bytes.length) === took) resolve(); }).resume());
});

test('a descriptor that is none is its own trouble, and text that is long goes its own way', { skip: noRing }, () => {
  const crowd = [new Listener(), new Listener(), new Listener()];
  for (const one of crowd) assert.ok(sendWithTurn(one, 0x7fff_ffff, 'text'));
  flushSends();
  assert.deepEqual(crowd.map(({ told }) => told), ['text', 'text', 'text']);
  assert.equal(sendWithTurn(crowd[0]!, 1, 'x'.repeat(5000)), false);
  assert.equal(sendWithTurn(crowd[0]!, -1, 'x'), false);
});
