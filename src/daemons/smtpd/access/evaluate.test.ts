/** Lists as people write them, and as nobody should: every list can be compiled and asked, and a mistake never permits. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { catalogue } from './catalogue.ts';
import { compileList } from './evaluate.ts';
import { Policy } from './../policy.ts';
import { bench, type Bench } from './testing.ts';

const about = { name: 'joe@example.org', replyClass: 'Recipient address' } as const;
const view = {
  reject_code: 554, defer_code: 450, relay_domains_reject_code: 554, access_map_defer_code: 450, non_fqdn_reject_code: 504, invalid_hostname_reject_code: 501, unknown_client_reject_code: 450, plaintext_reject_code: 450,
  unknown_address_reject_code: 450, unknown_hostname_reject_code: 450, unknown_helo_hostname_tempfail_action: 'defer_if_permit', unknown_address_tempfail_action: 'defer_if_permit', multi_recipient_bounce_reject_code: 550,
  unverified_sender_defer_code: 450, unverified_sender_reject_code: 450, unverified_sender_tempfail_action: 'defer', unverified_sender_reject_reason: '', unverified_recipient_defer_code: 450,
  unverified_recipient_reject_code: 450, unverified_recipient_tempfail_action: 'defer', unverified_recipient_reject_reason: '', address_verify_poll_count: 1, address_verify_poll_delay: 1,
  smtpd_sender_login_maps: '', relay_clientcerts: '', maps_rbl_domains: 'list.test', smtpd_sasl_auth_enable: true, local_recipient_maps: '', virtual_mailbox_maps: '', relay_recipient_maps: '',
  recipient_canonical_maps: '', sender_canonical_maps: '', canonical_maps: '', virtual_alias_maps: '', permit_mx_backup_networks: '', smtpd_null_access_lookup_key: '<>',
};

function scene(state: object = {}): Bench & { list(text: string): unknown } {
  const made = bench({
    view, state, names: { 'example.org MX': ['mx.example.org'] },
    outside: {
      verify: { query: () => ({ status: 0, recipient_status: 0, reason: '' }) } as never, isLocalDomain: () => false, isBackupNetwork: () => false,
      policy: (name: string) => ({ name, defaultAction: '451 4.3.5 no', context: '', ask: () => Promise.resolve('DUNNO') }),
    },
  });
  Object.assign(made.setup, { isMyNetwork: () => false, isOwnAddress: () => false, classes: new Map() });
  const classes = new Map([['self', 'self, self'], ['strict', 'reject']]);
  return { ...made, list: (text) => compileList(text, { setup: made.setup, defaultTable: 'check_recipient_access', classText: (name) => classes.get(name), parameter: 'smtpd_recipient_restrictions' })(made.state, about) };
}

/** A generator with a seed: the same lists every time. */
function chance(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const words = [...catalogue.keys(), 'warn_if_reject', 'test:table', '{ test:table }', 'inet:127.0.0.1:1', 'list.test', 'list.test=127.0.0.2', 'list.test=[', '7', 'self', 'strict', '__proto__', 'constructor', 'REJECT', '{', 'x=y', '\xff'];

test('any words make a list that answers', async () => {
  const pick = chance(4711);
  for (let round = 0; round < 2000; round++) {
    const text = Array.from({ length: 1 + pick(6) }, () => words[pick(words.length)]).join(pick(2) === 0 ? ' ' : ', ');
    const { list, state } = scene({ sender: [undefined, '', 'ann@example.org'][pick(3)], recipient: [undefined, 'joe@example.org'][pick(2)], helo: [undefined, 'x', '[1.2.3.4]', 'a.example.org'][pick(4)] });
    const decision = await list(text) as { kind: string; reply?: { code: number } } | undefined;
    assert.ok(decision === undefined || decision.kind === 'permit' || (decision.reply!.code >= 400 && decision.reply!.code < 600), `${text}: ${JSON.stringify(decision)}`);
    assert.equal(state.depth, 0, text);
  }
});

for (const text of ['nonesuch', 'check_client_access', 'check_client_access permit', 'check_policy_service permit', 'sleep', 'sleep now', 'reject_rbl_client list.test=127', 'self', 'warn_if_reject nonesuch']) {
  test(`a mistake refuses for now: ${text}`, async () => {
    const { list, warnings } = scene();
    assert.deepEqual(await list(`${text}, permit`), { kind: 'refuse', reply: { code: 451, status: '4.3.5', text: 'Server configuration error' } });
    assert.ok(warnings.length > 0);
  });
}

test('a class that an access table names is compiled although no list has it', async () => {
  const { setup, state } = scene();
  const opened: string[] = [];
  Object.assign(setup, { openTable: (name: string) => (opened.push(name), { type: 'test', name, fixed: true, find: () => undefined }) });
  const text = new Map([['smtpd_recipient_restrictions', 'reject']]);
  const policy = new Policy(setup, {
    text: (name) => text.get(name) ?? '', classText: (name) => (name === 'late' ? 'check_client_access test:late' : undefined), classNames: ['late'],
    delayReject: true, relayBeforeRecipient: true, rejectUnlistedRecipient: false, rejectUnlistedSender: false,
  });
  assert.deepEqual(opened, ['test:late']);
  assert.equal((await policy.recipient(state, false))?.kind, 'refuse');
});
