// Authentication of the SMTP client at its peers.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpSaslParameters = {
  smtp_sasl_auth_cache_name: { kind: 'str', default: '', since: '2.5' },
  smtp_sasl_auth_cache_time: { kind: 'time', default: '90d', since: '2.5' },
  smtp_sasl_auth_enable: { kind: 'bool', default: 'no' },
  smtp_sasl_auth_soft_bounce: { kind: 'bool', default: 'yes', since: '2.5' },
  smtp_sasl_mechanism_filter: { kind: 'str', default: '', since: '2.2' },
  smtp_sasl_password_maps: { kind: 'str', default: '' },
  smtp_sasl_password_result_delimiter: { kind: 'str', default: ':', minLength: 1, maxLength: 1, since: '3.9' },
  smtp_sasl_path: { kind: 'str', default: '', since: '2.3' },
  smtp_sasl_security_options: { kind: 'str', default: 'noplaintext, noanonymous' },
  smtp_sasl_tls_security_options: { kind: 'str', default: '$smtp_sasl_security_options', since: '2.2' },
  smtp_sasl_tls_verified_security_options: { kind: 'str', default: '$smtp_sasl_tls_security_options', since: '2.6' },
  smtp_sasl_token_maps: { kind: 'str', default: '', ours: true },
  smtp_sasl_token_time_limit: { kind: 'time', default: '30s', min: 1, ours: true },
  smtp_sasl_type: { kind: 'str', default: 'cyrus', minLength: 1, since: '2.3' },
  smtp_send_dummy_mail_auth: { kind: 'bool', default: 'no', since: '2.9' },
  smtp_sender_dependent_authentication: { kind: 'bool', default: 'no', since: '2.3' },
} as const satisfies Cards;
