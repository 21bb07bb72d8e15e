// The SMTP server: dialogue, limits, rates.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpdParameters = {
  smtpd_banner: { kind: 'str', default: '$myhostname ESMTP $mail_name', minLength: 1 },
  smtpd_client_auth_rate_limit: { kind: 'int', default: '0', since: '3.1' },
  smtpd_client_connection_count_limit: { kind: 'int', default: '50', since: '2.2' },
  smtpd_client_connection_rate_limit: { kind: 'int', default: '0', since: '2.2' },
  smtpd_client_event_limit_exceptions: { kind: 'str', default: '${smtpd_client_connection_limit_exceptions:$mynetworks}', since: '2.2', olderNames: ['smtpd_client_connection_limit_exceptions'] },
  smtpd_client_ipv4_prefix_length: { kind: 'int', default: '32', since: '3.8' },
  smtpd_client_ipv6_prefix_length: { kind: 'int', default: '84', since: '3.8' },
  smtpd_client_message_rate_limit: { kind: 'int', default: '0', since: '2.2' },
  smtpd_client_new_tls_session_rate_limit: { kind: 'int', default: '0', since: '2.3' },
  smtpd_client_port_logging: { kind: 'bool', default: 'no', since: '2.5', notYetUsed: true },
  smtpd_client_recipient_rate_limit: { kind: 'int', default: '0', since: '2.2' },
  smtpd_command_filter: { kind: 'str', default: '', since: '2.7' },
  smtpd_discard_ehlo_keyword_address_maps: { kind: 'str', default: '', since: '2.2' },
  smtpd_discard_ehlo_keywords: { kind: 'str', default: '', since: '2.2' },
  smtpd_error_sleep_time: { kind: 'time', default: '1s' },
  smtpd_forbid_bare_newline: { kind: 'str', default: 'normalize', minLength: 1, since: '3.9' },
  smtpd_forbid_bare_newline_exclusions: { kind: 'str', default: '$mynetworks', since: '3.9', notYetUsed: true },
  smtpd_forbid_unauth_pipelining: { kind: 'bool', default: 'yes', since: '3.9' },
  smtpd_forbidden_commands: { kind: 'str', default: 'CONNECT GET POST regexp:{{/^[^A-Z]/ Bogus}}', since: '2.2' },
  smtpd_hard_error_limit: { kind: 'nint', default: '${stress?{1}:{20}}', min: 1 },
  smtpd_hide_client_session: { kind: 'nbool', default: 'no', since: '3.10' },
  smtpd_history_flush_threshold: { kind: 'int', default: '100', min: 1, notYetUsed: true },
  smtpd_junk_command_limit: { kind: 'nint', default: '${stress?{1}:{100}}', min: 1 },
  smtpd_min_data_rate: { kind: 'int', default: '500', min: 1, since: '3.7' },
  smtpd_noop_commands: { kind: 'str', default: '' },
  smtpd_peername_lookup: { kind: 'bool', default: 'yes', since: '2.3' },
  smtpd_per_request_deadline: { kind: 'nbool', default: '${smtpd_per_record_deadline?{$smtpd_per_record_deadline}:{${stress?{yes}:{no}}}}', since: '3.7', olderNames: ['smtpd_per_record_deadline'] },
  smtpd_recipient_limit: { kind: 'int', default: '1000', min: 1 },
  smtpd_recipient_overshoot_limit: { kind: 'int', default: '1000', min: 1 },
  smtpd_service_name: { kind: 'str', default: 'smtpd', minLength: 1, since: '2.8', notYetUsed: true },
  smtpd_soft_error_limit: { kind: 'nint', default: '10', min: 1 },
  smtpd_timeout: { kind: 'time', default: '${stress?{10}:{300}}s', min: 1 },
} as const satisfies Cards;
