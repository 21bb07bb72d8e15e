// The QMQP server.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const qmqpdParameters = {
  qmqpd_authorized_clients: { kind: 'str', default: '' },
  qmqpd_client_port_logging: { kind: 'bool', default: 'no', since: '2.5', notYetUsed: true },
  qmqpd_error_delay: { kind: 'time', default: '1s', notYetUsed: true },
  qmqpd_timeout: { kind: 'time', default: '300s', min: 1, notYetUsed: true },
} as const satisfies Cards;
