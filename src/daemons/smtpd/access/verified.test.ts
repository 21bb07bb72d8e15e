import assert from 'node:assert/strict';
import test from 'node:test';
import { ServiceTrouble } from '../../../ipc/service.ts';
import { bench } from './testing.ts';
import { rejectUnverified } from './verified.ts';

const view = {
  unverified_sender_defer_code: 450, unverified_sender_reject_code: 550, unverified_sender_reject_reason: '', unverified_sender_tempfail_action: 'defer',
  unverified_recipient_defer_code: 450, unverified_recipient_reject_code: 450, unverified_recipient_reject_reason: '', unverified_recipient_tempfail_action: 'defer_if_permit',
  address_verify_poll_count: 3, address_verify_poll_delay: 3, address_verify_service_name: 'verify',
};

const todo = { status: 0, recipient_status: 3, reason: 'Address verification in progress' };
const refusal = (code: number, status: string, text: string): object => ({ kind: 'refuse', reply: { code, status, text } });

for (const [name, side, answers, want, polls, own = {}] of [
  ['an address that works', 'recipient', [{ status: 0, recipient_status: 0, reason: 'ok' }], undefined, 1],
  ['a sender that bounces', 'sender', [{ status: 0, recipient_status: 2, reason: 'host said: 550 no' }],
    refusal(550, '5.1.7', '<ann@example.org>: Sender address rejected: undeliverable address: host said: 550 no'), 1],
  ['a reason of our own', 'sender', [{ status: 0, recipient_status: 2, reason: 'secret' }],
    refusal(550, '5.1.7', '<ann@example.org>: Sender address rejected: undeliverable address: no such sender'), 1, { unverified_sender_reject_reason: 'no such sender' }],
  ['a sender that nobody knows yet', 'sender', [todo, todo, todo],
    refusal(450, '4.1.7', '<ann@example.org>: Sender address rejected: unverified address: Address verification in progress'), 3],
  ['an answer while we wait', 'sender', [todo, { status: 0, recipient_status: 0, reason: 'ok' }], undefined, 2],
  ['codes that permit', 'sender', [{ status: 0, recipient_status: 2, reason: 'no' }], undefined, 1, { unverified_sender_reject_code: 250 }],
  ['a service that does not understand', 'sender', [{ status: -2, recipient_status: 0, reason: '' }], refusal(450, '4.1.7', '<ann@example.org>: Sender address rejected: address verification problem'), 1],
  ['no service', 'sender', [], refusal(450, '4.1.7', '<ann@example.org>: Sender address rejected: address verification problem'), 1],
] as const) {
  test(`address verification: ${name}`, async () => {
    let asked = 0;
    const query = (): object => {
      const answer = answers[asked++];
      if (answer === undefined) throw new ServiceTrouble('verify', 'not there');
      return answer;
    };
    const { setup, state, warnings } = bench({ view: { ...view, ...own }, outside: { verify: { query } as never } });
    assert.deepEqual(await rejectUnverified(side)(setup)(state, { name: 'x', replyClass: 'Recipient address' }), want);
    assert.equal(asked, polls);
    assert.equal(warnings.length, name.includes('service') ? 1 : 0);
  });
}

test('address verification: a recipient that defers waits for the end of the lists', async () => {
  const { setup, state } = bench({ view, outside: { verify: { query: () => ({ status: 0, recipient_status: 1, reason: 'busy' }) } as never } });
  assert.equal(await rejectUnverified('recipient')(setup)(state, { name: 'x', replyClass: 'Recipient address' }), undefined);
  assert.deepEqual(state.deferIfPermit, { code: 450, status: '4.1.1', text: '<joe@example.org>: Recipient address rejected: unverified address: busy' });
});
