import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestFlag } from '../../ipc/deliver.ts';
import { resolveFlag } from '../../ipc/rewrite.ts';
import { emptyEnvelope, type Envelope } from '../../message/envelope.ts';
import { ActiveQueue } from './intake.ts';
import { activeMessage, fillUp, firstRecipients, groupRecipients, requestFor, type Batch, type RouteRules, type Taking } from './message.ts';

const route = (address: string) => ({ transport: 'smtp', nexthop: address.slice(address.indexOf('@') + 1), recipient: address, flags: 0 });

const rules: RouteRules = {
  resolve: (_sender, address) => route(address), resolveProbe: (_sender, address) => ({ ...route(address), transport: 'probed' }), tooManyProbes: () => false, recipientLimit: () => 50, doubleBounceSender: 'double-bounce', defaultFilterNexthop: '', hostname: 'mx.here.test', delimiters: '+', rewrite: (address) => address, isDeferred: () => false,
};

function envelopeFor(addresses: readonly string[]): Envelope {
  const recipients = addresses.map((address, offset) => ({ address, originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: offset + 1, done: false }));
  return { ...emptyEnvelope(), sender: 'me@x.test', recipients };
}

async function sizes(addresses: readonly string[], changes: Partial<RouteRules> = {}): Promise<Map<string, number[]>> {
  const envelope = envelopeFor(addresses);
  const message = activeMessage('Q', envelope, { forcedExpire: false, again: true }, 0);
  const { entries } = await groupRecipients(message, envelope.recipients, { ...rules, ...changes });
  const found = new Map<string, number[]>();
  for (const { queue, mail: { again }, load, size } of entries) {
    assert.equal(again, true);
    assert.equal(size, load.recipients.length);
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

/** Where recipients of a message go: transport and nexthop. */
async function ways(envelope: Partial<Envelope>, changes: Partial<RouteRules> = {}, taking: Partial<Taking> = {}): Promise<string[]> {
  const full = { ...envelopeFor(['joe@x.test']), ...envelope };
  const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false, ...taking }, 0), full.recipients, { ...rules, ...changes });
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

const three = envelopeFor(['a@x.test', 'b@y.test', 'c@z.test']).recipients;
const rejecting = (flags: number) => ({ resolve: (_sender: string, address: string) => ({ ...route(address), flags }) });

// qmgr_message.c: what overrides the address resolver, and in which order.
for (const [name, envelope, changes, taking, want] of [
  ['the resolver has failed', {}, rejecting(resolveFlag.fail), {}, ['retry 4.3.0 address resolver failure']],
  ['bad syntax', {}, rejecting(resolveFlag.error), {}, ['error 5.1.3 bad address syntax']],
  ['no address', { recipients: envelopeFor(['']).recipients }, {}, {}, ['error 5.1.3 null recipient address']],
  ['a message that the operator wants returned is tried nowhere', {}, {}, { forcedExpire: true }, ['retry 4.7.0 message is administratively expired']],
  ['defer_transports', {}, { isDeferred: () => true }, {}, ['retry 4.3.2 deferred transport']],
  ['which does not hold for who was asked for', {}, { isDeferred: () => true }, { flushed: true }, ['smtp x.test']],
  ['a redirected message goes to one address, once', { redirect: 'else@there.test', recipients: three }, {}, {}, ['smtp there.test']],
  ['past the content filter', { redirect: 'else@there.test', contentFilter: 'scan:here' }, {}, {}, ['smtp there.test']],
  ['a content filter without a destination goes by the domain', { contentFilter: 'scan:', recipients: three }, {}, {}, ['scan x.test', 'scan y.test', 'scan z.test']],
  ['or to default_filter_nexthop', { contentFilter: 'scan', recipients: three }, { defaultFilterNexthop: 'filter.test' }, {}, ['scan filter.test']],
  ['or to this host', { contentFilter: 'scan:', recipients: envelopeFor(['joe']).recipients }, {}, {}, ['scan mx.here.test']],
] as const) test(name, async () => assert.deepEqual(await ways(envelope as Partial<Envelope>, changes, taking), want));

test('mail to our double-bounce address is for nobody', async () => {
  const full = envelopeFor(['double-bounce@here.test', 'joe@x.test']);
  const { entries, discarded } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full.recipients, { ...rules, ...rejecting(resolveFlag.local) });
  assert.deepEqual([entries.length, discarded.map(({ address }) => address)], [1, ['double-bounce@here.test']]);
});

/** Names of the queues, in order, and the addresses in each. */
async function queues(addresses: readonly string[], changes: Partial<RouteRules>): Promise<string[]> {
  const full = envelopeFor(addresses);
  const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full.recipients, { ...rules, ...changes });
  return entries.map(({ transport, queue, load }) => `${transport} ${queue}: ${load.recipients.map(({ address }) => address).join(' ')}`);
}

test('by transport, destination, domain and address, as Postfix sorts them', async () => {
  const resolve = (_sender: string, address: string) => ({ ...route(address), transport: address.startsWith('l') ? 'local' : 'smtp', nexthop: address.endsWith('B.test') ? 'Relay.test' : 'other.test' });
  assert.deepEqual(await queues(['z@a.test', 'x@B.test', 'lea@a.test', 'a@c.test', 'a@a.test', 'Y@b.test'], { resolve }), [
    'local other.test: lea@a.test', 'smtp other.test: a@a.test z@a.test Y@b.test a@c.test', 'smtp relay.test: x@B.test']);
});

test('where a delivery has one recipient, each recipient is a destination, with all its extensions', async () => {
  const resolve = (_sender: string, address: string) => ({ ...route(address), transport: 'local', nexthop: 'Here.test' });
  assert.deepEqual(await queues(['Joe+one@here.test', 'joe+two@also.test', 'ann@here.test'], { resolve, recipientLimit: () => 1 }), [
    'local ann@here.test: ann@here.test', 'local joe@here.test: joe+two@also.test', 'local joe@here.test: Joe+one@here.test']);
});

test('with a sender address per recipient each goes alone', async () => {
  const full = { ...envelopeFor(['joe@x.test', 'ann@x.test']), sender: 'list@here.test', verpDelimiters: '+=' };
  const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full.recipients, rules);
  assert.deepEqual(entries.map(({ load }) => requestFor(load).sender), ['list+ann=x.test@here.test', 'list+joe=x.test@here.test']);
});

for (const [address, smtputf8, want] of [['joe@x.test', true, 0], ['j\xc3\xb6@x.test', true, 8], ['j\xf6@x.test', true, 0], ['j\xc3\xb6@x.test', false, 0]] as const) {
  test(`a request for ${JSON.stringify(address)}${smtputf8 ? '' : ', without smtputf8_enable'}: options ${want}`, async () => {
    const full = envelopeFor([address]);
    const { entries } = await groupRecipients(activeMessage('Q', full, { forcedExpire: false, again: false }, 0), full.recipients, rules);
    assert.equal(requestFor(entries[0]!.load, '', undefined, smtputf8).smtputf8, want);
  });
}

const size = { contentSize: 100, dataOffset: 500, recipientCount: 30, queueFlags: 0, contentLength: 90, sendOptions: 0 };

test('of a message that is in memory as a whole the first recipients are taken, and it is known where the others are', () => {
  const all = { ...envelopeFor(many(30)), size };
  all.recipients[29]!.dsnNotify = 2;
  const first = firstRecipients(all, 10);
  const message = activeMessage('Q', first, { forcedExpire: false, again: false }, 0);
  assert.deepEqual([first.recipients.length, message.rest, message.mail.more, message.mail.unread, message.wantsTrace], [10, { dataOffset: 500, contentSize: 100, after: 10 }, true, 20, true]);
  assert.equal(firstRecipients(all, 30), all);
  assert.equal(activeMessage('Q', all, { forcedExpire: false, again: false }, 0).rest, undefined);
});

test('further recipients go into entries that wait, as far as there is room', async () => {
  const full = { ...envelopeFor(many(16)) };
  const message = activeMessage('Q', full, { forcedExpire: false, again: false }, 0);
  const few = { ...rules, recipientLimit: () => 5 };
  const entriesOf = async (from: number, to: number) => (await groupRecipients(message, full.recipients.slice(from, to), few)).entries;
  const [last] = await entriesOf(0, 6);
  const [more] = await entriesOf(6, 16);
  assert.deepEqual([fillUp(last!, more!, few), last!.load.recipients.length, more!.size, more!.load.recipients.length], [2, 5, 3, 3]);
  assert.equal(fillUp({ ...last!, load: { ...last!.load, nexthop: 'else.test' } as Batch }, more!, few), 0);
});

test('the end of a delay that the sender was told of is told, where confirm_delay_cleared says so', () => {
  const flags = [true, false].map((confirmDelay) => activeMessage('Q', { ...emptyEnvelope(), warnTime: -1 }, { forcedExpire: false, again: true, confirmDelay }, 0));
  assert.deepEqual(flags.map(({ traceFlags, wantsTrace }) => [traceFlags, wantsTrace]), [[requestFlag.recordDelaySent, true], [0, false]]);
});

test('probes among the active are counted', () => {
  const active = new ActiveQueue();
  const [probe, mail] = [verifyProbe, 0].map((traceFlags, number) => activeMessage(`Q${number}`, { ...emptyEnvelope(), traceFlags }, { forcedExpire: false, again: false }, 0));
  active.add(probe!);
  active.add(mail!);
  assert.equal(active.probes, 1);
  for (const message of [probe!, probe!, mail!]) active.remove(message);
  assert.equal(active.probes, 0);
});
