// Where and how the SMTP client connects.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpConnectionParameters = {
  allow_srv_lookup_fallback: { kind: 'bool', default: 'no', since: '3.8' },
  best_mx_transport: { kind: 'str', default: '' },
  connection_cache_protocol_timeout: { kind: 'time', default: '5s', min: 1, since: '2.3', notYetUsed: true },
  connection_cache_status_update_time: { kind: 'time', default: '600s', min: 1, notYetUsed: true },
  connection_cache_ttl_limit: { kind: 'time', default: '2s', min: 1 },
  disable_dns_lookups: { kind: 'bool', default: 'no', deprecated: 'smtp_dns_support_level' },
  ignore_mx_lookup_error: { kind: 'bool', default: 'no' },
  ignore_srv_lookup_error: { kind: 'bool', default: 'no', since: '3.8' },
  smtp_address_preference: { kind: 'str', default: 'any', minLength: 1, since: '2.8' },
  smtp_address_verify_target: { kind: 'str', default: 'rcpt', minLength: 1, since: '3.0' },
  smtp_balance_inet_protocols: { kind: 'bool', default: 'yes', since: '3.3' },
  smtp_bind_address: { kind: 'str', default: '' },
  smtp_bind_address6: { kind: 'str', default: '', since: '2.2' },
  smtp_bind_address_enforce: { kind: 'bool', default: 'no', since: '3.7' },
  smtp_connect_timeout: { kind: 'time', default: '30s' },
  smtp_connection_cache_destinations: { kind: 'str', default: '', since: '2.2' },
  smtp_connection_cache_on_demand: { kind: 'bool', default: 'yes', since: '2.2' },
  smtp_connection_cache_time_limit: { kind: 'time', default: '2s', min: 1, since: '2.2' },
  smtp_connection_reuse_count_limit: { kind: 'int', default: '0', since: '2.11' },
  smtp_connection_reuse_time_limit: { kind: 'time', default: '300s', min: 1, since: '2.3' },
  smtp_dns_reply_filter: { kind: 'str', default: '', since: '3.0' },
  smtp_dns_resolver_options: { kind: 'str', default: '', since: '2.8' },
  smtp_dns_support_level: { kind: 'str', default: '', since: '2.11' },
  smtp_fallback_relay: { kind: 'str', default: '$fallback_relay', olderNames: ['fallback_relay'] },
  smtp_helo_name: { kind: 'str', default: '$myhostname', minLength: 1, since: '2.0' },
  smtp_host_lookup: { kind: 'str', default: 'dns', minLength: 1, since: '2.1' },
  smtp_mx_address_limit: { kind: 'int', default: '5', since: '2.1' },
  smtp_mx_session_limit: { kind: 'int', default: '2', since: '2.1' },
  smtp_randomize_addresses: { kind: 'bool', default: 'yes' },
  smtp_skip_5xx_greeting: { kind: 'bool', default: 'yes' },
  smtp_tcp_port: { kind: 'str', default: 'smtp' },
  use_srv_lookup: { kind: 'str', default: '', since: '3.8' },
} as const satisfies Cards;
