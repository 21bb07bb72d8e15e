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
import { attributeName, queueFlag, sendOption } from '../../message/envelope-names.ts';
import type { Envelope, EnvelopeRecipient } from '../../message/envelope.ts';
import { splitAddress, splitExtension } from '../../message/address.ts';
import { isAscii, lowerAscii } from '../../text/ascii.ts';
import { foldCase, isUtf8 } from '../../text/utf8.ts';
import { verpSender } from '../../message/verp.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Rest } from '../../queue/queue-envelope.ts';
import { Mail, type Entry } from './job.ts';

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
  readonly traceFlagsOffset: number;
  /** The sender wants to be told of success, or of the whole delivery. */
  readonly wantsTrace: boolean;
  /** Seconds since the epoch: what its lifetime counts from. */
  readonly born: number;
  readonly warnTime: number;
  readonly warnOffset: number;
  readonly forcedExpire: boolean;
  /** Was tried before, as far as one can see: new mail takes turns with all of these together. */
  readonly again: boolean;
  /** defer_transports does not hold. */
  readonly flushed: boolean;
  /** Somebody asked for this very mail: its destinations do not count as dead when it is their turn. */
  readonly unthrottle: boolean;
  readonly contentFilter: string | undefined;
  readonly redirect: string | undefined;
  readonly verpDelimiters: string | undefined;
  /** As the scheduler sees it. */
  mail: Mail<Batch, ActiveMessage>;
  /** Where recipients that were not read yet begin. */
  rest: Rest | undefined;
  /** Entries that are waiting or under way. */
  open: number;
  /** At least one recipient stays in the queue. */
  deferred: boolean;
  /** Not all of its recipients could be looked at: it must not be returned, for the report would not tell of them. */
  incomplete: boolean;
  /** deliveryLog bits of what agents wrote about it. */
  logs: number;
}

/** What is known of a message beyond its envelope when it becomes active. */
export interface Taking {
  readonly forcedExpire: boolean;
  readonly again: boolean;
  /** defer_transports does not hold: somebody asked for this mail, or for all. */
  readonly flushed?: boolean;
  readonly unthrottle?: boolean;
  /** The sender was told of the delay, and is to be told of the end of it (confirm_delay_cleared). */
  readonly confirmDelay?: boolean;
  /** qmgr_message_recipient_minimum */
  readonly recipientMinimum?: number;
}

/** A message as its envelope tells. `now` is in milliseconds. */
export function activeMessage(queueId: string, envelope: Envelope, taking: Taking, now: number): ActiveMessage {
  const { recipients, createTime, arrivalTime, warnTime, warnOffset, traceFlagsOffset, contentFilter, redirect, verpDelimiters, size } = envelope;
  const { forcedExpire, again, flushed = false, unthrottle = false, confirmDelay = false } = taking;
  const traceFlags = envelope.traceFlags | (confirmDelay && warnTime < 0 ? requestFlag.recordDelaySent : 0);
  const message: ActiveMessage = {
    queueId, traceFlags, traceFlagsOffset, warnTime, warnOffset, forcedExpire, again, flushed, unthrottle, contentFilter, redirect, verpDelimiters,
    about: aboutMessage(queueId, envelope, now),
    wantsTrace: (traceFlags & reportedFlags) !== 0 || wantsSuccess(envelope),
    born: createTime || arrivalTime.seconds,
    open: 0, deferred: false, incomplete: false, logs: 0, rest: undefined, mail: undefined as never,
  };
  message.mail = new Mail(message, again, taking.recipientMinimum);
  // A redirected message goes to one address, however many it was for.
  if (envelope.more === true && redirect === undefined) {
    message.rest = { dataOffset: size!.dataOffset, contentSize: size!.contentSize, after: recipients.at(-1)!.offset };
    message.mail.more = true;
    message.mail.unread = Math.max(size!.recipientCount - recipients.length, 1);
  }
  return message;
}

const reportedFlags = requestFlag.userVerify | requestFlag.record | requestFlag.recordDelaySent;

function wantsSuccess({ size, wishes = 0, recipients }: Envelope): boolean {
  if (((size?.queueFlags ?? 0) & queueFlag.notifySuccess) !== 0 || (wishes & dsnNotify.success) !== 0) return true;
  return recipients.some(({ dsnNotify: wish }) => wish & dsnNotify.success);
}

/** No more than so many recipients at first: the others are read from the file when it is their turn. */
export function firstRecipients(envelope: Envelope, most: number): Envelope {
  const { recipients, size } = envelope;
  if (recipients.length <= most || size === undefined || size.dataOffset <= 0) return envelope;
  const wishes = recipients.reduce((all, { dsnNotify: wish }) => all | wish, 0);
  return { ...envelope, wishes, more: true, recipients: recipients.slice(0, most) };
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
  readonly hostname: string;
  /** recipient_delimiter */
  readonly delimiters: string;
  /** An address of ours in its full form. */
  readonly rewrite: (address: string) => MaybePromise<string>;
  /** defer_transports */
  readonly isDeferred: (transport: string) => boolean;
}

export interface Grouping {
  readonly entries: Entry<Batch, ActiveMessage>[];
  /** Mail to our own double-bounce address: nobody is left to tell. */
  readonly discarded: Recipient[];
}

/** Where these recipients of a message go. Rejects only when the rewriting service is out of reach. */
export function groupRecipients(message: ActiveMessage, all: readonly EnvelopeRecipient[], rules: RouteRules): MaybePromise<Grouping> {
  const recipients = wanted(message, all);
  const sorting: Sorting = { message, recipients, rules, groups: [], known: undefined, last: undefined, discarded: [] };
  for (let at = 0; at < recipients.length; at++) {
    const each = recipients[at]!;
    const route = routeOf(message, each, rules);
    if (isPending(route)) return sortLate(sorting, at, route);
    sort(sorting, each, route);
  }
  return grouped(sorting);
}

/** Those that are not done; of a redirected message the first, which stands for all. */
function wanted({ redirect }: ActiveMessage, all: readonly EnvelopeRecipient[]): readonly EnvelopeRecipient[] {
  const left = all.some(({ done }) => done) ? all.filter(({ done }) => !done) : all;
  return redirect === undefined ? left : left.slice(0, 1);
}

interface Sorting {
  readonly message: ActiveMessage;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly rules: RouteRules;
  readonly groups: Group[];
  /** The same by destination; undefined while there is but one. */
  known: Map<string, Group> | undefined;
  /** Where the one before went. */
  last: Group | undefined;
  readonly discarded: Recipient[];
}

/** Recipients after which others have their turn: answers that are at hand do not let anybody else in. */
const turnSize = 500;

/** The same from the first recipient on whose answer has to be waited for. */
async function sortLate(sorting: Sorting, from: number, first: Promise<Route>): Promise<Grouping> {
  const { message, recipients, rules } = sorting;
  sort(sorting, recipients[from]!, await first);
  for (let at = from + 1; at < recipients.length; at++) {
    const each = recipients[at]!;
    sort(sorting, each, await routeOf(message, each, rules));
    if (at % turnSize === 0) await turn();
  }
  return grouped(sorting);
}

function sort(sorting: Sorting, each: EnvelopeRecipient, route: Route): void {
  const recipient = toRecipient(each, route.recipient);
  if (route.transport === '') sorting.discarded.push(recipient);
  else gather(sorting, route, recipient);
}

/** By transport and destination, and within those by domain and address: so deliveries and log lines come in Postfix's order. */
function grouped({ message, groups, discarded, rules }: Sorting): Grouping {
  const entries: Entry<Batch, ActiveMessage>[] = [];
  const sorted = groups.sort((one, other) => order(one.transport, other.transport) || order(one.queue, other.queue));
  for (const group of sorted) batches(entries, message, group, rules);
  return { entries, discarded };
}

function order(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function byDomain(recipients: readonly Recipient[]): Recipient[] {
  const keyed = recipients.map((recipient) => ({ recipient, domain: domainKey(recipient.address) }));
  keyed.sort((one, other) => order(one.domain, other.domain) || order(one.recipient.address, other.recipient.address));
  return keyed.map(({ recipient }) => recipient);
}

/** Addresses without a domain come last. */
function domainKey(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0 ? '\uffff' : foldCase(address.slice(at));
}

function toRecipient(each: EnvelopeRecipient, address: string): Recipient {
  return { address, originalAddress: each.originalAddress, offset: each.offset, dsnOrcpt: each.dsnOrcpt, dsnNotify: each.dsnNotify };
}

/** Did verify(8) send it? */
export function isProbe(traceFlags: number): boolean {
  return (traceFlags & requestFlag.mtaVerify) !== 0;
}

const nowhere = (recipient: string): Route => ({ transport: '', nexthop: '', recipient });

/** A redirection overrides all else, and a content filter what the resolver says. */
function routeOf(message: ActiveMessage, each: EnvelopeRecipient, rules: RouteRules): MaybePromise<Route> {
  const { redirect, contentFilter, traceFlags } = message;
  if (redirect !== undefined) return chain(rules.rewrite(redirect), (address) => resolved(message, address, rules));
  if (contentFilter === undefined || isTraceOnly(traceFlags)) return resolved(message, each.address, rules);
  return judged(message, each.address, { ...filterRoute(contentFilter, each.address, rules), flags: 0 }, rules);
}

function resolved(message: ActiveMessage, address: string, rules: RouteRules): MaybePromise<Route> {
  const resolve = isProbe(message.traceFlags) ? rules.resolveProbe : rules.resolve;
  return chain(resolve(message.about.sender, address), (answer) => judged(message, address, answer, rules));
}

function judged(message: ActiveMessage, address: string, { transport, nexthop, recipient, flags }: Awaited<ReturnType<Resolve>>, rules: RouteRules): Route {
  const isFailed = (flags & (resolveFlag.fail | resolveFlag.error)) !== 0;
  const to = isFailed ? address : recipient;
  const answer = flags & resolveFlag.fail ? { transport: 'retry', nexthop: '4.3.0 address resolver failure' }
    : flags & resolveFlag.error ? { transport: 'error', nexthop: '5.1.3 bad address syntax' } : { transport, nexthop };
  if (message.forcedExpire) return { transport: 'retry', nexthop: '4.7.0 message is administratively expired', recipient: to };
  if (to === '') return { transport: 'error', nexthop: '5.1.3 null recipient address', recipient: to };
  if (!isFailed && flags & resolveFlag.local && foldCase(splitAddress(recipient).local) === rules.doubleBounceSender) return nowhere(recipient);
  if (!message.flushed && rules.isDeferred(answer.transport)) return { transport: 'retry', nexthop: '4.3.2 deferred transport', recipient: to };
  if (isProbe(message.traceFlags) && rules.tooManyProbes()) return { transport: 'retry', nexthop: '4.3.2 Too many address verification requests', recipient: to };
  return { transport: answer.transport, nexthop: answer.nexthop, recipient: to };
}

/** content_filter: `transport:destination`, whatever the recipient is. */
function filterRoute(filter: string, recipient: string, rules: RouteRules): Route {
  const colon = filter.indexOf(':');
  const transport = colon < 0 ? filter : filter.slice(0, colon);
  const nexthop = colon < 0 ? '' : filter.slice(colon + 1);
  return { transport, nexthop: nexthop || rules.defaultFilterNexthop || splitAddress(recipient).domain || rules.hostname, recipient };
}

type Group = { readonly byAddress: boolean; transport: string; queue: string; nexthop: string; recipients: Recipient[]; single: boolean };

function gather(sorting: Sorting, { transport, nexthop }: Route, recipient: Recipient): void {
  const { last, rules, message } = sorting;
  if (last !== undefined && !last.byAddress && last.transport === transport && last.nexthop === nexthop) return void last.recipients.push(recipient);
  const byAddress = isByAddress(transport, rules);
  const queue = byAddress ? addressQueue(nexthop, recipient.address, rules) : lowerAscii(nexthop);
  const destination = { transport, queue, nexthop };
  const group = knownGroup(sorting, destination) ?? newGroup(sorting, { ...destination, byAddress, recipients: [], single: message.verpDelimiters !== undefined });
  group.recipients.push(recipient);
  sorting.last = group;
}

type Destination = Pick<Group, 'transport' | 'queue' | 'nexthop'>;

function groupKey({ transport, queue, nexthop }: Destination): string {
  return `${transport}\0${queue}\0${nexthop}`;
}

function knownGroup(sorting: Sorting, destination: Destination): Group | undefined {
  if (sorting.groups.length === 0) return undefined;
  sorting.known ??= new Map(sorting.groups.map((group) => [groupKey(group), group]));
  return sorting.known.get(groupKey(destination));
}

function newGroup({ groups, known }: Sorting, group: Group): Group {
  groups.push(group);
  known?.set(groupKey(group), group);
  return group;
}

/**
 * One recipient per delivery: the limit of concurrency is then per recipient, not per domain (postconf(5)
 * local_destination_concurrency_limit), and joe+one and joe+two are the same recipient.
 */
function isByAddress(transport: string, { recipientLimit }: RouteRules): boolean {
  return transport !== 'error' && transport !== 'retry' && recipientLimit(transport) === 1;
}

function addressQueue(nexthop: string, address: string, { delimiters, doubleBounceSender }: RouteRules): string {
  const { local } = splitAddress(address);
  const base = splitExtension(local, delimiters, { doubleBounceSender })?.base ?? local;
  return lowerAscii(`${base}@${nexthop}`);
}

function batches(entries: Entry<Batch, ActiveMessage>[], message: ActiveMessage, { transport, queue, nexthop, recipients: all, single }: Group, rules: RouteRules): void {
  const { mail } = message;
  const recipients = all.length > 1 ? byDomain(all) : all;
  const limit = single ? 1 : rules.recipientLimit(transport) || recipients.length;
  for (let at = 0; at < recipients.length; at += limit) {
    const part = limit < recipients.length ? recipients.slice(at, at + limit) : recipients;
    entries.push({ transport, queue, mail, size: part.length, load: { message, nexthop, recipients: part } });
  }
}

/** Into an entry of the same message that still waits, as many as it has room for. What could not be put there is left. */
export function fillUp(last: Entry<Batch, ActiveMessage>, from: Entry<Batch, ActiveMessage>, rules: RouteRules): number {
  if (last.load.nexthop !== from.load.nexthop || from.load.message.verpDelimiters !== undefined) return 0;
  const moved = from.load.recipients.splice(0, (rules.recipientLimit(from.transport) || Infinity) - last.load.recipients.length);
  last.load.recipients.push(...moved);
  from.size -= moved.length;
  return moved.length;
}

/** The request for a delivery agent. `place`: where the message lies that is no file. */
export function requestFor({ message, nexthop, recipients }: Batch, place = '', reuse: Entry<Batch>['reuse'] = undefined, smtputf8 = true): DeliveryRequest {
  const kept = (reuse?.load ? requestFlag.connectionLoad : 0) | (reuse?.store ? requestFlag.connectionStore : 0);
  const request = { ...message.about, flags: message.traceFlags | requestFlag.success | requestFlag.bounce | kept, nexthop, place, recipients };
  const { verpDelimiters: verp } = message;
  const [first] = recipients;
  if (verp !== undefined && first !== undefined) request.sender = verpSender(request.sender, first.originalAddress || first.address, verp);
  if (smtputf8 && recipients.some(({ address }) => isInternational(address))) request.smtputf8 |= sendOption.smtputf8Recipient | (verp === undefined ? 0 : sendOption.smtputf8Sender);
  return request;
}

function isInternational(address: string): boolean {
  return !isAscii(address) && isUtf8(address);
}
