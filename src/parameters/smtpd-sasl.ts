// Authentication in the SMTP server.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpdSaslParameters = {
  broken_sasl_auth_clients: { kind: 'bool', default: 'no' },
  cyrus_sasl_config_path: { kind: 'str', default: '', since: '2.5' },
  local_login_sender_maps: { kind: 'str', default: 'static:*', since: '3.6' },
  send_cyrus_sasl_authzid: { kind: 'bool', default: 'no', since: '2.4' },
  smtpd_sasl_auth_enable: { kind: 'bool', default: 'no' },
  smtpd_sasl_authenticated_header: { kind: 'bool', default: 'no', since: '2.3' },
  smtpd_sasl_exceptions_networks: { kind: 'str', default: '', since: '2.1' },
  smtpd_sasl_local_domain: { kind: 'str', default: '' },
  smtpd_sasl_mechanism_filter: { kind: 'str', default: '!external, static:rest', since: '3.6' },
  smtpd_sasl_path: { kind: 'str', default: 'smtpd', minLength: 1, since: '2.3' },
  smtpd_sasl_response_limit: { kind: 'int', default: '12288', min: 12288, since: '3.4' },
  smtpd_sasl_security_options: { kind: 'str', default: 'noanonymous' },
  smtpd_sasl_service: { kind: 'str', default: 'smtp', minLength: 1, since: '2.11' },
  smtpd_sasl_tls_security_options: { kind: 'str', default: '$smtpd_sasl_security_options', since: '2.2' },
  smtpd_sasl_type: { kind: 'str', default: 'cyrus', minLength: 1, since: '2.3' },
  smtpd_sender_login_maps: { kind: 'str', default: '' },
} as const satisfies Cards;
