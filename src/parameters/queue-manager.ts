// The queue manager: retries, lifetimes, memory.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const queueManagerParameters = {
  bounce_queue_lifetime: { kind: 'time', default: '5d', max: 8640000, since: '2.1' },
  default_filter_nexthop: { kind: 'str', default: '', since: '2.7' },
  defer_transports: { kind: 'str', default: '' },
  helpful_warnings: { kind: 'bool', default: 'yes', since: '2.0' },
  maximal_backoff_time: { kind: 'time', default: '4000s', min: 1 },
  maximal_queue_lifetime: { kind: 'time', default: '5d', max: 8640000 },
  minimal_backoff_time: { kind: 'time', default: '300s', min: 1 },
  qmgr_clog_warn_time: { kind: 'time', default: '300s', since: '2.0' },
  qmgr_daemon_timeout: { kind: 'time', default: '1000s', min: 1, since: '2.8' },
  qmgr_fudge_factor: { kind: 'int', default: '100', min: 10, max: 100 },
  qmgr_ipc_timeout: { kind: 'time', default: '60s', min: 1, since: '2.8' },
  queue_run_delay: { kind: 'time', default: '300s', min: 1 },
  transport_retry_time: { kind: 'time', default: '60s', min: 1 },
} as const satisfies Cards;
