// Defaults of the delivery scheduler, for every transport that sets no value of its own.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const qmgrSchedulerParameters = {
  default_delivery_slot_cost: { kind: 'int', default: '5' },
  default_delivery_slot_discount: { kind: 'int', default: '50', max: 100 },
  default_delivery_slot_loan: { kind: 'int', default: '3' },
  default_delivery_status_filter: { kind: 'str', default: '', since: '3.0' },
  default_destination_concurrency_failed_cohort_limit: { kind: 'int', default: '1', since: '2.5' },
  default_destination_concurrency_limit: { kind: 'int', default: '20' },
  default_destination_concurrency_negative_feedback: { kind: 'str', default: '1', minLength: 1, since: '2.5' },
  default_destination_concurrency_positive_feedback: { kind: 'str', default: '1', minLength: 1, since: '2.5' },
  default_destination_rate_delay: { kind: 'time', default: '0s', since: '2.5' },
  default_destination_recipient_limit: { kind: 'int', default: '50' },
  default_extra_recipient_limit: { kind: 'int', default: '1000' },
  default_minimum_delivery_slots: { kind: 'int', default: '3' },
  default_recipient_limit: { kind: 'int', default: '20000' },
  default_recipient_refill_delay: { kind: 'time', default: '5s', min: 1, since: '2.4' },
  default_recipient_refill_limit: { kind: 'int', default: '100', min: 1, since: '2.4' },
  default_transport_rate_delay: { kind: 'time', default: '0s', since: '3.1' },
  destination_concurrency_feedback_debug: { kind: 'bool', default: 'no', since: '2.5' },
  initial_destination_concurrency: { kind: 'int', default: '5', min: 1 },
  qmgr_message_active_limit: { kind: 'int', default: '20000', min: 1 },
  qmgr_message_recipient_limit: { kind: 'int', default: '20000', min: 1 },
  qmgr_message_recipient_minimum: { kind: 'int', default: '10', min: 1 },
} as const satisfies Cards;
