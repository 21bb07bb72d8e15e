// Address verification by probes.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const addressVerifyParameters = {
  address_verify_cache_cleanup_interval: { kind: 'time', default: '12h', since: '2.7' },
  address_verify_default_transport: { kind: 'str', default: '$default_transport', minLength: 1, since: '2.1' },
  address_verify_local_transport: { kind: 'str', default: '$local_transport', minLength: 1, since: '2.1' },
  address_verify_map: { kind: 'str', default: '$default_cache_db_type:$data_directory/verify_cache', since: '2.1' },
  address_verify_negative_cache: { kind: 'bool', default: 'yes', since: '2.1' },
  address_verify_negative_expire_time: { kind: 'time', default: '3d', min: 1, since: '2.1' },
  address_verify_negative_refresh_time: { kind: 'time', default: '3h', min: 1, since: '2.1' },
  address_verify_pending_request_limit: { kind: 'int', default: '5000', min: 1, since: '3.1' },
  address_verify_poll_count: { kind: 'nint', default: '${stress?{1}:{3}}', min: 1, since: '2.1' },
  address_verify_poll_delay: { kind: 'time', default: '3s', min: 1, since: '2.1' },
  address_verify_positive_expire_time: { kind: 'time', default: '31d', min: 1, since: '2.1' },
  address_verify_positive_refresh_time: { kind: 'time', default: '7d', min: 1, since: '2.1' },
  address_verify_relay_transport: { kind: 'str', default: '$relay_transport', minLength: 1, since: '2.1' },
  address_verify_relayhost: { kind: 'str', default: '$relayhost', since: '2.1' },
  address_verify_sender: { kind: 'str', default: '$double_bounce_sender', since: '2.1' },
  address_verify_sender_dependent_default_transport_maps: { kind: 'str', default: '$sender_dependent_default_transport_maps', since: '2.7' },
  address_verify_sender_dependent_relayhost_maps: { kind: 'str', default: '$sender_dependent_relayhost_maps', since: '2.3' },
  address_verify_sender_ttl: { kind: 'time', default: '0s', since: '2.9' },
  address_verify_transport_maps: { kind: 'str', default: '$transport_maps', since: '2.1' },
  address_verify_virtual_transport: { kind: 'str', default: '$virtual_transport', minLength: 1, since: '2.1' },
  unverified_recipient_defer_code: { kind: 'int', default: '450', min: 200, max: 499, since: '2.6' },
  unverified_recipient_reject_code: { kind: 'int', default: '450', min: 200, max: 599, since: '2.1' },
  unverified_recipient_reject_reason: { kind: 'str', default: '', since: '2.6' },
  unverified_recipient_tempfail_action: { kind: 'str', default: '$reject_tempfail_action', minLength: 1, since: '2.6' },
  unverified_sender_defer_code: { kind: 'int', default: '450', min: 200, max: 499, since: '2.6' },
  unverified_sender_reject_code: { kind: 'int', default: '450', min: 200, max: 599, since: '2.1' },
  unverified_sender_reject_reason: { kind: 'str', default: '', since: '2.6' },
  unverified_sender_tempfail_action: { kind: 'str', default: '$reject_tempfail_action', minLength: 1, since: '2.6' },
} as const satisfies Cards;
