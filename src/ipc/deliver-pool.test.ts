/** The queue manager's connections to an agent that serves few at a time, ends, or is not there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { after, test } from 'node:test';
import { deliverService, noDsn, type DeliveryRequest } from './deliver.ts';
import { AgentTrouble, DeliverPool } from './deliver-pool.ts';
import { attribute, encode } from './shape.ts';

const directory = mkdtempSync(`${os.tmpdir()}/deliver-pool-`);
after(() => rmSync(directory, { recursive: true }));
const limits = { timeout: 60_000, idle: 60_000 };
const greeting = encode({}, {}, attribute('protocol', deliverService.protocol));
const reply = encode(deliverService.requests.deliver.reply, { status: 0, hop: noDsn });

const request: DeliveryRequest = {
  flags: 1, queueName: 'active', queueId: 'AB12', dataOffset: 0, dataSize: 0, nexthop: '', encoding: '', smtputf8: 0, sender: '', dsnEnvid: '', dsnRet: 0,
  times: { incomingArrival: 0, activeArrival: 0, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 },
  clientName: '', clientAddress: '', clientPort: '', clientProtocol: '', clientHelo: '', saslMethod: '', saslUsername: '', saslSender: '',
  logIdent: '', rewriteContext: 'local', recipients: [],
};

/** An agent at a socket. `serve` gets each connection with its number, and greets or does not. */
async function agent(name: string, serve: (socket: net.Socket, number: number) => void) {
  const sockets = new Set<net.Socket>();
  let count = 0;
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket, count++);
  });
  await new Promise<void>((resolve) => server.listen(`${directory}/${name}`, resolve));
  return {
    pool: new DeliverPool(`${directory}/${name}`, limits),
    connections: () => count,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function answering(socket: net.Socket): void {
  socket.write(greeting, 'latin1');
  socket.on('data', () => socket.write(reply, 'latin1'));
}

test('an agent that greets one client serves the requests of all', async (t) => {
  const { pool, connections, close } = await agent('one', (socket, number) => { if (number === 0) answering(socket); });
  t.after(close);
  const replies = await Promise.all(Array.from({ length: 10 }, () => pool.deliver(request)));
  assert.deepEqual(replies.map(({ status }) => status), Array(10).fill(0));
  assert.equal((await pool.deliver(request)).status, 0);
  assert.equal(connections(), 10);
});

test('a kept connection that has ended: asked once more on a new one', async (t) => {
  const { pool, connections, close } = await agent('ends', (socket) => {
    socket.write(greeting, 'latin1');
    socket.once('data', () => {
      socket.write(reply, 'latin1');
      socket.once('data', () => socket.destroy());
    });
  });
  t.after(close);
  for (let turn = 0; turn < 3; turn++) assert.equal((await pool.deliver(request)).status, 0);
  assert.equal(connections(), 3);
});

const troubles: [name: string, serve: (socket: net.Socket) => void, unavailable: boolean][] = [
  ['closes instead of greeting', (socket) => socket.destroy(), false],
  ['dies with the request in its hand', (socket) => { socket.write(greeting, 'latin1'); socket.on('data', () => socket.destroy()); }, false],
  ['speaks something else', (socket) => socket.write(encode({}, {}, attribute('protocol', 'other')), 'latin1'), false],
];

for (const [name, serve, unavailable] of troubles) {
  test(`an agent that ${name} is trouble`, async (t) => {
    const { pool, connections, close } = await agent('trouble', serve);
    t.after(close);
    await assert.rejects(pool.deliver(request), (error) => error instanceof AgentTrouble && error.unavailable === unavailable);
    assert.equal(connections(), 1);
  });
}

test('an agent that is not there is unavailable', async () => {
  const pool = new DeliverPool(`${directory}/nobody`, limits);
  await assert.rejects(pool.deliver(request), (error) => error instanceof AgentTrouble && error.unavailable);
});
