// Logging and debugging.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const loggingParameters = {
  debug_peer_level: { kind: 'int', default: '2', min: 1 },
  debug_peer_list: { kind: 'str', default: '' },
  debugger_command: { kind: 'str', default: '' },
  delay_logging_resolution_limit: { kind: 'int', default: '2', since: '2.3' },
  info_log_address_format: { kind: 'str', default: 'external', minLength: 1, since: '3.5' },
  maillog_file: { kind: 'str', default: '', since: '3.4' },
  maillog_file_compressor: { kind: 'str', default: 'gzip', minLength: 1, since: '3.4' },
  maillog_file_permissions: { kind: 'str', default: '0600', minLength: 1, since: '3.9' },
  maillog_file_prefixes: { kind: 'str', default: '/var, /dev/stdout', minLength: 1, since: '3.4' },
  maillog_file_rotate_suffix: { kind: 'str', default: '%Y%m%d-%H%M%S', minLength: 1, since: '3.4' },
  postlogd_watchdog_timeout: { kind: 'time', default: '10s', min: 10, since: '3.4' },
  respectful_logging: { kind: 'nbool', default: '${{$compatibility_level} <level {3.6} ? {no} : {yes}}', since: '3.6' },
  syslog_facility: { kind: 'str', default: 'mail', minLength: 1 },
  syslog_name: { kind: 'str', default: '${multi_instance_name?{$multi_instance_name}:{postfix}}', minLength: 1 },
} as const satisfies Cards;
