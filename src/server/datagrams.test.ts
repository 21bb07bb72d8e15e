import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { connectDatagram, listenUnix } from '../host/sockets.ts';
import { createLog } from '../log/log.ts';
import { MemorySink } from '../log/sinks.ts';
import { Datagrams } from './datagrams.ts';

function scene(t: TestContext) {
  const directory = mkdtempSync(`${tmpdir()}/datagrams-`);
  const listener = listenUnix(`${directory}/socket`, { mode: 0o600, kind: 'dgram' });
  const sender = connectDatagram(`${directory}/socket`);
  const sink = new MemorySink();
  const taken: string[] = [];
  let arrived = (): void => undefined;
  const datagrams = new Datagrams({
    descriptors: [listener], log: createLog(sink, 'test', 1, () => { throw new Error('exit'); }),
    datagram: (bytes) => { taken.push(bytes.toString('latin1')); arrived(); },
  });
  t.after(() => {
    datagrams.close();
    closeSync(sender);
    rmSync(directory, { recursive: true });
  });
  const until = (count: number): Promise<void> => new Promise((resolve) => {
    arrived = () => { if (taken.length >= count) resolve(); };
    arrived();
  });
  return { datagrams, taken, until, send: (text: string) => writeSync(sender, text) };
}

test('datagrams are taken in order, what waited before the start too, and long ones are cut', async (t) => {
  const { datagrams, taken, until, send } = scene(t);
  send('waited');
  datagrams.start();
  await until(1);
  send('x'.repeat(5000));
  send('last');
  await until(3);
  assert.deepEqual(taken.map((text) => (text.length > 10 ? text.length : text)), ['waited', 4096, 'last']);
});

test('what is there when the service closes is taken', async (t) => {
  const { datagrams, taken, until, send } = scene(t);
  datagrams.start();
  send('one');
  await until(1);
  send('two');
  datagrams.close();
  assert.deepEqual(taken, ['one', 'two']);
  datagrams.close();
});

test('a service that never started leaves them to its successor', (t) => {
  const { datagrams, taken, send } = scene(t);
  send('one');
  datagrams.close();
  assert.deepEqual(taken, []);
});
