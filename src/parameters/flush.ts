// Fast flush: deferred mail by destination.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const flushParameters = {
  fast_flush_domains: { kind: 'str', default: '$relay_domains' },
  fast_flush_purge_time: { kind: 'time', default: '7d', min: 1 },
  fast_flush_refresh_time: { kind: 'time', default: '12h', min: 1 },
} as const satisfies Cards;
