// This machine: its names, addresses and networks.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const networkParameters = {
  dns_ncache_ttl_fix_enable: { kind: 'bool', default: 'no', since: '3.1' },
  dnssec_probe: { kind: 'str', default: 'ns:.', since: '3.6' },
  inet_interfaces: { kind: 'str', default: 'all' },
  inet_protocols: { kind: 'str', default: 'all', since: '2.2' },
  known_tcp_ports: { kind: 'str', default: 'lmtp=24, smtp=25, smtps=submissions=465, submission=587', since: '3.6' },
  mydomain: { kind: 'str', default: '', computed: true, minLength: 1 },
  myhostname: { kind: 'str', default: '', computed: true, minLength: 1 },
  mynetworks: { kind: 'str', default: '', computed: true },
  mynetworks_style: { kind: 'str', default: '${{$compatibility_level} <level {2} ? {subnet} : {host}}', minLength: 1 },
  proxy_interfaces: { kind: 'str', default: '', since: '2.0' },
  resolver_cache_limit: { kind: 'int', default: '10000', min: 0, ours: true },
  resolver_configuration: { kind: 'str', default: '/etc/resolv.conf', minLength: 1, ours: true },
  resolver_hosts_file: { kind: 'str', default: '/etc/hosts', minLength: 1, ours: true },
  resolver_query_limit: { kind: 'int', default: '500', min: 1, ours: true },
  tcp_windowsize: { kind: 'int', default: '0', since: '2.6' },
} as const satisfies Cards;
