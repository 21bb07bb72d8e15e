/** The queue manager's connections to an agent: many requests on one, agents that serve few, end, break down or are not there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { after, test, type TestContext } from 'node:test';
import { deliverService, noDsn, type DeliveryReply, type DeliveryRequest } from './deliver.ts';
import { decodeReply, decodeRequest, encodeReply, encodeRequest, FrameReader, FrameWriter, greetingShape, retirement } from './deliver-frames.ts';
import { AgentTrouble, DeliverPool, type PoolRoom } from './deliver-pool.ts';
import { serveDeliveries, type Trunk } from './deliver-serve.ts';
import { deliveryReplyShape, deliveryRequestShape } from './deliver.ts';
import { encode, type Shape } from './shape.ts';

const directory = mkdtempSync(`${os.tmpdir()}/deliver-pool-`);
after(() => rmSync(directory, { recursive: true }));
const limits = { timeout: 60_000, idle: 60_000 };
const done: DeliveryReply = { status: 0, hop: noDsn, logs: 0 };

const request = (queueId = 'AB12'): DeliveryRequest => ({
  flags: 1, queueName: 'active', queueId, place: '', dataOffset: 0, dataSize: 0, nexthop: '', encoding: '', smtputf8: 0, sender: '', dsnEnvid: '', dsnRet: 0,
  times: { incomingArrival: 0, activeArrival: 0, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 },
  clientName: '', clientAddress: '', clientPort: '', clientProtocol: '', clientHelo: '', saslMethod: '', saslUsername: '', saslSender: '',
  logIdent: '', rewriteContext: 'local', recipients: [],
});

const greeting = (slots: number, process: number): string => encode(greetingShape, { protocol: deliverService.protocol, slots, process });

/** One connection as the agent sees it. */
class Client {
  readonly number: number;
  readonly socket: net.Socket;
  readonly ids: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly writer: FrameWriter;

  constructor(socket: net.Socket, number: number, asked: (client: Client, queueId: string) => void) {
    this.socket = socket;
    this.number = number;
    this.writer = new FrameWriter(socket);
    const reader = new FrameReader();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => reader.receive(chunk, (at, text) => {
      const { queueId } = decodeRequest(text);
      this.ids.push(queueId);
      this.numbers.set(queueId, at);
      asked(this, queueId);
    }));
  }

  greet(slots: number, process = this.number): this {
    this.socket.write(greeting(slots, process), 'latin1');
    return this;
  }

  answer(queueId: string, reply = done): void {
    this.writer.put(this.numbers.get(queueId)!, encodeReply(reply));
  }

  retire(): void {
    this.writer.put(retirement, '');
  }
}

interface Stage {
  readonly pool: DeliverPool;
  readonly clients: Client[];
  /** What room there was whenever it had grown. */
  readonly rooms: PoolRoom[];
  /** Ask for these; the answers' status values. */
  ask(...ids: string[]): Promise<PromiseSettledResult<DeliveryReply>[]>;
}

/** An agent at a socket: `accept` when somebody calls, `asked` for each request. */
async function stage(t: TestContext, accept: (client: Client) => void, asked: (client: Client, queueId: string) => void, options = limits): Promise<Stage> {
  const path = `${directory}/${t.name.replace(/[^a-z]/gi, '').slice(0, 40)}`;
  const clients: Client[] = [];
  const server = net.createServer((socket) => {
    const client = new Client(socket, clients.length, asked);
    clients.push(client);
    accept(client);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const rooms: PoolRoom[] = [];
  const pool: DeliverPool = new DeliverPool(path, options, () => rooms.push(pool.room));
  t.after(() => {
    for (const { socket } of clients) socket.destroy();
    server.close();
  });
  return { pool, clients, rooms, ask: (...ids) => Promise.allSettled(ids.map((id) => pool.deliver(request(id)))) };
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, number) => `Q${number}`);
const outcomes = (results: PromiseSettledResult<DeliveryReply>[]): unknown[] => results.map((each) => (each.status === 'fulfilled' ? each.value.status : each.reason instanceof AgentTrouble ? 'trouble' : each.reason));

test('one connection carries many requests; answers come in any order', async (t) => {
  const waiting: string[] = [];
  const { ask, clients } = await stage(t, (client) => client.greet(10), (client, id) => {
    waiting.push(id);
    if (waiting.length === 5) for (const each of waiting.toReversed()) client.answer(each, { ...done, status: Number(each.slice(1)) });
  });
  assert.deepEqual(outcomes(await ask(...ids(5))), [0, 1, 2, 3, 4]);
  assert.equal(clients.length, 1);
});

for (const [slots, want] of [[100, { all: 120, again: 90 }], [10, { all: 30, again: 9 }], [1, { all: 21, again: 21 }]] as const) {
  test(`room with an agent that serves ${slots} at once`, async (t) => {
    const { ask, pool, rooms } = await stage(t, (client) => client.greet(slots), (client, id) => client.answer(id));
    assert.deepEqual(pool.room, { all: 20, again: 20 });
    await ask('Q0');
    assert.deepEqual([rooms, pool.room], [[want], want]);
  });
}

test('no more at once than the agent has slots; the line keeps its order', async (t) => {
  let atWork = 0;
  let most = 0;
  const { ask, clients } = await stage(t, (client) => client.greet(3, 77), (client, id) => {
    most = Math.max(most, ++atWork);
    setImmediate(() => {
      atWork--;
      client.answer(id);
    });
  });
  await ask(...ids(50));
  assert.equal(most, 3);
  assert.deepEqual(clients[0]!.ids, ids(50));
});

test('one slot each: as many connections as it takes, but few calls at once', async (t) => {
  const ungreeted: Client[] = [];
  let most = 0;
  const { ask, clients } = await stage(t, (client) => {
    if (client.number === 0 || client.number > 20) return void client.greet(1);
    most = Math.max(most, ungreeted.push(client));
    if (ungreeted.length === 20) setImmediate(() => { for (const each of ungreeted.splice(0)) each.greet(1); });
    return undefined;
  }, (client, id) => { if (client.number > 0) client.answer(id); });
  const asked = ask(...ids(60));
  while (clients.reduce((sum, client) => sum + client.ids.length, 0) < 60) await new Promise((resolve) => setImmediate(resolve));
  clients[0]!.answer('Q0');
  assert.deepEqual(outcomes(await asked), Array(60).fill(0));
  assert.equal(most, 20);
});

test('a process that serves us already is not asked over a second connection', async (t) => {
  const { ask, clients } = await stage(t, (client) => client.greet(1, 77), (client, id) => { if (id !== 'Q0') client.answer(id); });
  const asked = ask(...ids(2));
  while (clients.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => clients[1]!.socket.on('close', () => resolve()).resume());
  clients[0]!.answer('Q0');
  assert.deepEqual(outcomes(await asked), [0, 0]);
  assert.deepEqual([clients.length, clients[1]!.ids], [2, []]);
});

test('an agent that dies with requests in its hand: those without answer are asked once more, elsewhere', async (t) => {
  const { ask, clients } = await stage(t, (client) => client.greet(10), (client, id) => {
    if (id === 'first' || client.number > 0) client.answer(id);
    else if (client.ids.length === 5) {
      client.answer('Q0');
      setImmediate(() => setImmediate(() => client.socket.destroy()));
    }
  });
  await ask('first');
  assert.deepEqual(outcomes(await ask(...ids(4))), [0, 0, 0, 0]);
  assert.deepEqual(clients.map((client) => client.ids), [['first', 'Q0', 'Q1', 'Q2', 'Q3'], ['Q1', 'Q2', 'Q3']]);
});

test('agents that die again and again: asked twice, then trouble', async (t) => {
  const { ask, clients } = await stage(t, (client) => client.greet(10), (client, id) => {
    if (id === 'first') client.answer(id);
    else if (client.ids.at(-1) === 'Q1') client.socket.destroy();
  });
  await ask('first');
  assert.deepEqual(outcomes(await ask('Q0', 'Q1')), ['trouble', 'trouble']);
  assert.equal(clients.length, 2);
});

test('an agent that retires gets no further requests, but all its answers are waited for', async (t) => {
  const { ask, clients, pool } = await stage(t, (client) => client.greet(2), (client, id) => {
    if (client.number > 0) return client.answer(id);
    if (client.ids.length === 2) client.retire();
    return undefined;
  });
  const old = Promise.all([pool.deliver(request('Q0')), pool.deliver(request('Q1'))]);
  while ((clients[0]?.ids.length ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(outcomes(await ask('Q2', 'Q3')), [0, 0]);
  clients[0]!.answer('Q0');
  clients[0]!.answer('Q1');
  await old;
  await new Promise((resolve) => clients[0]!.socket.on('end', resolve));
  assert.deepEqual(clients.map((client) => client.ids), [['Q0', 'Q1'], ['Q2', 'Q3']]);
});

test('a pool that is closed leaves when the answers are in', async (t) => {
  const { ask, clients, pool } = await stage(t, (client) => client.greet(2), () => undefined);
  const asked = ask('Q0');
  while ((clients[0]?.ids.length ?? 0) < 1) await new Promise((resolve) => setImmediate(resolve));
  const ended = new Promise((resolve) => clients[0]!.socket.on('end', resolve));
  pool.close();
  clients[0]!.answer('Q0');
  assert.deepEqual(outcomes(await asked), [0]);
  await ended;
});

const troubles: [name: string, serve: (client: Client) => void, asked: (client: Client, id: string) => void, unavailable?: boolean][] = [
  ['closes instead of greeting', (client) => client.socket.destroy(), () => undefined, true],
  ['dies with the first requests in its hand', (client) => client.greet(10), (client) => client.socket.destroy()],
  ['speaks another protocol', (client) => client.socket.write('protocol\0other\0\0'), () => undefined, true],
  ['greets without end', (client) => client.socket.write('x'.repeat(5000)), () => undefined, true],
  ['answers what was not asked', (client) => client.greet(10), (client) => client.socket.write(Buffer.from([0, 0, 0, 0, 0, 0, 0, 99]))],
  ['answers nonsense', (client) => client.greet(10), (client) => client.socket.write(Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 65]))],
];

for (const [name, serve, asked, unavailable = false] of troubles) {
  test(`an agent that ${name} is trouble for the whole line`, async (t) => {
    const { ask, clients } = await stage(t, serve, asked);
    const results = await ask('Q0', 'Q1');
    assert.deepEqual(outcomes(results), ['trouble', 'trouble']);
    assert.ok(results.every((each) => each.status === 'rejected' && (each.reason as AgentTrouble).unavailable === unavailable));
    assert.equal(clients.length, 1);
  });
}

test('an agent that is not there is unavailable, for all who ask', async () => {
  const pool = new DeliverPool(`${directory}/nobody`, limits);
  for (const each of await Promise.allSettled([pool.deliver(request()), pool.deliver(request())]))
    assert.ok(each.status === 'rejected' && each.reason instanceof AgentTrouble && each.reason.unavailable);
});

test('a full listen queue is tried again', async (t) => {
  const path = `${directory}/full`;
  const sockets = [1, 2, 3].map(() => new net.Socket());
  const full = Object.assign(new Error('connect EAGAIN'), { code: 'EAGAIN' });
  const server = net.createServer((socket) => {
    sockets.push(socket);
    new Client(socket, 0, (client, id) => client.answer(id)).greet(1);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => { for (const socket of sockets) socket.destroy(); server.close(); });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let refused = 0;
  const connect = net.connect;
  t.mock.method(net, 'connect', (where: net.NetConnectOpts) => {
    if (refused === 3) return connect(where);
    const socket = sockets[refused++]!;
    setImmediate(() => socket.destroy(full));
    return socket;
  });
  const asked = new DeliverPool(path, limits).deliver(request());
  for (let turn = 1; turn <= 3; turn++) {
    while (!sockets[turn - 1]!.closed) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(refused, turn);
    t.mock.timers.tick(100);
  }
  assert.equal((await asked).status, 0);
});

test('idle connections are closed, silent agents are hung up on', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { ask, clients } = await stage(t, (client) => client.greet(2), (client, id) => { if (id === 'Q0') client.answer(id); }, { timeout: 30, idle: 10 });
  await ask('Q0');
  const ended = new Promise((resolve) => clients[0]!.socket.on('end', resolve));
  t.mock.timers.tick(10);
  const silent = ask('Q1');
  t.mock.timers.tick(20);
  while (clients[0]!.ids.length < 2) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(20);
  await ended;
  // Asked once more, as after every break; the second silence is trouble.
  while ((clients[1]?.ids.length ?? 0) < 1) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(40);
  assert.deepEqual(outcomes(await silent), ['trouble']);

  await ask('Q0');
  const left = new Promise((resolve) => clients[2]!.socket.on('end', resolve));
  t.mock.timers.tick(10);
  t.mock.timers.tick(10);
  await left;
});

// ---- the codec

/** A value of this shape in which no two fields are alike. */
function sample(shape: Shape, seed: { next: number }): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shape).map(([name, field]) => {
    if (field === 'text') return [name, `${name} ${seed.next++}\xff`];
    if (field === 'number') return [name, seed.next++ + 0.5];
    if (Array.isArray(field)) return [name, [sample(field[0] as Shape, seed), sample(field[0] as Shape, seed)]];
    return [name, sample(field as Shape, seed)];
  }));
}

test('requests and replies come back as they went, every field of the shape', () => {
  const asked = sample(deliveryRequestShape, { next: 1 }) as unknown as DeliveryRequest;
  assert.deepEqual(decodeRequest(encodeRequest(asked)), asked);
  const answered = sample(deliveryReplyShape, { next: 1 }) as unknown as DeliveryReply;
  assert.deepEqual(decodeReply(encodeReply(answered)), answered);
  assert.deepEqual(decodeReply(encodeReply(done)), done);
});

test('original addresses like, unlike and nearly like the address come back as they went', () => {
  const originals = ['joe@x', '', 'joe@xy', 'joe@', 'jim@x', 'JOE@x'];
  const recipients = originals.map((originalAddress, at) => ({ address: 'joe@x', originalAddress, offset: at + 1, dsnOrcpt: '', dsnNotify: 0 }));
  assert.deepEqual(decodeRequest(encodeRequest({ ...request(), recipients })).recipients, recipients);
});

test('a NUL in a value cannot make another value; what is cut short or too long is trouble', () => {
  assert.equal(decodeRequest(encodeRequest({ ...request(), sender: 'a\0b' })).sender, 'a?b');
  const text = encodeRequest({ ...request(), recipients: [{ address: 'joe@example.org', originalAddress: '', offset: 1, dsnOrcpt: '', dsnNotify: 0 }] });
  for (let end = 0; end < text.length; end++) assert.throws(() => decodeRequest(text.slice(0, end)), `${end} characters`);
  assert.throws(() => decodeRequest(`${text}x\0`));
});

test('frames may be cut anywhere', () => {
  const writes: Buffer[] = [];
  const writer = new FrameWriter({ writable: true, write: (text: string) => { writes.push(Buffer.from(text, 'latin1')); return true; } } as unknown as net.Socket);
  const said: [number, string][] = [[1, 'one'], [4_000_000_000, ''], [3, '\xff'.repeat(300)]];
  for (const [number, text] of said) writer.put(number, text);
  writer.flush();
  const bytes = Buffer.concat(writes);
  assert.equal(writes.length, 1);
  for (let size = 1; size <= bytes.length; size++) {
    const heard: [number, string][] = [];
    const reader = new FrameReader();
    for (let at = 0; at < bytes.length; at += size) reader.receive(bytes.subarray(at, at + size), (number, text) => heard.push([number, text]));
    assert.deepEqual(heard, said);
  }
});

// ---- the agent's end

test('the agent end: greets with its slots, answers by number, and tells its client when it is to end', async (t) => {
  const path = `${directory}/served`;
  let end = (): void => undefined;
  const held: [DeliveryRequest, number, Trunk][] = [];
  const log = { warning: (text: string) => assert.fail(text) } as never;
  const served: Promise<void>[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    served.push(serveDeliveries(socket, { slots: 2, take: (...each) => held.push(each) }, log, { listen: (run) => { end = run; return () => undefined; } }));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  const pool = new DeliverPool(path, limits);
  const replies = ids(2).map((id) => pool.deliver(request(id)));
  while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
  end();
  for (const [{ queueId }, number, trunk] of held.toReversed()) trunk.answer(number, { ...done, status: queueId === 'Q1' ? -1 : 0 });
  assert.deepEqual((await Promise.all(replies)).map(({ status }) => status), [0, -1]);
  await served[0];
});
