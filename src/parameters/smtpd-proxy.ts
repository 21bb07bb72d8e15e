// Before-queue proxy filter, and who may act for another client.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtpdProxyParameters = {
  smtpd_authorized_verp_clients: { kind: 'str', default: '$authorized_verp_clients', olderNames: ['authorized_verp_clients'] },
  smtpd_authorized_xclient_hosts: { kind: 'str', default: '', since: '2.1' },
  smtpd_authorized_xforward_hosts: { kind: 'str', default: '', since: '2.1' },
  smtpd_proxy_ehlo: { kind: 'str', default: '$myhostname', since: '2.1' },
  smtpd_proxy_filter: { kind: 'str', default: '', since: '2.1' },
  smtpd_proxy_options: { kind: 'str', default: '', since: '2.7' },
  smtpd_proxy_timeout: { kind: 'time', default: '100s', min: 1, since: '2.1' },
  smtpd_upstream_proxy_networks: { kind: 'str', default: '', ours: true },
  smtpd_upstream_proxy_protocol: { kind: 'str', default: '', since: '2.10' },
  smtpd_upstream_proxy_timeout: { kind: 'time', default: '5s', min: 1, since: '2.10' },
} as const satisfies Cards;
