// The SMTP client: dialogue, timeouts, content.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpClientParameters = {
  smtp_always_send_ehlo: { kind: 'bool', default: 'yes' },
  smtp_body_checks: { kind: 'str', default: '', since: '2.5' },
  smtp_data_done_timeout: { kind: 'time', default: '600s', min: 1 },
  smtp_data_init_timeout: { kind: 'time', default: '120s', min: 1 },
  smtp_data_xfer_timeout: { kind: 'time', default: '180s', min: 1 },
  smtp_defer_if_no_mx_address_found: { kind: 'bool', default: 'no', since: '2.1' },
  smtp_delivery_status_filter: { kind: 'str', default: '$default_delivery_status_filter' },
  smtp_discard_ehlo_keyword_address_maps: { kind: 'str', default: '', since: '2.2' },
  smtp_discard_ehlo_keywords: { kind: 'str', default: '', since: '2.2' },
  smtp_generic_maps: { kind: 'str', default: '', since: '2.2' },
  smtp_header_checks: { kind: 'str', default: '', since: '2.5' },
  smtp_helo_timeout: { kind: 'time', default: '300s', min: 1 },
  smtp_line_length_limit: { kind: 'int', default: '998' },
  smtp_log_tls_feature_status: { kind: 'nbool', default: 'yes', since: '3.11' },
  smtp_mail_timeout: { kind: 'time', default: '300s', min: 1 },
  smtp_mime_header_checks: { kind: 'str', default: '', since: '2.5' },
  smtp_min_data_rate: { kind: 'int', default: '500', min: 1, since: '3.7' },
  smtp_nested_header_checks: { kind: 'str', default: '', since: '2.5' },
  smtp_never_send_ehlo: { kind: 'bool', default: 'no' },
  smtp_per_request_deadline: { kind: 'nbool', default: '${smtp_per_record_deadline?{$smtp_per_record_deadline}:{no}}', since: '3.7', olderNames: ['smtp_per_record_deadline'] },
  smtp_pix_workaround_delay_time: { kind: 'time', default: '10s', min: 1 },
  smtp_pix_workaround_maps: { kind: 'str', default: '', since: '2.4' },
  smtp_pix_workaround_threshold_time: { kind: 'time', default: '500s' },
  smtp_pix_workarounds: { kind: 'str', default: 'disable_esmtp,delay_dotcrlf', since: '2.4' },
  smtp_quit_timeout: { kind: 'time', default: '300s', min: 1 },
  smtp_quote_rfc821_envelope: { kind: 'bool', default: 'yes', since: '2.1' },
  smtp_rcpt_timeout: { kind: 'time', default: '300s', min: 1 },
  smtp_reply_filter: { kind: 'str', default: '', since: '2.7' },
  smtp_rset_timeout: { kind: 'time', default: '20s', min: 1, since: '2.1' },
  smtp_send_xforward_command: { kind: 'bool', default: 'no', since: '2.1' },
  smtp_skip_quit_response: { kind: 'bool', default: 'yes' },
  smtp_xforward_timeout: { kind: 'time', default: '300s', min: 1, since: '2.1' },
} as const satisfies Cards;
