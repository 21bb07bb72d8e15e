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
  protocol: 'address_verification_protocol',
  requests: {
    /** The outcome of a probe, with the text of the delivery. Status 0: remembered. */
    update: { request: { address: 'text', probeStatus: 'number', text: 'text' }, reply: { status: 'number' } },
    query: { request: { address: 'text' }, reply: { status: 'number', probeStatus: 'number', text: 'text' } },
  },
});
