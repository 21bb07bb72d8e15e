/** Where recipients go, asked of trivial-rewrite and remembered for a moment: pipelined recipients ask the same again and again. */
import { quote822Local, unquote822Local } from '../../../message/address.ts';
import { resolveFlag, type rewriteService } from '../../../ipc/rewrite.ts';
import type { Calls } from '../../../ipc/service.ts';
import type { Clock } from '../../../server/clock.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';

export interface Resolved {
  readonly transport: string;
  readonly nexthop: string;
  readonly recipient: string;
  readonly flags: number;
}

/** As many answers are kept (a process of Postfix keeps 100, for one client), and for so long: what Postfix's smtpd_resolve cache has. */
const cacheSize = 2000;
const cacheMilliseconds = 30_000;

interface Kept { readonly reply: Resolved; readonly until: number }

/** Throws TableTrouble when the route cannot be found out now. */
export function createResolver(calls: Calls<typeof rewriteService>, clock: Clock): (sender: string, recipient: string) => MaybePromise<Resolved> {
  const cache = new Map<string, Kept>();
  const keep = (key: string, reply: Resolved): Resolved => {
    if (reply.flags & resolveFlag.fail) throw new TableTrouble('rewrite', 'address resolver failure');
    if (cache.size >= cacheSize) cache.delete(cache.keys().next().value!);
    cache.set(key, { reply, until: clock.monotonic() + cacheMilliseconds });
    return reply;
  };
  return (sender, recipient) => {
    const key = `${sender}\0${recipient}`;
    const known = cache.get(key);
    if (known !== undefined && known.until > clock.monotonic()) return known.reply;
    return chain(calls.rewrite({ rule: 'local', address: quote822Local(recipient) }), ({ address }) =>
      chain(calls.resolve({ sender, address: unquote822Local(address) }), (reply) => keep(key, reply)));
  };
}
