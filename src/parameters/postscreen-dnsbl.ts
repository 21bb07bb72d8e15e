// postscreen's DNS reputation lists.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const postscreenDnsblParameters = {
  dnsblog_reply_delay: { kind: 'time', default: '0s', since: '2.8' },
  postscreen_dnsbl_action: { kind: 'str', default: 'ignore', minLength: 1, since: '2.8' },
  postscreen_dnsbl_allowlist_threshold: { kind: 'nint', default: '${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}', since: '3.6', olderNames: ['postscreen_dnsbl_whitelist_threshold'] },
  postscreen_dnsbl_max_ttl: { kind: 'time', default: '${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h', min: 1, since: '3.1', olderNames: ['postscreen_dnsbl_ttl'] },
  postscreen_dnsbl_min_ttl: { kind: 'time', default: '60s', min: 1, since: '3.1' },
  postscreen_dnsbl_reply_map: { kind: 'str', default: '', since: '2.8' },
  postscreen_dnsbl_sites: { kind: 'str', default: '', since: '2.8' },
  postscreen_dnsbl_threshold: { kind: 'int', default: '1', min: 1, since: '2.8' },
  postscreen_dnsbl_timeout: { kind: 'time', default: '10s', min: 1, since: '3.0' },
} as const satisfies Cards;
