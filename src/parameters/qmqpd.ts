// The QMQP server.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const qmqpdParameters = {
  qmqpd_authorized_clients: { kind: 'str', default: '' },
  qmqpd_client_port_logging: { kind: 'bool', default: 'no', since: '2.5' },
  qmqpd_error_delay: { kind: 'time', default: '1s' },
  qmqpd_timeout: { kind: 'time', default: '300s', min: 1 },
} as const satisfies Cards;
