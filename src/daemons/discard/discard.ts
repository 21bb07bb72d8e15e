/**
 * discard(8): mail for this transport disappears, with a line in the log that says so and why.
 *
 * The next hop is the reason, perhaps with an enhanced status code in front: `discard:2.0.0 not wanted`.
 */
import { Agent, type Delivery } from '../../delivery/agent.ts';
import { noRelay, reportServices } from '../../delivery/reports.ts';
import { splitDsn } from '../../message/dsn.ts';
import type { Daemon } from '../../server/daemon.ts';

async function discard({ request, outcome }: Delivery): Promise<void> {
  const { status, text } = splitDsn('2.0.0', request.nexthop);
  for (const recipient of request.recipients) await outcome.sent(recipient, { dsn: status, text });
}

export const daemon: Daemon = {
  card: {
    name: 'discard',
    summary: 'swallows mail, with a reason',
    group: 'queue',
    calls: reportServices,
    privileges: { user: 'mail_owner', network: false, writes: ['active'] },
    row: 'discard   unix  -       -       n       -       -       discard',
    standards: ['RFC 3463'],
  },
  open: (tools) => new Agent(tools, { deliver: discard, relay: noRelay }),
};
