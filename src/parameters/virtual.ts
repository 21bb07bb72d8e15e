// The virtual delivery agent.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const virtualParameters = {
  virtual_delivery_status_filter: { kind: 'str', default: '$default_delivery_status_filter', since: '3.0' },
  virtual_gid_maps: { kind: 'str', default: '' },
  virtual_mailbox_base: { kind: 'str', default: '', minLength: 1 },
  virtual_mailbox_domains: { kind: 'str', default: '$virtual_mailbox_maps', since: '2.0' },
  virtual_mailbox_limit: { kind: 'long', default: '51200000' },
  virtual_mailbox_lock: { kind: 'str', default: 'fcntl, dotlock', minLength: 1 },
  virtual_mailbox_maps: { kind: 'str', default: '' },
  virtual_minimum_uid: { kind: 'int', default: '100', min: 1 },
  virtual_transport: { kind: 'str', default: 'virtual', minLength: 1, since: '2.0' },
  virtual_uid_maps: { kind: 'str', default: '' },
} as const satisfies Cards;
