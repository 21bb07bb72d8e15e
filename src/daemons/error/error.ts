/**
 * error(8): mail for this transport is returned to the sender; under the service name `retry` it is deferred instead.
 *
 * The next hop is the reason, perhaps with an enhanced status code in front: `error:5.1.1 no such user`.
 */
import { Agent, type Delivery } from '../../delivery/agent.ts';
import { noRelay, reportServices } from '../../delivery/reports.ts';
import { splitDsn } from '../../message/dsn.ts';
import type { Daemon } from '../../server/daemon.ts';
import { fastFlushSites } from '../../tables/lists.ts';
import { tableContext } from '../../tables/table.ts';

const verdicts = {
  error: { verdict: 'bounced', dsn: '5.0.0' },
  retry: { verdict: 'deferred', dsn: '4.0.0' },
} as const;

function refusalFor(service: string) {
  const { verdict, dsn } = service === 'retry' ? verdicts.retry : verdicts.error;
  return async ({ request, outcome }: Delivery): Promise<void> => {
    const { status, text } = splitDsn(dsn, request.nexthop);
    for (const recipient of request.recipients) await outcome[verdict](recipient, { dsn: status, text });
  };
}

export const daemon: Daemon = {
  card: {
    name: 'error',
    summary: 'returns mail (as service retry: defers it), with a reason',
    group: 'queue',
    calls: reportServices,
    privileges: { user: 'mail_owner', network: false, writes: ['active'] },
    row: 'error     unix  -       -       n       -       -       error',
    standards: ['RFC 3463'],
  },
  open: (tools) => new Agent(tools, {
    deliver: refusalFor(tools.row.service), relay: noRelay,
    fastFlush: fastFlushSites(tools.config, tableContext(tools.config, tools.log, tools.restart)),
  }),
};
