import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import type { TableContext } from '../../tables/table.ts';
import { headerSteps, mappedEnvelope, openAddressMaps } from './address-maps.ts';
import type { MessageState } from './state.ts';

function opened(mainCf: string) {
  const said: string[] = [];
  const config = new Configuration('/conf', parseMainCf(mainCf, 'main.cf', assert.fail));
  const tables: TableContext = { parameter: (name) => config.text(name), warn: (text) => void said.push(text) };
  const rules = { recipientDelimiter: '+', myorigin: 'here.test', isLocal: (domain: string) => domain === 'here.test' };
  const state = { queueId: 'AB12', status: 0, refuse: (status: number) => { (state as { status: number }).status |= status; } } as unknown as MessageState;
  const maps = openAddressMaps({
    config, tables, rules, propagates: () => true, complete: (address) => (address.includes('@') ? address : `${address}@here.test`),
    log: { info: (text) => void said.push(text), warning: (text) => void said.push(text) },
  });
  return { maps, said, state };
}

test('nothing is configured: nothing is there', () => assert.equal(opened('').maps, undefined));

for (const [name, mainCf, want] of [
  ['canonical_maps', 'canonical_maps = inline:{ a@x=b@x }', ['b@x', 'b@x', 'b@x', 'b@x']],
  ['canonical_classes', 'canonical_maps = inline:{ a@x=b@x }\ncanonical_classes = envelope_sender header_recipient', ['b@x', 'a@x', 'a@x', 'b@x']],
  ['sender_canonical_maps', 'sender_canonical_maps = inline:{ a@x=b@x }', ['b@x', 'a@x', 'b@x', 'a@x']],
  ['recipient_canonical_maps', 'recipient_canonical_maps = inline:{ a@x=b@x }', ['a@x', 'b@x', 'a@x', 'b@x']],
  ['recipient_canonical_classes', 'recipient_canonical_maps = inline:{ a@x=b@x }\nrecipient_canonical_classes = header_recipient', ['a@x', 'a@x', 'a@x', 'b@x']],
  ['the special table goes first', 'sender_canonical_maps = inline:{ a@x=b@x }\ncanonical_maps = inline:{ a@x=wrong@x, b@x=c@x }', ['c@x', 'wrong@x', 'c@x', 'wrong@x']],
  ['masquerading', 'masquerade_domains = x', ['a@x', 'a@x', 'a@x', 'a@x']],
  ['masquerading after canonical', 'masquerade_domains = y\ncanonical_maps = inline:{ a@x=b@h.y }', ['b@y', 'b@h.y', 'b@y', 'b@y']],
  ['masquerade_classes', 'masquerade_domains = y\nmasquerade_classes = envelope_recipient\ncanonical_maps = inline:{ a@x=b@h.y }', ['b@h.y', 'b@y', 'b@h.y', 'b@h.y']],
] as const) {
  test(name, async () => {
    const { maps, state } = opened(mainCf);
    const header = async (isSender: boolean): Promise<string> => {
      let text = 'a@x';
      for (const step of headerSteps(maps!, isSender, state) ?? []) text = (await step(text)) ?? text;
      return text;
    };
    const envelope = (place: 'envelope_sender' | 'envelope_recipient') => mappedEnvelope(maps!, place, state, 'a@x');
    assert.deepEqual([await envelope('envelope_sender'), await envelope('envelope_recipient'), await header(true), await header(false)], want);
  });
}

for (const [name, mainCf, line] of [
  ['canonical_maps', 'canonical_maps = fail:x', 'AB12: canonical_maps map lookup problem for a@x -- message not accepted, try again later'],
  ['masquerade_exceptions', 'masquerade_domains = x\nmasquerade_exceptions = fail:x', 'AB12: masquerade_exceptions map lookup problem -- message not accepted, try again later'],
] as const) {
  test(`${name} that cannot be asked make the message wait`, async () => {
    const { maps, said, state } = opened(mainCf);
    assert.equal(await mappedEnvelope(maps!, 'envelope_sender', state, 'a@x'), 'a@x');
    assert.deepEqual([state.status, said.at(-1)], [cleanupStatus.write, line]);
  });
}

test('BCC tables', async () => {
  const { maps, said, state } = opened('sender_bcc_maps = inline:{ a@x=copy@x }\nrecipient_bcc_maps = fail:x');
  assert.equal(await maps!.senderBcc!(state, 'a+e@x'), 'copy@x');
  assert.equal(await maps!.senderBcc!(state, 'b@x'), undefined);
  assert.equal(state.status, 0);
  assert.equal(await maps!.recipientBcc!(state, 'a@x'), undefined);
  assert.deepEqual([state.status, said.at(-1)], [cleanupStatus.write, 'AB12: recipient_bcc_maps map lookup problem -- message not accepted, try again later']);
});

for (const [parameter, value, title] of [
  ['canonical_classes', 'envelope_sender, headers', 'canonical_classes'], ['sender_canonical_classes', 'envelope_recipient', 'canonical_classes'], ['masquerade_classes', 'ENVELOPE_SENDER', 'masquerade_classes'],
] as const) {
  test(`${parameter} with a word that it does not know`, () => assert.throws(() => opened(`${parameter} = ${value}`), { message: new RegExp(`^unknown ${title} value "`) }));
}
