// The LMTP client: dialogue, timeouts, content.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const lmtpClientParameters = {
  lmtp_assume_final: { kind: 'bool', default: 'no' },
  lmtp_body_checks: { kind: 'str', default: '', since: '2.5' },
  lmtp_data_done_timeout: { kind: 'time', default: '600s', min: 1 },
  lmtp_data_init_timeout: { kind: 'time', default: '120s', min: 1 },
  lmtp_data_xfer_timeout: { kind: 'time', default: '180s', min: 1 },
  lmtp_defer_if_no_mx_address_found: { kind: 'bool', default: 'no', since: '2.3' },
  lmtp_delivery_status_filter: { kind: 'str', default: '$default_delivery_status_filter', since: '3.0' },
  lmtp_discard_lhlo_keyword_address_maps: { kind: 'str', default: '', since: '2.3' },
  lmtp_discard_lhlo_keywords: { kind: 'str', default: '', since: '2.3' },
  lmtp_generic_maps: { kind: 'str', default: '', since: '2.3' },
  lmtp_header_checks: { kind: 'str', default: '', since: '2.5' },
  lmtp_lhlo_timeout: { kind: 'time', default: '300s', min: 1 },
  lmtp_line_length_limit: { kind: 'int', default: '998', since: '2.3' },
  lmtp_log_tls_feature_status: { kind: 'nbool', default: 'yes', since: '3.11' },
  lmtp_mail_timeout: { kind: 'time', default: '300s', min: 1 },
  lmtp_mime_header_checks: { kind: 'str', default: '', since: '2.5' },
  lmtp_min_data_rate: { kind: 'int', default: '500', min: 1, since: '3.7' },
  lmtp_nested_header_checks: { kind: 'str', default: '', since: '2.5' },
  lmtp_per_request_deadline: { kind: 'nbool', default: '${lmtp_per_record_deadline?{$lmtp_per_record_deadline}:{no}}', since: '3.7', olderNames: ['lmtp_per_record_deadline'] },
  lmtp_pix_workaround_delay_time: { kind: 'time', default: '10s', min: 1, since: '2.3' },
  lmtp_pix_workaround_maps: { kind: 'str', default: '', since: '2.4' },
  lmtp_pix_workaround_threshold_time: { kind: 'time', default: '500s', since: '2.3' },
  lmtp_pix_workarounds: { kind: 'str', default: 'disable_esmtp,delay_dotcrlf', since: '2.4' },
  lmtp_quit_timeout: { kind: 'time', default: '300s', min: 1 },
  lmtp_quote_rfc821_envelope: { kind: 'bool', default: 'yes', since: '2.3' },
  lmtp_rcpt_timeout: { kind: 'time', default: '300s', min: 1 },
  lmtp_reply_filter: { kind: 'str', default: '', since: '2.7' },
  lmtp_rset_timeout: { kind: 'time', default: '20s', min: 1 },
  lmtp_send_xforward_command: { kind: 'bool', default: 'no', since: '2.1' },
  lmtp_skip_quit_response: { kind: 'bool', default: 'no' },
  lmtp_xforward_timeout: { kind: 'time', default: '300s', min: 1, since: '2.1' },
} as const satisfies Cards;
