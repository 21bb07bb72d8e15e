import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import type { Tools } from '../../server/daemon.ts';
import { crowdRules, crowdWarnings, lifetimeOfBounces, recipientLimitOf, transportRules } from './rules.ts';

function house(mainCf = ''): { tools: Tools; said: string[] } {
  const said: string[] = [];
  const log = { warning: (text: string) => said.push(`warning: ${text}`), info: (text: string) => said.push(text) };
  return { said, tools: { config: new Configuration('/conf', parseMainCf(mainCf, 'main.cf', assert.fail), []), log } as unknown as Tools };
}

test('what the parameters say when nobody has set them', () => {
  const { positiveFeedback, negativeFeedback, ...rules } = transportRules('smtp', house().tools);
  assert.deepEqual(rules, {
    initialConcurrency: 5, concurrencyLimit: 20, destinationDelay: 0, transportDelay: 0, failedCohortLimit: 1, slotCost: 5, slotLoan: 3, slotDiscount: 50, minimumSlots: 3,
    recipientLimit: 20_000, extraRecipients: 1000, refillLimit: 100, refillDelay: 5000,
  });
  assert.deepEqual([positiveFeedback(4), negativeFeedback(4)], [1, 1]);
});

const own = `slow_destination_rate_delay = 3s
slow_transport_rate_delay = 1m
slow_delivery_slot_cost = 7
slow_delivery_slot_loan = 1
slow_delivery_slot_discount = 20
slow_minimum_delivery_slots = 9
slow_recipient_limit = 10
slow_extra_recipient_limit = 4
slow_recipient_refill_limit = 2
slow_recipient_refill_delay = 6s
slow_initial_destination_concurrency = 3
slow_destination_concurrency_limit = 8
slow_destination_concurrency_failed_cohort_limit = 2
slow_destination_concurrency_positive_feedback = 1/8
default_destination_concurrency_negative_feedback = 1/concurrency
`;

test('what a transport has of its own', () => {
  const { positiveFeedback, negativeFeedback, ...rules } = transportRules('slow', house(own).tools);
  assert.deepEqual(rules, {
    initialConcurrency: 3, concurrencyLimit: 8, destinationDelay: 3000, transportDelay: 60_000, failedCohortLimit: 2, slotCost: 7, slotLoan: 1, slotDiscount: 20, minimumSlots: 9,
    recipientLimit: 10, extraRecipients: 4, refillLimit: 2, refillDelay: 6000,
  });
  assert.deepEqual([positiveFeedback(4), negativeFeedback(4)], [0.125, 0.25]);
});

for (const [mainCf, want] of [
  ['smtp_destination_concurrency_positive_feedback = 5', ['warning: smtp_destination_concurrency_positive_feedback: ignoring malformed or unreasonable feedback: 5']],
  ['default_destination_concurrency_negative_feedback = x', ['warning: default_destination_concurrency_negative_feedback: ignoring malformed or unreasonable feedback: x']],
  ['destination_concurrency_feedback_debug = yes\nsmtp_destination_concurrency_negative_feedback = 1/concurrency', [
    'smtp: default_destination_concurrency_positive_feedback feedback type 0 value at 5: 1',
    'smtp: smtp_destination_concurrency_negative_feedback feedback type 1 value at 5: 0.2']],
] as const) {
  test(`main.cf: ${mainCf}`, () => {
    const { tools, said } = house(mainCf);
    transportRules('smtp', tools);
    assert.deepEqual(said, want);
  });
}

const limits = {
  qmgr_message_recipient_limit: 100, qmgr_message_active_limit: 200, bounce_queue_lifetime: 50, maximal_queue_lifetime: 40, qmgr_clog_warn_time: 300, helpful_warnings: true,
};

test('limits that do not fit together are mended, with a word', () => {
  const { tools: { log }, said } = house();
  assert.deepEqual([recipientLimitOf(limits, log), lifetimeOfBounces(limits, log)], [200, 40]);
  assert.deepEqual(said, [
    'warning: qmgr_message_recipient_limit is smaller than qmgr_message_active_limit - adjusting qmgr_message_recipient_limit',
    'warning: bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime',
  ]);
});

const crowd = { transport: 'smtp', queue: 'x.test', length: 50, busy: 3, window: 5, alone: true };
const remedy = (changes: Partial<typeof crowd>, most = 20, messages = 100): string => {
  const lines = crowdWarnings({ ...crowd, ...changes }, { limit: 200, most, messages });
  return lines[lines.findIndex((line) => line.startsWith('you may'))]!;
};

for (const [name, got, want] of [
  ['as many deliveries as may be', remedy({ busy: 19 }), 'you may need to increase the main.cf smtp_destination_concurrency_limit from 20'],
  ['more could be than there is mail', remedy({ window: 101 }, 0), 'you may need to increase the main.cf qmgr_message_active_limit from 200'],
  ['others have to wait', remedy({ alone: false }), 'you may need a separate master.cf transport for x.test'],
  ['nobody else is there', remedy({}), 'you may need to reduce smtp connect and helo timeouts'],
] as const) test(`a destination with half of the queue: ${name}`, () => assert.equal(got, want));

test('most of the queue: nothing is said of other mail', () => {
  assert.deepEqual(crowdWarnings({ ...crowd, length: 95 }, { limit: 200, most: 20, messages: 100 }).slice(0, 2), [
    'mail for x.test is using up 95 of 100 active queue entries', 'you may need to reduce smtp connect and helo timeouts']);
  assert.equal(crowdWarnings(crowd, { limit: 200, most: 20, messages: 100 })[1], 'this may slow down other mail deliveries');
});

test('without helpful_warnings, or without a time for it, nothing is said', () => {
  const { tools } = house();
  assert.deepEqual(crowdRules(tools, { ...limits, helpful_warnings: false }, { size: 1 }), {});
  assert.deepEqual(crowdRules(tools, { ...limits, qmgr_clog_warn_time: 0 }, { size: 1 }), {});
  assert.deepEqual([crowdRules(tools, limits, { size: 1 }).crowd?.limit, crowdRules(tools, limits, { size: 1 }).crowd?.pause], [40, 300_000]);
});
