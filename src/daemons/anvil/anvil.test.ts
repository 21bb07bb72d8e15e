import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import test from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { Configuration } from '../../config/configuration.ts';
import { anvilService } from '../../ipc/anvil.ts';
import { ServiceConnection, remoteCalls } from '../../ipc/connection.ts';
import type { Calls } from '../../ipc/service.ts';
import { Ending } from '../../server/ending.ts';
import type { Tools } from '../../server/daemon.ts';
import { daemon } from './anvil.ts';

const limits = { timeout: 10_000, idle: 10_000, retries: 0 };

async function bench(t: test.TestContext) {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/anvil-`);
  const { log, lines } = ears();
  const timers: { due: number; run: () => void }[] = [];
  let now = 1_800_000_000_000;
  const clock = {
    now: () => now, monotonic: () => now,
    after: (milliseconds: number, run: () => void) => {
      const timer = { due: now + milliseconds, run };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), 1) };
    },
  };
  const pass = (milliseconds: number): void => {
    now += milliseconds;
    for (const timer of timers.filter(({ due }) => due <= now)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.run();
    }
  };
  const config = new Configuration(directory, new Map());
  const service = await daemon.open({ config, log, clock } as unknown as Tools);
  const server = net.createServer((socket) => void service.client!({ socket, log, slot: 1, ending: new Ending() }));
  server.listen(`${directory}/anvil`);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    fs.rmSync(directory, { recursive: true });
  });
  return { service, path: `${directory}/anvil`, lines, pass };
}

test('counts over sockets and in the process are the same counts', async (t) => {
  const { service, path } = await bench(t);
  const near = service.calls as Calls<typeof anvilService>;
  const connection = new ServiceConnection(anvilService, path, limits);
  const client = 'smtp:192.0.2.1';
  assert.deepEqual(await connection.ask('connect', { client }), { count: 1, rate: 1 });
  assert.deepEqual(near.connect({ client }), { count: 2, rate: 2 });
  assert.deepEqual(await connection.ask('recipient', { client }), { rate: 1 });
  assert.deepEqual(await connection.ask('disconnect', { client }), {});
  assert.deepEqual(near.lookup({ client }), { count: 1, rate: 2, message: 0, recipient: 1, newtls: 0, auth: 0, tlstrace: 0 });
  near.disconnect({ client });
  near.disconnect({ client });
  assert.equal((await connection.ask('lookup', { client }) as { count: number }).count, 0);
  connection.close();
});

test('a reporter that is gone has no connections any more', async (t) => {
  const { service, path } = await bench(t);
  const near = service.calls as Calls<typeof anvilService>;
  const connection = new ServiceConnection(anvilService, path, limits);
  const client = 'smtp:192.0.2.1';
  await connection.ask('connect', { client });
  await connection.ask('connect', { client });
  const other = remoteCalls(anvilService, path, { ...limits, idle: 1 });
  await other.connect({ client });
  connection.close();
  for (let turn = 0; (near.lookup({ client }) as { count: number }).count > 0 && turn < 100_000; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((near.lookup({ client }) as { count: number }).count, 0);
});

test('the process stays while there is something to remember, and tells what it saw', async (t) => {
  const { service, lines, pass } = await bench(t);
  const near = service.calls as Calls<typeof anvilService>;
  await service.start!();
  near.connect({ client: 'smtp:192.0.2.1' });
  near.disconnect({ client: 'smtp:192.0.2.1' });
  assert.equal(service.busy!(), true);
  pass(60_000);
  assert.equal(service.busy!(), false);
  pass(540_000);
  assert.match(lines[0]!, /^statistics: max connection rate 1\/60s for \(smtp:192\.0\.2\.1\) at [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d$/);
  assert.match(lines[1]!, /^statistics: max connection count 1 for \(smtp:192\.0\.2\.1\) at /);
  assert.match(lines[2]!, /^statistics: max cache size 1 at /);
  near.connect({ client: 'smtp:192.0.2.1' });
  await service.drain!(true);
  assert.equal(lines.length, 6);
});
