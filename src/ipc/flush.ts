/** The service of flush(8): mail for a site, or one message, is tried now. */
import { declareService } from './service.ts';

/** What flush(8) answers. */
export const flushStatus = { failed: -1, ok: 0, bad: 3, denied: 4 } as const;

const status = { status: 'number' } as const;

export const flushService = declareService({
  name: 'flush',
  area: 'public',
  protocol: 'queue_flush_protocol',
  requests: {
    /** A message for this site was deferred. */
    add: { request: { site: 'text', queue_id: 'text' }, reply: status },
    send_site: { request: { site: 'text' }, reply: status },
    send_file: { request: { queue_id: 'text' }, reply: status },
    /** Try what was not tried for long; forget what is empty. */
    rfrsh: { request: {}, reply: status },
    purge: { request: {}, reply: status },
  },
});
