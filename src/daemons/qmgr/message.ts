/**
 * A message that is being delivered: its envelope as read from the active queue, and what is still open.
 *
 * Recipients are grouped by where they go, in batches of the transport's recipient limit. What cannot be resolved now goes to the
 * retry transport, what never will to the error transport, so that every recipient gets its log line and its report.
 */
import { resolveFlag } from '../../ipc/rewrite.ts';
import { requestFlag, type DeliveryRequest, type Recipient } from '../../ipc/deliver.ts';
import { attributeName } from '../../message/envelope-names.ts';
import type { Envelope, EnvelopeRecipient } from '../../message/envelope.ts';
import { splitAddress } from '../../message/address.ts';
import type { Entry } from './scheduler.ts';

/** Recipients of one message for one destination. */
export interface Batch {
  readonly message: ActiveMessage;
  readonly nexthop: string;
  readonly recipients: Recipient[];
}

export interface ActiveMessage {
  readonly queueId: string;
  readonly envelope: Envelope;
  /** Milliseconds since the epoch. */
  readonly activeSince: number;
  readonly forcedExpire: boolean;
  /** Entries that are waiting or under way. */
  open: number;
  /** At least one recipient stays in the queue. */
  deferred: boolean;
}

export interface Route { readonly transport: string; readonly nexthop: string; readonly recipient: string }

export interface RouteRules {
  readonly resolve: (sender: string, address: string) => Promise<{ transport: string; nexthop: string; recipient: string; flags: number }>;
  /** *_destination_recipient_limit; 0: no limit. */
  readonly recipientLimit: (transport: string) => number;
  readonly doubleBounceSender: string;
  readonly defaultFilterNexthop: string;
  /** defer_transports */
  readonly isDeferred: (transport: string) => boolean;
}

export interface Grouping {
  readonly entries: Entry<Batch>[];
  /** Mail to our own double-bounce address: nobody is left to tell. */
  readonly discarded: Recipient[];
}

/** Where the recipients of a message go. Rejects only when the rewriting service is out of reach. */
export async function groupRecipients(message: ActiveMessage, rules: RouteRules): Promise<Grouping> {
  const groups = new Map<string, { transport: string; queue: string; nexthop: string; recipients: Recipient[] }>();
  const discarded: Recipient[] = [];
  const { envelope } = message;
  for (const each of envelope.recipients) {
    if (each.done) continue;
    const route = await routeOf(envelope, each, rules);
    const recipient = toRecipient(each, route.recipient);
    if (route.transport === '') discarded.push(recipient);
    else gather(groups, route, recipient, rules);
  }
  return { entries: [...groups.values()].flatMap((group) => batches(message, group, rules)), discarded };
}

function toRecipient(each: EnvelopeRecipient, address: string): Recipient {
  return { address, originalAddress: each.originalAddress, offset: each.offset, dsnOrcpt: each.dsnOrcpt, dsnNotify: each.dsnNotify };
}

const nowhere = (recipient: string): Route => ({ transport: '', nexthop: '', recipient });

async function routeOf(envelope: Envelope, each: EnvelopeRecipient, rules: RouteRules): Promise<Route> {
  const sender = envelope.sender ?? '';
  const address = envelope.redirect ?? each.address;
  const { transport, nexthop, recipient, flags } = await rules.resolve(sender, address);
  if (flags & resolveFlag.fail) return { transport: 'retry', nexthop: '4.3.0 address resolver failure', recipient: address };
  if (flags & resolveFlag.error) return { transport: 'error', nexthop: '5.1.3 bad address syntax', recipient: address };
  if (flags & resolveFlag.local && splitAddress(recipient).local.toLowerCase() === rules.doubleBounceSender) return nowhere(recipient);
  if (rules.isDeferred(transport)) return { transport: 'retry', nexthop: '4.3.2 deferred transport', recipient };
  return envelope.contentFilter === undefined ? { transport, nexthop, recipient } : filterRoute(envelope.contentFilter, recipient, rules);
}

/** content_filter: `transport:destination`, whatever the recipient is. */
function filterRoute(filter: string, recipient: string, rules: RouteRules): Route {
  const colon = filter.indexOf(':');
  const transport = colon < 0 ? filter : filter.slice(0, colon);
  const nexthop = colon < 0 ? '' : filter.slice(colon + 1);
  return { transport, nexthop: nexthop || rules.defaultFilterNexthop || (splitAddress(recipient).domain ?? ''), recipient };
}

type Group = { transport: string; queue: string; nexthop: string; recipients: Recipient[] };

function gather(groups: Map<string, Group>, { transport, nexthop }: Route, recipient: Recipient, rules: RouteRules): void {
  // One recipient per delivery: the limit of concurrency is then per recipient, not per domain (postconf(5) local_destination_concurrency_limit).
  const queue = (rules.recipientLimit(transport) === 1 ? `${recipient.address.toLowerCase()}` : nexthop.toLowerCase());
  const key = `${transport}\0${queue}\0${nexthop}`;
  const known = groups.get(key);
  if (known === undefined) groups.set(key, { transport, queue, nexthop, recipients: [recipient] });
  else known.recipients.push(recipient);
}

function batches(message: ActiveMessage, { transport, queue, nexthop, recipients }: Group, rules: RouteRules): Entry<Batch>[] {
  const limit = rules.recipientLimit(transport) || recipients.length;
  const entries: Entry<Batch>[] = [];
  for (let at = 0; at < recipients.length; at += limit)
    entries.push({ transport, queue, load: { message, nexthop, recipients: recipients.slice(at, at + limit) } });
  return entries;
}

/** The request for a delivery agent. Times are in seconds. */
export function requestFor({ message, nexthop, recipients }: Batch, reuse: Entry<Batch>['reuse'] = undefined): DeliveryRequest {
  const { envelope, queueId, activeSince } = message;
  const value = (name: string): string => envelope.attributes.get(name) ?? '';
  const arrival = envelope.arrivalTime;
  return {
    flags: envelope.traceFlags | requestFlag.success | requestFlag.bounce | (reuse?.load ? requestFlag.connectionLoad : 0) | (reuse?.store ? requestFlag.connectionStore : 0),
    queueName: 'active', queueId,
    dataOffset: envelope.size?.dataOffset ?? 0, dataSize: envelope.size?.contentLength ?? 0,
    nexthop, encoding: value(attributeName.encoding), smtputf8: envelope.size?.sendOptions ?? 0,
    sender: envelope.sender ?? '', dsnEnvid: envelope.dsnEnvid, dsnRet: envelope.dsnRet,
    times: { incomingArrival: arrival.seconds + arrival.microseconds / 1e6, activeArrival: activeSince / 1000, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 },
    clientName: value(attributeName.logClientName), clientAddress: value(attributeName.logClientAddress), clientPort: value(attributeName.logClientPort),
    clientProtocol: value(attributeName.logProtocolName), clientHelo: value(attributeName.logHeloName),
    saslMethod: value(attributeName.saslMethod), saslUsername: value(attributeName.saslUsername), saslSender: value(attributeName.saslSender),
    logIdent: value(attributeName.logIdent) || queueId, rewriteContext: value(attributeName.rewriteContext) || 'local',
    recipients,
  };
}
