/**
 * local(8): delivers to the users of this machine, after aliases, .forward files and lists.
 *
 * Nothing is delivered with root's rights: a user's mail with that user's, an alias's with its owner's or default_privs. The page of
 * each step is named after it; recipient.ts has the order of steps.
 */
import { openAgent, type AgentOptions, type Delivery } from '../../delivery/agent.ts';
import { DeliveredTo } from '../../delivery/delivered-to.ts';
import { reportServices } from '../../delivery/reports.ts';
import type { Recipient } from '../../ipc/deliver.ts';
import type { Daemon, Tools } from '../../server/daemon.ts';
import { fastFlushSites } from '../../tables/lists.ts';
import { tableContext } from '../../tables/table.ts';
import { Forwards } from './forwards.ts';
import { deliverRecipient } from './recipient.ts';
import { localSettings, type LocalSettings } from './settings.ts';
import { noUser, Seen, startPosition, type Work } from './work.ts';

function prepare(tools: Tools): AgentOptions {
  const settings = localSettings(tools);
  const { statusFilter } = settings;
  return {
    deliver: (delivery) => deliver(settings, delivery),
    statusFilter: statusFilter.isEmpty ? undefined : statusFilter,
    fastFlush: fastFlushSites(tools.config, tableContext(tools.config, tools.log, tools.restart)),
  };
}

async function deliver(settings: LocalSettings, delivery: Delivery): Promise<void> {
  const loops = await DeliveredTo.of(delivery.content());
  for (const recipient of delivery.request.recipients) {
    delivery.outcome.settle(recipient, await deliverOne(settings, delivery, loops, recipient));
  }
}

/** Everything a recipient expands to; what is to be forwarded goes out last, and only if all else went well. */
async function deliverOne(settings: LocalSettings, delivery: Delivery, loops: DeliveredTo, recipient: Recipient): Promise<boolean> {
  const { request, outcome, log, content } = delivery;
  const forwards = new Forwards(settings, request);
  const seen = new Seen(settings.view.duplicate_filter_limit);
  const contentNow = (lineEnd: '\n'): Buffer | undefined => delivery.contentNow(lineEnd);
  const work: Work = { settings, request, reports: outcome.reports, log, content, contentNow, loops, seen, forwards };
  const start = startPosition(request, recipient);
  try {
    return await deliverRecipient(work, start, noUser) && await forwards.send(work, start);
  } finally {
    forwards.abort();
  }
}

export const daemon: Daemon = {
  card: {
    name: 'local',
    summary: 'delivers to local users, aliases, .forward files, commands and files',
    group: 'delivery',
    calls: ['rewrite', 'cleanup', ...reportServices],
    privileges: { user: 'recipient', network: false, writes: ['active', 'mailboxes'] },
    row: 'local     unix  -       n       n       -       -       local',
    standards: ['RFC 822', 'RFC 3461'],
  },
  open: (tools) => openAgent(tools, () => prepare(tools)),
};
