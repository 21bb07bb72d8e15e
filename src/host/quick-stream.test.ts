import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { hear, writeNow } from './quick-stream.ts';
import { sharedReads } from './reading.ts';

interface Pair { readonly near: net.Socket; readonly far: net.Socket }

async function open(t: TestContext): Promise<Pair> {
  const place = mkdtempSync(`${tmpdir()}/quick-`);
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(`${place}/s`);
  await new Promise((resolve) => server.once('listening', resolve));
  const near = net.connect({ ...sharedReads, path: `${place}/s` });
  near.on('error', () => undefined);
  const far = await new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  far.on('error', () => undefined);
  if (near.connecting) await new Promise((resolve) => near.once('connect', resolve));
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(place, { recursive: true });
  });
  return { near, far };
}

const ended = (socket: net.Socket): Promise<string> => new Promise((resolve) => {
  let text = '';
  socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
  socket.on('end', () => resolve(text));
});

test('what is written both ways arrives in order, however much waits', async (t) => {
  const { near, far } = await open(t);
  far.pause();
  let want = '';
  for (let turn = 0; turn < 200; turn++) {
    const text = `${turn}:${'\xe9'.repeat((turn * 37) % 5000)}\n`;
    want += text;
    if (turn % 3 === 0) near.write(text, 'latin1');
    else writeNow(near, text);
    if (turn % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  near.end();
  const got = ended(far);
  far.resume();
  assert.equal(await got, want);
});

test('a corked socket, and one that connects, keep their order', async (t) => {
  const { near, far } = await open(t);
  const got = ended(far);
  near.cork();
  near.write('one ');
  writeNow(near, 'two ');
  near.uncork();
  writeNow(near, 'three');
  near.end();
  assert.equal(await got, 'one two three');
});

test('what comes is heard directly, and through the stream where it was paused, in order', async (t) => {
  const { near, far } = await open(t);
  let heard = '';
  hear(near, (bytes) => {
    heard += bytes.toString('latin1');
    // As a conversation does that has enough for now.
    if (heard.length % 7 === 0) {
      near.pause();
      setImmediate(() => near.resume());
    }
  });
  const end = new Promise((resolve) => near.on('end', resolve));
  let want = '';
  for (let turn = 0; turn < 300; turn++) {
    const text = `${turn};`.repeat(1 + (turn % 50));
    want += text;
    far.write(text);
    if (turn % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  far.end();
  await end;
  assert.equal(heard, want);
});

test('a peer that is gone ends the socket, and throws at nobody', async (t) => {
  const { near, far } = await open(t);
  let trouble: NodeJS.ErrnoException | undefined;
  near.on('error', (error) => { trouble = error; });
  const closed = new Promise((resolve) => near.on('close', resolve));
  far.destroy();
  for (let turn = 0; turn < 1000 && !near.destroyed; turn++) {
    writeNow(near, 'x'.repeat(10_000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  near.resume();
  await closed;
  assert.match(trouble?.code ?? 'EPIPE', /^(EPIPE|ECONNRESET)$/);
});
