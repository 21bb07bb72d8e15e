/** The rewrite service of trivial-rewrite(8): put addresses in full form, and say where a recipient goes. */
import { declareService } from './service.ts';

/** Flags of a resolve reply: the address class of the recipient, or why there is none (resolve_clnt(3), RESOLVE_*). */
export const resolveFlag = {
  routed: 1 << 1,      // has @domain::… routing left in the local part
  error: 1 << 2,       // does not resolve: bad syntax
  fail: 1 << 3,        // could not be looked up now
  local: 1 << 8,
  alias: 1 << 9,       // virtual alias domain
  virtual: 1 << 10,    // virtual mailbox domain
  relay: 1 << 11,
  other: 1 << 12,
} as const;

export const rewriteService = declareService({
  name: 'rewrite',
  area: 'private',
  protocol: 'trivial-rewrite-protocol',
  requests: {
    /** rule: 'local', 'remote' or 'invalid' rewriting context. Address in external (quoted) form, both ways. */
    rewrite: {
      request: { rule: 'text', address: 'text' },
      reply: { address: 'text' },
    },
    /** Addresses in internal (unquoted) form. The reply's recipient may differ (routing stripped). */
    resolve: {
      request: { sender: 'text', address: 'text' },
      reply: { transport: 'text', nexthop: 'text', recipient: 'text', flags: 'number' },
    },
    /** As resolve, with the address_verify_* routing. */
    verify: {
      request: { sender: 'text', address: 'text' },
      reply: { transport: 'text', nexthop: 'text', recipient: 'text', flags: 'number' },
    },
  },
});
