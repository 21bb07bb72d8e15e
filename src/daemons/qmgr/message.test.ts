import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestFlag } from '../../ipc/deliver.ts';
import { emptyEnvelope, emptySize, type Envelope } from '../../message/envelope.ts';
import { ActiveQueue } from './intake.ts';
import { activeMessage, groupRecipients, requestFor, type RouteRules } from './message.ts';

const route = (address: string) => ({ transport: 'smtp', nexthop: address.slice(address.indexOf('@') + 1), recipient: address, flags: 0 });

const rules: RouteRules = {
  resolve: (_sender, address) => route(address), resolveProbe: (_sender, address) => ({ ...route(address), transport: 'probed' }), tooManyProbes: () => false, recipientLimit: () => 50, doubleBounceSender: 'double-bounce', defaultFilterNexthop: '', isDeferred: () => false,
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

test('VERP: every recipient is a delivery of its own, from a sender that tells who it is', async () => {
  const plain = { ...envelopeFor(['joe@x.test', 'list-member@x.test']), sender: 'list@here.test' };
  const [joe, member] = plain.recipients;
  const full = { ...plain, verpDelimiters: '+=', recipients: [joe!, { ...member!, originalAddress: 'Ann@Old.test' }] };
  const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full, rules);
  assert.deepEqual(entries.map(({ load }) => requestFor(load).sender).sort(), ['list+Ann=Old.test@here.test', 'list+joe=x.test@here.test']);
});

test('a recipient in another script needs a server that takes it', async () => {
  for (const [address, verpDelimiters, want] of [['joe@x.test', undefined, 1], ['j\xc3\xb6@x.test', undefined, 9], ['j\xf6@x.test', undefined, 1], ['j\xc3\xb6@x.test', '+=', 13]] as const) {
    const plain = envelopeFor([address]);
    const full = { ...plain, sender: 'me@here.test', verpDelimiters, size: { ...emptySize, sendOptions: 1 } };
    const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full, rules);
    assert.equal(requestFor(entries[0]!.load).smtputf8, want);
  }
});

/** Where recipients of a message go: transport and nexthop. */
async function ways(envelope: Partial<Envelope>, changes: Partial<RouteRules> = {}): Promise<string[]> {
  const full = { ...envelopeFor(['joe@x.test']), ...envelope };
  const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full, { ...rules, ...changes });
  return entries.map(({ transport, load }) => `${transport} ${load.nexthop}`);
}

const [verifyProbe, userProbe] = [requestFlag.mtaVerify, requestFlag.userVerify];

for (const [name, envelope, changes, want] of [
  ['mail', {}, {}, 'smtp x.test'],
  ['a probe of verify(8) goes by address_verify_*', { traceFlags: verifyProbe }, {}, 'probed x.test'],
  ['sendmail -bv goes as mail does', { traceFlags: userProbe }, {}, 'smtp x.test'],
  ['mail goes to the content filter', { contentFilter: 'scan:here' }, {}, 'scan here'],
  ['sendmail -bv goes past it', { traceFlags: userProbe, contentFilter: 'scan:here' }, {}, 'smtp x.test'],
  ['too many probes', { traceFlags: verifyProbe }, { tooManyProbes: () => true }, 'retry 4.3.2 Too many address verification requests'],
  ['too many probes are no concern of mail', {}, { tooManyProbes: () => true }, 'smtp x.test'],
] as const) test(name, async () => assert.deepEqual(await ways(envelope, changes), [want]));

test('probes among the active are counted', () => {
  const active = new ActiveQueue();
  const [probe, mail] = [verifyProbe, 0].map((traceFlags, number) => activeMessage(`Q${number}`, { ...emptyEnvelope(), traceFlags }, { forcedExpire: false, again: false }, 0));
  active.add(probe!);
  active.add(mail!);
  assert.equal(active.probes, 1);
  for (const message of [probe!, probe!, mail!]) active.remove(message);
  assert.equal(active.probes, 0);
});
