// Milters: mail filters of the Sendmail 8 protocol.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const milterParameters = {
  milter_command_timeout: { kind: 'time', default: '30s', min: 1, since: '2.3' },
  milter_connect_macros: { kind: 'str', default: 'j {daemon_name} {daemon_addr} v _', since: '2.3' },
  milter_connect_timeout: { kind: 'time', default: '30s', min: 1, since: '2.3' },
  milter_content_timeout: { kind: 'time', default: '300s', min: 1, since: '2.3' },
  milter_data_macros: { kind: 'str', default: 'i', since: '2.3' },
  milter_default_action: { kind: 'str', default: 'shutdown', minLength: 1, since: '2.3' },
  milter_end_of_data_macros: { kind: 'str', default: 'i', since: '2.3' },
  milter_end_of_header_macros: { kind: 'str', default: 'i', since: '2.5' },
  milter_header_checks: { kind: 'str', default: '', since: '2.7' },
  milter_helo_macros: { kind: 'str', default: '{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}', since: '2.3' },
  milter_macro_daemon_name: { kind: 'str', default: '$myhostname', minLength: 1, since: '2.3' },
  milter_macro_defaults: { kind: 'str', default: '', since: '3.1' },
  milter_macro_v: { kind: 'str', default: '$mail_name $mail_version', minLength: 1, since: '2.3' },
  milter_mail_macros: { kind: 'str', default: 'i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}', since: '2.3' },
  milter_protocol: { kind: 'str', default: '6', minLength: 1, since: '2.3' },
  milter_rcpt_macros: { kind: 'str', default: 'i {rcpt_addr} {rcpt_host} {rcpt_mailer}', since: '2.3' },
  milter_unknown_command_macros: { kind: 'str', default: '', since: '2.3' },
  non_smtpd_milters: { kind: 'str', default: '', since: '2.3' },
  smtpd_milter_maps: { kind: 'str', default: '', since: '3.2' },
  smtpd_milters: { kind: 'str', default: '', since: '2.3' },
} as const satisfies Cards;
