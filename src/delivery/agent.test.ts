import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, test } from 'node:test';
import { ConfigurationError } from '../config/configuration-error.ts';
import { deliveryLog } from '../ipc/deliver.ts';
import { DeliverPool } from '../ipc/deliver-pool.ts';
import { dsnNotify } from '../message/dsn.ts';
import { Agent, openAgent, type Delivery } from './agent.ts';
import { Bench, request } from './testing.ts';

const bench = new Bench({ row: 'test unix - - n - - test' });
after(() => bench.remove());

const agentFor = (deliver: (delivery: Delivery) => Promise<void>) => new Agent(bench.tools, { deliver });
const tail = (lines: string[]): string => /dsn=.*/.exec(lines.at(-1) ?? '')?.[0] ?? '';

/** An agent at a socket, with so many slots, and the queue manager's end. */
async function served(agent: Agent, limit: number, use: (pools: DeliverPool[], voices: number[]) => Promise<void>): Promise<void> {
  const taken = new Set<number>();
  const voices: number[] = [];
  const requests = {
    limit,
    take: () => {
      let slot = 1;
      while (taken.has(slot)) slot++;
      taken.add(slot);
      return slot;
    },
    give: (slot: number) => taken.delete(slot),
    voice: (slot: number) => {
      voices.push(slot);
      return bench.tools.log;
    },
  };
  const server = net.createServer((socket) => void agent.client({ socket, log: bench.tools.log, requests }));
  await new Promise<void>((resolve) => server.listen('service', resolve));
  const pools = [1, 2].map(() => new DeliverPool('service', { timeout: 10_000, idle: 10_000 }));
  await use(pools, voices);
  for (const pool of pools) pool.close();
  server.close();
  fs.rmSync('service', { force: true });
  assert.equal(taken.size, 0);
}

test('requests follow one another on a kept connection', async () => {
  const agent = agentFor(({ request: { nexthop }, outcome }) => outcome.all('sent', { dsn: '2.0.0', text: nexthop }));
  await served(agent, 1, async ([pool]) => {
    for (const nexthop of ['one', 'two']) {
      const { reply, lines, left } = await bench.deliver({ calls: pool! }, ['joe@example.org'], { request: { nexthop } });
      assert.deepEqual([reply.status, reply.hop.status, left, tail(lines)], [0, '', [], `dsn=2.0.0, status=sent (${nexthop})`]);
    }
  });
});

test('each request at work has a number of its own; two clients together get no more slots than there are', async () => {
  let atWork = 0;
  let most = 0;
  const release: (() => void)[] = [];
  const agent = agentFor(async ({ outcome }) => {
    most = Math.max(most, ++atWork);
    await new Promise<void>((resolve) => { release.push(resolve); });
    atWork--;
    await outcome.all('sent', { dsn: '2.0.0', text: 'ok' });
  });
  await served(agent, 3, async (pools, voices) => {
    const replies = pools.flatMap((pool) => [1, 2, 3].map(() => bench.deliver({ calls: pool }, ['joe@example.org'])));
    for (let ended = 0; ended < replies.length; ended++) {
      while (release.length < Math.min(3, replies.length - ended)) await new Promise((resolve) => setImmediate(resolve));
      assert.ok(agent.busy());
      release.shift()!();
    }
    for (const { reply } of await Promise.all(replies)) assert.equal(reply.status, 0);
    assert.equal(most, 3);
    assert.deepEqual([voices.length, voices.slice(0, 3), new Set(voices)], [6, [1, 2, 3], new Set([1, 2, 3])]);
  });
  assert.ok(!agent.busy());
});

for (const [verdict, dsn, logs] of [['sent', '2.0.0', 0], ['deferred', '4.0.0', deliveryLog.defer], ['bounced', '5.0.0', deliveryLog.bounce]] as const) {
  test(`the reply says what was written besides the mail log: ${verdict}`, async () => {
    const agent = agentFor(({ outcome }) => outcome.all(verdict, { dsn, text: 'x' }));
    assert.equal((await bench.deliver(agent, ['joe@example.org'])).reply.logs, logs);
  });
}

test('NOTIFY=SUCCESS: a record is made, and the reply says so', async () => {
  const agent = agentFor(({ outcome }) => outcome.all('sent', { dsn: '2.0.0', text: 'x' }));
  assert.equal((await bench.deliver(agent, [{ address: 'joe@example.org', dsnNotify: dsnNotify.success }])).reply.logs, deliveryLog.trace);
});

test('the content can be read again and again', async () => {
  const seen: string[] = [];
  const agent = agentFor(async ({ content, outcome }) => {
    for (let times = 2; times > 0; times--) for await (const chunk of content()) seen.push(chunk.toString());
    await outcome.all('sent', { dsn: '2.0.0', text: 'read' });
  });
  await bench.deliver(agent, ['joe@example.org'], { content: 'Subject: x\n\nbody\n' });
  assert.deepEqual(seen, ['Subject: x\n\nbody\n', 'Subject: x\n\nbody\n']);
});

const broken = 'dsn=4.3.0, status=deferred (unknown mail transport error)';

test('an agent that throws: what it had not reported is deferred', async () => {
  const agent = agentFor(async ({ request: { recipients }, outcome }) => {
    await outcome.sent(recipients[0]!, { dsn: '2.0.0', text: 'ok' });
    throw new Error('our own fault');
  });
  const { reply, lines, left } = await bench.deliver(agent, ['joe@example.org', 'ann@example.org']);
  assert.deepEqual([reply.status, left, tail(lines)], [-1, ['ann@example.org'], broken]);
  assert.match(lines[1]!, /^error: AB\d+: delivery failed unexpectedly: Error: our own fault/);
});

test('an agent that forgets a recipient', async () => {
  const { reply, lines, left } = await bench.deliver(agentFor(async () => undefined), ['joe@example.org']);
  assert.deepEqual([reply.status, left, tail(lines)], [-1, ['joe@example.org'], broken]);
});

test('a queue file that is no good is left to others', async () => {
  const agent = agentFor(async ({ content, outcome, request: { queueId } }) => {
    fs.truncateSync(`active/${queueId}`, fs.statSync(`active/${queueId}`).size - 20);
    for await (const chunk of content()) assert.ok(chunk);
    await outcome.all('sent', { dsn: '2.0.0', text: 'never' });
  });
  const { lines, left } = await bench.deliver(agent, ['joe@example.org']);
  assert.match(lines[0]!, /^warning: AB\d+: active\/AB\d+: /);
  assert.deepEqual([left, tail(lines)], [['joe@example.org'], broken]);
});

test('a queue file that someone else has locked, or that cannot be opened: the transport rests', async () => {
  const agent = agentFor(({ outcome }) => outcome.all('sent', { dsn: '2.0.0', text: 'never' }));
  fs.writeFileSync('active/CD34', 'x', { mode: 0o600 });
  const reply = await agent.calls.deliver(request({ queueId: 'CD34' }));
  assert.deepEqual([reply.status, reply.hop.status, reply.hop.reason], [-1, '4.3.0', 'unknown mail transport error']);
});

test('names that would lead out of the queue are refused', async () => {
  const agent = agentFor(({ outcome }) => outcome.all('sent', { dsn: '2.0.0', text: 'never' }));
  for (const change of [{ queueId: '../main.cf' }, { queueName: '../active' }]) assert.equal((await agent.calls.deliver(request(change))).status, -1);
});

test('a request without recipients settles nothing', async () => {
  const { reply, lines } = await bench.deliver(agentFor(async () => undefined), []);
  assert.equal(reply.status, -1);
  assert.match(lines[0]!, /no recipients in delivery request for destination example\.org$/);
});

test('the time of hand-over is ours, unless another agent passed the request on', async () => {
  const seen: number[] = [];
  const agent = agentFor(async (delivery) => {
    seen.push(delivery.request.times.agentHandoff);
    await delivery.outcome.all('sent', { dsn: '2.0.0', text: 'ok' });
  });
  const { times } = request();
  await bench.deliver(agent, ['joe@example.org'], { request: { times: { ...times, agentHandoff: 0 } } });
  await bench.deliver(agent, ['joe@example.org'], { request: { times } });
  assert.deepEqual(seen, [1_800_000_012, 1_800_000_001.5]);
});

test('settings that make no sense: logged and deferred with each request; other errors are not swallowed', async () => {
  const agent = openAgent(bench.tools, () => { throw new ConfigurationError('bad value', { file: 'main.cf', line: 3 }); });
  const { reply, lines } = await bench.deliver(agent, ['joe@example.org']);
  assert.deepEqual([reply.hop.status, lines[0], tail(lines)], ['4.3.5', 'error: bad value (main.cf, line 3)', 'dsn=4.3.5, status=deferred (mail system configuration error)']);
  assert.throws(() => openAgent(bench.tools, () => { throw new TypeError('ours'); }), TypeError);
});

test('the end waits for deliveries that are under way', async () => {
  let finish = (): void => undefined;
  const held = new Promise<void>((resolve) => { finish = resolve; });
  const agent = agentFor(async ({ outcome }) => {
    await held;
    await outcome.all('sent', { dsn: '2.0.0', text: 'ok' });
  });
  const delivery = bench.deliver(agent, ['joe@example.org']);
  const order: string[] = [];
  const drained = agent.drain().then(() => order.push('drained'));
  await new Promise(setImmediate);
  assert.deepEqual([order, agent.busy()], [[], true]);
  finish();
  await Promise.all([delivery.then(() => order.push('delivered')), drained]);
  assert.deepEqual([order.sort(), agent.busy()], [['delivered', 'drained'], false]);
});
