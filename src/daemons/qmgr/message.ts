/**
 * A message that is being delivered: its envelope as read from the active queue, and what is still open.
 *
 * Recipients are grouped by where they go, in batches of the transport's recipient limit. What cannot be resolved now goes to the
 * retry transport, what never will to the error transport, so that every recipient gets its log line and its report.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { resolveFlag } from '../../ipc/rewrite.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { requestFlag, type DeliveryRequest, type Recipient } from '../../ipc/deliver.ts';
import { dsnNotify } from '../../message/dsn.ts';
import { attributeName, sendOption } from '../../message/envelope-names.ts';
import type { Envelope, EnvelopeRecipient } from '../../message/envelope.ts';
import { splitAddress } from '../../message/address.ts';
import { verpSender } from '../../message/verp.ts';
import { isAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Entry } from './scheduler.ts';

/** Recipients of one message for one destination. */
export interface Batch {
  readonly message: ActiveMessage;
  readonly nexthop: string;
  readonly recipients: Recipient[];
}

/** The part of a delivery request that is the same for all recipients of a message. */
type About = Omit<DeliveryRequest, 'nexthop' | 'place' | 'flags' | 'recipients'>;

/** What is remembered of a message while it is active: of 20,000 of them nothing more must be. */
export interface ActiveMessage {
  readonly queueId: string;
  readonly about: About;
  readonly traceFlags: number;
  /** The sender wants to be told of success, or of the whole delivery. */
  readonly wantsTrace: boolean;
  /** Seconds since the epoch: what its lifetime counts from. */
  readonly born: number;
  readonly warnTime: number;
  readonly warnOffset: number;
  readonly forcedExpire: boolean;
  /** Was tried before, as far as one can see: new mail takes turns with all of these together. */
  readonly again: boolean;
  /** VERP: every recipient is a delivery of its own, with a sender of its own. */
  readonly verpDelimiters: string | undefined;
  /** Entries that are waiting or under way. */
  open: number;
  /** At least one recipient stays in the queue. */
  deferred: boolean;
  /** deliveryLog bits of what agents wrote about it. */
  logs: number;
}

/** A message as its envelope tells. `now` is in milliseconds. */
export function activeMessage(queueId: string, envelope: Envelope, { forcedExpire, again }: { readonly forcedExpire: boolean; readonly again: boolean }, now: number): ActiveMessage {
  const { traceFlags, recipients, createTime, arrivalTime, warnTime, warnOffset, verpDelimiters } = envelope;
  return {
    queueId, traceFlags, warnTime, warnOffset, forcedExpire, again, verpDelimiters,
    about: aboutMessage(queueId, envelope, now),
    wantsTrace: (traceFlags & (requestFlag.userVerify | requestFlag.record)) !== 0 || recipients.some(({ dsnNotify: wish }) => wish & dsnNotify.success),
    born: createTime || arrivalTime.seconds,
    open: 0, deferred: false, logs: 0,
  };
}

function aboutMessage(queueId: string, envelope: Envelope, now: number): About {
  const { attributes, arrivalTime: arrival, size, sender, dsnEnvid, dsnRet } = envelope;
  const value = (name: string): string => attributes.get(name) ?? '';
  return {
    queueName: 'active', queueId,
    dataOffset: size?.dataOffset ?? 0, dataSize: size?.contentLength ?? 0,
    encoding: value(attributeName.encoding), smtputf8: size?.sendOptions ?? 0,
    sender: sender ?? '', dsnEnvid, dsnRet,
    times: { incomingArrival: arrival.seconds + arrival.microseconds / 1e6, activeArrival: now / 1000, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 },
    clientName: value(attributeName.logClientName), clientAddress: value(attributeName.logClientAddress), clientPort: value(attributeName.logClientPort),
    clientProtocol: value(attributeName.logProtocolName), clientHelo: value(attributeName.logHeloName),
    saslMethod: value(attributeName.saslMethod), saslUsername: value(attributeName.saslUsername), saslSender: value(attributeName.saslSender),
    logIdent: value(attributeName.logIdent) || queueId, rewriteContext: value(attributeName.rewriteContext) || 'local',
  };
}

export interface Route { readonly transport: string; readonly nexthop: string; readonly recipient: string }

type Resolve = (sender: string, address: string) => MaybePromise<{ transport: string; nexthop: string; recipient: string; flags: number }>;

export interface RouteRules {
  readonly resolve: Resolve;
  /** The same for address probes, which may go other ways (address_verify_*). */
  readonly resolveProbe: Resolve;
  /** Are there more probes than address_verify_pending_request_limit? Then they fail for now. */
  readonly tooManyProbes: () => boolean;
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
export function groupRecipients(message: ActiveMessage, envelope: Envelope, rules: RouteRules): MaybePromise<Grouping> {
  const { recipients } = envelope;
  const sorting: Sorting = { message, envelope, rules, groups: new Map(), discarded: [] };
  for (const [at, each] of recipients.entries()) {
    const route = each.done ? undefined : routeOf(envelope, each, rules);
    if (isPending(route)) return sortLate(sorting, at, route);
    if (route !== undefined) sort(sorting, each, route);
  }
  return grouped(sorting);
}

interface Sorting {
  readonly message: ActiveMessage;
  readonly envelope: Envelope;
  readonly rules: RouteRules;
  readonly groups: Map<string, Group>;
  readonly discarded: Recipient[];
}

/** Recipients after which others have their turn: answers that are at hand do not let anybody else in. */
const turnSize = 500;

/** The same from the first recipient on whose answer has to be waited for. */
async function sortLate(sorting: Sorting, from: number, first: Promise<Route>): Promise<Grouping> {
  const { envelope, rules } = sorting;
  sort(sorting, envelope.recipients[from]!, await first);
  for (let at = from + 1; at < envelope.recipients.length; at++) {
    const each = envelope.recipients[at]!;
    if (!each.done) sort(sorting, each, await routeOf(envelope, each, rules));
    if (at % turnSize === 0) await turn();
  }
  return grouped(sorting);
}

function sort({ groups, discarded, rules }: Sorting, each: EnvelopeRecipient, route: Route): void {
  const recipient = toRecipient(each, route.recipient);
  if (route.transport === '') discarded.push(recipient);
  else gather(groups, route, recipient, rules);
}

function grouped({ message, groups, discarded, rules }: Sorting): Grouping {
  const entries: Entry<Batch>[] = [];
  for (const group of groups.values()) batches(entries, message, group, rules);
  return { entries, discarded };
}

function toRecipient(each: EnvelopeRecipient, address: string): Recipient {
  return { address, originalAddress: each.originalAddress, offset: each.offset, dsnOrcpt: each.dsnOrcpt, dsnNotify: each.dsnNotify };
}

/** Did verify(8) send it? */
export function isProbe(traceFlags: number): boolean {
  return (traceFlags & requestFlag.mtaVerify) !== 0;
}

const nowhere = (recipient: string): Route => ({ transport: '', nexthop: '', recipient });

function routeOf(envelope: Envelope, each: EnvelopeRecipient, rules: RouteRules): MaybePromise<Route> {
  const address = envelope.redirect ?? each.address;
  const resolve = isProbe(envelope.traceFlags) ? rules.resolveProbe : rules.resolve;
  return chain(resolve(envelope.sender ?? '', address), (answer) => judged(envelope, address, answer, rules));
}

function judged(envelope: Envelope, address: string, { transport, nexthop, recipient, flags }: Awaited<ReturnType<Resolve>>, rules: RouteRules): Route {
  if (flags & resolveFlag.fail) return { transport: 'retry', nexthop: '4.3.0 address resolver failure', recipient: address };
  if (flags & resolveFlag.error) return { transport: 'error', nexthop: '5.1.3 bad address syntax', recipient: address };
  if (flags & resolveFlag.local && splitAddress(recipient).local.toLowerCase() === rules.doubleBounceSender) return nowhere(recipient);
  if (rules.isDeferred(transport)) return { transport: 'retry', nexthop: '4.3.2 deferred transport', recipient };
  if (isProbe(envelope.traceFlags) && rules.tooManyProbes()) return { transport: 'retry', nexthop: '4.3.2 Too many address verification requests', recipient };
  return envelope.contentFilter === undefined || isTraceOnly(envelope.traceFlags) ? { transport, nexthop, recipient } : filterRoute(envelope.contentFilter, recipient, rules);
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

function batches(entries: Entry<Batch>[], message: ActiveMessage, { transport, queue, nexthop, recipients }: Group, rules: RouteRules): void {
  const limit = message.verpDelimiters !== undefined ? 1 : rules.recipientLimit(transport) || recipients.length;
  for (let at = 0; at < recipients.length; at += limit)
    entries.push({ transport, queue, again: message.again, load: { message, nexthop, recipients: limit < recipients.length ? recipients.slice(at, at + limit) : recipients } });
}

/** The request for a delivery agent. `place`: where the message lies that is no file. */
export function requestFor({ message, nexthop, recipients }: Batch, place = '', reuse: Entry<Batch>['reuse'] = undefined): DeliveryRequest {
  const kept = (reuse?.load ? requestFlag.connectionLoad : 0) | (reuse?.store ? requestFlag.connectionStore : 0);
  const request = { ...message.about, flags: message.traceFlags | requestFlag.success | requestFlag.bounce | kept, nexthop, place, recipients };
  const { verpDelimiters: verp } = message;
  if (recipients.some(({ address }) => !isAscii(address) && isUtf8(address)))
    request.smtputf8 |= sendOption.smtputf8Recipient | (verp === undefined ? 0 : sendOption.smtputf8Sender);
  const [first] = recipients;
  if (verp !== undefined && first !== undefined) request.sender = verpSender(request.sender, first.originalAddress || first.address, verp);
  return request;
}
