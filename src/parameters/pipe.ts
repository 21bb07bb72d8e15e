// The pipe delivery agent.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const pipeParameters = {
  pipe_delivery_status_filter: { kind: 'str', default: '$default_delivery_status_filter', since: '3.0' },
} as const satisfies Cards;
