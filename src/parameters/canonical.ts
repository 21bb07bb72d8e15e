// Address mapping on the way in: canonical, masquerade, bcc, relocated.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const canonicalParameters = {
  always_bcc: { kind: 'str', default: '' },
  canonical_classes: { kind: 'str', default: 'envelope_sender, envelope_recipient, header_sender, header_recipient', minLength: 1, since: '2.2' },
  canonical_maps: { kind: 'str', default: '' },
  empty_address_default_transport_maps_lookup_key: { kind: 'str', default: '<>', minLength: 1, since: '2.7' },
  empty_address_local_login_sender_maps_lookup_key: { kind: 'str', default: '<>', since: '3.6' },
  empty_address_recipient: { kind: 'str', default: 'MAILER-DAEMON', minLength: 1 },
  empty_address_relayhost_maps_lookup_key: { kind: 'str', default: '<>', minLength: 1, since: '2.5' },
  masquerade_classes: { kind: 'str', default: 'envelope_sender, header_sender, header_recipient' },
  masquerade_domains: { kind: 'str', default: '' },
  masquerade_exceptions: { kind: 'str', default: '' },
  propagate_unmatched_extensions: { kind: 'str', default: 'canonical, virtual' },
  recipient_bcc_maps: { kind: 'str', default: '', since: '2.1' },
  recipient_canonical_classes: { kind: 'str', default: 'envelope_recipient, header_recipient', minLength: 1, since: '2.2' },
  recipient_canonical_maps: { kind: 'str', default: '' },
  relocated_maps: { kind: 'str', default: '' },
  relocated_prefix_enable: { kind: 'nbool', default: 'yes', since: '3.11' },
  sender_bcc_maps: { kind: 'str', default: '', since: '2.1' },
  sender_canonical_classes: { kind: 'str', default: 'envelope_sender, header_sender', minLength: 1, since: '2.2' },
  sender_canonical_maps: { kind: 'str', default: '' },
} as const satisfies Cards;
