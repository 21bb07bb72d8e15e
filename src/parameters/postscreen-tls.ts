// TLS in postscreen.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const postscreenTlsParameters = {
  postscreen_enforce_tls: { kind: 'nbool', default: '$smtpd_enforce_tls', since: '2.8', deprecated: 'postscreen_tls_security_level' },
  postscreen_starttls_timeout: { kind: 'time', default: '$smtpd_starttls_timeout', min: 1, since: '3.12' },
  postscreen_tls_CAfile: { kind: 'str', default: '$smtpd_tls_CAfile', since: '3.12' },
  postscreen_tls_CApath: { kind: 'str', default: '$smtpd_tls_CApath', since: '3.12' },
  postscreen_tls_always_issue_session_ids: { kind: 'nbool', default: '$smtpd_tls_always_issue_session_ids', since: '3.12', notYetUsed: true },
  postscreen_tls_ask_ccert: { kind: 'nbool', default: '$smtpd_tls_ask_ccert', since: '3.12' },
  postscreen_tls_ccert_verifydepth: { kind: 'nint', default: '$smtpd_tls_ccert_verifydepth', since: '3.12' },
  postscreen_tls_cert_file: { kind: 'str', default: '$smtpd_tls_cert_file', since: '3.12' },
  postscreen_tls_chain_files: { kind: 'str', default: '$smtpd_tls_chain_files', since: '3.12' },
  postscreen_tls_ciphers: { kind: 'str', default: '$smtpd_tls_ciphers', minLength: 1, since: '3.12' },
  postscreen_tls_dcert_file: { kind: 'str', default: '$smtpd_tls_dcert_file', since: '3.12' },
  postscreen_tls_dh1024_param_file: { kind: 'str', default: '$smtpd_tls_dh1024_param_file', since: '3.12' },
  postscreen_tls_dh512_param_file: { kind: 'str', default: '$smtpd_tls_dh512_param_file', since: '3.12' },
  postscreen_tls_dkey_file: { kind: 'str', default: '$smtpd_tls_dkey_file', since: '3.12' },
  postscreen_tls_eccert_file: { kind: 'str', default: '$smtpd_tls_eccert_file', since: '3.12' },
  postscreen_tls_eckey_file: { kind: 'str', default: '$smtpd_tls_eckey_file', since: '3.12' },
  postscreen_tls_eecdh_grade: { kind: 'str', default: '$smtpd_tls_eecdh_grade', minLength: 1, since: '3.12' },
  postscreen_tls_enable_rpk: { kind: 'nbool', default: '$smtpd_tls_enable_rpk', since: '3.12', notYetUsed: true },
  postscreen_tls_exclude_ciphers: { kind: 'str', default: '$smtpd_tls_exclude_ciphers', since: '3.12' },
  postscreen_tls_fingerprint_digest: { kind: 'str', default: '$smtpd_tls_fingerprint_digest', minLength: 1, since: '3.12' },
  postscreen_tls_key_file: { kind: 'str', default: '$smtpd_tls_key_file', since: '3.12' },
  postscreen_tls_loglevel: { kind: 'str', default: '$smtpd_tls_loglevel', since: '3.12' },
  postscreen_tls_loglevel_maps: { kind: 'str', default: '$smtpd_tls_loglevel_maps', since: '3.12' },
  postscreen_tls_mandatory_ciphers: { kind: 'str', default: '$smtpd_tls_mandatory_ciphers', minLength: 1, since: '3.12' },
  postscreen_tls_mandatory_exclude_ciphers: { kind: 'str', default: '$smtpd_tls_mandatory_exclude_ciphers', since: '3.12' },
  postscreen_tls_mandatory_protocols: { kind: 'str', default: '$smtpd_tls_mandatory_protocols', since: '3.12' },
  postscreen_tls_protocols: { kind: 'str', default: '$smtpd_tls_protocols', since: '3.12' },
  postscreen_tls_req_ccert: { kind: 'nbool', default: '$smtpd_tls_req_ccert', since: '3.12' },
  postscreen_tls_security_level: { kind: 'str', default: '$smtpd_tls_security_level', since: '2.8' },
  postscreen_tls_trace_size_limit: { kind: 'nint', default: '$smtpd_tls_trace_size_limit', since: '3.12', notYetUsed: true },
  postscreen_use_tls: { kind: 'nbool', default: '$smtpd_use_tls', since: '2.8', deprecated: 'postscreen_tls_security_level' },
} as const satisfies Cards;
