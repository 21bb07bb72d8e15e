// Where and how the LMTP client connects.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const lmtpConnectionParameters = {
  lmtp_address_preference: { kind: 'str', default: 'any', minLength: 1, since: '2.8' },
  lmtp_address_verify_target: { kind: 'str', default: 'rcpt', minLength: 1, since: '3.0' },
  lmtp_balance_inet_protocols: { kind: 'bool', default: 'yes', since: '3.3' },
  lmtp_bind_address: { kind: 'str', default: '', since: '2.3' },
  lmtp_bind_address6: { kind: 'str', default: '', since: '2.3' },
  lmtp_bind_address_enforce: { kind: 'bool', default: 'no', since: '3.7' },
  lmtp_connect_timeout: { kind: 'time', default: '0s' },
  lmtp_connection_cache_destinations: { kind: 'str', default: '', since: '2.3' },
  lmtp_connection_cache_on_demand: { kind: 'bool', default: 'yes', since: '2.3' },
  lmtp_connection_cache_time_limit: { kind: 'time', default: '2s', min: 1, since: '2.3' },
  lmtp_connection_reuse_count_limit: { kind: 'int', default: '0', since: '2.11' },
  lmtp_connection_reuse_time_limit: { kind: 'time', default: '300s', min: 1, since: '2.3' },
  lmtp_dns_reply_filter: { kind: 'str', default: '', since: '3.0' },
  lmtp_dns_resolver_options: { kind: 'str', default: '', since: '2.8' },
  lmtp_dns_support_level: { kind: 'str', default: '', since: '2.11' },
  lmtp_fallback_relay: { kind: 'str', default: '', since: '3.1' },
  lmtp_host_lookup: { kind: 'str', default: 'dns', minLength: 1, since: '2.3' },
  lmtp_lhlo_name: { kind: 'str', default: '$myhostname', minLength: 1, since: '2.3' },
  lmtp_mx_address_limit: { kind: 'int', default: '5', since: '2.3' },
  lmtp_mx_session_limit: { kind: 'int', default: '2', since: '2.3' },
  lmtp_randomize_addresses: { kind: 'bool', default: 'yes', since: '2.3' },
  lmtp_skip_5xx_greeting: { kind: 'bool', default: 'yes', since: '2.3' },
  lmtp_tcp_port: { kind: 'str', default: '24' },
} as const satisfies Cards;
