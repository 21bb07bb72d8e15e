import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import { daemon } from './discard.ts';

const bench = new Bench({ row: 'discard unix - - n - - discard' });
const agent = await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0];
after(() => bench.remove());

for (const [name, nexthop, want] of [
  ['a reason', 'not wanted here', 'dsn=2.0.0, status=sent (not wanted here)'],
  ['a reason with a status', '2.1.5 not wanted', 'dsn=2.1.5, status=sent (not wanted)'],
] as const) {
  test(`every recipient disappears with ${name}`, async () => {
    const { reply, lines, left } = await bench.deliver(agent, ['joe@example.org', 'ann@example.org'], { request: { nexthop } });
    assert.deepEqual([reply.status, left, lines.length], [0, [], 2]);
    assert.ok(lines[1]!.startsWith('AB') && lines[1]!.includes(`to=<ann@example.org>, relay=none, delay=12, delays=0.5/1/0/11, ${want}`), lines[1]);
  });
}

test('a queue file that is gone is somebody else\'s: nothing is logged of its recipients', async () => {
  const reply = await agent.calls.deliver({ ...(await import('../../delivery/testing.ts')).request(), queueId: 'FFFF' });
  assert.deepEqual([reply.status, reply.hop.status], [-1, '']);
});
