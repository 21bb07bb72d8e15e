/**
 * The service of anvil(8): how often a client connects and asks for things, and how many connections it has now.
 *
 * `client` is a master.cf service and an address (or network), as in `smtp:192.0.2.1`. Every request but the last two counts one
 * event and answers the number of such events in the current time unit (anvil_rate_time_unit), this one included. A connection
 * counts until `disconnect`, or until its reporter's own connection to anvil ends.
 */
import { declareService } from './service.ts';

const client = { client: 'text' } as const;
const rate = { request: client, reply: { rate: 'number' } } as const;

export const anvilService = declareService({
  name: 'anvil',
  area: 'private',
  protocol: 'anvil_protocol',
  requests: {
    /** count: open connections. */
    connect: { request: client, reply: { count: 'number', rate: 'number' } },
    message: rate,
    recipient: rate,
    newtls: rate,
    auth: rate,
    tlstrace: rate,
    disconnect: { request: client, reply: {} },
    /** What is known, without counting anything. */
    lookup: {
      request: client,
      reply: { count: 'number', rate: 'number', message: 'number', recipient: 'number', newtls: 'number', auth: 'number', tlstrace: 'number' },
    },
  },
});
