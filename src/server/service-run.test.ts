import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { parseMasterCf } from '../config/master-cf.ts';
import { listenUnix } from '../host/sockets.ts';
import { createLog } from '../log/log.ts';
import { MemorySink } from '../log/sinks.ts';
import { systemClock } from './clock.ts';
import type { Service, Session } from './daemon.ts';
import { Ending } from './ending.ts';
import { ServiceRun, type Host } from './service-run.ts';
import { Slots } from './slots.ts';

interface Stage {
  readonly run: ServiceRun;
  readonly log: MemorySink;
  readonly slots: Slots;
  /** What the host was told: 'taken', 'gone', 'used', 'full'. */
  readonly told: string[];
  /** A client's whole conversation: what it says, then everything it hears until the end. */
  say(text: string): Promise<string>;
  connect(): net.Socket;
  close(): Promise<void>;
}

async function stage(service: Service, { limit = 0, numbered = true } = {}): Promise<Stage> {
  const directory = mkdtempSync(`${tmpdir()}/service-run-`);
  const path = `${directory}/socket`;
  const log = new MemorySink();
  const told: string[] = [];
  const slots = new Slots();
  const [row] = parseMasterCf('thing unix - - n - - thing', 'master.cf').rows;
  const host: Host = {
    clock: systemClock, slots, ending: new Ending(), numbered,
    used: () => told.push('used'),
    occupied: (_run, taken) => told.push(taken ? 'taken' : 'gone'),
    full: () => told.push('full'),
  };
  const exit = (status: number): never => { throw new Error(`exit ${status}`); };
  const order = { row: row!, descriptors: [listenUnix(path, { mode: 0o600 })], limit, alone: false };
  const run = new ServiceRun(order, service, createLog(log, 'postfix/thing', process.pid, exit), host, undefined);
  await run.start();
  const connect = (): net.Socket => net.connect({ path, allowHalfOpen: true });
  return {
    run, log, slots, told, connect,
    say: async (text) => {
      const socket = connect();
      socket.end(text);
      let heard = '';
      for await (const chunk of socket) heard += String(chunk);
      return heard;
    },
    close: async () => {
      run.close();
      await run.drain(true);
      rmSync(directory, { recursive: true });
    },
  };
}

/** Answers with what it was told, in capitals; dies of the word "die". */
async function shout({ socket, log }: Session): Promise<void> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  if (text === 'die') throw new Error('I am dead');
  log.info(`heard ${text}`);
  socket.write(text.toUpperCase());
}

test('each session has a slot of its own, and its number in the log', async () => {
  const it = await stage({ client: shout });
  const first = it.connect();
  await new Promise((resolve) => first.once('connect', resolve));
  assert.equal(await it.say('two'), 'TWO');
  first.end('one');
  assert.equal(String((await first.toArray())[0]), 'ONE');
  assert.deepEqual(it.log.lines, [
    `postfix/thing[${process.pid * 10000 + 2}]: heard two`, `postfix/thing[${process.pid * 10000 + 1}]: heard one`,
  ]);
  assert.equal(it.slots.count, 0);
  assert.deepEqual(it.told, ['taken', 'taken', 'used', 'gone', 'used', 'gone']);
  await it.close();
});

test('a throw ends its own session and no other', async () => {
  const it = await stage({ client: shout });
  assert.equal(await it.say('die'), '');
  assert.match(it.log.lines[0]!, /^postfix\/thing\[\d+\]: warning: thing: session ended by an unexpected error: Error: I am dead/);
  assert.equal(await it.say('still here'), 'STILL HERE');
  assert.equal(it.run.clients, 0);
  await it.close();
});

test('alone in its process a session logs under the process id', async () => {
  const it = await stage({ client: shout }, { numbered: false, limit: 1 });
  await it.say('x');
  assert.deepEqual(it.log.lines, [`postfix/thing[${process.pid}]: heard x`]);
  await it.close();
});

test('clients above the limit wait and are served in turn', async () => {
  let most = 0;
  let now = 0;
  const it = await stage({
    client: async (session) => {
      most = Math.max(most, ++now);
      await shout(session);
      now--;
    },
  }, { limit: 2 });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => it.say(`c${i}`)));
  assert.deepEqual(answers, Array.from({ length: 20 }, (_, i) => `C${i}`));
  assert.equal(most, 2);
  assert.ok(it.told.includes('full'));
  await it.close();
});

test('a trigger is taken at its first bytes, at most a kilobyte of them, and the connection closed', async () => {
  const requests: string[] = [];
  const it = await stage({ trigger: (request) => void requests.push(request.toString()) });
  assert.equal(await it.say('I'), '');
  const patient = it.connect();
  patient.write('F'.repeat(5000));
  await patient.on('error', () => undefined).toArray().catch(() => undefined);
  it.run.wake();
  assert.deepEqual(requests.map((text) => text.slice(0, 3) + text.length), ['I1', 'FFF1024', 'W1']);
  await it.close();
});

test('a throw on a trigger is logged', async () => {
  const it = await stage({ trigger: () => { throw new Error('no'); } });
  it.run.wake();
  assert.match(it.log.lines[0]!, /warning: thing: unexpected error: Error: no/);
  await it.close();
});

test('drain: no more clients, those here finish, and the service writes back what it must', async () => {
  let drained = false;
  const it = await stage({ client: shout, drain: () => { drained = true; } });
  const here = it.connect();
  here.write('he');
  await new Promise((resolve) => setImmediate(resolve));
  while (it.run.clients === 0) await new Promise((resolve) => setImmediate(resolve));
  await it.close();
  assert.equal(drained, true);
  here.end('re');
  assert.equal(String((await here.toArray())[0]), 'HERE');
  it.run.wake();
});
