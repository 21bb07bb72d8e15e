// Parameters that Postfix does not have: how services share processes.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const placementParameters = {
  process_clients: { kind: 'int', default: '0', ours: true },
  service_client_limit: { kind: 'int', default: '10000', min: 1, ours: true },
  service_groups: { kind: 'str', default: 'network-in queue network-out delivery', ours: true },
  service_processes: { kind: 'int', default: '1', min: 1, ours: true },
} as const satisfies Cards;
