// Parameters that Postfix does not have: the journal, where mail is between its acceptance and its first delivery.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const journalParameters = {
  journal_delay_limit: { kind: 'time', default: '5s', min: 1, ours: true },
  journal_enable: { kind: 'bool', default: 'yes', ours: true },
  journal_message_count_limit: { kind: 'int', default: '5000', min: 1, ours: true },
  journal_message_size_limit: { kind: 'int', default: '1048576', min: 1, ours: true },
  journal_segment_size: { kind: 'int', default: '16777216', min: 1048576, ours: true },
  journal_size_limit: { kind: 'int', default: '268435456', min: 1048576, ours: true },
} as const satisfies Cards;
