// Rewriting and resolving addresses: trivial-rewrite and the address classes.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const rewriteParameters = {
  allow_percent_hack: { kind: 'bool', default: 'yes' },
  append_at_myorigin: { kind: 'bool', default: 'yes' },
  append_dot_mydomain: { kind: 'nbool', default: '${{$compatibility_level} <level {1} ? {yes} : {no}}' },
  default_transport: { kind: 'str', default: 'smtp', minLength: 1 },
  mydestination: { kind: 'str', default: '$myhostname, localhost.$mydomain, localhost' },
  myorigin: { kind: 'str', default: '$myhostname', minLength: 1 },
  parent_domain_matches_subdomains: { kind: 'str', default: 'debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps' },
  relay_domains: { kind: 'str', default: '${{$compatibility_level} <level {2} ? {$mydestination} : {}}' },
  relay_recipient_maps: { kind: 'str', default: '', since: '2.0' },
  relay_transport: { kind: 'str', default: 'relay', minLength: 1, since: '2.0' },
  relayhost: { kind: 'str', default: '' },
  resolve_dequoted_address: { kind: 'bool', default: 'yes' },
  resolve_null_domain: { kind: 'bool', default: 'no', since: '2.1' },
  resolve_numeric_domain: { kind: 'bool', default: 'no', since: '2.3' },
  sender_dependent_default_transport_maps: { kind: 'str', default: '', since: '2.7' },
  sender_dependent_relayhost_maps: { kind: 'str', default: '', since: '2.3' },
  swap_bangpath: { kind: 'bool', default: 'yes' },
  transport_maps: { kind: 'str', default: '' },
} as const satisfies Cards;
