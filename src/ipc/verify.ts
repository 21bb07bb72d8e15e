/**
 * What verify(8) is told and asked: does mail to an address get there? Delivery agents report on probes (`update`), smtpd
 * asks (`query`).
 */
import { declareService } from './service.ts';

/** What became of a probe. `todo`: nothing is known yet, a probe is under way. */
export const probeStatus = { ok: 0, defer: 1, bounce: 2, todo: 3 } as const;

export const verifyService = declareService({
  name: 'verify',
  area: 'private',
  // Postfix spells it so, in all releases, and looks at it.
  protocol: 'address_verification_prrotocol',
  requests: {
    /** The outcome of a probe, with the text of the delivery. Status 0: remembered. */
    update: { request: { address: 'text', recipient_status: 'number', reason: 'text' }, reply: { status: 'number' } },
    /** What is known of an address. Status 0: the rest means something. */
    query: { request: { address: 'text' }, reply: { status: 'number', recipient_status: 'number', reason: 'text' } },
  },
});
