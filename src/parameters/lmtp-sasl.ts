// Authentication of the LMTP client at its peers.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const lmtpSaslParameters = {
  lmtp_sasl_auth_cache_name: { kind: 'str', default: '', since: '2.5' },
  lmtp_sasl_auth_cache_time: { kind: 'time', default: '90d', since: '2.5' },
  lmtp_sasl_auth_enable: { kind: 'bool', default: 'no' },
  lmtp_sasl_auth_soft_bounce: { kind: 'bool', default: 'yes', since: '2.5' },
  lmtp_sasl_mechanism_filter: { kind: 'str', default: '', since: '2.3' },
  lmtp_sasl_password_maps: { kind: 'str', default: '' },
  lmtp_sasl_password_result_delimiter: { kind: 'str', default: ':', minLength: 1, maxLength: 1, since: '3.9' },
  lmtp_sasl_path: { kind: 'str', default: '', since: '2.3' },
  lmtp_sasl_security_options: { kind: 'str', default: 'noplaintext, noanonymous' },
  lmtp_sasl_tls_security_options: { kind: 'str', default: '$lmtp_sasl_security_options', since: '2.3' },
  lmtp_sasl_tls_verified_security_options: { kind: 'str', default: '$lmtp_sasl_tls_security_options', since: '2.3' },
  lmtp_sasl_token_maps: { kind: 'str', default: '', ours: true },
  lmtp_sasl_token_time_limit: { kind: 'time', default: '30s', min: 1, ours: true },
  lmtp_sasl_type: { kind: 'str', default: 'cyrus', minLength: 1, since: '2.3' },
  lmtp_send_dummy_mail_auth: { kind: 'bool', default: 'no', since: '2.9' },
  lmtp_sender_dependent_authentication: { kind: 'bool', default: 'no', since: '2.3' },
} as const satisfies Cards;
