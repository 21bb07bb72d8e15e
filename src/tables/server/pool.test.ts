import assert from 'node:assert/strict';
import test from 'node:test';
import { HostPool, Refused, type Host, type Link, type PoolLimits } from './pool.ts';

interface Server extends Host { up: boolean; room: number; made: number; open: number; most: number }

const limits: PoolLimits = { links: 2, perLink: 1, waiting: 3, timeout: 10_000, retry: 60_000, idle: 60_000 };

function bench(names: readonly string[], more: Partial<PoolLimits> & { ordered?: boolean } = {}) {
  const clock = { now: 0 };
  const failures: string[] = [];
  const links: { host: string; broken: boolean }[] = [];
  const hosts: Server[] = names.map((label) => ({ label, isLocal: label.startsWith('unix'), up: true, room: 100, made: 0, open: 0, most: 0 }));
  const { ordered = false, ...own } = more;
  const pool = new HostPool<Server, string, string>({
    hosts, limits: { ...limits, ...own }, ordered, now: () => clock.now, random: (limit) => limit - 1,
    failed: (host, error) => failures.push(`${host.label}: ${error.message}`),
    connect: async (host): Promise<Link<string, string>> => {
      await Promise.resolve();
      if (!host.up) throw new Error('refused');
      if (host.open >= host.room) throw new Error('too many connections');
      const state = { host: host.label, broken: false };
      links.push(state);
      host.made++;
      host.most = Math.max(host.most, ++host.open);
      return {
        ask: async (question) => {
          await Promise.resolve();
          if (!host.up || state.broken) throw new Error('broken');
          if (question === 'nonsense') throw new Refused('no');
          return `${host.label} ${question}`;
        },
        close: () => void host.open--,
      };
    },
  });
  return { pool, hosts, clock, failures, links };
}

test('local servers first, then by chance; one that works is asked again', async () => {
  const { pool, hosts } = bench(['inet:a', 'unix:b', 'inet:c']);
  assert.equal(await pool.ask('1'), 'unix:b 1');
  hosts[1]!.up = false;
  assert.equal(await pool.ask('2'), 'inet:c 2');
  hosts[1]!.up = true;
  assert.equal(await pool.ask('3'), 'inet:c 3');
  pool.close();
});

test('connections are bounded and shared, questions that would wait beyond the limit are trouble', async () => {
  const { pool, hosts } = bench(['a']);
  const answers = await Promise.allSettled(['1', '2', '3', '4', '5', '6'].map((each) => pool.ask(each)));
  assert.equal(hosts[0]!.most, 2);
  assert.deepEqual(answers.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected']);
  pool.close();
  assert.equal(hosts[0]!.open, 0);
});

test('a server that takes fewer connections than we would make serves all the same', async () => {
  const { pool, hosts, failures } = bench(['a']);
  hosts[0]!.room = 1;
  assert.deepEqual(await Promise.all(['1', '2', '3'].map((each) => pool.ask(each))), ['a 1', 'a 2', 'a 3']);
  assert.equal(await pool.ask('4'), 'a 4');
  assert.ok(failures.every((line) => line === 'a: too many connections'));
  pool.close();
});

test('many questions on one connection', async () => {
  const { pool, hosts } = bench(['a'], { perLink: 10, waiting: 100 });
  await Promise.all(Array.from({ length: 15 }, (_, at) => pool.ask(String(at))));
  assert.equal(hosts[0]!.made, 2);
  pool.close();
});

test('a kept connection that is dead says nothing about its server', async () => {
  const { pool, hosts, links, failures } = bench(['a']);
  await Promise.all([pool.ask('1'), pool.ask('2')]);
  for (const link of links) link.broken = true;
  assert.equal(await pool.ask('3'), 'a 3');
  assert.deepEqual(failures, []);
  assert.equal(hosts[0]!.open, 1, 'the other dead one is gone too');
  pool.close();
});

test('a server that failed is left alone for a while', async () => {
  const { pool, hosts, clock, failures } = bench(['a', 'b']);
  for (const host of hosts) host.up = false;
  await assert.rejects(pool.ask('1'), /refused/);
  assert.deepEqual(failures, ['b: refused', 'a: refused']);
  for (const host of hosts) host.up = true;
  await assert.rejects(pool.ask('2'), /all servers are down/);
  clock.now = 60_000;
  assert.equal(await pool.ask('3'), 'b 3');
  pool.close();
});

test('a single server gets a second chance at once', async () => {
  const { pool, hosts, failures } = bench(['a']);
  hosts[0]!.up = false;
  const asked = pool.ask('1');
  await Promise.resolve();
  hosts[0]!.up = true;
  assert.equal(await asked, 'a 1');
  assert.ok(failures.length <= 1);
  pool.close();
});

test('a question that is refused is asked of the others, and nobody is down', async () => {
  const { pool, failures } = bench(['a', 'b']);
  await assert.rejects(pool.ask('nonsense'), Refused);
  assert.deepEqual(failures, []);
  assert.equal(await pool.ask('1'), 'b 1');
  pool.close();
});

test('servers in their order, also when all of them failed a moment ago', async () => {
  const { pool, hosts } = bench(['a', 'b'], { ordered: true });
  assert.equal(await pool.ask('1'), 'a 1');
  for (const host of hosts) host.up = false;
  await assert.rejects(pool.ask('2'), /refused|broken/);
  hosts[1]!.up = true;
  assert.equal(await pool.ask('3'), 'b 3');
  pool.close();
});

test('an answer that does not come is trouble', async () => {
  const pool = new HostPool<Host, string, string>({
    hosts: [{ label: 'a', isLocal: false }], limits: { ...limits, timeout: 1 }, failed: () => undefined,
    connect: async () => ({ ask: () => new Promise<string>(() => undefined), close: () => undefined }),
  });
  await assert.rejects(pool.ask('1'), /no answer in time/);
  pool.close();
  await assert.rejects(pool.ask('1'), /closed/);
});
