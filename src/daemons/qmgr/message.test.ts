import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyEnvelope, type Envelope } from '../../message/envelope.ts';
import { activeMessage, groupRecipients, type RouteRules } from './message.ts';

const route = (address: string) => ({ transport: 'smtp', nexthop: address.slice(address.indexOf('@') + 1), recipient: address, flags: 0 });

const rules: RouteRules = {
  resolve: (_sender, address) => route(address), recipientLimit: () => 50, doubleBounceSender: 'double-bounce', defaultFilterNexthop: '', isDeferred: () => false,
};

function envelopeFor(addresses: readonly string[]): Envelope {
  const recipients = addresses.map((address, offset) => ({ address, originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: offset + 1, done: false }));
  return { ...emptyEnvelope(), sender: 'me@x.test', recipients };
}

async function sizes(addresses: readonly string[], changes: Partial<RouteRules> = {}): Promise<Map<string, number[]>> {
  const envelope = envelopeFor(addresses);
  const message = activeMessage('Q', envelope, { forcedExpire: false, again: true }, 0);
  const { entries } = await groupRecipients(message, envelope, { ...rules, ...changes });
  const found = new Map<string, number[]>();
  for (const { queue, again, load } of entries) {
    assert.equal(again, true);
    found.set(queue, [...found.get(queue) ?? [], load.recipients.length]);
  }
  return found;
}

const many = (count: number): string[] => Array.from({ length: count }, (_, number) => `u${number}@d${number % 2}.test`);
const wanted = new Map([['d0.test', [50, 10]], ['d1.test', [50, 10]]]);

test('recipients go in batches of their destination', async () => assert.deepEqual(await sizes(many(120)), wanted));

test('the same when the answers have to be waited for', async () => {
  assert.deepEqual(await sizes(many(120), { resolve: async (_sender, address) => route(address) }), wanted);
});

test('a message with 100,000 recipients lets others have their turn, and no recipient is missing', async () => {
  let turns = 0;
  const count = (): void => { turns++; ticking = setImmediate(count); };
  let ticking = setImmediate(count);
  const found = await sizes(many(100_000), { resolve: async (_sender, address) => route(address) });
  clearImmediate(ticking);
  assert.equal([...found.values()].flat().reduce((sum, size) => sum + size, 0), 100_000);
  assert.ok(turns > 100, `${turns} turns`);
});
