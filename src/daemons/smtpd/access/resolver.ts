/** Where recipients go, asked of trivial-rewrite and remembered for a moment: pipelined recipients ask the same again and again. */
import { quote822Local, unquote822Local } from '../../../message/address.ts';
import { resolveFlag, type rewriteService } from '../../../ipc/rewrite.ts';
import type { Calls } from '../../../ipc/service.ts';
import type { Clock } from '../../../server/clock.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { AnswerMemory } from '../../../text/answer-memory.ts';
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
/** That an address is none of ours turns mail away for good, and may just have ceased to be so. */
const strangerMilliseconds = 1000;

/** Throws TableTrouble when the route cannot be found out now. */
export function createResolver(calls: Calls<typeof rewriteService>, clock: Clock): (sender: string, recipient: string) => MaybePromise<Resolved> {
  const memory = new AnswerMemory<Resolved>(cacheSize, cacheMilliseconds, () => clock.monotonic());
  const keep = (question: string, reply: Resolved): Resolved => {
    if (reply.flags & resolveFlag.fail) throw new TableTrouble('rewrite', 'address resolver failure');
    return memory.keep(question, reply, reply.flags & resolveFlag.other ? strangerMilliseconds : cacheMilliseconds);
  };
  // Each restriction asks about the same recipient: one string, whose hash V8 knows.
  const last = { sender: '', recipient: '', question: '\0' };
  const ask = (question: string, sender: string, recipient: string): MaybePromise<Resolved> =>
    chain(calls.rewrite({ rule: 'local', address: quote822Local(recipient) }), ({ address }) =>
      chain(calls.resolve({ sender, address: unquote822Local(address) }), (reply) => keep(question, reply)));
  return (sender, recipient) => {
    if (sender !== last.sender || recipient !== last.recipient) {
      last.sender = sender;
      last.recipient = recipient;
      last.question = `${sender}\0${recipient}`;
    }
    return memory.get(last.question) ?? ask(last.question, sender, recipient);
  };
}
