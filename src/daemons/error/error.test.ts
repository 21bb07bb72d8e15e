import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import { daemon } from './error.ts';

const benches: Bench[] = [];
after(() => benches.forEach((bench) => bench.remove()));

async function open(row: string, options: { main?: string; down?: string[] } = {}) {
  const bench = new Bench({ row, ...options });
  benches.push(bench);
  return { bench, agent: await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0] };
}

for (const [service, nexthop, want, status] of [
  ['error', '5.1.1 no such user', 'dsn=5.1.1, status=bounced (no such user)', 0],
  ['error', 'closed', 'dsn=5.0.0, status=bounced (closed)', 0],
  ['retry', '4.4.1 later', 'dsn=4.4.1, status=deferred (later)', -1],
  ['retry', 'later', 'dsn=4.0.0, status=deferred (later)', -1],
] as const) {
  test(`${service}:${nexthop}`, async () => {
    const { bench, agent } = await open(`${service} unix - - n - - error`);
    const { reply, lines, left } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop } });
    assert.equal(reply.status, status);
    assert.deepEqual(left, status === 0 ? [] : ['joe@example.org']);
    assert.ok(lines[0]!.includes(`relay=none, delay=12, delays=0.5/1/0/11, ${want}`), lines[0]);
  });
}

test('a bounce that cannot be recorded keeps the recipient', async () => {
  const { bench, agent } = await open('error unix - - n - - error', { down: ['bounce'] });
  const { reply, left, lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: '5.1.1 no' } });
  assert.deepEqual([reply.status, left], [-1, ['joe@example.org']]);
  assert.match(lines.at(-1)!, /status=deferred \(bounce or trace service failure\)$/);
});
