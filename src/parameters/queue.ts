// The queue: its directories, sizes and who may look.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const queueParameters = {
  authorized_flush_users: { kind: 'str', default: 'static:anyone', since: '2.2' },
  authorized_mailq_users: { kind: 'str', default: 'static:anyone', since: '2.2' },
  authorized_submit_users: { kind: 'str', default: 'static:anyone', since: '2.2' },
  confirm_delay_cleared: { kind: 'bool', default: 'no', since: '3.0' },
  delay_warning_time: { kind: 'time', default: '0h' },
  dont_remove: { kind: 'int', default: '0' },
  enable_long_queue_ids: { kind: 'bool', default: 'no', since: '2.9' },
  hash_queue_depth: { kind: 'int', default: '1', min: 1 },
  hash_queue_names: { kind: 'str', default: 'deferred, defer', minLength: 1 },
  in_flow_delay: { kind: 'time', default: '1s', max: 10 },
  message_size_limit: { kind: 'long', default: '10240000' },
  queue_directory: { kind: 'str', default: '/var/spool/postfix', minLength: 1 },
  queue_file_attribute_count_limit: { kind: 'int', default: '100', min: 1, since: '2.0' },
  queue_minfree: { kind: 'long', default: '0' },
} as const satisfies Cards;
