// anvil: counting clients.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const anvilParameters = {
  anvil_rate_time_unit: { kind: 'time', default: '60s', min: 1, since: '2.2' },
  anvil_status_update_time: { kind: 'time', default: '600s', min: 1, since: '2.2' },
} as const satisfies Cards;
